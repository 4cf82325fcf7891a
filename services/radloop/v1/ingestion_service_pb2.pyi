from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResolveRequest(_message.Message):
    __slots__ = ("accession", "issuer")
    ACCESSION_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    accession: str
    issuer: str
    def __init__(self, accession: _Optional[str] = ..., issuer: _Optional[str] = ...) -> None: ...

class ResolveResponse(_message.Message):
    __slots__ = ("case_ids",)
    CASE_IDS_FIELD_NUMBER: _ClassVar[int]
    case_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, case_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class BackfillRequest(_message.Message):
    __slots__ = ("dataset", "purpose", "actor")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    dataset: bytes
    purpose: str
    actor: _common_pb2.Actor
    def __init__(self, dataset: _Optional[bytes] = ..., purpose: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ...) -> None: ...

class BackfillResponse(_message.Message):
    __slots__ = ("case_id",)
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    def __init__(self, case_id: _Optional[str] = ...) -> None: ...

class UndoJoinRequest(_message.Message):
    __slots__ = ("case_id", "actor", "command_id")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, case_id: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class UndoJoinResponse(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: str
    def __init__(self, outcome: _Optional[str] = ...) -> None: ...
