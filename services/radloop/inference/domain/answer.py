"""From a model's outputs to its answer: calibrated, held against this site's thresholds, told whether it is at home."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from radloop.events.common import Code
from radloop.events.prediction import FindingScore
from radloop.kit.errors import Permanent
from radloop.standards.package import Finding, Package

ANOTHER_SHAPE: Final = "the model's outputs have another shape than its package says"
Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Outputs:
    """What the model said of N images: member logits [N, K, F], embeddings [N, D], evidence maps [N, F, h, w]."""

    members: Singles
    embedding: Singles
    evidence: Singles

    def part(self, start: int, stop: int) -> "Outputs":
        """Return the outputs of some of the images."""
        return Outputs(self.members[start:stop], self.embedding[start:stop], self.evidence[start:stop])


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Return the outputs of batches as those of all their images, in order; Permanent where each batch has shapes of its own."""
    if len({(one.members.shape[1:], one.embedding.shape[1:], one.evidence.shape[1:]) for one in parts}) > 1:
        raise Permanent(ANOTHER_SHAPE)
    return parts[0] if len(parts) == 1 else Outputs(
        *(np.concatenate([getattr(one, name) for one in parts]) for name in ("members", "embedding", "evidence")),
    )


@dataclass(frozen=True)
class Home:
    """The embeddings a model knows: mean [D] and precision [D, D]; farther than `threshold` is not at home."""

    mean: Doubles
    precision: Doubles
    threshold: float

    def distances(self, embeddings: Singles) -> Doubles:
        """Return squared Mahalanobis distances [N] of embeddings [N, D]."""
        away = embeddings.astype(np.float64) - self.mean
        found: Doubles = np.einsum("nd,nd->n", away @ self.precision, away)
        return found


@dataclass(frozen=True)
class Answer:
    """A study's answer: per finding the highest over its images; `image` is the index of the one that is named."""

    findings: tuple[FindingScore, ...]
    image: int
    ood_score: float
    ood_ratio: float
    """The score over the threshold: versions can be compared by it."""
    out_of_distribution: bool


def require_shapes(outputs: Outputs, package: Package, home: Home) -> None:
    """Raise Permanent where outputs have another shape than the package and its known embeddings say."""
    count, findings = len(outputs.members), len(package.findings)
    if (
        outputs.members.shape != (count, package.members, findings) or outputs.embedding.shape != (count, home.mean.size)
        or outputs.evidence.ndim != 4 or outputs.evidence.shape[:2] != (count, findings)
    ):
        raise Permanent(ANOTHER_SHAPE)


def answer(outputs: Outputs, package: Package, home: Home, distances: Doubles | None = None) -> Answer:
    """Return the answer; raise Permanent where a number is not finite (rejected, never repaired) or shapes disagree.

    One image that is not at home is enough to say so: the study's answer rests on all of them.
    """
    count = len(outputs.members)
    require_shapes(outputs, package, home)
    if not all(np.isfinite(one).all() for one in (outputs.members, outputs.embedding, outputs.evidence)):
        raise Permanent("a score is not finite")
    per_image = [
        tuple(_score(outputs.members[at, :, place], finding) for place, finding in enumerate(package.findings))
        for at in range(count)
    ]
    best = tuple(
        max((scores[place] for scores in per_image), key=lambda one: one.probability)
        for place in range(len(package.findings))
    )
    distances = distances if distances is not None else home.distances(outputs.embedding)
    if not np.isfinite(distances).all():
        raise Permanent("a distance is not finite")
    return Answer(
        findings=best, image=max(range(count), key=lambda at: max(one.probability for one in per_image[at])),
        ood_score=float(distances.max()), ood_ratio=float(distances.max() / home.threshold),
        out_of_distribution=bool(distances.max() > home.threshold),
    )


def _score(logits: Singles, finding: Finding) -> FindingScore:
    """Return one finding of one image from its member logits [K]: slope and offset on each, and on their mean."""
    by, plus = finding.calibration.slope, finding.calibration.offset
    members = logits.astype(np.float64)
    probability = _sigmoid(by * float(members.mean()) + plus)
    present = ("present",) if probability >= finding.conformal.present_from else ()
    absent = ("absent",) if probability <= finding.conformal.absent_to else ()
    return FindingScore(
        code=Code(system=finding.code.system, value=finding.code.value, display=finding.code.display),
        probability=probability, members=tuple(_sigmoid(by * float(one) + plus) for one in members),
        conformal=present + absent, positive=probability >= finding.operating_point, operating_point=finding.operating_point,
    )


def _sigmoid(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-np.clip(logit, -700.0, 700.0))))
