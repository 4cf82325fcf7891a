"""The operating point: from which calibrated probability a finding is called positive."""

from math import floor

import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats, Truths, finite


def operating_point(probabilities: Floats, labels: Truths, sensitivity: float) -> float:
    """Return the highest threshold at which at least the share `sensitivity` of positives has p >= threshold."""
    positives = np.sort(finite(probabilities, "a probability")[labels])
    if not len(positives):
        msg = "an operating point needs positive cases"
        raise Permanent(msg)
    # The small term keeps .9 of 10 from being 8.999… positives.
    missed = floor(len(positives) * (1.0 - sensitivity) + 1e-9)
    return float(positives[min(missed, len(positives) - 1)])
