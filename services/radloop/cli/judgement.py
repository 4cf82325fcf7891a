"""What retraining judges of a version that reads, as this command keeps and shows it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BeforeAndNow:
    """A figure of a version's first live cases and of its latest."""

    before: float
    now: float


@dataclass(frozen=True)
class FindingDrift:
    """How one finding's probabilities moved."""

    finding: str
    probability: BeforeAndNow
    positive: BeforeAndNow
    psi: float
    psi_limit: float


@dataclass(frozen=True)
class EmbeddingDrift:
    """Where the latest embeddings lie, seen from those a version knows."""

    reference: str
    known: int
    median_ratio: float
    median_ratio_limit: float
    mean_distance: float
    mean_distance_expected: float
    mean_deviations: float
    mean_shift: float


@dataclass(frozen=True)
class QualityDrift:
    """How one measure of the images moved."""

    measure: str
    median: BeforeAndNow
    lower_quartile: float
    upper_quartile: float


@dataclass(frozen=True)
class Verdict:
    """One line of the judgement on a version."""

    moved: bool
    sentence: str


@dataclass(frozen=True)
class VersionDrift:
    """What became of one version since it began to read; a window of 0 is too few cases to judge."""

    model: str
    version: int
    stage: str
    cases: int
    window: int
    findings: tuple[FindingDrift, ...]
    out_of_distribution: BeforeAndNow | None
    ood_ratio: BeforeAndNow | None
    embedding: EmbeddingDrift | None
    quality: tuple[QualityDrift, ...]
    verdicts: tuple[Verdict, ...]


def judgement_of(said: Any) -> VersionDrift:
    """Return what retraining said of one version."""
    def pair(name: str) -> BeforeAndNow | None:
        return _pair(getattr(said, name)) if said.HasField(name) else None

    lies = said.embedding
    return VersionDrift(
        said.model, said.version, said.stage, said.cases, said.window,
        tuple(
            FindingDrift(one.finding, _pair(one.probability), _pair(one.positive), one.psi, one.psi_limit) for one in said.findings
        ),
        pair("out_of_distribution"), pair("ood_ratio"),
        EmbeddingDrift(
            lies.reference, lies.known, lies.median_ratio, lies.median_ratio_limit, lies.mean_distance, lies.mean_distance_expected,
            lies.mean_deviations, lies.mean_shift,
        ) if said.HasField("embedding") else None,
        tuple(QualityDrift(one.measure, _pair(one.median), one.lower_quartile, one.upper_quartile) for one in said.quality),
        tuple(Verdict(one.moved, one.sentence) for one in said.verdicts),
    )


def _pair(said: Any) -> BeforeAndNow:
    return BeforeAndNow(said.before, said.now)
