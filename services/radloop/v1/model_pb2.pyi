import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelTrained(_message.Message):
    __slots__ = ("model", "version", "snapshot", "labels", "gate_passed", "evidence", "trained_at")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    GATE_PASSED_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    TRAINED_AT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    snapshot: _common_pb2.Blob
    labels: int
    gate_passed: bool
    evidence: _containers.RepeatedScalarFieldContainer[str]
    trained_at: _timestamp_pb2.Timestamp
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., snapshot: _Optional[_Union[_common_pb2.Blob, _Mapping]] = ..., labels: _Optional[int] = ..., gate_passed: _Optional[bool] = ..., evidence: _Optional[_Iterable[str]] = ..., trained_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ModelReleased(_message.Message):
    __slots__ = ("model", "version", "stage", "previous_stage", "canary_share", "change_record", "weights_sha256", "release", "released_at")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_STAGE_FIELD_NUMBER: _ClassVar[int]
    CANARY_SHARE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_RECORD_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_SHA256_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    RELEASED_AT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    stage: str
    previous_stage: str
    canary_share: float
    change_record: str
    weights_sha256: str
    release: int
    released_at: _timestamp_pb2.Timestamp
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., stage: _Optional[str] = ..., previous_stage: _Optional[str] = ..., canary_share: _Optional[float] = ..., change_record: _Optional[str] = ..., weights_sha256: _Optional[str] = ..., release: _Optional[int] = ..., released_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
