import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindingScore(_message.Message):
    __slots__ = ("code", "probability", "members", "conformal", "positive", "operating_point")
    CODE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    CONFORMAL_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    OPERATING_POINT_FIELD_NUMBER: _ClassVar[int]
    code: _common_pb2.Code
    probability: float
    members: _containers.RepeatedScalarFieldContainer[float]
    conformal: _containers.RepeatedScalarFieldContainer[str]
    positive: bool
    operating_point: float
    def __init__(self, code: _Optional[_Union[_common_pb2.Code, _Mapping]] = ..., probability: _Optional[float] = ..., members: _Optional[_Iterable[float]] = ..., conformal: _Optional[_Iterable[str]] = ..., positive: _Optional[bool] = ..., operating_point: _Optional[float] = ...) -> None: ...

class ImageQuality(_message.Message):
    __slots__ = ("mean", "contrast", "at_ends")
    MEAN_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    AT_ENDS_FIELD_NUMBER: _ClassVar[int]
    mean: float
    contrast: float
    at_ends: float
    def __init__(self, mean: _Optional[float] = ..., contrast: _Optional[float] = ..., at_ends: _Optional[float] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("model", "version", "stage", "revision", "findings", "ood_score", "out_of_distribution", "sop_instance_uid", "frame", "rows", "columns", "embedding", "evidence", "patient_key", "read_at", "ood_ratio", "quality")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    OOD_SCORE_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    SOP_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    PATIENT_KEY_FIELD_NUMBER: _ClassVar[int]
    READ_AT_FIELD_NUMBER: _ClassVar[int]
    OOD_RATIO_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    stage: str
    revision: int
    findings: _containers.RepeatedCompositeFieldContainer[FindingScore]
    ood_score: float
    out_of_distribution: bool
    sop_instance_uid: str
    frame: int
    rows: int
    columns: int
    embedding: _common_pb2.Blob
    evidence: _common_pb2.Blob
    patient_key: str
    read_at: _timestamp_pb2.Timestamp
    ood_ratio: float
    quality: ImageQuality
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., stage: _Optional[str] = ..., revision: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[FindingScore, _Mapping]]] = ..., ood_score: _Optional[float] = ..., out_of_distribution: _Optional[bool] = ..., sop_instance_uid: _Optional[str] = ..., frame: _Optional[int] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., embedding: _Optional[_Union[_common_pb2.Blob, _Mapping]] = ..., evidence: _Optional[_Union[_common_pb2.Blob, _Mapping]] = ..., patient_key: _Optional[str] = ..., read_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ood_ratio: _Optional[float] = ..., quality: _Optional[_Union[ImageQuality, _Mapping]] = ...) -> None: ...

class PredictionMade(_message.Message):
    __slots__ = ("prediction",)
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ...) -> None: ...

class PredictionFailed(_message.Message):
    __slots__ = ("revision", "reason", "refused", "model", "version")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    reason: str
    refused: bool
    model: str
    version: int
    def __init__(self, revision: _Optional[int] = ..., reason: _Optional[str] = ..., refused: _Optional[bool] = ..., model: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class PredictionPooled(_message.Message):
    __slots__ = ("prediction", "purpose")
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    purpose: str
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ..., purpose: _Optional[str] = ...) -> None: ...

class PredictionShadowed(_message.Message):
    __slots__ = ("prediction",)
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ...) -> None: ...
