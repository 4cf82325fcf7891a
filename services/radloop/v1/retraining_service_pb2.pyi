import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StartCycleRequest(_message.Message):
    __slots__ = ("model", "actor", "command_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, model: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class StartCycleResponse(_message.Message):
    __slots__ = ("cycle_id", "reason")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    reason: str
    def __init__(self, cycle_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetCycleRequest(_message.Message):
    __slots__ = ("cycle_id", "model")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    model: str
    def __init__(self, cycle_id: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class AdaptRequest(_message.Message):
    __slots__ = ("model", "masks_tar", "actor", "command_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MASKS_TAR_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    masks_tar: bytes
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, model: _Optional[str] = ..., masks_tar: _Optional[bytes] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class AdaptResponse(_message.Message):
    __slots__ = ("cycle_id", "reason")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    reason: str
    def __init__(self, cycle_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DescribeModelRequest(_message.Message):
    __slots__ = ("model", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class DescribeModelResponse(_message.Message):
    __slots__ = ("version", "package_yaml")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_YAML_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    package_yaml: str
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ..., package_yaml: _Optional[str] = ...) -> None: ...

class GetCycleResponse(_message.Message):
    __slots__ = ("cycle_id", "state", "progress", "version", "evidence", "labels", "note")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    state: str
    progress: float
    version: int
    evidence: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, int]
    note: str
    def __init__(self, cycle_id: _Optional[str] = ..., state: _Optional[str] = ..., progress: _Optional[float] = ..., version: _Optional[int] = ..., evidence: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, int]] = ..., note: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("model", "version", "stage", "since", "labels", "gate_passed", "evidence", "change_record")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    GATE_PASSED_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_RECORD_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    stage: str
    since: _timestamp_pb2.Timestamp
    labels: int
    gate_passed: bool
    evidence: _containers.RepeatedScalarFieldContainer[str]
    change_record: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., stage: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., labels: _Optional[int] = ..., gate_passed: _Optional[bool] = ..., evidence: _Optional[_Iterable[str]] = ..., change_record: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ...) -> None: ...

class AddModelRequest(_message.Message):
    __slots__ = ("model", "package_tar", "actor", "command_id", "only_check")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_TAR_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    ONLY_CHECK_FIELD_NUMBER: _ClassVar[int]
    model: str
    package_tar: bytes
    actor: _common_pb2.Actor
    command_id: str
    only_check: bool
    def __init__(self, model: _Optional[str] = ..., package_tar: _Optional[bytes] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ..., only_check: _Optional[bool] = ...) -> None: ...

class AddModelResponse(_message.Message):
    __slots__ = ("version", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: int
    reason: str
    def __init__(self, version: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class PromoteRequest(_message.Message):
    __slots__ = ("model", "version", "stage", "actor", "command_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    stage: str
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., stage: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class PromoteResponse(_message.Message):
    __slots__ = ("promoted", "reason")
    PROMOTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    promoted: bool
    reason: str
    def __init__(self, promoted: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("model", "actor", "command_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, model: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("version", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: int
    reason: str
    def __init__(self, version: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
