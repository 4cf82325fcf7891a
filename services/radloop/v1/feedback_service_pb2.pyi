from radloop.v1 import common_pb2 as _common_pb2
from radloop.v1 import reading_pb2 as _reading_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordVerdictRequest(_message.Message):
    __slots__ = ("verdict_id", "case_id", "reader", "kind", "answers", "revision", "prediction_id", "seconds_spent", "ai_shown", "request_id")
    VERDICT_ID_FIELD_NUMBER: _ClassVar[int]
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    SECONDS_SPENT_FIELD_NUMBER: _ClassVar[int]
    AI_SHOWN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    verdict_id: str
    case_id: str
    reader: _common_pb2.Actor
    kind: str
    answers: _containers.RepeatedCompositeFieldContainer[_reading_pb2.FindingAnswer]
    revision: int
    prediction_id: str
    seconds_spent: float
    ai_shown: bool
    request_id: str
    def __init__(self, verdict_id: _Optional[str] = ..., case_id: _Optional[str] = ..., reader: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., kind: _Optional[str] = ..., answers: _Optional[_Iterable[_Union[_reading_pb2.FindingAnswer, _Mapping]]] = ..., revision: _Optional[int] = ..., prediction_id: _Optional[str] = ..., seconds_spent: _Optional[float] = ..., ai_shown: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class RecordVerdictResponse(_message.Message):
    __slots__ = ("recorded", "reason")
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    recorded: bool
    reason: str
    def __init__(self, recorded: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class TakeBackVerdictRequest(_message.Message):
    __slots__ = ("command_id", "case_id", "verdict_id", "reader")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_ID_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    case_id: str
    verdict_id: str
    reader: _common_pb2.Actor
    def __init__(self, command_id: _Optional[str] = ..., case_id: _Optional[str] = ..., verdict_id: _Optional[str] = ..., reader: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ...) -> None: ...

class TakeBackVerdictResponse(_message.Message):
    __slots__ = ("taken_back", "reason")
    TAKEN_BACK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    taken_back: bool
    reason: str
    def __init__(self, taken_back: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...
