"""Versions as they lie in the repository: what is described is what was released, to the byte, or nothing."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.examples import elsewhere
from tests.examples.segmenting import encoder, segmenter

from radloop.inference.adapters.packages import RepositoryPackages
from radloop.inference.ports import Described
from radloop.kit.errors import Permanent
from radloop.standards import package as standard
from radloop.standards.package import OOD_FILE, WEIGHTS_FILE, AnyPackage, Behind

CHEST, LUNGS, BEHIND = ("adult-chest", 7), ("lungs", 1), ("lungs-encoder", 1)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes, as a package names it."""
    return hashlib.sha256(data).hexdigest()


def placed(repository: Path, says: AnyPackage, weights: bytes) -> None:
    """Put a version there that is weights and what it says of them."""
    folder = repository / says.model / str(says.version)
    folder.mkdir(parents=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    standard.write(folder, replace(says, weights_sha256=sha256(weights)))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with a classifier, a segmenter, and the encoder behind it."""
    elsewhere.folder(tmp_path / "adult-chest" / "7")
    placed(tmp_path, replace(segmenter(), encoder=Behind(*BEHIND, sha256(b"encoder"))), b"decoder")
    placed(tmp_path, encoder(), b"encoder")
    return tmp_path


def test_a_version_is_described_as_it_lies_there(repository: Path) -> None:
    """Where the release named no weights any will do that the package itself names."""
    known = RepositoryPackages(repository)
    chest = known.describe(*CHEST, sha256(elsewhere.weights()))
    assert isinstance(chest, Described)
    assert (chest.home.mean.tolist(), chest.home.precision.tolist(), chest.home.threshold) == ([0.5, 0.5], [[1, 0], [0, 1]], 4.0)
    assert known.describe(*CHEST, "").package == chest.package
    assert [known.describe(*one, "").kind for one in (LUNGS, BEHIND)] == ["segmenter", "encoder"]


def other_ood(repository: Path) -> None:
    (repository / "adult-chest" / "7" / OOD_FILE).write_bytes(elsewhere.known(value=9.0))


def other_encoder(repository: Path) -> None:
    folder = repository / "lungs-encoder" / "1"
    (folder / WEIGHTS_FILE).write_bytes(b"another encoder")
    standard.write(folder, replace(encoder(), weights_sha256=sha256(b"another encoder")))


def other_weights(repository: Path) -> None:
    (repository / "adult-chest" / "7" / WEIGHTS_FILE).write_bytes(b"of another training")


def other_version(repository: Path) -> None:
    (repository / "adult-chest" / "7").rename(repository / "adult-chest" / "8")


def other_model(repository: Path) -> None:
    (repository / "adult-chest").rename(repository / "chest")


@pytest.mark.parametrize(("happens", "asked", "released", "why"), [
    (other_ood, CHEST, "", "ood.npz of adult-chest 7 is not what its package names"),
    (other_encoder, LUNGS, "", "the weights of lungs-encoder 1 are not those that its segmenter names"),
    (other_weights, CHEST, "", "the weights of adult-chest 7 are not those that were released"),
    (other_weights, CHEST, sha256(b"of another training"), "the weights of adult-chest 7 are not those that were released"),
    (lambda _: None, CHEST, sha256(b"of another training"), "the weights of adult-chest 7 are not those that were released"),
    (lambda _: None, LUNGS, sha256(b"of another training"), "the weights of lungs 1 are not those that were released"),
    (lambda _: None, BEHIND, sha256(b"of another training"), "the weights of lungs-encoder 1 are not those that were released"),
    (other_version, ("adult-chest", 8), "", "the package of adult-chest 8 calls itself adult-chest 7"),
    (other_model, ("chest", 7), "", "the package of chest 7 calls itself adult-chest 7"),
])
def test_what_is_not_what_was_released_is_refused(
    repository: Path, happens: Callable[[Path], None], asked: tuple[str, int], released: str, why: str,
) -> None:
    """Each hash is taken of the bytes that lie there; a folder that was copied or renamed is no other version."""
    happens(repository)
    with pytest.raises(Permanent) as refused:
        RepositoryPackages(repository).describe(*asked, released)
    assert refused.value.reason == why
