import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StudyCompleted(_message.Message):
    __slots__ = ("study", "revision", "matched", "unmatched_reason", "priority", "completed_at")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_REASON_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    study: _common_pb2.Study
    revision: int
    matched: bool
    unmatched_reason: str
    priority: str
    completed_at: _timestamp_pb2.Timestamp
    def __init__(self, study: _Optional[_Union[_common_pb2.Study, _Mapping]] = ..., revision: _Optional[int] = ..., matched: _Optional[bool] = ..., unmatched_reason: _Optional[str] = ..., priority: _Optional[str] = ..., completed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StudyBackfilled(_message.Message):
    __slots__ = ("study", "revision", "purpose")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    study: _common_pb2.Study
    revision: int
    purpose: str
    def __init__(self, study: _Optional[_Union[_common_pb2.Study, _Mapping]] = ..., revision: _Optional[int] = ..., purpose: _Optional[str] = ...) -> None: ...
