"""How an image looked to the model: what tells that a modality, a window or a film changed before any answer does."""

from typing import Final

import numpy as np

from radloop.events.prediction import ImageQuality
from radloop.inference.domain.answer import Singles
from radloop.standards.package import Preparation

_HALF_A_GREY: Final = 0.5 / 255
"""Nearer to an end than this an image of 256 greys shows black or white."""


def quality(prepared: Singles, preparation: Preparation) -> ImageQuality:
    """Return the quality of a prepared image [C, H, W]: of its grey values, which all channels repeat."""
    grey = prepared[0].astype(np.float64) * preparation.std[0] + preparation.mean[0]
    ends = (grey <= _HALF_A_GREY) | (grey >= 1.0 - _HALF_A_GREY)
    return ImageQuality(mean=float(grey.mean()), contrast=float(grey.std()), at_ends=float(ends.mean()))
