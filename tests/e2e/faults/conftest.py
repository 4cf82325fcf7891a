"""Fault tests take minutes and a machine of their own: they run when they are asked for, by `make faults`."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.embedded_peers import home_of_its_own

MINUTES = 12


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what carries the marker, unless the command line names it with -m."""
    if "faults" in str(config.option.markexpr):
        return
    left_out = [item for item in items if item.get_closest_marker("faults")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@dataclass(frozen=True)
class Drilled:
    """A drill that ran: its exit status, all that it said, and its figures."""

    status: int
    said: str
    figures: Mapping[str, float]
    report: Mapping[str, Any]

    def told(self) -> str:
        """Return what explains a failure: the seed first, then the page."""
        return f"seed {self.figures.get('seed')}\n{self.said[-8_000:]}"


def seed() -> int:
    """Return the seed of RADLOOP_FAULT_SEED, else one drawn now; pytest shows it where a test fails."""
    told = os.environ.get("RADLOOP_FAULT_SEED")
    return int(told) if told else int(np.random.default_rng().integers(1, 1_000_000))


def drill(*options: str) -> Drilled:
    """Run a drill as anybody would, in a home of its own."""
    drawn = seed()
    print(f"RADLOOP_FAULT_SEED={drawn}")
    command = [sys.executable, "-m", "radloop.cli.main", "drill", "--json", "--seed", str(drawn), *options]
    with home_of_its_own() as home, tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen([*command, "--home", str(home)], stdout=said, stderr=subprocess.STDOUT) as running:
            try:
                running.wait(60 * MINUTES)
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGINT)  # so that it stops what it started
        said.seek(0)
        text = said.read()
        last = text.splitlines()[-1:] or [""]
        figures = json.loads(last[0])["figures"] if last[0].startswith('{"figures"') else {}
        file = Path(home) / "drill-report.json"
        return Drilled(running.returncode, text, figures, json.loads(file.read_text()) if file.exists() else {})
