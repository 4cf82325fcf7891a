"""`ood.npz`: what no distance can be told by is refused in words, and what rounding makes of a good one is taken."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest

from radloop.standards import strangers
from radloop.standards.package import BadPackage
from radloop.standards.strangers import known


def npz(precision: Any, mean: Any = None) -> bytes:
    """Return an `ood.npz` in single precision, its mean of zeros unless told."""
    out = io.BytesIO()
    held = np.asarray(precision)
    wide = np.zeros(len(held), np.float32) if mean is None else np.asarray(mean)
    np.savez(out, mean=wide, precision=held.astype(np.float32) if held.dtype == np.float64 else held)
    return out.getvalue()


def turned(eigenvalues: Any, seed: int = 3) -> np.ndarray:
    """Return a symmetric matrix of these eigenvalues, in directions that are no axis."""
    values = np.asarray(eigenvalues, np.float64)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))
    return np.asarray((turn * values) @ turn.T)


def test_what_is_known_comes_back_in_double_precision() -> None:
    """Distances are computed by these."""
    precision = turned([0.5, 1.0, 4.0])
    mean, found = known(npz(precision, [1.0, 2.0, 3.0]))
    assert (mean.dtype, found.dtype) == (np.float64, np.float64)
    assert mean == pytest.approx([1.0, 2.0, 3.0])
    assert found == pytest.approx(precision, abs=1e-6)


@pytest.mark.parametrize("precision", [
    -np.eye(3), np.diag([1.0, 1.0, -1e-3]), turned([1.0, 2.0, 3.0, -0.01]), [[1.0, 2.0], [2.0, 1.0]],
    np.diag([1e6, 1e6, -0.5]), [[0.0, 1.0], [1.0, 1.0]], [[1e-30, 1e30], [1e30, 1e-30]],
])
def test_a_precision_by_which_far_is_near_is_refused(precision: Any) -> None:
    """Along a negative eigenvalue the farthest image is the most at home; the others' units hide none."""
    with pytest.raises(BadPackage, match=r"ood\.npz: precision (has a negative eigenvalue|is not symmetric)"):
        known(npz(np.asarray(precision, np.float64)))


def test_a_precision_of_nothing_is_refused() -> None:
    """Every image would be at home at the distance zero."""
    with pytest.raises(BadPackage, match="precision is zero: nothing would be a stranger"):
        known(npz(np.zeros((3, 3))))


def test_a_matrix_of_another_kind_is_refused() -> None:
    """A Cholesky factor of the precision is triangular, and no precision."""
    with pytest.raises(BadPackage, match="precision is not symmetric"):
        known(npz(np.linalg.cholesky(turned([1.0, 2.0, 3.0]))))


@pytest.mark.parametrize("width", [2, 300])
def test_rounding_and_directions_that_never_varied_are_taken(width: int) -> None:
    """A pseudo-inverse has eigenvalues of zero, which single precision puts below it; units of any size are anybody's choice."""
    random = np.random.default_rng(5)
    seen = random.normal(size=(width, width)) * np.exp(2 * random.normal(size=width))
    seen[:, 0] = 0.0
    for cases in (width, max(width // 2, 2)):
        known(npz(np.linalg.pinv(np.cov(seen[:cases], rowvar=False, bias=True), hermitian=True)))
    known(npz(turned([0.0] * (width - 1) + [1.0])))


@pytest.mark.parametrize(("data", "said"), [
    (npz(np.eye(3), np.zeros(2)), r"mean is \(2,\) and precision \(3, 3\): they must be \[D\] and \[D, D\]"),
    (npz(np.eye(3), np.zeros((3, 1))), r"mean is \(3, 1\)"),
    (npz(np.ones((2, 3))), r"precision \(2, 3\)"),
    (npz(np.ones((0, 0))), r"mean is \(0,\)"),
    (npz(np.eye(2), [0.0, np.inf]), "not finite"),
    (npz(np.full((2, 2), np.nan)), "not finite"),
    (npz(np.array([["a", "b"], ["c", "d"]]), [0.0, 0.0]), "must be real numbers"),
    (npz(np.eye(2, dtype=np.complex64), [0.0, 0.0]), "must be real numbers"),
    (b"", "is no npz"), (npz(np.eye(2))[:-40], "is no npz"),
])
def test_what_is_no_pair_of_arrays_is_refused_in_words(data: bytes, said: str) -> None:
    """Shapes, kinds and numbers are looked at before any distance is."""
    with pytest.raises(BadPackage, match=rf"^ood\.npz.*{said}"):
        known(data)


def test_an_npz_that_unpacks_to_more_than_is_read_is_refused_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of zeros is a kilobyte: what it says of its size is believed first."""
    monkeypatch.setattr(strangers, "_LARGEST", 1 << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr("mean.npy", b"\0" * (1 << 20))
        held.writestr("precision.npy", b"\0" * (1 << 20))
    with pytest.raises(BadPackage, match="unpacks to 2 MiB, and at most 1 are read"):
        known(out.getvalue())
