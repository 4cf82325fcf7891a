"""A house with rooms that answer, for every command's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.house import House, opened


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    """Open the house and tell the command where it is."""
    monkeypatch.setenv("RADLOOP_HOME", str(tmp_path))
    with opened(tmp_path) as inside:
        yield inside
