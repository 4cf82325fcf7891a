"""A reading: what is asked for, what was seen, and what of it is told to the metrics."""

from dataclasses import dataclass

from radloop.events.common import Actor
from radloop.events.prediction import ImageQuality, Prediction
from radloop.inference.domain.case import Role
from radloop.kit.errors import Permanent
from radloop.kit.flow import Command

SYSTEM = Actor(kind="system", id="inference")
"""The actor of readings: nobody asked but the study itself."""


@dataclass(frozen=True, kw_only=True)
class ReadStudy(Command):
    """Read one revision of a study in one role; its id is the reading's."""

    role: Role
    revision: int


@dataclass(frozen=True, kw_only=True)
class AbandonReading(Command):
    """Say that a reading failed in a way nobody foresaw, as often as it was tried."""

    role: Role
    revision: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a look came to: predictions, or why there are none. Neither: the images are not those of this revision."""

    command: ReadStudy
    predictions: tuple[Prediction, ...] = ()
    failure: str = ""
    refused: bool = False
    model: str = ""
    version: int = 0
    superseded: bool = False
    outlines: bool = False
    """A segmenter serves: its images are to be encoded ahead."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the metrics are told of one answer, nothing of whose it is; `stage` is `pooled` for an earlier study."""

    model: str
    version: int
    stage: str
    probabilities: tuple[tuple[str, float], ...]
    """By the findings' codes."""
    out_of_distribution: bool
    ood_ratio: float | None = None
    quality: ImageQuality | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """The answer to a reading that was recorded: what was said, to be measured once."""

    measured: tuple[Measured, ...] = ()


class NotRead(Permanent):
    """A model was not made for one of the images, as the image's own header tells."""


def told(seen: Seen) -> Told:
    """Return what the metrics are told of what was seen."""
    return Told(measured=tuple(
        Measured(
            model=one.model, version=one.version, stage="pooled" if seen.command.role == "pooled" else one.stage,
            probabilities=tuple((finding.code.value, finding.probability) for finding in one.findings),
            out_of_distribution=one.out_of_distribution, ood_ratio=one.ood_ratio, quality=one.quality,
        )
        for one in seen.predictions
    ))
