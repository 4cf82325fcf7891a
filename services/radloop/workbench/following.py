"""Whether readers follow the machine: where it was wrong, they would say the same more often when they see it.

The audit slice is what makes this visible: its cases are drawn at random and answered with the AI hidden, so they show what
readers say by themselves. One-sided exact test of Fisher (1922) on the two shares.
"""

from collections.abc import Mapping, Sequence
from math import comb

from radloop.workbench.hospital.reading_room import Given
from radloop.workbench.story import Following

_RARE = 0.05


def following(given: Sequence[Given], truth: Mapping[str, bool]) -> Following:
    """Hold the answers to requests against each other, where the model's answer was wrong."""
    wrong = [one for one in given if one.request_id and one.machine and (one.machine == "present") != truth[one.accession]]
    shown, hidden = _same([one for one in wrong if not one.hidden]), _same([one for one in wrong if one.hidden])
    chance = exceeds(shown, hidden)
    counted = f"{shown[0]} of {shown[1]} wrong answers that were shown were repeated, {hidden[0]} of {hidden[1]} that were hidden"
    if not (shown[1] and hidden[1]):
        words = f"too few wrong answers in the audit slice to tell whether readers follow the model ({counted})"
    elif chance < _RARE:
        words = f"readers follow the model: {counted} (one-sided Fisher test, p = {_p(chance)})"
    else:
        words = f"no proof that readers follow the model: {counted} (one-sided Fisher test, p = {_p(chance)})"
    return Following(shown, hidden, chance, words)


def exceeds(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Return how probable so large a share in `one` beside `other` (each: hits, of how many) is, were the two alike."""
    hits, size, whole = one[0] + other[0], one[1], one[1] + other[1]
    ways = comb(whole, size)
    return sum(comb(hits, k) * comb(whole - hits, size - k) for k in range(one[0], min(hits, size) + 1)) / ways


def _same(ones: Sequence[Given]) -> tuple[int, int]:
    return sum(one.opinion == one.machine for one in ones), len(ones)


def _p(chance: float) -> str:
    return f"{chance:.3f}" if chance >= 0.001 else "less than 0.001"
