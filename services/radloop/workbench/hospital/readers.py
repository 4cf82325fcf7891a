"""Simulated radiologists: they know the truth of their cases, and err at a set rate.

The truth lives in this process only. A reader's opinion of a case is drawn once from (seed, reader, accession), so that
asking again gets the same answer, and so that which case errs does not depend on the order of asking.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

Opinion = Literal["present", "absent", "cannot-say"]
_SCALE = float(1 << 64)


@dataclass(frozen=True)
class Skill:
    """How well a reader reads: shares between 0 and 1."""

    sensitivity: float = 0.97
    specificity: float = 0.98
    cannot_say: float = 0.0


@dataclass(frozen=True)
class Radiologist:
    """One reader; `truth` maps accession numbers to whether the finding is there."""

    name: str
    seed: int
    truth: Mapping[str, bool] = field(repr=False)
    skill: Skill = field(default_factory=Skill)

    def opinion(self, accession: str) -> Opinion:
        """Return what this reader says of a case; KeyError for a case of another hospital."""
        positive = self.truth[accession]
        if self._drawn(accession, "says") < self.skill.cannot_say:
            return "cannot-say"
        right = self._drawn(accession, "right") < (self.skill.sensitivity if positive else self.skill.specificity)
        return "present" if positive == right else "absent"

    def seconds(self, accession: str, mean: float) -> float:
        """Return how long this reader looks at a case: between half and one and a half times the mean."""
        return mean * (0.5 + self._drawn(accession, "pace"))

    def _drawn(self, accession: str, what: str) -> float:
        digest = sha256(f"{self.seed}|{self.name}|{accession}|{what}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / _SCALE
