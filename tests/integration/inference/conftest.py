"""The stack that inference's tests share, and the room opened over it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.inference_room import Room, opened

from radloop.kit.errors import Misconfigured
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.stack import Stack, StartFailedError


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run Postgres, the broker and Triton; skip where Triton cannot run here, saying why. In CI it can."""
    running = Stack(tmp_path_factory.mktemp("stack"), Options(usual_ports=False, rooms=()))
    try:
        running.start()
    except (Misconfigured, StartFailedError) as cannot:
        running.stop()
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the embedded stack cannot run here: {cannot.reason}")
    yield running
    running.stop()


@pytest.fixture
def room(stack: Stack, tmp_path: Path) -> Iterator[Room]:
    """Open the room over an empty schema and an empty repository of versions."""
    with opened(stack, tmp_path) as inside:
        yield inside
