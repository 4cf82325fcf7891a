"""Packages stay in memory as long as they are used, and a bounded number of them."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.examples import inference as example
from tests.examples.segmenting import segmenter

from radloop.inference.adapters import packages
from radloop.inference.adapters.packages import RepositoryPackages, with_encoders
from radloop.inference.domain.model import Model
from radloop.kit.clock import ManualClock
from radloop.kit.errors import Permanent, Transient


def test_of_the_versions_of_years_the_last_ones_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that goes on being asked for is read once; of those that are not, the oldest is forgotten, and read again if need be."""
    monkeypatch.setattr(packages, "KEPT", 3)
    known, read = RepositoryPackages(tmp_path), list[int]()

    def described(_model: str, version: int, _weights: str) -> Any:
        read.append(version)
        return SimpleNamespace(version=version)

    monkeypatch.setattr(known, "_read", described)
    for version in (1, 2, 3, 1, 4, 1, 2):
        assert known.describe("chest", version, "").version == version  # type: ignore[attr-defined]
    assert read == [1, 2, 3, 4, 2]


def test_what_is_wrong_with_a_version_is_found_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reading asks, and its weights take long to hash; mended where it lies, it is used a few seconds later."""
    time, reads = ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), list[int]()
    known = RepositoryPackages(tmp_path, time)

    def read(_model: str, version: int, _weights: str) -> Any:
        reads.append(version)
        if len(reads) < 2:
            raise Permanent("the weights are not those that were released")
        return SimpleNamespace(version=version)

    monkeypatch.setattr(known, "_read", read)
    for _ in range(3):
        with pytest.raises(Permanent, match="not those"):
            known.describe("chest", 1, "")
    assert reads == [1]
    time.advance(packages.MENDED_AFTER_S + 0.1)
    assert known.describe("chest", 1, "").version == 1  # type: ignore[attr-defined]


def test_a_package_that_is_not_utf_8_is_refused_in_words(tmp_path: Path) -> None:
    """A damaged disk or an editor's other encoding: the loader goes on with the others."""
    folder = tmp_path / "chest" / "1"
    folder.mkdir(parents=True)
    (folder / "radloop.yaml").write_bytes("intended_use: für Kinder".encode("latin-1"))
    with pytest.raises(Permanent, match=r"radloop\.yaml of 1 is not UTF-8"):
        RepositoryPackages(tmp_path).describe("chest", 1, "")


def test_the_encoders_of_others_are_held_although_one_version_cannot_be_read_now() -> None:
    """A folder that nobody may open keeps no other model from being loaded and healed."""
    class Unreadable(example.Packages):
        def describe(self, model: str, version: int, weights_sha256: str) -> Any:
            if model == "chest":
                raise Transient("the model repository cannot be read: Permission denied")
            return segmenter(version)

    chest, lungs = (
        Model(model=name).released(replace(example.released(), subject=name, model=name)) for name in ("chest", "lungs")
    )
    assert chest is not None
    assert lungs is not None
    assert [one.model for one in with_encoders((chest, lungs), Unreadable())] == ["chest", "lungs", "lungs-encoder"]
