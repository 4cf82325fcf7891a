"""A reader who knows the truth, simulated: where a click or a scribble would go next, as interactive segmentation is trained and judged.

The next click goes to the middle of the largest error (Sofiiuk et al., "Reviving iterative training with mask guidance",
2021): the largest connected region that was missed or taken wrongly, at its pixel farthest from the region's edge.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from radloop.standards.masks import Mask
from radloop.standards.prompts import Box, Point, Scribble

_LEGS = 8


def largest_error(truth: Mask, said: Mask) -> tuple[Mask, bool] | None:
    """Return the largest connected region of error, and whether it was missed (else: taken wrongly); None where all is right."""
    best: tuple[int, Mask, bool] | None = None
    for wrong, missed in ((truth & ~said, True), (~truth & said, False)):
        if not wrong.any():
            continue
        _, places, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=4)
        at = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        size = int(stats[at, cv2.CC_STAT_AREA])
        if best is None or size > best[0]:
            best = size, places == at, missed
    return best[1:] if best is not None else None


def innermost(region: Mask) -> tuple[float, float]:
    """Return x and y of the middle of the pixel farthest from the region's edge."""
    padded = np.pad(region.astype(np.uint8), 1)
    depth: NDArray[Any] = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5))[1:-1, 1:-1]
    row, column = divmod(int(depth.argmax()), region.shape[1])
    return column + 0.5, row + 0.5


def next_click(truth: Mask, said: Mask) -> Point | None:
    """Return the click that a reader would make next; None where nothing is wrong."""
    error = largest_error(truth, said)
    return Point(*innermost(error[0]), positive=error[1]) if error is not None else None


def next_scribble(truth: Mask, said: Mask) -> Scribble | None:
    """Return the line that a reader would draw through the largest error, along its longer side; None where nothing is wrong."""
    error = largest_error(truth, said)
    if error is None:
        return None
    region, missed = error
    rows, columns = np.nonzero(region)
    upright = np.ptp(rows) >= np.ptp(columns)
    lines = np.unique(rows if upright else columns)
    # Not quite to the ends, where the region is thin.
    wanted = lines[np.linspace(len(lines) // 10, max(len(lines) - 1 - len(lines) // 10, 0), _LEGS).astype(int)]
    path = []
    for line in np.unique(wanted):
        middle = innermost(region[line : line + 1] if upright else region[:, line : line + 1])
        path.append((middle[0], float(line) + 0.5) if upright else (float(line) + 0.5, middle[1]))
    return Scribble(tuple(path), positive=missed)


def box_around(truth: Mask) -> Box:
    """Return the box around a mask that is not empty."""
    rows, columns = np.nonzero(truth)
    return Box(float(columns.min()), float(rows.min()), float(columns.max()) + 1.0, float(rows.max()) + 1.0)
