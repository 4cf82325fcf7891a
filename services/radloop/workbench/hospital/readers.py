"""Simulated radiologists: each errs at rates of their own, more on cases that are hard for all, and may follow a wrong machine.

The truth lives in this process only. What a reader thinks of a case is drawn once from (seed, reader, accession), so that
asking again gets the same answer, and which case errs does not depend on the order of asking.

A case's hardness h is one number between 0 and 1 for everybody. A reader whose mean error is e errs on it with probability
4 e h^3 (at most one half): so the mean stays e, half the errors fall on the hardest sixth, and two readers err on the same cases.
Following a displayed wrong answer is automation bias (Goddard et al., J Am Med Inform Assoc 2012;19:121; in radiology Dratsch et al.,
Radiology 2023;307:e222176).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from statistics import NormalDist
from typing import Literal

import numpy as np

Opinion = Literal["present", "absent", "cannot-say"]
_SCALE = float(1 << 64)
_WORST = 0.5
# Seconds from opening to signing, dictation and interruptions included; the shape is that of reading times: a long tail.
READ_MEDIAN, READ_SPREAD = 268.0, 0.4
REVIEW_MEDIAN, REVIEW_SPREAD = 25.0, 0.4


@dataclass(frozen=True)
class Skill:
    """How well a reader reads: shares between 0 and 1, means over all cases; `pace` multiplies every duration."""

    sensitivity: float = 0.92
    specificity: float = 0.95
    cannot_say: float = 0.02
    pace: float = 1.0


CONSENSUS = Skill(sensitivity=0.99, specificity=0.995, cannot_say=0.0)
"""A report that two have read before it was signed, as those of the acceptance and gate sets."""


@dataclass(frozen=True)
class Thought:
    """What a reader says of a case, and whether they said so because the screen did."""

    opinion: Opinion
    followed: bool = False


@dataclass(frozen=True)
class Radiologist:
    """One reader; `truth` maps accession numbers to whether the finding is there, `anchoring` is how often a wrong answer is followed.

    `unseen` are the accession numbers whose images nobody can look at: whoever is asked about these cannot say.
    """

    name: str
    seed: int
    truth: Mapping[str, bool] = field(repr=False)
    skill: Skill = field(default_factory=Skill)
    anchoring: float = 0.0
    unseen: frozenset[str] = frozenset()

    def opinion(self, accession: str) -> Opinion:
        """Return what this reader thinks of a case without a machine; KeyError for a case of another hospital."""
        positive, weight = self.truth[accession], 4 * hardness(self.seed, accession) ** 3
        if accession in self.unseen or self._drawn(accession, "says") < min(_WORST, self.skill.cannot_say * weight):
            return "cannot-say"
        error = 1 - (self.skill.sensitivity if positive else self.skill.specificity)
        right = self._drawn(accession, "right") >= min(_WORST, error * weight)
        return "present" if positive == right else "absent"

    def reads(self, accession: str, shown: str = "") -> Thought:
        """Return what this reader says with a machine's answer on the screen (`present`, `absent`, or empty: none was shown)."""
        own, positive = self.opinion(accession), self.truth[accession]
        wrong = shown in {"present", "absent"} and (shown == "present") != positive
        if wrong and self._drawn(accession, "follows") < self.anchoring:
            return Thought("present" if shown == "present" else "absent", followed=own != shown)
        return Thought(own)

    def seconds(self, accession: str, *, review: bool = False) -> float:
        """Return how long this reader takes for a case, in simulated seconds: to read and sign it, or to answer one question.

        How long a case takes is the case's, times the reader's pace: so a morning holds the same work whoever reads which.
        """
        median, spread = (REVIEW_MEDIAN, REVIEW_SPREAD) if review else (READ_MEDIAN, READ_SPREAD)
        share = min(0.995, max(0.005, _drawn(f"{self.seed}|{accession}|{'review' if review else 'pace'}")))
        return self.skill.pace * median * math.exp(spread * NormalDist().inv_cdf(share))

    def _drawn(self, accession: str, what: str) -> float:
        return _drawn(f"{self.seed}|{self.name}|{accession}|{what}")


def hardness(seed: int, accession: str) -> float:
    """Return how hard a case is for everybody, between 0 and 1."""
    return _drawn(f"{seed}|hard|{accession}")


def staff(
    seed: int, count: int, truth: Mapping[str, bool], anchoring: float, unseen: frozenset[str] = frozenset(),
) -> tuple[Radiologist, ...]:
    """Return so many radiologists with skills of their own, drawn by seed."""
    rng = np.random.default_rng([seed, 0xC7])
    return tuple(
        Radiologist(f"reader-{number}", seed, truth, Skill(
            sensitivity=float(rng.uniform(0.88, 0.95)), specificity=float(rng.uniform(0.92, 0.98)),
            cannot_say=float(rng.uniform(0.01, 0.03)), pace=float(rng.uniform(0.9, 1.1)),
        ), anchoring, unseen)
        for number in range(1, count + 1)
    )


def _drawn(text: str) -> float:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") / _SCALE
