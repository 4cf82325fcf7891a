import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListCasesRequest(_message.Message):
    __slots__ = ("limit", "include_closed")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CLOSED_FIELD_NUMBER: _ClassVar[int]
    limit: int
    include_closed: bool
    def __init__(self, limit: _Optional[int] = ..., include_closed: _Optional[bool] = ...) -> None: ...

class ListedCase(_message.Message):
    __slots__ = ("case_id", "urgency", "read_by", "arrived_at", "state", "reasons", "model", "version")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    URGENCY_FIELD_NUMBER: _ClassVar[int]
    READ_BY_FIELD_NUMBER: _ClassVar[int]
    ARRIVED_AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    urgency: str
    read_by: _timestamp_pb2.Timestamp
    arrived_at: _timestamp_pb2.Timestamp
    state: str
    reasons: _containers.RepeatedScalarFieldContainer[str]
    model: str
    version: int
    def __init__(self, case_id: _Optional[str] = ..., urgency: _Optional[str] = ..., read_by: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., arrived_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[str] = ..., reasons: _Optional[_Iterable[str]] = ..., model: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class ListCasesResponse(_message.Message):
    __slots__ = ("cases",)
    CASES_FIELD_NUMBER: _ClassVar[int]
    cases: _containers.RepeatedCompositeFieldContainer[ListedCase]
    def __init__(self, cases: _Optional[_Iterable[_Union[ListedCase, _Mapping]]] = ...) -> None: ...
