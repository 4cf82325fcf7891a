import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CaseTriaged(_message.Message):
    __slots__ = ("triage_revision", "revision", "urgency", "priority", "arrived_at", "read_by", "reasons", "guards", "conformal", "uncertainty", "lifted", "abstained", "undone", "prediction_id", "model", "version", "policy", "priority_code")
    TRIAGE_REVISION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    URGENCY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ARRIVED_AT_FIELD_NUMBER: _ClassVar[int]
    READ_BY_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    GUARDS_FIELD_NUMBER: _ClassVar[int]
    CONFORMAL_FIELD_NUMBER: _ClassVar[int]
    UNCERTAINTY_FIELD_NUMBER: _ClassVar[int]
    LIFTED_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    UNDONE_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_CODE_FIELD_NUMBER: _ClassVar[int]
    triage_revision: int
    revision: int
    urgency: str
    priority: str
    arrived_at: _timestamp_pb2.Timestamp
    read_by: _timestamp_pb2.Timestamp
    reasons: _containers.RepeatedScalarFieldContainer[str]
    guards: _containers.RepeatedScalarFieldContainer[str]
    conformal: _containers.RepeatedScalarFieldContainer[str]
    uncertainty: float
    lifted: bool
    abstained: bool
    undone: bool
    prediction_id: str
    model: str
    version: int
    policy: str
    priority_code: str
    def __init__(self, triage_revision: _Optional[int] = ..., revision: _Optional[int] = ..., urgency: _Optional[str] = ..., priority: _Optional[str] = ..., arrived_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., read_by: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reasons: _Optional[_Iterable[str]] = ..., guards: _Optional[_Iterable[str]] = ..., conformal: _Optional[_Iterable[str]] = ..., uncertainty: _Optional[float] = ..., lifted: _Optional[bool] = ..., abstained: _Optional[bool] = ..., undone: _Optional[bool] = ..., prediction_id: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., policy: _Optional[str] = ..., priority_code: _Optional[str] = ...) -> None: ...

class ReviewRequested(_message.Message):
    __slots__ = ("request_id", "finding", "label_value", "cost_seconds", "expires_at", "drawn", "drawn_probability", "strategy", "model", "version", "ai_hidden", "pooled")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    LABEL_VALUE_FIELD_NUMBER: _ClassVar[int]
    COST_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DRAWN_FIELD_NUMBER: _ClassVar[int]
    DRAWN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AI_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    POOLED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    finding: _common_pb2.Code
    label_value: float
    cost_seconds: float
    expires_at: _timestamp_pb2.Timestamp
    drawn: str
    drawn_probability: float
    strategy: str
    model: str
    version: int
    ai_hidden: bool
    pooled: bool
    def __init__(self, request_id: _Optional[str] = ..., finding: _Optional[_Union[_common_pb2.Code, _Mapping]] = ..., label_value: _Optional[float] = ..., cost_seconds: _Optional[float] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., drawn: _Optional[str] = ..., drawn_probability: _Optional[float] = ..., strategy: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., ai_hidden: _Optional[bool] = ..., pooled: _Optional[bool] = ...) -> None: ...
