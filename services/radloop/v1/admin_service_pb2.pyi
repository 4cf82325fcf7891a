import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TraceRequest(_message.Message):
    __slots__ = ("case_id",)
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    def __init__(self, case_id: _Optional[str] = ...) -> None: ...

class TraceEntry(_message.Message):
    __slots__ = ("at", "room", "kind", "what", "detail", "trace_id", "facts")
    AT_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    room: str
    kind: str
    what: str
    detail: str
    trace_id: str
    facts: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., room: _Optional[str] = ..., kind: _Optional[str] = ..., what: _Optional[str] = ..., detail: _Optional[str] = ..., trace_id: _Optional[str] = ..., facts: _Optional[str] = ...) -> None: ...

class TraceResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[TraceEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[TraceEntry, _Mapping]]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("room", "ready", "reasons", "fuse_open", "backlog", "blown")
    class BacklogEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ROOM_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    FUSE_OPEN_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_FIELD_NUMBER: _ClassVar[int]
    BLOWN_FIELD_NUMBER: _ClassVar[int]
    room: str
    ready: bool
    reasons: _containers.RepeatedScalarFieldContainer[str]
    fuse_open: bool
    backlog: _containers.ScalarMap[str, int]
    blown: BlownFuse
    def __init__(self, room: _Optional[str] = ..., ready: _Optional[bool] = ..., reasons: _Optional[_Iterable[str]] = ..., fuse_open: _Optional[bool] = ..., backlog: _Optional[_Mapping[str, int]] = ..., blown: _Optional[_Union[BlownFuse, _Mapping]] = ...) -> None: ...

class BlownFuse(_message.Message):
    __slots__ = ("since", "causes", "next_try")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    NEXT_TRY_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    causes: _containers.RepeatedScalarFieldContainer[str]
    next_try: _timestamp_pb2.Timestamp
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., causes: _Optional[_Iterable[str]] = ..., next_try: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListQuarantineRequest(_message.Message):
    __slots__ = ("limit", "include_settled", "include_payload", "id_prefix", "oldest_first", "after_id")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SETTLED_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    limit: int
    include_settled: bool
    include_payload: bool
    id_prefix: str
    oldest_first: bool
    after_id: str
    def __init__(self, limit: _Optional[int] = ..., include_settled: _Optional[bool] = ..., include_payload: _Optional[bool] = ..., id_prefix: _Optional[str] = ..., oldest_first: _Optional[bool] = ..., after_id: _Optional[str] = ...) -> None: ...

class QuarantinedItem(_message.Message):
    __slots__ = ("id", "source", "input_id", "type", "subject", "reason", "attempts", "trace_id", "at", "state", "payload", "payload_bytes", "payload_sha256")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_SHA256_FIELD_NUMBER: _ClassVar[int]
    id: str
    source: str
    input_id: str
    type: str
    subject: str
    reason: str
    attempts: int
    trace_id: str
    at: _timestamp_pb2.Timestamp
    state: str
    payload: bytes
    payload_bytes: int
    payload_sha256: str
    def __init__(self, id: _Optional[str] = ..., source: _Optional[str] = ..., input_id: _Optional[str] = ..., type: _Optional[str] = ..., subject: _Optional[str] = ..., reason: _Optional[str] = ..., attempts: _Optional[int] = ..., trace_id: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[str] = ..., payload: _Optional[bytes] = ..., payload_bytes: _Optional[int] = ..., payload_sha256: _Optional[str] = ...) -> None: ...

class ListQuarantineResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[QuarantinedItem]
    def __init__(self, items: _Optional[_Iterable[_Union[QuarantinedItem, _Mapping]]] = ...) -> None: ...

class RetryQuarantinedRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RetryQuarantinedResponse(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: str
    def __init__(self, outcome: _Optional[str] = ...) -> None: ...

class DiscardQuarantinedRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DiscardQuarantinedResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReplayRequest(_message.Message):
    __slots__ = ("since", "case_id", "topic")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    case_id: str
    topic: str
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., case_id: _Optional[str] = ..., topic: _Optional[str] = ...) -> None: ...

class ReplayResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: int
    def __init__(self, events: _Optional[int] = ...) -> None: ...
