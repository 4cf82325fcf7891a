"""Conformal thresholds by class (Mondrian): which of present and absent cannot be ruled out.

The thresholds are quantiles per class, so slope and offset, which keep the order of scores, do not change a set; fitting
both on one acceptance set therefore costs no validity. Vovk et al. 2005, section 4.5.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from radloop.retraining.domain.arrays import Floats, Truths, finite


@dataclass(frozen=True)
class Conformal:
    """`present` belongs to the set where p >= present_from; `absent` where p <= absent_to. Coverage is per class."""

    present_from: float
    absent_to: float
    coverage: float

    def answers(self, probability: float) -> tuple[str, ...]:
        """Return those of present and absent that this calibrated probability cannot rule out."""
        present = ("present",) if probability >= self.present_from else ()
        return present + (("absent",) if probability <= self.absent_to else ())


def _reach(strangeness: Floats, coverage: float) -> float:
    """Return the smallest strangeness that covers the share asked for among n + 1; 1 where n is too small to promise it."""
    rank = ceil((len(strangeness) + 1) * coverage)
    return 1.0 if rank > len(strangeness) else float(np.sort(strangeness)[rank - 1])


def fit_conformal(probabilities: Floats, labels: Truths, coverage: float) -> Conformal:
    """Fit both thresholds to calibrated probabilities [N] of cases drawn at random or consecutively, and their labels [N].

    Where the thresholds would leave a gap, in which both answers are ruled out, present reaches down to close it: an empty
    set says nothing a reader can use, and a wider set still covers.
    """
    probabilities = finite(probabilities, "a probability")
    absent_to = _reach(probabilities[~labels], coverage)
    present_from = 1.0 - _reach(1.0 - probabilities[labels], coverage)
    return Conformal(present_from=min(present_from, absent_to), absent_to=absent_to, coverage=coverage)
