"""`radloop up` with the seven real rooms: up, seen, stopped by a signal without a trace."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from radloop.workbench.embedded.options import ROOMS
from radloop.workbench.embedded.running import Running, running
from tests.integration.embedded_peers import eventually, home_of_its_own, is_alive, processes_of

pytestmark = pytest.mark.stack
RADLOOP = Path(sys.executable).parent / "radloop"


@pytest.fixture
def home() -> Iterator[Path]:
    """Lend a home."""
    with home_of_its_own() as place:
        yield place


@contextmanager
def up(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Running, Path]]:
    """Run `radloop up` until it says that it is up; yields the process, the stack as written down, and what it printed."""
    printed = home.parent / "printed"
    with printed.open("w") as output, subprocess.Popen(
        [str(RADLOOP), "up", "--free-ports", *options], stdout=output, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "RADLOOP_HOME": str(home)},
    ) as process:
        try:
            assert eventually(lambda: "radloop is up" in printed.read_text() or process.poll() is not None, 90)
            assert process.poll() is None, printed.read_text()
            there = running(home)
            assert there
            yield process, there, printed
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(20)


def stop(process: subprocess.Popen[str], number: int) -> float:
    """Send the signal and return how long it took to end, in seconds."""
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(20) == 0
    return time.monotonic() - began


def test_up_runs_seven_rooms_and_ctrl_c_stops_them_without_a_trace(home: Path):
    """Every room is ready when `up` says so; the page answers; Ctrl-C ends all of it within 10 s; a second start is quick."""
    with up(home) as (process, there, printed):
        for room in ROOMS:
            with urllib.request.urlopen(f"http://{there.addresses[room.name + '.health']}/ready") as answer:
                assert answer.status == 200
        with urllib.request.urlopen(f"http://{there.addresses['worklist.http']}/") as page:
            assert b"<html" in page.read().lower()
        assert stop(process, signal.SIGINT) < 10
        assert not any(is_alive(pid) for pid in there.parts.values())
        assert processes_of(home) == []
        told = printed.read_text()
        for part in ("postgres", "kafka", "triton", *(room.name for room in ROOMS)):
            assert f"{part:<11} ready" in told
            assert f"{part:<11} stopped" in told
    began = time.monotonic()
    with up(home) as (process, _, _):
        assert time.monotonic() - began < 20
        assert stop(process, signal.SIGTERM) < 10
    assert processes_of(home) == []


def test_signal_during_the_start_stops_what_was_started(home: Path):
    """SIGTERM in the middle of a start leaves nothing either."""
    with subprocess.Popen(
        [str(RADLOOP), "up", "--free-ports"], stdout=subprocess.DEVNULL, env={**os.environ, "RADLOOP_HOME": str(home)},
    ) as process:
        assert eventually((home / "logs" / "triton.log").exists, 60)
        assert stop(process, signal.SIGTERM) < 10
    assert processes_of(home) == []


def test_setting_of_another_program_is_refused(tmp_path: Path):
    """--set takes radloop's own settings only, and says how to write them."""
    done = subprocess.run([str(RADLOOP), "up", "--set", "PATH=x"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "RADLOOP_" in done.stderr
    assert not (tmp_path / ".radloop").exists()
