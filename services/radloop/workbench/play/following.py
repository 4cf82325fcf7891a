"""Whether readers follow the machine: where it was wrong and they saw it, they err more than where they did not see it.

The audit slice is what makes this visible: its cases are drawn at random and answered with the AI hidden, so its errors are the
readers' own. One-sided exact test of Fisher (1922) on the two shares of errors. Cases that are hard for the model may be harder for
readers too, which this does not tell apart.
"""

from collections.abc import Mapping, Sequence
from math import comb

from radloop.workbench.hospital.reading_room import Given
from radloop.workbench.play.story import Following

_RARE = 0.05


def following(given: Sequence[Given], truth: Mapping[str, bool]) -> Following:
    """Hold what readers said where a wrong answer was shown against what they said with the AI hidden."""
    asked = [one for one in given if one.request_id and one.opinion != "cannot-say"]
    misled = [one for one in asked if not one.hidden and one.machine and (one.machine == "present") != truth[one.accession]]
    shown, hidden = _wrong(misled, truth), _wrong([one for one in asked if one.hidden], truth)
    p_value = exceeds(shown, hidden)
    counted = (
        f"{shown[0]} of {shown[1]} wrong answers that were shown were repeated; with the AI hidden {hidden[0]} of {hidden[1]} answers"
        " were wrong"
    )
    if not (shown[1] and hidden[1]):
        words = f"too few answers to tell whether readers follow the model: {counted}"
    elif p_value < _RARE:
        words = f"readers follow the model: {counted} (one-sided Fisher test, p {_p(p_value)})"
    else:
        words = f"no proof that readers follow the model: {counted} (one-sided Fisher test, p {_p(p_value)})"
    return Following(shown, hidden, p_value, words)


def exceeds(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Return how probable so large a share in `one` beside `other` (each: hits, of how many) is, were the two alike."""
    hits, size, whole = one[0] + other[0], one[1], one[1] + other[1]
    ways = comb(whole, size)
    return sum(comb(hits, k) * comb(whole - hits, size - k) for k in range(one[0], min(hits, size) + 1)) / ways


def _wrong(ones: Sequence[Given], truth: Mapping[str, bool]) -> tuple[int, int]:
    return sum((one.opinion == "present") != truth[one.accession] for one in ones), len(ones)


def _p(p_value: float) -> str:
    return f"= {p_value:.3f}" if p_value >= 0.001 else "< 0.001"
