"""Which cases are worth an answer: cluster-margin for teaching, a random audit slice for measuring. Urgency plays no part.

Cluster-margin: Citovsky et al., Batch Active Learning at Scale, NeurIPS 2021: of the candidates with the smallest margin,
clusters of alike images are asked round-robin, so that one batch does not ask the same thing many times.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from radloop.events.common import Code
from radloop.triage.domain.case import Reading, entropy, most_telling

Floats = NDArray[np.float64]
MARGIN_POOL = 10
ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A case that could be asked about: its most telling finding, how probable that is, and the embedding."""

    case_id: str
    finding: Code
    probability: float
    model: str
    version: int
    embedding: tuple[float, ...] = ()

    @property
    def label_value(self) -> float:
        """How much an answer would teach, in bits (0 to 1)."""
        return entropy(self.probability)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One case drawn, how, and with what probability."""

    candidate: Candidate
    drawn: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The cases already asked about from the pool, and the budget spent on live ones, which depends on what came when."""

    pool: str
    case_ids: tuple[str, ...] = ()
    day: str = ""
    spent_today: int = field(default=0, metadata={"counter": True})
    recent_values: tuple[float, ...] = ()


def candidate(case_id: str, reading: Reading, embedding: tuple[float, ...] = ()) -> Candidate | None:
    """Return a case as one to be asked about, None where the model said of no finding."""
    score = most_telling(reading)
    if score is None:
        return None
    return Candidate(
        case_id=case_id, finding=score.code, probability=score.probability, model=reading.model, version=reading.version,
        embedding=embedding,
    )


def draw(candidates: tuple[Candidate, ...], count: int, audit_share: float, seed: int) -> tuple[Draw, ...]:
    """Draw `count` cases: the audit share at random from all, the rest by cluster-margin; repeatable by seed."""
    known = sorted(candidates, key=lambda one: one.case_id)
    count = min(count, len(known))
    random = np.random.default_rng(seed)
    audits = round(count * audit_share)
    audit = [known[index] for index in random.choice(len(known), audits, replace=False)] if audits else []
    left = [one for one in known if one not in audit]
    chosen = cluster_margin(left, count - audits, random)
    return (
        *(Draw(candidate=one, drawn="audit", probability=audits / len(known)) for one in audit),
        *(Draw(candidate=one, drawn="chosen", probability=1.0) for one in chosen),
    )


def cluster_margin(candidates: list[Candidate], count: int, random: np.random.Generator) -> list[Candidate]:
    """Return `count` candidates: those of the smallest margin, one cluster after the other, small clusters first."""
    if count <= 0 or not candidates:
        return []
    near = sorted(candidates, key=lambda one: (abs(one.probability - 0.5), one.case_id))[: MARGIN_POOL * count]
    groups = _clusters(np.array([one.embedding for one in near], dtype=float), min(count, len(near)), random)
    queues = sorted(
        ([one for one, group in zip(near, groups, strict=True) if group == index] for index in set(groups.tolist())), key=len,
    )
    chosen: list[Candidate] = []
    while len(chosen) < min(count, len(near)):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return chosen


def _clusters(points: Floats, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Group points (n, d) into at most `count` clusters by k-means (Lloyd 1982, seeded as k-means++)."""
    if points.shape[1] == 0 or count < 2:
        return np.zeros(len(points), dtype=np.int64)
    centres = points[[int(random.integers(len(points)))]]
    while len(centres) < count:
        nearest = _distances(points, centres).min(axis=1)
        if nearest.sum() == 0:
            break
        centres = np.vstack([centres, points[random.choice(len(points), p=nearest / nearest.sum())]])
    groups: NDArray[np.int64] = _distances(points, centres).argmin(axis=1)
    for _ in range(ROUNDS):
        centres = np.vstack([points[groups == index].mean(axis=0) for index in np.unique(groups)])
        moved = _distances(points, centres).argmin(axis=1)
        if np.array_equal(moved, groups):
            break
        groups = moved
    return groups


def _distances(points: Floats, centres: Floats) -> Floats:
    squared: Floats = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)[None, :]
    positive: Floats = np.maximum(squared, 0.0)
    return positive
