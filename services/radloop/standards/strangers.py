"""`ood.npz`: the embeddings that a classifier knows, checked before anybody believes a distance from them."""

import lzma
import zipfile
import zlib
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray

from radloop.standards.package import OOD_FILE, BadPackage

Doubles = NDArray[np.float64]

_LARGEST: Final = 256 * 1024 * 1024
"""Bytes of the arrays, unpacked: a precision of 8,192 numbers' width in single precision. A small npz can unpack to any size."""
_ASYMMETRY: Final = 1e-3
"""Of numbers with a diagonal of 1. An inverse's own error lies far below, another kind of matrix (a Cholesky factor) far above."""
_RIDGE: Final = 1e-5
"""Added to that diagonal. Rounding to single precision moves eigenvalues by 6e-8, and leaves those of a pseudo-inverse, which are rightly
zero where nothing was seen to vary, at -6e-7 (measured, 1,280 wide)."""
# What zipfile and numpy make of bytes that are no npz, damaged, or say of themselves that they fill the memory.
_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, KeyError, ValueError, EOFError, OSError, NotImplementedError, RuntimeError, MemoryError,
)


def known(data: bytes) -> tuple[Doubles, Doubles]:
    """Return `mean` [D] and `precision` [D, D] of an `ood.npz`; BadPackage where no distance can be told by them.

    Both must be finite, the precision symmetric and without a negative eigenvalue: along one, the farther an image is from all that is
    known the nearer it would be counted, and nothing would be a stranger.
    """
    mean, precision = _unpacked(data)
    if mean.ndim != 1 or not mean.size or precision.shape != (mean.size, mean.size):
        raise BadPackage(f"{OOD_FILE}: mean is {mean.shape} and precision {precision.shape}: they must be [D] and [D, D]")
    if not (np.isfinite(mean).all() and np.isfinite(precision).all()):
        raise BadPackage(f"{OOD_FILE} holds a number that is not finite")
    _require_distances(precision)
    return mean, precision


def _unpacked(data: bytes) -> tuple[Doubles, Doubles]:
    try:
        with zipfile.ZipFile(BytesIO(data)) as held:
            size = sum(entry.file_size for entry in held.infolist())
        if size > _LARGEST:
            raise BadPackage(f"{OOD_FILE} unpacks to {size >> 20} MiB, and at most {_LARGEST >> 20} are read")
        with np.load(BytesIO(data), allow_pickle=False) as stored:
            mean, precision = stored["mean"], stored["precision"]
    except _BROKEN as broken:
        raise BadPackage(f"{OOD_FILE} is no npz with the arrays mean and precision") from broken
    if not all(isinstance(one, np.ndarray) and one.dtype.kind in "fiu" for one in (mean, precision)):
        raise BadPackage(f"{OOD_FILE}: mean and precision must be real numbers")
    return mean.astype(np.float64), precision.astype(np.float64)


def _require_distances(precision: Doubles) -> None:
    """Raise BadPackage where a squared distance by this matrix could be negative, or always nothing.

    By a Cholesky factor, which exists of positive definite matrices alone: 40 ms of 1,280 × 1,280, where eigenvalues take 110 ms; it is
    done whenever a version is first looked at, with others waiting. Each number of the embedding is first brought to its own unit: one
    that hardly varies has a large precision, beside which another's wrong sign would look like rounding.
    """
    own = np.diagonal(precision)
    if not own.any():
        raise BadPackage(f"{OOD_FILE}: precision is zero: nothing would be a stranger")
    unit = np.sqrt(np.where(own > 0, own, 1.0))
    with np.errstate(over="ignore", invalid="ignore"):  # far beside its diagonal a number overflows, and is no precision's
        scaled = precision / unit[:, None] / unit[None, :]
        if not (np.abs(scaled - scaled.T) <= _ASYMMETRY).all():
            raise BadPackage(f"{OOD_FILE}: precision is not symmetric")
        scaled = (scaled + scaled.T) / 2
    scaled[np.diag_indices_from(scaled)] += _RIDGE
    try:
        np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError as negative:
        raise BadPackage(
            f"{OOD_FILE}: precision has a negative eigenvalue: squared distances could be negative, and nothing a stranger",
        ) from negative
