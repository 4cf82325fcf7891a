import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CaseOpened(_message.Message):
    __slots__ = ("reader", "opened_at", "revision", "prediction_id", "ai_shown")
    READER_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    AI_SHOWN_FIELD_NUMBER: _ClassVar[int]
    reader: _common_pb2.Actor
    opened_at: _timestamp_pb2.Timestamp
    revision: int
    prediction_id: str
    ai_shown: bool
    def __init__(self, reader: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., opened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., prediction_id: _Optional[str] = ..., ai_shown: _Optional[bool] = ...) -> None: ...

class FindingAnswer(_message.Message):
    __slots__ = ("code", "value")
    CODE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    code: _common_pb2.Code
    value: str
    def __init__(self, code: _Optional[_Union[_common_pb2.Code, _Mapping]] = ..., value: _Optional[str] = ...) -> None: ...

class VerdictRecorded(_message.Message):
    __slots__ = ("verdict_id", "reader", "kind", "answers", "revision", "prediction_id", "seconds_spent", "ai_shown", "request_id", "recorded_at", "takes_back")
    VERDICT_ID_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    SECONDS_SPENT_FIELD_NUMBER: _ClassVar[int]
    AI_SHOWN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    TAKES_BACK_FIELD_NUMBER: _ClassVar[int]
    verdict_id: str
    reader: _common_pb2.Actor
    kind: str
    answers: _containers.RepeatedCompositeFieldContainer[FindingAnswer]
    revision: int
    prediction_id: str
    seconds_spent: float
    ai_shown: bool
    request_id: str
    recorded_at: _timestamp_pb2.Timestamp
    takes_back: str
    def __init__(self, verdict_id: _Optional[str] = ..., reader: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., kind: _Optional[str] = ..., answers: _Optional[_Iterable[_Union[FindingAnswer, _Mapping]]] = ..., revision: _Optional[int] = ..., prediction_id: _Optional[str] = ..., seconds_spent: _Optional[float] = ..., ai_shown: _Optional[bool] = ..., request_id: _Optional[str] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., takes_back: _Optional[str] = ...) -> None: ...

class LabelSettled(_message.Message):
    __slots__ = ("label_id", "code", "value", "source", "weight", "drawn", "drawn_probability", "ai_shown", "patient_key", "purpose", "withdrawn", "label_revision")
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DRAWN_FIELD_NUMBER: _ClassVar[int]
    DRAWN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    AI_SHOWN_FIELD_NUMBER: _ClassVar[int]
    PATIENT_KEY_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    LABEL_REVISION_FIELD_NUMBER: _ClassVar[int]
    label_id: str
    code: _common_pb2.Code
    value: str
    source: str
    weight: float
    drawn: str
    drawn_probability: float
    ai_shown: bool
    patient_key: str
    purpose: str
    withdrawn: bool
    label_revision: int
    def __init__(self, label_id: _Optional[str] = ..., code: _Optional[_Union[_common_pb2.Code, _Mapping]] = ..., value: _Optional[str] = ..., source: _Optional[str] = ..., weight: _Optional[float] = ..., drawn: _Optional[str] = ..., drawn_probability: _Optional[float] = ..., ai_shown: _Optional[bool] = ..., patient_key: _Optional[str] = ..., purpose: _Optional[str] = ..., withdrawn: _Optional[bool] = ..., label_revision: _Optional[int] = ...) -> None: ...
