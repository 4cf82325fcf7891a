"""What inference says."""

from dataclasses import dataclass
from datetime import datetime

from radloop.events.common import Blob, Code
from radloop.kit.flow import Event


@dataclass(frozen=True, kw_only=True)
class FindingScore:
    """What a model says of one finding: calibrated probability (0 to 1) in the mean and per ensemble member.

    `conformal` lists of present and absent those that cannot be ruled out; `positive` is probability >= operating point.
    """

    code: Code
    probability: float
    members: tuple[float, ...]
    conformal: tuple[str, ...]
    positive: bool
    operating_point: float


@dataclass(frozen=True, kw_only=True)
class ImageQuality:
    """How the named image looked once prepared, grey from 0 to 1: mean, standard deviation, share that is black or white."""

    mean: float
    contrast: float
    at_ends: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What one model version said of one study revision: the highest over its eligible images, which it names.

    Stage is shadow, canary or production; `ood_score` is the squared Mahalanobis distance of the embedding, `ood_ratio` the
    same over the version's threshold. What was said before there were `ood_ratio` and `quality` has none.
    """

    model: str
    version: int
    stage: str
    revision: int
    findings: tuple[FindingScore, ...]
    ood_score: float
    out_of_distribution: bool
    sop_instance_uid: str
    frame: int
    rows: int
    columns: int
    embedding: Blob
    evidence: Blob
    patient_key: str
    read_at: datetime
    ood_ratio: float | None = None
    quality: ImageQuality | None = None


@dataclass(frozen=True, kw_only=True)
class PredictionMade(Event):
    """What the serving version said of a live study."""

    prediction: Prediction


@dataclass(frozen=True, kw_only=True)
class PredictionFailed(Event):
    """Why no model read this revision; `refused` means the model does not read such studies."""

    revision: int
    reason: str
    refused: bool
    model: str = ""
    version: int = 0


@dataclass(frozen=True, kw_only=True)
class PredictionPooled(Event):
    """What the serving (or, before the first release, the shadow) version said of a backfilled study."""

    prediction: Prediction
    purpose: str


@dataclass(frozen=True, kw_only=True)
class PredictionShadowed(Event):
    """What a shadow version said of a live study; nothing clinical hears it."""

    prediction: Prediction
