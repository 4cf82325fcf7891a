"""From study complete to signed: how long whom, beside the same morning without a model. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radloop.workbench.hospital.planning import MINUTE

POINTED_OUT, MISSED, UNREAD, NEGATIVE = "true positives", "missed positives", "positives not read by a model", "negatives"
GROUPS = (POINTED_OUT, MISSED, UNREAD, NEGATIVE)
POSITIVES = frozenset({POINTED_OUT, MISSED, UNREAD})


@dataclass(frozen=True)
class Waited:
    """One signed study: minutes from complete to signed as it was, and as it would have been first in, first out.

    `group` says what the model made of it: of the positives that a serving version read, those it called present, and those it
    missed: called absent, or was not sure of.
    """

    accession: str
    group: str
    minutes: float
    fifo: float


@dataclass(frozen=True)
class Waits:
    """What a group's waits come to, in minutes: of how many, mean, 95th percentile, maximum; 0 of none."""

    count: int
    mean: float
    p95: float
    longest: float


def summed(minutes: Sequence[float]) -> Waits:
    """Sum up waits."""
    if not minutes:
        return Waits(0, 0.0, 0.0, 0.0)
    return Waits(len(minutes), float(np.mean(minutes)), float(np.percentile(minutes, 95)), float(max(minutes)))


def table(waited: Sequence[Waited]) -> Mapping[str, tuple[Waits, Waits]]:
    """Return (as it was, first in first out) for each group and for all."""
    groups = {group: [one for one in waited if one.group == group] for group in GROUPS} | {"all": list(waited)}
    return {
        name: (summed([one.minutes for one in ones]), summed([one.fifo for one in ones])) for name, ones in groups.items()
    }


def ratios(waited: Sequence[Waited]) -> dict[str, float]:
    """Return the figures asked for: ratios of means over positives and over missed ones, of the maxima over all; 1.0 of none."""
    positive = [one for one in waited if one.group in POSITIVES]
    missed = [one for one in waited if one.group == MISSED]
    return {
        "wait_positive_over_fifo": _over([one.minutes for one in positive], [one.fifo for one in positive]),
        "wait_missed_over_fifo": _over([one.minutes for one in missed], [one.fifo for one in missed]),
        "wait_max_over_fifo": _over(
            [max((one.minutes for one in waited), default=0.0)], [max((one.fifo for one in waited), default=0.0)],
        ),
    }


def minutes(seconds: float) -> float:
    """Return minutes of seconds."""
    return seconds / MINUTE


def _over(ours: Sequence[float], fifo: Sequence[float]) -> float:
    return float(np.mean(ours) / np.mean(fifo)) if fifo and np.mean(fifo) > 0 else 1.0
