"""The classical method that stands in where no segmenter can answer: GrabCut (Rother et al. 2004), as OpenCV has it."""

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from radloop.inference.domain.answer import Singles
from radloop.standards.masks import Mask
from radloop.standards.prompts import Box, Point, Prompt, Scribble, along

_SIDE: Final = 128
_ROUNDS: Final = 3
_BRUSH: Final = 3
_REACH: Final = 0.2
"""Without a box what is wanted is looked for within so much of the image around what was drawn."""
_CORE, _RIM = 0.5, 0.95
"""Of a box the inner part is certainly wanted, all but its corners probably: measured on lungs, which fill their boxes so."""
_IN = (cv2.GC_FGD, cv2.GC_PR_FGD)


def grabcut(grey: Singles, prompts: Sequence[Prompt], rows: int, columns: int) -> Mask:
    """Return the mask [H, W] of prompts in stored pixels (rows × columns) on grey values 0 to 1 [H, W].

    What was drawn is certain, and nothing outside the last box is wanted. The same prompts give the same mask.
    """
    levels = np.rint(np.clip(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), 0, 1) * 255).astype(np.uint8)
    marks = _marks(prompts, np.array([_SIDE / columns, _SIDE / rows]))
    if np.isin(marks, _IN).any() and not np.isin(marks, _IN).all():  # else there is nothing to tell apart
        across, down = np.meshgrid(np.arange(_SIDE, dtype=np.uint8), np.arange(_SIDE, dtype=np.uint8))
        # Instead of three colours: grey and place. By grey alone both lungs and the air around the patient are one.
        bands = np.dstack([levels, across, down])
        cv2.setRNGSeed(0)
        cv2.grabCut(bands, marks, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside = np.isin(marks, _IN).astype(np.float32)
    return np.asarray(cv2.resize(inside, grey.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5)


def _marks(prompts: Sequence[Prompt], scale: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return what is certain and what is probable of each of the method's own pixels."""
    boxes = [one for one in prompts if isinstance(one, Box)]
    drawn = [(one.positive, _places(one) * scale) for one in prompts if not isinstance(one, Box)]
    marks = np.full((_SIDE, _SIDE), cv2.GC_BGD if boxes else cv2.GC_PR_BGD, np.uint8)
    if boxes:
        first, last = (np.array(corner) * scale for corner in ((boxes[-1].x0, boxes[-1].y0), (boxes[-1].x1, boxes[-1].y1)))
        middle, half = (first + last) / 2, (last - first) / 2
        cv2.rectangle(marks, _whole(first), _whole(last), cv2.GC_PR_BGD, -1)
        for share, value in ((_RIM, cv2.GC_PR_FGD), (_CORE, cv2.GC_FGD)):
            cv2.ellipse(marks, _whole(middle), _whole(half * share), 0, 0, 360, value, -1)
    else:
        for place in (place for positive, places in drawn if positive for place in places):
            cv2.circle(marks, _whole(place), round(_REACH * _SIDE), cv2.GC_PR_FGD, -1)
    for positive, places in drawn:
        for place in places:
            cv2.circle(marks, _whole(place), _BRUSH, cv2.GC_FGD if positive else cv2.GC_BGD, -1)
    return marks


def _places(prompt: Point | Scribble) -> NDArray[np.float64]:
    path = [(prompt.x, prompt.y)] if isinstance(prompt, Point) else along(prompt.path, _SIDE // 4)
    return np.array(path, np.float64)


def _whole(place: NDArray[Any]) -> tuple[int, int]:
    return int(place[0]), int(place[1])
