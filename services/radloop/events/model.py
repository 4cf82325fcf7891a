"""What retraining says, keyed by model."""

from dataclasses import dataclass
from datetime import datetime

from radloop.events.common import Blob
from radloop.kit.flow import Event


@dataclass(frozen=True, kw_only=True)
class ModelTrained(Event):
    """A candidate with its evidence: one sentence per criterion of the gate."""

    model: str
    version: int
    snapshot: Blob
    labels: int
    gate_passed: bool
    evidence: tuple[str, ...]
    trained_at: datetime


@dataclass(frozen=True, kw_only=True)
class ModelReleased(Event):
    """A stage change: candidate, shadow, canary, production or retired. `release` counts them: the higher holds."""

    model: str
    version: int
    stage: str
    previous_stage: str
    canary_share: float
    change_record: str
    weights_sha256: str
    release: int
    released_at: datetime
