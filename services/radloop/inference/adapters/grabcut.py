"""The classical method that stands in where no segmenter can answer: GrabCut (Rother et al. 2004), as OpenCV has it."""

from collections.abc import Sequence

import cv2
import numpy as np

from radloop.inference.domain.answer import Singles
from radloop.standards.masks import Mask
from radloop.standards.prompts import Box, Point, Prompt, along

_ROUNDS = 5
_BRUSH = 6
_REACH = 0.25
"""Without a box what is wanted is looked for within so much of the image around what was drawn."""


def grabcut(grey: Singles, prompts: Sequence[Prompt], rows: int, columns: int) -> Mask:
    """Return the mask [H, W] of prompts in stored pixels (rows × columns) on grey values 0 to 1 [H, W].

    Inside the last box anything may be wanted, outside of it nothing; what was drawn is certain. The same prompts give the
    same mask.
    """
    height, width = grey.shape
    scale = np.array([width / columns, height / rows])
    boxes = [one for one in prompts if isinstance(one, Box)]
    marks = np.full(grey.shape, cv2.GC_BGD if boxes else cv2.GC_PR_BGD, np.uint8)
    if boxes:
        last = boxes[-1]
        (x0, y0), (x1, y1) = np.rint(np.array([[last.x0, last.y0], [last.x1, last.y1]]) * scale).astype(int)
        marks[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = cv2.GC_PR_FGD
    drawn = [one for one in prompts if not isinstance(one, Box)]
    if not boxes:
        for one in drawn:
            if one.positive:
                _paint(marks, _places(one) * scale, round(_REACH * min(height, width)), cv2.GC_PR_FGD)
    for one in drawn:
        _paint(marks, _places(one) * scale, _BRUSH, cv2.GC_FGD if one.positive else cv2.GC_BGD)
    if not np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).any() or not np.isin(marks, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        return np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))  # one kind of pixel only: there is nothing to tell apart
    levels = np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)
    # Three bands instead of three colours: the grey value as it is, and smoothed on two scales.
    bands = np.dstack([levels, cv2.GaussianBlur(levels, (0, 0), 2), cv2.GaussianBlur(levels, (0, 0), 6)])
    cv2.setRNGSeed(0)
    cv2.grabCut(bands, marks, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _places(prompt: Prompt) -> np.ndarray:
    if isinstance(prompt, Point):
        return np.array([[prompt.x, prompt.y]])
    assert not isinstance(prompt, Box)
    return np.array(along(prompt.path, 32))


def _paint(marks: np.ndarray, places: np.ndarray, radius: int, value: int) -> None:
    for x, y in places:
        cv2.circle(marks, (int(x), int(y)), radius, value, -1)
