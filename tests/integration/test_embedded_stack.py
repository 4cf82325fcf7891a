"""The embedded stack with real Postgres, broker and Triton, and stand-ins for the rooms."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

from radloop.kit.errors import Misconfigured
from radloop.workbench.embedded.guardian import SHARED_MEMORY
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.probes import answers_http, answers_kafka, answers_postgres
from radloop.workbench.embedded.report import Said
from radloop.workbench.embedded.running import running
from radloop.workbench.embedded.stack import Stack, StartFailedError
from radloop.workbench.embedded.triton import region_prefix
from tests.integration.embedded_peers import (
    ask_tiny, eventually, home_of_its_own, is_alive, processes_of, read_pids, room, write_tiny_model,
)

pytestmark = pytest.mark.stack
TWO_ROOMS = Options(usual_ports=False, rooms=(room("triage"), room("worklist")))


@pytest.fixture
def home() -> Iterator[Path]:
    """Lend a home and make sure that nothing of it is left, in memory or among the processes."""
    with home_of_its_own() as place:
        yield place
        assert processes_of(place) == []
        assert list(SHARED_MEMORY.glob(f"{region_prefix(place)}*")) == []


def test_a_stack_starts_serves_and_stops_without_a_trace(home: Path):
    """Every part answers once start returns; stop takes at most 10 s and leaves no process, no shared memory."""
    write_tiny_model(home / "models")
    said: list[Said] = []
    stack = Stack(home, TWO_ROOMS).start(said.append)
    pids = read_pids(home)
    assert answers_postgres(stack.address("postgres"))
    assert answers_kafka(stack.address("kafka"))
    assert answers_http(f"http://{stack.address('triage.health')}/ready")
    assert answers_http(f"http://{stack.address('triton.metrics')}/metrics")
    np.testing.assert_array_equal(ask_tiny(stack.address("triton")), [[4, 5]])
    assert list(SHARED_MEMORY.glob(f"{region_prefix(home)}*"))
    ready = [one.part for one in said if one.state == "ready"]
    assert set(ready[:3]) == {"postgres", "kafka", "triton"}
    assert set(ready[3:]) == {"triage", "worklist"}
    began = time.monotonic()
    stack.stop()
    assert time.monotonic() - began < 10
    assert not any(is_alive(pid) for pid in pids.values())
    assert running(home) is None


def test_second_start_is_quick_and_finds_everything(home: Path):
    """What was stored is there after a stop and a second start, which takes less than 20 s."""
    with Stack(home, TWO_ROOMS) as stack:
        stack.start()
        with psycopg.connect(stack.address("postgres")) as connection:
            connection.execute("create table kept as select 7 as number")
    began = time.monotonic()
    with Stack(home, TWO_ROOMS) as stack:
        stack.start()
        assert time.monotonic() - began < 20
        with psycopg.connect(stack.address("postgres")) as connection:
            assert connection.execute("select number from kept").fetchone() == (7,)


@pytest.mark.parametrize("part", ["postgres", "kafka", "triton", "triage"])
def test_killed_part_comes_back_at_its_address(home: Path, part: str):
    """Any part killed with SIGKILL is restarted, said so, and answers where it answered before."""
    said: list[Said] = []
    with Stack(home, TWO_ROOMS) as stack:
        stack.start(said.append)
        before = {one.name: one for one in stack.parts()}[part]
        stack.kill(part)
        assert stack.wait_ready(part, 20)
        after = {one.name: one for one in stack.parts()}[part]
        assert after.address == before.address
        assert after.pid not in (None, before.pid)
        assert after.restarts >= 1
        assert any(one.part == part and one.state == "restarting" for one in said)
        assert eventually(lambda: read_pids(home)[part] == after.pid)


DRIVER = """
import sys
from pathlib import Path
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.stack import Stack
from tests.integration.embedded_peers import ask_tiny, room
import time
stack = Stack(Path(sys.argv[1]), Options(usual_ports=False, rooms=(room("triage"),))).start()
ask_tiny(stack.address("triton"))
print("up", flush=True)
time.sleep(600)
"""


def test_killed_supervisor_leaves_no_trace_and_does_not_stand_in_the_way(home: Path):
    """SIGKILL of the supervisor, with a model loaded, leaves no process and no region, and the next start works."""
    write_tiny_model(home / "models")
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(home)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd(),
    ) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "up\n"
        pids = read_pids(home)
        os.kill(driver.pid, signal.SIGKILL)
    assert eventually(lambda: not any(is_alive(pid) for pid in pids.values()), within=10)
    assert eventually(lambda: not list(SHARED_MEMORY.glob(f"{region_prefix(home)}*")), within=2)
    assert running(home) is None
    with Stack(home, TWO_ROOMS) as stack:
        stack.start()


def test_room_that_cannot_start_stops_the_stack_and_says_why(home: Path):
    """A room that keeps ending before it is ready fails the start with the last lines of its log."""
    with pytest.raises(StartFailedError, match="RADLOOP_THING is not set"):
        Stack(home, Options(usual_ports=False, rooms=(room("triage", "broken"),))).start()
    assert running(home) is None


def test_room_that_waits_for_something_outside_holds_up_nobody(home: Path, monkeypatch: pytest.MonkeyPatch):
    """A room that runs and says what is away does not fail the start; what it says is passed on."""
    monkeypatch.setattr("radloop.workbench.embedded.stack.EXCUSED_AFTER", 1.0)
    said: list[Said] = []
    with Stack(home, Options(usual_ports=False, rooms=(room("publishing", "excused"),))) as stack:
        stack.start(said.append)
        assert any("the EHR is away" in one.text for one in said if one.part == "publishing")
        assert not stack.wait_ready("publishing", 0)


def test_stubborn_room_does_not_delay_the_stop(home: Path):
    """A room that ignores SIGTERM is killed in time."""
    stack = Stack(home, Options(usual_ports=False, rooms=(room("triage", "stubborn"),))).start()
    began = time.monotonic()
    stack.stop()
    assert time.monotonic() - began < 10


def test_second_stack_in_one_home_is_refused(home: Path):
    """A home belongs to one running stack, and the refusal names its process."""
    with Stack(home, TWO_ROOMS) as stack:
        stack.start()
        with pytest.raises(Misconfigured, match=f"already runs.*{os.getpid()}"):
            Stack(home, TWO_ROOMS).start()
        assert running(home) is not None


def test_parts_that_run_elsewhere_are_used(home: Path, tmp_path: Path):
    """With addresses of a database, a broker and a Triton, only the rooms are started here."""
    with Stack(home, Options(usual_ports=False, rooms=())) as other:
        other.start()
        options = Options(
            usual_ports=False, rooms=(room("triage"),), postgres=other.address("postgres"), kafka=other.address("kafka"),
            triton=other.address("triton"), model_repository=Path(other.address("model_repository")),
        )
        with Stack(tmp_path / "second", options) as stack:
            stack.start()
            assert [part.name for part in stack.parts()] == ["triage"]
            assert stack.address("kafka") == other.address("kafka")


def test_address_where_nobody_answers_is_said(home: Path, monkeypatch: pytest.MonkeyPatch):
    """A broker given with --kafka that does not answer fails the start and names the option."""
    monkeypatch.setattr("radloop.workbench.embedded.stack.MEETING_PATIENCE", 0.5)
    with pytest.raises(Misconfigured, match="--kafka does not answer"):
        Stack(home, Options(usual_ports=False, rooms=(), kafka="127.0.0.1:9")).start()
