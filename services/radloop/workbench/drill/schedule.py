"""Which strike comes when: drawn by seed, from a set, as many as there is time for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

ROOMS = ("ingestion", "inference", "triage", "feedback", "retraining", "publishing", "worklist")
SetName = Literal["short", "full"]
SHORT = (*(f"kill {room}" for room in ROOMS), "kill kafka", "kill postgres", "kill triton", "kill a stub of triton", "ehr and ris are away",
         *(f"{who} commits, then dies before it answers" for who in ("ehr", "ris")))
"""The short set: every part once, both far ends away together, and each of them dying with our message in its books."""
BROKER = ("kill kafka", "kafka hangs", "kafka is away")
FIRST, SPACING, TAIL = 3.0, (5.0, 8.0), 6.0
"""Seconds before the first strike, between two, and left at the end."""
_TOGETHER, _MOMENT = 0.15, 1.0
"""How often a strike follows on the heels of the one before it, and within how many seconds then."""


@dataclass(frozen=True)
class Outages:
    """How many seconds things are away: the broker, Postgres, both far ends, and everything else."""

    kafka: float
    postgres: float
    far_ends: float
    short: float

    @classmethod
    def of(cls, seconds: float, *, full: bool) -> "Outages":
        """Return outages of so many seconds each, or the long ones that a platform has to sit out."""
        return cls(60.0, 30.0, 120.0, seconds) if full else cls(seconds, seconds, seconds, seconds)


@dataclass(frozen=True)
class Planned:
    """One strike and when it comes, in seconds since the stream began."""

    at: float
    name: str


def schedule(seed: int, seconds: float, names: Sequence[str]) -> tuple[Planned, ...]:
    """Return what comes when: every strike of the set once, in drawn order, before any comes again; as many as fit."""
    rng = np.random.default_rng([seed, 0xD0])
    endless = _again_and_again(rng, names)
    planned: list[Planned] = []
    at = FIRST
    while at <= seconds - TAIL:
        planned.append(Planned(round(at, 1), next(endless)))
        together = float(rng.random()) < _TOGETHER
        at += float(rng.uniform(0.0, _MOMENT)) if together else float(rng.uniform(*SPACING))
    return tuple(planned)


def _again_and_again(rng: np.random.Generator, names: Sequence[str]) -> Iterator[str]:
    while True:
        yield from (names[int(place)] for place in rng.permutation(len(names)))
