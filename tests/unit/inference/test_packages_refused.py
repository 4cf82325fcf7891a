"""Versions that lie in the repository and are not used: what is wrong with each is said, and no other exception comes of it."""

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.examples import elsewhere
from tests.unit.inference.doubles import clock

from radloop.inference.adapters import packages
from radloop.inference.adapters.packages import RepositoryPackages
from radloop.inference.domain.answer import Home
from radloop.inference.ports import Described
from radloop.kit.errors import Permanent
from radloop.standards import package as standard
from radloop.standards.strangers import known


def described(home: Path, ood: bytes | None = None) -> Any:
    """Have a version of the model from elsewhere looked at, with this `ood.npz` or its own."""
    folder = elsewhere.folder(home / elsewhere.MODEL / "7", **({} if ood is None else {"ood": ood}))
    weights = hashlib.sha256((folder / standard.WEIGHTS_FILE).read_bytes()).hexdigest()
    return RepositoryPackages(home).describe(elsewhere.MODEL, 7, weights)


def npz(precision: Any) -> bytes:
    """Return an `ood.npz` whose hash its package names."""
    out = io.BytesIO()
    np.savez(out, mean=np.zeros(2, np.float32), precision=np.asarray(precision, np.float32))
    return out.getvalue()


def test_a_version_in_order_knows_its_embeddings(tmp_path: Path) -> None:
    """They are read once, with the package."""
    found = described(tmp_path)
    assert isinstance(found, Described)
    assert isinstance(found.home, Home)
    assert found.home.distances(np.array([[0.5, 1.5]], np.float32)) == pytest.approx([1.0])


@pytest.mark.parametrize(("ood", "said"), [
    (npz(np.diag([1.0, -1.0])), "precision has a negative eigenvalue"),
    (npz([[1.0, 0.5], [0.0, 1.0]]), "precision is not symmetric"),
    (npz(np.zeros((2, 2))), "precision is zero"),
    (npz(np.eye(3)), r"mean is \(2,\) and precision \(3, 3\)"),
    (npz([[1.0, np.nan], [np.nan, 1.0]]), "a number that is not finite"),
    (b"no npz", "is no npz with the arrays mean and precision"),
])
def test_a_version_to_which_nothing_is_strange_is_not_used(tmp_path: Path, ood: bytes, said: str) -> None:
    """A folder may be filled by hand: what is refused when it is added is refused when it is loaded."""
    with pytest.raises(Permanent, match=rf"^adult-chest 7: ood\.npz.*{said}"):
        described(tmp_path, ood)


def test_a_radloop_yaml_too_large_holds_nobody_up(tmp_path: Path) -> None:
    """Packages are looked at one at a time, and readings wait for it."""
    folder = elsewhere.folder(tmp_path / elsewhere.MODEL / "7")
    (folder / standard.FILE).write_bytes(b"findings: [" + b"{}, " * 250_000 + b"]")
    with pytest.raises(Permanent, match=r"^radloop\.yaml has 1,000,012 bytes, and at most 262,144 are read"):
        RepositoryPackages(tmp_path).describe(elsewhere.MODEL, 7, "")


def test_what_makes_a_file_useless_is_found_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads waits for it, and a refused version is looked at again every few seconds; another file is another matter."""
    looked: list[bytes] = []

    def counted(data: bytes) -> Any:
        looked.append(data)
        return known(data)

    monkeypatch.setattr(packages, "known", counted)
    time = clock()
    repository = RepositoryPackages(tmp_path, time)
    folder = tmp_path / elsewhere.MODEL / "7"
    elsewhere.folder(folder, ood=npz(-np.eye(2)))
    for _ in range(3):
        with pytest.raises(Permanent, match=r"^adult-chest 7: ood\.npz: precision has a negative eigenvalue"):
            repository.describe(elsewhere.MODEL, 7, "")
        time.advance(packages.MENDED_AFTER_S + 1)
    assert len(looked) == 1
    shutil.rmtree(folder)
    elsewhere.folder(folder)
    assert isinstance(repository.describe(elsewhere.MODEL, 7, ""), Described)


def test_what_nobody_foresaw_in_a_file_is_the_versions_own_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told without its message, and not looked at anew for every reading."""
    asked: list[bytes] = []

    def surprise(data: bytes) -> Any:
        asked.append(data)
        raise TypeError("of a patient")

    monkeypatch.setattr(packages, "known", surprise)
    elsewhere.folder(tmp_path / elsewhere.MODEL / "7")
    repository = RepositoryPackages(tmp_path, clock())
    for _ in range(2):
        with pytest.raises(Permanent, match=r"^adult-chest 7 cannot be looked at: TypeError at test_packages_refused\.py:\d+ surprise,"):
            repository.describe(elsewhere.MODEL, 7, "")
    assert len(asked) == 1
