"""Ctrl-C on `make demo`: a calm end, also half-way."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.embedded_peers import eventually, home_of_its_own, processes_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.stack
def test_ctrl_c_ends_the_demo_with_a_sentence_and_nothing_else(tmp_path: Path) -> None:
    """Interrupted while parts are starting, it says that it stops and that it has stopped; make adds no error; no process is left."""
    printed = tmp_path / "printed"
    with home_of_its_own() as home, printed.open("w") as output:
        arguments = f"ARGS=--phantoms --free-ports --studies 1 --pool 1 --home {home}"
        # A session of its own: Ctrl-C reaches make, its shell and the demo alike, and nobody else. Tests that were started in the
        # background ignore it, and so would make.
        with subprocess.Popen(
            ["env", "--default-signal=INT", "make", "demo", arguments],
            cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        ) as made:
            begun = eventually(lambda: "starting" in printed.read_text() or made.poll() is not None, 120)
            os.killpg(made.pid, signal.SIGINT)
            assert made.wait(30) in {-signal.SIGINT, 128 + signal.SIGINT}
        told = printed.read_text()
        assert begun and "starting" in told, told
        assert "interrupted: stopping everything" in told
        assert told.splitlines()[-1].endswith("stopped: nothing runs any more; the next demo replaces what this one left")
        assert "***" not in told
        assert "Traceback" not in told
        assert processes_of(home) == []
