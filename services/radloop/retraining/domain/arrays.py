"""The shapes of numbers this room computes with, and the one check they all pass."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from radloop.kit.errors import Permanent

Floats: TypeAlias = NDArray[np.float64]
Singles: TypeAlias = NDArray[np.float32]
Halves: TypeAlias = NDArray[np.float16]
Truths: TypeAlias = NDArray[np.bool_]
Whole: TypeAlias = NDArray[np.int64]


def finite(values: NDArray[np.floating], what: str) -> Floats:
    """Return the values as float64, or raise Permanent: a non-finite number is refused, never repaired."""
    if not np.isfinite(values).all():
        msg = f"{what} holds a number that is not finite"
        raise Permanent(msg)
    return values.astype(np.float64)


def sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow, any shape."""
    return np.exp(-np.logaddexp(0.0, -logits))
