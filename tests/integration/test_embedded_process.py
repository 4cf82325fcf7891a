"""Child processes of the embedded runtime: restarted with back-off, stopped for good, never orphaned."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from radloop.workbench.embedded.guardian import Guardian
from radloop.workbench.embedded.ports import Ports
from radloop.workbench.embedded.process import Child, Program
from radloop.workbench.embedded.report import Said
from tests.integration.embedded_peers import eventually, is_alive

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); time.sleep(600)"


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    """Lend a guardian."""
    one = Guardian()
    yield one
    one.close()


def child_of(code: str, tmp_path: Path, guardian: Guardian, said: list[Said], grace: float = 5.0) -> Child:
    program = Program("part", (sys.executable, "-c", code), is_ready=lambda: True, grace=grace)
    return Child(program, tmp_path / "part.log", guardian, said.append)


def test_killed_child_is_restarted_and_said_so(tmp_path: Path, guardian: Guardian):
    """A child killed with SIGKILL comes back as another process, and the listener hears of both."""
    said: list[Said] = []
    child = child_of("import time; time.sleep(600)", tmp_path, guardian, said)
    child.start()
    assert child.ready.wait(20)
    first = child.pid
    child.kill()
    assert child.ready.wait(20)
    assert child.pid not in (None, first)
    assert [one.state for one in said] == ["starting", "ready", "restarting", "ready"]
    assert "SIGKILL" in said[2].text and "0.5 s" in said[2].text
    child.ask_to_stop()
    child.finish(time.monotonic() + 5)
    assert child.pid is None
    assert said[-1].state == "stopped"


def test_held_child_stays_dead_until_it_is_released_and_can_be_stopped_meanwhile(tmp_path: Path, guardian: Guardian):
    """An absence lasts as long as one chooses: no restart while held, one at once when released; held or not, it stops."""
    child = child_of("import time; time.sleep(600)", tmp_path, guardian, [])
    child.start()
    assert child.ready.wait(20)
    child.hold()
    child.kill()
    assert eventually(lambda: child.restarts == 1)
    assert not child.ready.wait(1.5)
    child.release()
    assert child.ready.wait(20)
    child.hold()
    child.kill()
    assert eventually(lambda: child.restarts == 2)
    child.ask_to_stop()
    began = time.monotonic()
    child.finish(began + 5)
    assert time.monotonic() - began < 4
    assert child.pid is None


def test_child_that_is_killed_on_purpose_is_restarted_as_quickly_each_time(tmp_path: Path, guardian: Guardian):
    """The pause grows for a child that dies by itself: what a drill does to it says nothing of the child."""
    said: list[Said] = []
    child = child_of("import time; time.sleep(600)", tmp_path, guardian, said)
    child.start()
    for _ in range(3):
        assert child.ready.wait(20)
        child.kill()
    assert child.ready.wait(20)
    assert ["in 0.5 s" in one.text for one in said if one.state == "restarting"] == [True] * 3
    child.ask_to_stop()
    child.finish(time.monotonic() + 5)


def test_child_that_keeps_dying_is_restarted_ever_more_slowly(tmp_path: Path, guardian: Guardian):
    """The pause before a restart doubles, so that a broken part does not eat the machine."""
    said: list[Said] = []
    child = child_of("raise SystemExit(3)", tmp_path, guardian, said)
    child.start()
    assert eventually(lambda: child.restarts >= 3)
    child.ask_to_stop()
    child.finish(time.monotonic() + 5)
    told = [one.text for one in said if one.state == "restarting"]
    assert [text.split(";")[1] for text in told[:3]] == [
        " starting again in 0.5 s (restart 1)", " starting again in 1 s (restart 2)", " starting again in 2 s (restart 3)",
    ]
    assert all("exit status 3" in text for text in told)


def test_child_that_ignores_the_stop_signal_is_killed_after_its_grace(tmp_path: Path, guardian: Guardian):
    """Stopping takes no longer than the grace, whatever the child thinks of it."""
    child = child_of(STUBBORN, tmp_path, guardian, [], grace=1.0)
    child.start()
    assert eventually(lambda: "deaf" in child.last_words())
    pid = child.pid
    began = time.monotonic()
    child.ask_to_stop()
    child.finish(began + child.program.grace)
    assert 0.9 < time.monotonic() - began < 5
    assert pid and not is_alive(pid)


def test_what_a_child_started_ends_with_it(tmp_path: Path, guardian: Guardian):
    """No process outlives the child that started it."""
    child = child_of(PARENT, tmp_path, guardian, [])
    child.start()
    assert eventually(lambda: (tmp_path / "part.log").exists() and (tmp_path / "part.log").read_text().strip().isdigit())
    grandchild = int((tmp_path / "part.log").read_text())
    child.kill()
    assert eventually(lambda: not is_alive(grandchild))
    child.ask_to_stop()
    child.finish(time.monotonic() + 5)


SUPERVISOR = """
import sys, time
from pathlib import Path
from radloop.workbench.embedded.guardian import Guardian
from radloop.workbench.embedded.process import Child, Program
guardian = Guardian()
children = [
    Child(Program(name, (sys.executable, "-c", code), is_ready=lambda: True), Path(sys.argv[1]) / name, guardian, lambda _: None)
    for name, code in (("polite", "import time; time.sleep(600)"), ("other", sys.argv[2]))
]
for child in children:
    child.start()
for child in children:
    child.ready.wait()
print(guardian.pid, *(child.pid for child in children), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("guardian_dies_too", [False, True], ids=["guarded", "unguarded"])
def test_killed_supervisor_leaves_no_orphans(tmp_path: Path, guardian_dies_too: bool):
    """SIGKILL of the supervisor ends its children: by the guardian, and by the kernel where the guardian is killed too."""
    other = "import time; time.sleep(600)" if guardian_dies_too else STUBBORN
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), other], stdout=subprocess.PIPE, text=True,
    ) as supervisor:
        assert supervisor.stdout
        guardian, *children = (int(word) for word in supervisor.stdout.readline().split())
        time.sleep(0.3)
        if guardian_dies_too:
            os.kill(guardian, signal.SIGKILL)
        supervisor.kill()
    assert eventually(lambda: not any(is_alive(pid) for pid in (guardian, *children)), within=9)


def test_busy_port_is_replaced_and_said_so():
    """A port that somebody listens on is not taken; another is, and it knows that it was replaced."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        wanted = busy.getsockname()[1]
        port = Ports().pick(wanted)
        assert port.replaced
        assert port.number != wanted
    free = Ports().pick(wanted)
    assert free.number == wanted
    assert not free.replaced


def test_no_port_is_given_twice():
    """Two parts that want the same port get two ports."""
    ports = Ports()
    wanted = ports.pick().number
    other = Ports()
    assert other.pick(wanted).number != other.pick(wanted).number
