"""Who comes to the simulated hospital: cases drawn by patient, so that nobody is on two sides.

A patient gives one study and lands in at most one part: seeds (the workshop's first model), acceptance (calibration),
pool (where answers are asked), gate (decides every release), morning (played live; irregular, the studies beside it that are
not as they should be). The test split only reports.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from radloop.kit.errors import Misconfigured
from radloop.workbench.hospital.irregular import STUDIES
from radloop.workbench.hospital.sources import Candidate, Source

FULL_POOL = 800
_EACH_CLASS = 25
PARTS = ("seeds", "acceptance", "pool", "gate", "morning", "irregular", "test")


@dataclass(frozen=True)
class Sizes:
    """How many cases each part gets; the gate set has its own mix, the others the prevalence.

    The gate asks for 400 positives and 100 negatives by what readers signed, who err: so there are some more of each.
    """

    seeds: int = 20
    acceptance: int = 200
    pool: int = FULL_POOL
    gate_positives: int = 440
    gate_negatives: int = 200
    morning: int = 60
    irregular: int = len(STUDIES)
    prevalence: float = 0.2


def sizes(studies: int, pool: int, prevalence: float = 0.2, *, ai: bool = True) -> Sizes:
    """Return the sizes for a demo: what is smaller than the full one scales down, but never under what the gate asks.

    Without a model (`ai`) nobody is needed but who comes in the morning.
    """
    if studies < 1 or pool < 1:
        raise Misconfigured("--studies and --pool take a positive number")
    if not 0 < prevalence < 1:
        raise Misconfigured("--prevalence is a share between 0 and 1: .2 means that one study in five shows the finding")
    if not ai:
        return Sizes(seeds=0, acceptance=0, pool=0, gate_positives=0, gate_negatives=0, morning=studies, prevalence=prevalence)
    share = min(1.0, pool / FULL_POOL)
    # Every version is calibrated on at least 20 signed cases of each class; some reports are wrong.
    enough = math.ceil(_EACH_CLASS / min(prevalence, 1 - prevalence))
    return Sizes(
        acceptance=max(125, enough, round(200 * share)),
        pool=pool,
        gate_negatives=max(130, round(200 * share)),
        morning=studies,
        prevalence=prevalence,
    )


@dataclass(frozen=True)
class Cohort:
    """The parts, each in an order that says nothing of the truth."""

    seeds: tuple[Candidate, ...]
    acceptance: tuple[Candidate, ...]
    pool: tuple[Candidate, ...]
    gate: tuple[Candidate, ...]
    morning: tuple[Candidate, ...]
    irregular: tuple[Candidate, ...]
    test: tuple[Candidate, ...]

    def __post_init__(self) -> None:
        """Refuse a cohort with a patient on two sides: what calibrates would also be measured, what teaches would also test."""
        sides: dict[str, str] = {}
        for part in PARTS:
            for patient in {one.patient for one in getattr(self, part)}:
                other = sides.setdefault(patient, part)
                if other != part:
                    raise Misconfigured(f"a patient is in two parts of the cohort, {other} and {part}: nothing measured on it would count")


def draw(source: Source, seed: int, wanted: Sizes) -> Cohort:
    """Draw every part by patient key; the same seed draws the same, no patient is drawn twice."""
    rng = np.random.default_rng([seed, 0xC0])
    piles: dict[bool, list[Candidate]] = {True: [], False: []}
    for patient, positive, images in source.training():
        piles[positive].append(Candidate(patient, positive, images[int(rng.integers(len(images)))]))
    for pile in piles.values():
        _shuffle(rng, pile)

    def part(positives: int, negatives: int) -> tuple[Candidate, ...]:
        taken = _take(piles[True], positives, "positive") + _take(piles[False], negatives, "negative")
        _shuffle(rng, taken)
        return tuple(taken)

    def mixed(count: int) -> tuple[Candidate, ...]:
        positives = min(max(1, round(count * wanted.prevalence)), max(1, count - 1)) if count else 0
        return part(positives, count - positives)

    return Cohort(
        gate=part(wanted.gate_positives, wanted.gate_negatives),
        seeds=mixed(wanted.seeds),
        acceptance=mixed(wanted.acceptance),
        morning=mixed(wanted.morning),
        irregular=mixed(wanted.irregular),
        pool=mixed(wanted.pool),
        test=tuple(source.test()),
    )


def _take(pile: list[Candidate], count: int, kind: str) -> list[Candidate]:
    if len(pile) < count:
        raise Misconfigured(
            f"not enough {kind} patients for these sizes, {count} wanted and {len(pile)} left: make --pool or --studies smaller, or choose"
            " another --prevalence",
        )
    taken, pile[:] = pile[:count], pile[count:]
    return taken


def _shuffle(rng: np.random.Generator, things: list[Any]) -> None:
    order = rng.permutation(len(things))
    things[:] = [things[int(i)] for i in order]
