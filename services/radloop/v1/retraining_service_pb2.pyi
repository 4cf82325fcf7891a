import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StartCycleRequest(_message.Message):
    __slots__ = ("model", "actor", "command_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, model: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class StartCycleResponse(_message.Message):
    __slots__ = ("cycle_id", "reason")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    reason: str
    def __init__(self, cycle_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetCycleRequest(_message.Message):
    __slots__ = ("cycle_id", "model")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    model: str
    def __init__(self, cycle_id: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class AdaptRequest(_message.Message):
    __slots__ = ("model", "masks_tar", "actor", "command_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MASKS_TAR_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    masks_tar: bytes
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, model: _Optional[str] = ..., masks_tar: _Optional[bytes] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class AdaptResponse(_message.Message):
    __slots__ = ("cycle_id", "reason")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    reason: str
    def __init__(self, cycle_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DescribeModelRequest(_message.Message):
    __slots__ = ("model", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class DescribeModelResponse(_message.Message):
    __slots__ = ("version", "package_yaml")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_YAML_FIELD_NUMBER: _ClassVar[int]
    version: ModelVersion
    package_yaml: str
    def __init__(self, version: _Optional[_Union[ModelVersion, _Mapping]] = ..., package_yaml: _Optional[str] = ...) -> None: ...

class GetCycleResponse(_message.Message):
    __slots__ = ("cycle_id", "state", "progress", "version", "evidence", "labels", "note")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    state: str
    progress: float
    version: int
    evidence: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, int]
    note: str
    def __init__(self, cycle_id: _Optional[str] = ..., state: _Optional[str] = ..., progress: _Optional[float] = ..., version: _Optional[int] = ..., evidence: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, int]] = ..., note: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("model", "version", "stage", "since", "labels", "gate_passed", "evidence", "change_record")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    GATE_PASSED_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_RECORD_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    stage: str
    since: _timestamp_pb2.Timestamp
    labels: int
    gate_passed: bool
    evidence: _containers.RepeatedScalarFieldContainer[str]
    change_record: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., stage: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., labels: _Optional[int] = ..., gate_passed: _Optional[bool] = ..., evidence: _Optional[_Iterable[str]] = ..., change_record: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ...) -> None: ...

class AddModelRequest(_message.Message):
    __slots__ = ("model", "package_tar", "actor", "command_id", "only_check")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_TAR_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    ONLY_CHECK_FIELD_NUMBER: _ClassVar[int]
    model: str
    package_tar: bytes
    actor: _common_pb2.Actor
    command_id: str
    only_check: bool
    def __init__(self, model: _Optional[str] = ..., package_tar: _Optional[bytes] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ..., only_check: _Optional[bool] = ...) -> None: ...

class AddModelResponse(_message.Message):
    __slots__ = ("version", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: int
    reason: str
    def __init__(self, version: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class PromoteRequest(_message.Message):
    __slots__ = ("model", "version", "stage", "actor", "command_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    stage: str
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., stage: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class PromoteResponse(_message.Message):
    __slots__ = ("promoted", "reason")
    PROMOTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    promoted: bool
    reason: str
    def __init__(self, promoted: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("model", "actor", "command_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    actor: _common_pb2.Actor
    command_id: str
    def __init__(self, model: _Optional[str] = ..., actor: _Optional[_Union[_common_pb2.Actor, _Mapping]] = ..., command_id: _Optional[str] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("version", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: int
    reason: str
    def __init__(self, version: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class GetDriftRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class BeforeAndNow(_message.Message):
    __slots__ = ("before", "now")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    before: float
    now: float
    def __init__(self, before: _Optional[float] = ..., now: _Optional[float] = ...) -> None: ...

class FindingDrift(_message.Message):
    __slots__ = ("finding", "probability", "positive", "psi", "psi_limit")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    PSI_FIELD_NUMBER: _ClassVar[int]
    PSI_LIMIT_FIELD_NUMBER: _ClassVar[int]
    finding: str
    probability: BeforeAndNow
    positive: BeforeAndNow
    psi: float
    psi_limit: float
    def __init__(self, finding: _Optional[str] = ..., probability: _Optional[_Union[BeforeAndNow, _Mapping]] = ..., positive: _Optional[_Union[BeforeAndNow, _Mapping]] = ..., psi: _Optional[float] = ..., psi_limit: _Optional[float] = ...) -> None: ...

class EmbeddingDrift(_message.Message):
    __slots__ = ("reference", "known", "median_ratio", "median_ratio_limit", "mean_distance", "mean_distance_expected", "mean_deviations", "mean_shift")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_RATIO_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_RATIO_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MEAN_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    MEAN_DISTANCE_EXPECTED_FIELD_NUMBER: _ClassVar[int]
    MEAN_DEVIATIONS_FIELD_NUMBER: _ClassVar[int]
    MEAN_SHIFT_FIELD_NUMBER: _ClassVar[int]
    reference: str
    known: int
    median_ratio: float
    median_ratio_limit: float
    mean_distance: float
    mean_distance_expected: float
    mean_deviations: float
    mean_shift: float
    def __init__(self, reference: _Optional[str] = ..., known: _Optional[int] = ..., median_ratio: _Optional[float] = ..., median_ratio_limit: _Optional[float] = ..., mean_distance: _Optional[float] = ..., mean_distance_expected: _Optional[float] = ..., mean_deviations: _Optional[float] = ..., mean_shift: _Optional[float] = ...) -> None: ...

class QualityDrift(_message.Message):
    __slots__ = ("measure", "median", "lower_quartile", "upper_quartile")
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    LOWER_QUARTILE_FIELD_NUMBER: _ClassVar[int]
    UPPER_QUARTILE_FIELD_NUMBER: _ClassVar[int]
    measure: str
    median: BeforeAndNow
    lower_quartile: float
    upper_quartile: float
    def __init__(self, measure: _Optional[str] = ..., median: _Optional[_Union[BeforeAndNow, _Mapping]] = ..., lower_quartile: _Optional[float] = ..., upper_quartile: _Optional[float] = ...) -> None: ...

class DriftVerdict(_message.Message):
    __slots__ = ("moved", "sentence")
    MOVED_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    moved: bool
    sentence: str
    def __init__(self, moved: _Optional[bool] = ..., sentence: _Optional[str] = ...) -> None: ...

class VersionDrift(_message.Message):
    __slots__ = ("model", "version", "stage", "cases", "window", "findings", "out_of_distribution", "ood_ratio", "embedding", "quality", "verdicts")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    CASES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    OOD_RATIO_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    stage: str
    cases: int
    window: int
    findings: _containers.RepeatedCompositeFieldContainer[FindingDrift]
    out_of_distribution: BeforeAndNow
    ood_ratio: BeforeAndNow
    embedding: EmbeddingDrift
    quality: _containers.RepeatedCompositeFieldContainer[QualityDrift]
    verdicts: _containers.RepeatedCompositeFieldContainer[DriftVerdict]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., stage: _Optional[str] = ..., cases: _Optional[int] = ..., window: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[FindingDrift, _Mapping]]] = ..., out_of_distribution: _Optional[_Union[BeforeAndNow, _Mapping]] = ..., ood_ratio: _Optional[_Union[BeforeAndNow, _Mapping]] = ..., embedding: _Optional[_Union[EmbeddingDrift, _Mapping]] = ..., quality: _Optional[_Iterable[_Union[QualityDrift, _Mapping]]] = ..., verdicts: _Optional[_Iterable[_Union[DriftVerdict, _Mapping]]] = ...) -> None: ...

class GetDriftResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[VersionDrift]
    def __init__(self, versions: _Optional[_Iterable[_Union[VersionDrift, _Mapping]]] = ...) -> None: ...
