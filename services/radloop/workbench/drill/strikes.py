"""What can happen to a platform: each strike does one thing, for as long as it lasts, and returns when it is over.

Recovery is the same for all and is measured by the conductor: what was struck is ready again, and a STAT study sent after the strike
has its report in the EHR.
"""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from radloop.kit.errors import Permanent, Transient
from radloop.workbench.drill.far_end import FarEnd, Manner
from radloop.workbench.drill.kafkas import Apache
from radloop.workbench.drill.processes import children, running, signal_all
from radloop.workbench.drill.schedule import ROOMS, Outages
from radloop.workbench.drill.stage import Stage
from radloop.workbench.workshop import MODEL

DISK = "the image folder is full"
_MOMENT, _UP = 5.0, 30.0
_LOOK = 0.002
_LEADS = "prediction-made"


@dataclass(frozen=True)
class Ground:
    """What a strike acts upon, how long outages last, and the event that ends everything early."""

    stage: Stage
    outages: Outages
    over: threading.Event

    def rest(self, seconds: float) -> None:
        """Let an outage last."""
        self.over.wait(seconds)

    def meets(self, condition: Callable[[], bool], seconds: float = _MOMENT) -> bool:
        """Wait for the moment to strike; False where it does not come."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or self.over.wait(_LOOK):
                return False
        return True


class Missed(str):
    """The note of a strike that found nothing to strike."""

    __slots__ = ()


_NOT_THERE = Missed("it did not run")


@dataclass(frozen=True)
class Strike:
    """One thing that can happen. `act` returns a note for the report, mostly empty; `healed` must hold besides before it is over.

    `parts` are what is taken away: no two strikes take the same at once. `kills` counts processes that end by SIGKILL.
    """

    name: str
    parts: frozenset[str]
    act: Callable[[Ground], str]
    kills: int = 0
    healed: Callable[[Stage], bool] = lambda _: True


def strikes() -> Mapping[str, Strike]:
    """Return every strike by name."""
    known = [
        *(_room(room) for room in ROOMS),
        *(_mid_batch(room) for room in ("ingestion", "inference", "triage", "publishing")),
        Strike("kill publishing while it delivers", frozenset({"publishing"}), _kill_publishing, 1),
        Strike("kill ingestion and publishing", frozenset({"ingestion", "publishing"}), _killing("ingestion", "publishing"), 2),
        Strike("kill inference and triage", frozenset({"inference", "triage"}), _killing("inference", "triage"), 2),
        Strike("kill kafka", frozenset({"kafka"}), _kill_kafka, 1),
        Strike("kafka hangs", frozenset({"kafka"}), _kafka_hangs),
        Strike("kafka is away", frozenset({"kafka"}), _kafka_away, 1),
        Strike("kill postgres", frozenset({"postgres"}), _kill_postgres, 1),
        Strike("postgres hangs", frozenset({"postgres"}), _postgres_hangs),
        Strike("postgres is away", frozenset({"postgres"}), _postgres_away, 1),
        Strike("kill triton", frozenset({"triton"}), _killing("triton"), 1),
        Strike("kill a stub of triton", frozenset({"triton"}), _kill_stub, 1),
        Strike("kill a training job", frozenset({"retraining"}), _kill_job, 1, _cycles_ended),
        Strike(DISK, frozenset({"blobs"}), _disk_full),
        *(_far_end(who, manner) for who in ("ehr", "ris") for manner in Manner if (who, manner) not in _NOT_SAID),
        Strike("ehr and ris are away", frozenset({"ehr", "ris"}), _both_away),
    ]
    return {one.name: one for one in known}


_NOT_SAID = frozenset({("ehr", Manner.HONEST), ("ris", Manner.HONEST), ("ris", Manner.FAILING)})


def _room(room: str) -> Strike:
    return Strike(f"kill {room}", frozenset({room}), _killing(room), 1)


def _mid_batch(room: str) -> Strike:
    def act(ground: Ground) -> str:
        with _looking(ground.stage) as look:
            met = ground.meets(lambda: look(f"select exists (select from {room}.outbox where sent_at is null)"))  # noqa: S608 - a room's own name
        return _kill(ground, room) or ("" if met else "nothing was unsent")

    return Strike(f"kill {room} while it relays", frozenset({room}), act, 1)


def _kill(ground: Ground, *parts: str) -> str:
    """Kill parts at once, as soon as all of them run: one may be on its way up from a strike before."""
    if not _run(ground, *parts):
        return _NOT_THERE
    for part in parts:
        ground.stage.stack.kill(part)
    return ""


def _run(ground: Ground, *parts: str) -> bool:
    """Wait until parts run, all of them; False where they do not."""
    return ground.meets(lambda: all(ground.stage.stack.pid(part) for part in parts), _UP)


def _killing(*parts: str) -> Callable[[Ground], str]:
    return lambda ground: _kill(ground, *parts)


def _kill_publishing(ground: Ground) -> str:
    with _looking(ground.stage) as look:
        met = ground.meets(lambda: look(
            "select exists (select from publishing.delivery where state = 'waiting' and leased_until > now())",
        ))
    return _kill(ground, "publishing") or ("" if met else "nothing was leased")


def _kill_kafka(ground: Ground) -> str:
    apache = ground.stage.kafka
    if apache is None:
        return _kill(ground, "kafka")
    node = apache.leader(_LEADS, 0) if apache.nodes > 1 else 1
    apache.kill(node)
    ground.rest(1.0 if apache.nodes == 1 else 5.0)
    apache.start_again()
    return f"node {node}, which led" if apache.nodes > 1 else ""


def _kafka_hangs(ground: Ground) -> str:
    return _hangs(ground, "kafka", ground.outages.kafka, ground.stage.kafka)


def _kafka_away(ground: Ground) -> str:
    seconds, apache = ground.outages.kafka, ground.stage.kafka
    if apache is None:
        return _away(ground, "kafka", seconds)
    for node in range(1, apache.nodes + 1):
        apache.kill(node)
    ground.rest(seconds)
    apache.start_again()
    return f"for {seconds:g} s"


def _kill_postgres(ground: Ground) -> str:
    """The server and every process of it at once."""
    if not _run(ground, "postgres"):
        return _NOT_THERE
    pids = _own(ground.stage.stack.pid("postgres"))
    ground.stage.stack.kill("postgres")
    signal_all(pids, signal.SIGKILL)
    return ""


def _postgres_hangs(ground: Ground) -> str:
    return _hangs(ground, "postgres", ground.outages.postgres)


def _postgres_away(ground: Ground) -> str:
    return _away(ground, "postgres", ground.outages.postgres)


def _kill_stub(ground: Ground) -> str:
    found = running(ground.stage.stack.pid("triton") or -1, "triton_python_backend_stub")
    signal_all(found[-1:], signal.SIGKILL)
    return "" if found else Missed("no stub was there")


def _kill_job(ground: Ground) -> str:
    """A cycle is started, and the child process that trains is killed as soon as it is there."""
    rooms, stack = ground.stage.rooms, ground.stage.stack
    with suppress(Transient, Permanent):
        rooms.start_cycle(MODEL, f"drill-{time.monotonic_ns()}")
    found: list[int] = []

    def trains() -> bool:
        found[:] = running(stack.pid("retraining") or -1, "\0job\0")
        return bool(found)

    if not ground.meets(trains, 20.0):
        return Missed("no job began")
    ground.rest(0.5)
    signal_all(tuple(found), signal.SIGKILL)
    return ""


def _cycles_ended(stage: Stage) -> bool:
    return stage.rooms.cycle().ended


def _disk_full(ground: Ground) -> str:
    folder = Path(ground.stage.stack.address("blobs"))
    if not folder.is_mount():
        return Missed("left out: a disk of its own for the images takes root")
    filler = folder / ".filler"
    try:
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
        left = shutil.disk_usage(folder).free
        ground.rest(ground.outages.short)
    finally:
        filler.unlink(missing_ok=True)
    return f"for {ground.outages.short:g} s, {left} bytes left"


def _far_end(who: str, manner: Manner) -> Strike:
    def act(ground: Ground) -> str:
        line = _line(ground.stage, who)
        spoilt = line.spoilt
        with _being(line, manner):
            ground.rest(ground.outages.short)
        if manner is Manner.AWAY:
            return f"for {ground.outages.short:g} s"
        told = f"for {ground.outages.short:g} s, {line.spoilt - spoilt} exchanges"
        return told if line.spoilt > spoilt else Missed(told)

    return Strike(f"{who} {manner.value}", frozenset({who}), act)


def _both_away(ground: Ground) -> str:
    with _being(ground.stage.ehr_line, Manner.AWAY), _being(ground.stage.ris_line, Manner.AWAY):
        ground.rest(ground.outages.far_ends)
    return f"for {ground.outages.far_ends:g} s"


def _line(stage: Stage, who: str) -> FarEnd:
    return stage.ehr_line if who == "ehr" else stage.ris_line


@contextmanager
def _being(line: FarEnd, manner: Manner) -> Iterator[None]:
    line.be(manner)
    try:
        yield
    finally:
        line.be(Manner.HONEST)


def _hangs(ground: Ground, part: str, seconds: float, apache: Apache | None = None) -> str:
    """Stopped for so long, with its connections open."""
    if apache is None and not _run(ground, part):
        return _NOT_THERE
    with _stopped(apache.pids() if apache else _own(ground.stage.stack.pid(part))):
        ground.rest(seconds)
    return f"for {seconds:g} s"


def _away(ground: Ground, part: str, seconds: float) -> str:
    """Killed, and kept from being started again for so long."""
    stack = ground.stage.stack
    if not _run(ground, part):
        return _NOT_THERE
    with ExitStack() as back:
        stack.hold(part)
        back.callback(stack.release, part)
        pids = _own(stack.pid(part))
        stack.kill(part)
        signal_all(pids, signal.SIGKILL)
        ground.rest(seconds)
    return f"for {seconds:g} s"


@contextmanager
def _stopped(pids: tuple[int, ...]) -> Iterator[None]:
    """Keep processes from running: their connections stay open, and nobody answers."""
    signal_all(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(pids, signal.SIGCONT)


def _own(pid: int | None) -> tuple[int, ...]:
    return () if pid is None else (pid, *children(pid))


@contextmanager
def _looking(stage: Stage) -> Iterator[Callable[[str], bool]]:
    """Lend a look into Postgres; what cannot be asked now is not so."""
    with ExitStack() as closing:
        connection: list[psycopg.Connection] = []

        def look(question: str) -> bool:
            try:
                if not connection:
                    connection.append(closing.enter_context(psycopg.connect(stage.dsn, autocommit=True)))
                row = connection[0].execute(question.encode()).fetchone()
            except psycopg.OperationalError:
                connection.clear()
                return False
            return bool(row and row[0])

        yield look
