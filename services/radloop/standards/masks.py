"""Binary masks as they travel: run lengths, as COCO counts them (Lin et al. 2014; its API's "uncompressed RLE").

Pixels are taken column by column; the counts alternate, background first (0 where the first pixel is inside).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radloop.kit.errors import Permanent

Mask = NDArray[np.bool_]
"""Inside or not, bool [rows, columns]."""


@dataclass(frozen=True)
class RunLengths:
    """A mask of rows × columns."""

    rows: int
    columns: int
    counts: tuple[int, ...]


def encode(mask: Mask) -> RunLengths:
    """Return the run lengths of a mask [rows, columns]."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]]))
    lead = (0,) if flat.size and flat[0] else ()
    return RunLengths(mask.shape[0], mask.shape[1], (*lead, *counts.tolist()))


def decode(runs: RunLengths) -> Mask:
    """Return the mask [rows, columns]; raise Permanent where the counts do not cover it exactly."""
    counts: Sequence[int] = runs.counts
    if any(count < 0 for count in counts) or sum(counts) != runs.rows * runs.columns:
        raise Permanent(f"the run lengths do not cover {runs.rows} × {runs.columns} pixels exactly")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((runs.rows, runs.columns), order="F")


def dice(one: Mask, other: Mask) -> float:
    """Return the Dice coefficient 2|A∩B| / (|A|+|B|) of two masks; 1 where both are empty (Dice 1945)."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def iou(one: Mask, other: Mask) -> float:
    """Return the Jaccard index |A∩B| / |A∪B| of two masks; 1 where both are empty."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 1.0
