import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CodedObservation(_message.Message):
    __slots__ = ("code", "value")
    CODE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    code: _common_pb2.Code
    value: str
    def __init__(self, code: _Optional[_Union[_common_pb2.Code, _Mapping]] = ..., value: _Optional[str] = ...) -> None: ...

class ReportSigned(_message.Message):
    __slots__ = ("signed_at", "signer", "findings", "purpose", "patient_key")
    SIGNED_AT_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    PATIENT_KEY_FIELD_NUMBER: _ClassVar[int]
    signed_at: _timestamp_pb2.Timestamp
    signer: str
    findings: _containers.RepeatedCompositeFieldContainer[CodedObservation]
    purpose: str
    patient_key: str
    def __init__(self, signed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., signer: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[CodedObservation, _Mapping]]] = ..., purpose: _Optional[str] = ..., patient_key: _Optional[str] = ...) -> None: ...
