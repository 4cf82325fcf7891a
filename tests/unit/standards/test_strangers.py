"""`ood.npz`: what no distance can be told by is refused in words, and what rounding makes of a good one is taken."""

import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest

from radloop.kit.errors import Transient
from radloop.retraining.adapters.package import ood_bytes
from radloop.retraining.domain.distribution import fit_distribution
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


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("precision", [
    -np.eye(3), np.diag([1.0, 1.0, -1e-3]), turned([1.0, 2.0, 3.0, -0.01]), [[1.0, 2.0], [2.0, 1.0]],
    np.diag([1e6, 1e6, -0.5]), [[0.0, 1.0], [1.0, 1.0]], [[1e-30, 1e30], [1e30, 1e-30]],
    -1e-6 * np.eye(3), -0.99e-5 * np.eye(3), 1e-6 * np.diag([1.0, -1.0]), np.diag([1.0, -9e-6]), [[0.0, 1e-3], [1e-3, 1.0]],
    np.diag([1e6, 1e6, -1e-6]), [[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 1e-9, 1e-6], [0.0, 1e-6, 1e-9]],
])
def test_a_precision_by_which_far_is_near_is_refused(precision: Any, unit: float) -> None:
    """Along a negative eigenvalue the farthest image is the most at home; neither the others' units nor everybody's hide one."""
    with pytest.raises(BadPackage, match=r"ood\.npz: precision (has a negative eigenvalue|is not symmetric)"):
        known(npz(unit * np.asarray(precision, np.float64)))


def test_a_precision_of_nothing_is_refused() -> None:
    """Every image would be at home at the distance zero."""
    with pytest.raises(BadPackage, match="precision is zero: nothing would be a stranger"):
        known(npz(np.zeros((3, 3))))


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_a_matrix_of_another_kind_is_refused(unit: float) -> None:
    """A Cholesky factor of the precision is triangular, and no precision."""
    with pytest.raises(BadPackage, match="precision is not symmetric"):
        known(npz(unit * np.linalg.cholesky(turned([1.0, 2.0, 3.0]))))


@pytest.mark.parametrize("width", [2, 300])
def test_rounding_and_directions_that_never_varied_are_taken(width: int) -> None:
    """A pseudo-inverse has eigenvalues of zero, which single precision puts below it; units of any size are anybody's choice."""
    random = np.random.default_rng(5)
    seen = random.normal(size=(width, width)) * np.exp(2 * random.normal(size=width))
    seen[:, 0] = 0.0
    for cases in (width, max(width // 2, 2)):
        known(npz(np.linalg.pinv(np.cov(seen[:cases], rowvar=False, bias=True), hermitian=True)))
    known(npz(turned([0.0] * (width - 1) + [1.0])))


@pytest.mark.parametrize("precision", [
    np.diag([1.0, 0.0, 4.0]), np.diag([1.0, -1e-15, 4.0]), [[1.0, 1e-8, 0.0], [1e-8, 1e-17, 0.0], [0.0, 0.0, 2.0]],
    np.diag([1e6, 1e-6, 1.0]), [[1.0, 0.9e-5], [0.9e-5, 1e-10]],
])
@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_what_never_varied_has_no_say_and_what_varied_much_a_small_one(precision: Any, unit: float) -> None:
    """Row, column and diagonal are zero there, or what rounding left of zero."""
    known(npz(unit * np.asarray(precision, np.float64)))


@pytest.mark.parametrize("cases", [12, 60])
@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_what_is_fitted_here_is_taken(cases: int, unit: float) -> None:
    """Few embeddings of 1,280 numbers, some of which never vary, some cases there four times; in single precision, as it is kept."""
    random = np.random.default_rng(7)
    seen = (unit * random.normal(size=(cases, 1280)) * np.exp(random.normal(size=1280))).astype(np.float32)
    seen[:, :300] = 0.3
    seen[cases // 4:cases // 4 * 2] = seen[:cases // 4]
    distribution = fit_distribution(seen, 0.95, seen[:5])
    mean, precision = known(ood_bytes(distribution))
    assert (mean.shape, precision.shape) == ((1280,), (1280, 1280))


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


def raw(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """Return an `ood.npz` whose precision has this header, and in whose packing nothing is wrong."""
    out, mean = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array(mean, np.zeros(2, np.float32))
    told = b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(header)) + header + data
    with zipfile.ZipFile(out, "w") as held:
        held.writestr("mean.npy", mean.getvalue())
        held.writestr("precision.npy", told)
    return out.getvalue()


def shaped(shape: str, kind: str = "'<f4'") -> bytes:
    """Return the header of an array of this shape and kind."""
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()


@pytest.mark.parametrize("data", [
    raw(b"{[]: 1}\n"), raw(shaped("(True,)"), b"\0" * 4), raw(shaped("(10" + "0" * 30 + ",)")), raw(shaped("(-1,)"), b"\0" * 16),
    raw(shaped("(2, 2")), raw(shaped("(2, '")), raw(b"{'descr': \\"), raw(b"\0" * 9), raw(b"-" * 9_000 + b"1"), raw(b"(" * 9_000),
    raw(b"1" * 9_000), raw(b"9" * 20_000), raw(b"{}"), raw(b""), raw(shaped("(2, 2)"), b"\0" * 15), raw(shaped("(2, 2)", "'<M8[s'")),
    raw(shaped("(2, 2)", "()")), raw(shaped("(2, 2)"), b"\0" * 16, b"\x03\x00"),
    raw(shaped("(2, 2)"), b"\0" * 16, b"\x09\x00"), raw(shaped("(1000000000, 1000000000)"), b"\0" * 16),
])
def test_a_header_that_is_none_is_refused_like_any_other_damage(data: bytes) -> None:
    """It is a literal of Python's, and what that makes of anybody's bytes is of many kinds."""
    with pytest.raises(BadPackage, match="is no npz with the arrays mean and precision"):
        known(data)


def test_headers_of_both_forms_are_read() -> None:
    """The second may be longer; numpy reads both."""
    ones = np.eye(2, dtype="<f4").tobytes()
    for version in (b"\x01\x00", b"\x02\x00"):
        assert known(raw(shaped("(2, 2)"), ones, version))[1].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_an_embedding_wider_than_is_read_is_refused_before_it_is_computed_with() -> None:
    """Small numbers make a wide one small, and the time it takes grows with the third power of the width."""
    with pytest.raises(BadPackage, match=r"mean has 4,097 numbers, and at most 4,096 are read"):
        known(npz(np.eye(4097, dtype=np.int8), np.zeros(4097, np.int8)))


def test_want_of_memory_says_nothing_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again."""
    def short(_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(strangers, "_require_distances", short)
    with pytest.raises(Transient, match=r"there is no memory to look at ood\.npz in"):
        known(npz(np.eye(2)))
