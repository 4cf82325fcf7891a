from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetReadingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ProposeRequest(_message.Message):
    __slots__ = ("image", "model")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    model: str
    def __init__(self, image: _Optional[bytes] = ..., model: _Optional[str] = ...) -> None: ...

class ProposeResponse(_message.Message):
    __slots__ = ("mask_png", "quality", "rows", "columns", "model", "version")
    MASK_PNG_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    mask_png: bytes
    quality: float
    rows: int
    columns: int
    model: str
    version: int
    def __init__(self, mask_png: _Optional[bytes] = ..., quality: _Optional[float] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., model: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

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

class SegmentRequest(_message.Message):
    __slots__ = ("image", "point", "box", "scribble", "undo")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    SCRIBBLE_FIELD_NUMBER: _ClassVar[int]
    UNDO_FIELD_NUMBER: _ClassVar[int]
    image: OutlinedImage
    point: PointPrompt
    box: BoxPrompt
    scribble: ScribblePrompt
    undo: UndoPrompt
    def __init__(self, image: _Optional[_Union[OutlinedImage, _Mapping]] = ..., point: _Optional[_Union[PointPrompt, _Mapping]] = ..., box: _Optional[_Union[BoxPrompt, _Mapping]] = ..., scribble: _Optional[_Union[ScribblePrompt, _Mapping]] = ..., undo: _Optional[_Union[UndoPrompt, _Mapping]] = ...) -> None: ...

class OutlinedImage(_message.Message):
    __slots__ = ("case_id", "sop_instance_uid", "frame", "model", "actor")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    SOP_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    sop_instance_uid: str
    frame: int
    model: str
    actor: _common_pb2.Actor
    def __init__(self, case_id: _Optional[str] = ..., sop_instance_uid: _Optional[str] = ..., frame: _Optional[int] = ..., model: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ...) -> None: ...

class PointPrompt(_message.Message):
    __slots__ = ("x", "y", "positive")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    positive: bool
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., positive: _Optional[bool] = ...) -> None: ...

class BoxPrompt(_message.Message):
    __slots__ = ("x0", "y0", "x1", "y1")
    X0_FIELD_NUMBER: _ClassVar[int]
    Y0_FIELD_NUMBER: _ClassVar[int]
    X1_FIELD_NUMBER: _ClassVar[int]
    Y1_FIELD_NUMBER: _ClassVar[int]
    x0: float
    y0: float
    x1: float
    y1: float
    def __init__(self, x0: _Optional[float] = ..., y0: _Optional[float] = ..., x1: _Optional[float] = ..., y1: _Optional[float] = ...) -> None: ...

class ScribblePrompt(_message.Message):
    __slots__ = ("xs", "ys", "positive")
    XS_FIELD_NUMBER: _ClassVar[int]
    YS_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    xs: _containers.RepeatedScalarFieldContainer[float]
    ys: _containers.RepeatedScalarFieldContainer[float]
    positive: bool
    def __init__(self, xs: _Optional[_Iterable[float]] = ..., ys: _Optional[_Iterable[float]] = ..., positive: _Optional[bool] = ...) -> None: ...

class UndoPrompt(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SegmentResponse(_message.Message):
    __slots__ = ("ready", "outline", "refused")
    READY_FIELD_NUMBER: _ClassVar[int]
    OUTLINE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    ready: OutlineReady
    outline: Outline
    refused: str
    def __init__(self, ready: _Optional[_Union[OutlineReady, _Mapping]] = ..., outline: _Optional[_Union[Outline, _Mapping]] = ..., refused: _Optional[str] = ...) -> None: ...

class OutlineReady(_message.Message):
    __slots__ = ("rows", "columns", "method", "model", "version", "reason", "image_sha256")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHA256_FIELD_NUMBER: _ClassVar[int]
    rows: int
    columns: int
    method: str
    model: str
    version: int
    reason: str
    image_sha256: str
    def __init__(self, rows: _Optional[int] = ..., columns: _Optional[int] = ..., method: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., reason: _Optional[str] = ..., image_sha256: _Optional[str] = ...) -> None: ...

class Outline(_message.Message):
    __slots__ = ("counts", "quality", "method", "prompts")
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    quality: float
    method: str
    prompts: int
    def __init__(self, counts: _Optional[_Iterable[int]] = ..., quality: _Optional[float] = ..., method: _Optional[str] = ..., prompts: _Optional[int] = ...) -> None: ...
