"""`ood.npz`: the embeddings that a classifier knows, checked before anybody believes a distance from them."""

import lzma
import struct
import tokenize
import zipfile
import zlib
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from radloop.kit.errors import Transient
from radloop.standards.package import OOD_FILE, BadPackage

Doubles = NDArray[np.float64]

_WIDEST: Final = 4096
"""Numbers of an embedding. All of this takes 3 s of one processor then, eight times that of twice the width, and readings wait."""
_LARGEST: Final = 4 * _WIDEST * (_WIDEST + 2)
"""Bytes of the arrays, unpacked: that wide in single precision, with their headers. A small npz can unpack to any size."""
_ASYMMETRY: Final = 1e-3
"""Of numbers with a diagonal of 1. An inverse's own error lies far below, another kind of matrix (a Cholesky factor) far above."""
_ROUNDING: Final = float(np.finfo(np.float32).eps)
"""Of what is rightly zero, beside the largest: an element off the diagonal has one such error, one on the diagonal is a product of two."""
_RIDGE: Final = 1e-5
"""Added to that diagonal. Rounding to single precision moves eigenvalues by 6e-8, and leaves those of a pseudo-inverse, which are rightly
zero where nothing was seen to vary, at -6e-7 (measured, 1,280 wide)."""
_HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What zipfile and numpy make of bytes that are no npz, or damaged; a header of an array is read as a Python literal.
_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, SyntaxError,
    ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, OSError, RuntimeError,
)


def known(data: bytes) -> tuple[Doubles, Doubles]:
    """Return `mean` [D] and `precision` [D, D] of an `ood.npz`; BadPackage where no distance can be told by them.

    Both must be finite, the precision symmetric and without a negative eigenvalue: along one, the farther an image is from all that is
    known the nearer it would be counted, and nothing would be a stranger. Transient where there is no memory to see that in.
    """
    try:
        mean, precision = _unpacked(data)
        if mean.ndim != 1 or not mean.size or precision.shape != (mean.size, mean.size):
            raise BadPackage(f"{OOD_FILE}: mean is {mean.shape} and precision {precision.shape}: they must be [D] and [D, D]")
        if mean.size > _WIDEST:
            raise BadPackage(f"{OOD_FILE}: mean has {mean.size:,} numbers, and at most {_WIDEST:,} are read")
        found = mean.astype(np.float64), precision.astype(np.float64)
        if not (np.isfinite(found[0]).all() and np.isfinite(found[1]).all()):
            raise BadPackage(f"{OOD_FILE} holds a number that is not finite")
        _require_distances(found[1])
    except MemoryError as short:
        raise Transient(f"there is no memory to look at {OOD_FILE} in") from short
    return found


def _unpacked(data: bytes) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        with zipfile.ZipFile(BytesIO(data)) as held:
            size = sum(entry.file_size for entry in held.infolist())
            if size > _LARGEST:
                raise BadPackage(f"{OOD_FILE} unpacks to {size >> 20} MiB, and at most {_LARGEST >> 20} are read")
            return _array(held, "mean"), _array(held, "precision")
    except _BROKEN as broken:
        raise BadPackage(f"{OOD_FILE} is no npz with the arrays mean and precision") from broken


def _array(held: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Return an array as it lies there. `np.load` would first take the memory that its header speaks of, whatever follows it."""
    with held.open(f"{name}.npy") as file:
        try:
            shape, by_columns, kind = _HEADERS[npy.read_magic(file)](file)
        except MemoryError as deep:  # as Python's parser calls a literal that is nested too deeply: a header is small
            raise ValueError(name) from deep
        if kind.kind not in "fiu":
            raise BadPackage(f"{OOD_FILE}: mean and precision must be real numbers")
        if any(type(side) is not int or side < 0 for side in shape):
            raise ValueError(name)
        return np.frombuffer(file.read(), kind).reshape(shape, order="F" if by_columns else "C")


def _require_distances(precision: Doubles) -> None:
    """Raise BadPackage where a squared distance by this matrix could be negative, or always nothing.

    By a Cholesky factor, which exists of positive definite matrices alone: 40 ms of 1,280 × 1,280, where eigenvalues take 110 ms; it is
    done whenever a version is first looked at, with others waiting. Each number of the embedding is first brought to its own unit: one
    that hardly varies has a large precision, beside which another's wrong sign would look like rounding.
    """
    if not precision.any():
        raise BadPackage(f"{OOD_FILE}: precision is zero: nothing would be a stranger")
    own = np.diagonal(precision)
    nothing = _nothing(precision, own)
    if ((own <= 0) & ~nothing).any():
        raise _negative()
    scaled = precision[np.ix_(~nothing, ~nothing)]
    unit = np.sqrt(own[~nothing])
    with np.errstate(over="ignore", invalid="ignore"):  # far beside its diagonal a number overflows, and is no precision's
        scaled /= unit[:, None]
        scaled /= unit
        apart = scaled - scaled.T
        if not np.abs(apart, out=apart).max() <= _ASYMMETRY:
            raise BadPackage(f"{OOD_FILE}: precision is not symmetric")
    even = np.add(scaled, scaled.T, out=apart)
    even /= 2
    even[np.diag_indices_from(even)] += _RIDGE
    try:
        np.linalg.cholesky(even)
    except np.linalg.LinAlgError as negative:
        raise _negative() from negative


def _nothing(precision: Doubles, own: Doubles) -> NDArray[np.bool_]:
    """Say which numbers of an embedding have no say, having never varied: row, column and diagonal are zero but for rounding.

    Whatever else has a diagonal of zero, or below, has directions beside it along which squared distances are negative.
    """
    largest = max(own.max(), 0.0)
    small = np.abs(own) <= _ROUNDING**2 * largest
    beside = _ROUNDING * np.sqrt(largest) * np.maximum(np.sqrt(np.maximum(own, 0.0)), _ROUNDING * np.sqrt(largest))
    return np.asarray([
        bool(few) and bool((np.delete(np.maximum(np.abs(precision[at]), np.abs(precision[:, at])) - beside, at) <= 0).all())
        for at, few in enumerate(small)
    ])


def _negative() -> BadPackage:
    return BadPackage(f"{OOD_FILE}: precision has a negative eigenvalue: squared distances could be negative, and nothing a stranger")
