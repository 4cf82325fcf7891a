from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetReadingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetReadingsResponse(_message.Message):
    __slots__ = ("waiting", "running", "done", "versions")
    class WaitingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class RunningEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class DoneEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    waiting: _containers.ScalarMap[str, int]
    running: _containers.ScalarMap[str, int]
    done: _containers.ScalarMap[str, int]
    versions: _containers.RepeatedCompositeFieldContainer[LoadedVersion]
    def __init__(self, waiting: _Optional[_Mapping[str, int]] = ..., running: _Optional[_Mapping[str, int]] = ..., done: _Optional[_Mapping[str, int]] = ..., versions: _Optional[_Iterable[_Union[LoadedVersion, _Mapping]]] = ...) -> None: ...

class LoadedVersion(_message.Message):
    __slots__ = ("model", "version", "stage", "ready")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    stage: str
    ready: bool
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., stage: _Optional[str] = ..., ready: _Optional[bool] = ...) -> None: ...
