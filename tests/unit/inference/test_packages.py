"""Packages stay in memory as long as they are used, and a bounded number of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from radloop.inference.adapters import packages
from radloop.inference.adapters.packages import RepositoryPackages


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
