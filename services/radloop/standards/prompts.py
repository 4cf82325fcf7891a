"""What a reader draws on an image to have something outlined: points, boxes, scribbles; and how a model takes them.

Coordinates are those of DICOM graphics (PS3.3 C.18.6.1.2): x along a row, y along a column, in pixels, (0, 0) the upper
left corner of the first pixel, so its centre is (0.5, 0.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from radloop.kit.errors import Permanent

Singles = NDArray[np.float32]

PAD, NEGATIVE, POSITIVE, BOX_FIRST, BOX_LAST = -1, 0, 1, 2, 3
"""Labels of prompt tokens as Segment Anything numbers them (Kirillov et al. 2023, prompt encoder)."""
MOST_PROMPTS: Final = 100
"""So many prompts on one image; whoever needs more draws by hand."""
MOST_CORNERS: Final = 1_000
_OF_A_SCRIBBLE: Final = 6


@dataclass(frozen=True)
class Point:
    """A click: inside what is wanted, or (not positive) outside of it."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class Box:
    """A rectangle around what is wanted, from its upper left to its lower right corner."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Scribble:
    """A line drawn through what is wanted, or (not positive) through what is not; corner after corner."""

    path: tuple[tuple[float, float], ...]
    positive: bool = True


Prompt = Point | Box | Scribble


def check(prompt: Prompt, rows: int, columns: int) -> Prompt:
    """Return the prompt if it lies on an image of rows × columns; raise Permanent with what is wrong with it."""
    corners: Sequence[tuple[float, float]]
    match prompt:
        case Point(x, y):
            corners = ((x, y),)
        case Box(x0, y0, x1, y1):
            corners = ((x0, y0), (x1, y1))
        case Scribble(path):
            corners = path
    if not 0 < len(corners) <= MOST_CORNERS:
        raise Permanent(f"a scribble needs 1 to {MOST_CORNERS} corners")
    if not all(isfinite(number) for corner in corners for number in corner):
        raise Permanent("a coordinate is not a finite number")
    if not all(0 <= x <= columns and 0 <= y <= rows for x, y in corners):
        raise Permanent(f"the prompt lies outside the image of {rows} × {columns} (rows × columns)")
    if isinstance(prompt, Box) and not (prompt.x0 < prompt.x1 and prompt.y0 < prompt.y1):
        raise Permanent("a box goes from its upper left to its lower right corner")
    return prompt


def tokens(prompts: Sequence[Prompt], rows: int, columns: int, side: int) -> tuple[Singles, Singles]:
    """Return what a model that sees the whole image as side × side pixels is told: places [N, 2] and labels [N].

    Of several boxes the last counts. A scribble is told as a handful of points along it. Without a box one token of
    padding follows, as the prompt encoder was trained.
    """
    box = next((one for one in reversed(prompts) if isinstance(one, Box)), None)
    told = [token for one in prompts if not isinstance(one, Box) for token in _points(one)]
    places = [(x, y) for x, y, _ in told]
    labels = [label for *_, label in told]
    if box is not None:
        places += [(box.x0, box.y0), (box.x1, box.y1)]
        labels += [BOX_FIRST, BOX_LAST]
    # The encoder adds half a pixel to each place (it counts from pixel centres).
    scaled = np.asarray(places, np.float32).reshape(-1, 2) * np.array([side / columns, side / rows], np.float32) - 0.5
    if box is None:
        scaled, labels = np.concatenate([scaled, np.zeros((1, 2), np.float32)]), [*labels, PAD]
    return scaled, np.asarray(labels, np.float32)


def _points(prompt: Point | Scribble) -> list[tuple[float, float, int]]:
    label = POSITIVE if prompt.positive else NEGATIVE
    if isinstance(prompt, Point):
        return [(prompt.x, prompt.y, label)]
    return [(x, y, label) for x, y in along(prompt.path, _OF_A_SCRIBBLE)]


def along(path: Sequence[tuple[float, float]], count: int) -> list[tuple[float, float]]:
    """Return `count` places at equal distances along a path, its ends among them; one where it has no length."""
    lengths = np.cumsum([0.0, *(hypot(bx - ax, by - ay) for (ax, ay), (bx, by) in pairwise(path))])
    if lengths[-1] == 0:
        return [path[0]]
    at = np.linspace(0.0, lengths[-1], count)
    xs, ys = (np.interp(at, lengths, [corner[axis] for corner in path]) for axis in (0, 1))
    return list(zip(xs.tolist(), ys.tolist(), strict=True))
