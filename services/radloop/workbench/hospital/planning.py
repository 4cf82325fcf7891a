"""What happens when in a morning: drawn by seed, in simulated seconds after its beginning, and blind to the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from radloop.workbench.hospital.books import Entry

What = Literal["order", "order-again", "update", "images", "images-again", "second-image", "cancel", "raise"]

MINUTE: Final = 60.0
HOUR: Final = 3600.0
PER_HOUR: Final = 71 / 6
"""Studies an hour for each reader: 60 ordinary ones and the irregular ones beside them take two readers three hours."""
READERS_COME_AFTER: Final = 30 * MINUTE
"""The night's studies wait: readers sit down at eight."""
CLEARED_AFTER: Final = 4 * MINUTE
"""A technologist looks at the images before anybody reads them; a study is opened so long after its first image at the earliest."""
AWAY_AT: Final = 0.55
"""The share of the morning after which the EHR goes away."""
_LEAD = (5 * MINUTE, 30 * MINUTE)
# The night's studies come all at once when the day begins: this share of the ordinary ones, within so long.
_NIGHT, _NIGHT_WITHIN = 0.05, 8 * MINUTE
# Irregular studies come once a first version could have been released, and early enough to be seen to the end.
_IRREGULAR_BETWEEN = (0.3, 0.9)


@dataclass(frozen=True)
class Step:
    """One thing that happens, so many simulated seconds after the beginning."""

    after: float
    what: What
    entry: Entry


def lasts(studies: int, readers: int) -> float:
    """Return how long so many studies take to come to so many readers, in simulated seconds."""
    return studies / (PER_HOUR * readers) * HOUR


def plan(seed: int, entries: Sequence[Entry], readers: int) -> tuple[Step, ...]:
    """Return what happens in a morning for so many readers, in time order.

    Images come at random times, their orders some minutes before (or at the beginning, for those of the night).
    """
    rng = np.random.default_rng([seed, 0xC3])
    whole = lasts(len(entries), readers)
    ordinary = [entry for entry in entries if not entry.irregular]
    night = {entry.order.accession for entry in ordinary[: round(_NIGHT * len(ordinary))]}
    steps: list[Step] = []
    for entry in entries:
        low, high = (share * whole for share in (_IRREGULAR_BETWEEN if entry.irregular else (0.0, 1.0)))
        if entry.order.accession in night:
            low, high = 0.0, _NIGHT_WITHIN
        imaged = float(rng.uniform(low, high))
        ordered = max(0.0, imaged - float(rng.uniform(*_LEAD)))
        steps += [Step(max(0.0, after), what, entry) for what, after in _story(entry.irregular, ordered, imaged)]
    return tuple(sorted(steps, key=lambda step: (step.after, step.entry.order.accession, step.what != "order")))


def _story(kind: str, ordered: float, imaged: float) -> list[tuple[What, float]]:
    """Return what happens to one study. Each change comes before anybody may open it."""
    if kind == "image-before-order":
        return [("images", imaged), ("order", imaged + 2 * MINUTE)]
    story: list[tuple[What, float]] = [("order", ordered), ("images", imaged)]
    if kind == "cancel-after-images":
        story.append(("cancel", imaged + MINUTE))
    elif kind == "raised-to-stat":
        story.append(("raise", imaged + MINUTE))
    elif kind == "late-second-image":
        story.append(("second-image", imaged + 2 * MINUTE))
    elif kind == "update-between":
        story.append(("update", (ordered + imaged) / 2))
    elif kind == "resent-message":
        story.append(("order-again", ordered + MINUTE))
    elif kind == "object-twice":
        story.append(("images-again", imaged + MINUTE / 2))
    return story
