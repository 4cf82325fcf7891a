"""Calibration: slope and offset (Platt scaling) of the mean member logit, for one site, at a known prevalence.

Measured: a temperature alone leaves the calibration error where it was; slope and offset bring it to the noise floor.
"""

from dataclasses import dataclass, replace
from math import log

import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats, Truths, finite, sigmoid
from radloop.retraining.domain.heads import fit_logistic

_RIDGE = 1e-6


@dataclass(frozen=True)
class Platt:
    """probability = sigmoid(slope * logit + offset), fitted on `cases` of which the share `prevalence` was positive."""

    slope: float
    offset: float
    prevalence: float
    cases: int

    def probability(self, logits: Floats) -> Floats:
        """Return calibrated probabilities, same shape as the logits."""
        return sigmoid(self.slope * logits + self.offset)

    def at(self, prevalence: float) -> "Platt":
        """Return the calibration for a site where this share of cases is positive: only the offset moves, by the change in prior log odds.

        Saerens, Latinne and Decaestecker 2002, equation 2.4: where the mix changes but positives and negatives each look as before,
        the posterior odds change by the ratio of the prior odds. The order of scores stays. Thresholds on the probability that were
        fitted with this calibration move by the same log odds, or they are other thresholds.
        """
        if not (0.0 < prevalence < 1.0 and 0.0 < self.prevalence < 1.0):
            msg = "a prevalence must lie between 0 and 1: at either end no score would say anything"
            raise Permanent(msg)
        return replace(self, offset=self.offset + _log_odds(prevalence) - _log_odds(self.prevalence), prevalence=prevalence)


def _log_odds(share: float) -> float:
    return log(share / (1.0 - share))


def fit_platt(scores: Floats, labels: Truths) -> Platt:
    """Fit slope and offset to scores [N] and labels [N] with Platt's smoothed targets (Platt 1999, section 2.2).

    Raise Permanent where a class is missing, a score is not finite, or the scores run against the labels.
    """
    scores = finite(scores, "a score to calibrate")
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        msg = "the acceptance set needs cases with and without the finding"
        raise Permanent(msg)
    # A smoothed target t is one case counted t times as present and 1 - t times as absent.
    target = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    twice = np.concatenate([scores, scores])[:, None]
    present = np.arange(2 * len(scores)) < len(scores)
    slope, offset = fit_logistic(twice, present, np.concatenate([target, 1 - target]), _RIDGE)
    if slope[0] <= 0:
        msg = "the scores run against the acceptance set's labels: this model cannot be calibrated here"
        raise Permanent(msg)
    return Platt(slope=float(slope[0]), offset=offset, prevalence=positives / len(labels), cases=len(labels))
