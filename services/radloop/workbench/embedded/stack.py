"""The whole stack on one machine: started in order of readiness, watched, stopped without a trace.

`with Stack(Path(".radloop"), Options()) as stack: stack.start(); stack.address("ingestion.mllp")`
"""

import fcntl
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from radloop.kit.errors import Misconfigured, RadloopError, Transient
from radloop.kit.kafka import Broker
from radloop.workbench.embedded import broker, postgres, rooms, triton
from radloop.workbench.embedded.guardian import Guardian, remove_shared_memory
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.ports import Port, Ports
from radloop.workbench.embedded.probes import answers_kafka, answers_postgres, answers_tcp
from radloop.workbench.embedded.process import Child, Program
from radloop.workbench.embedded.report import Listener, Said, State, nobody
from radloop.workbench.embedded.running import Running, forget, running, write_down
from radloop.workbench.embedded.triton_home import ensure_venv

START_PATIENCE = 90.0
# A part that died this often before it was ever ready will not make it.
TRIES = 3
# A room that runs and says that something outside is away (the EHR, say) holds up nobody.
EXCUSED_AFTER = 20.0
MEETING_PATIENCE = 15.0
_LONGEST_LOG = 20_000_000


class StartFailedError(RadloopError):
    """A part did not become ready; the reason ends with the last lines of its log."""


@dataclass(frozen=True)
class Part:
    """One part of a stack as it is now; `pid` is None where it runs elsewhere or not at all."""

    name: str
    ready: bool
    address: str
    pid: int | None
    restarts: int


class Stack:
    """A stack that lives in one home folder; at most one runs there at a time."""

    def __init__(self, home: Path, options: Options | None = None) -> None:
        self.home = home.resolve()
        self.options = options or Options()
        self._addresses: dict[str, str] = {}
        self._children: dict[str, Child] = {}
        self._listener: Listener = nobody
        self._guardian: Guardian | None = None
        self._lock: IO[str] | None = None
        self._given_up = threading.Event()
        self._saying = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, listener: Listener = nobody) -> Self:
        """Start every part and return when all are ready.

        Raises Misconfigured where something must be installed or set, StartFailedError where a part would not live;
        whatever was started is stopped again, also when this call is interrupted.
        """
        self._listener = listener
        self._given_up.clear()
        with ExitStack() as otherwise:
            otherwise.callback(self.stop)
            self._take_home()
            self._start()
            otherwise.pop_all()
        return self

    def address(self, name: str) -> str:
        """Return one address; raise KeyError where there is none of this name.

        A room's own name is its gRPC address; others are `ingestion.mllp`, `ingestion.dicom`, `worklist.http`,
        `<room>.health`, `postgres` (DSN), `kafka`, `triton` (gRPC), `triton.http`, `triton.metrics`, `blobs`,
        `model_repository` (folders).
        """
        return self._addresses[name]

    def addresses(self) -> Mapping[str, str]:
        """Return all addresses by name."""
        return dict(self._addresses)

    def parts(self) -> tuple[Part, ...]:
        """Return what runs here, in order of start."""
        return tuple(
            Part(name, child.ready.is_set(), child.program.address, child.pid, child.restarts)
            for name, child in self._children.items()
        )

    def log(self, part: str) -> Path:
        """Return the file that holds what a part printed."""
        return self.home / "logs" / f"{part}.log"

    def kill(self, part: str, number: int = signal.SIGKILL) -> None:
        """Kill a part as an accident would; it is restarted."""
        self._children[part].kill(number)

    def hold(self, part: str) -> None:
        """Keep a part from being started again once it dies, until `release`: an absence of a length that one chooses."""
        self._children[part].hold()

    def release(self, part: str) -> None:
        """Have a held part started again."""
        self._children[part].release()

    def pid(self, part: str) -> int | None:
        """Return the process id of a part while it runs here."""
        return self._children[part].pid

    def wait_ready(self, part: str, patience: float = START_PATIENCE) -> bool:
        """Wait until a part is ready (again); False where it took too long."""
        return self._children[part].ready.wait(patience)

    def stop(self) -> None:
        """Stop everything within 10 s: the rooms first, then what they lean on; leave no process, no shared memory."""
        if self._lock is None:
            return
        names = {room.name for room in self.options.rooms}
        for group in (
            [child for name, child in self._children.items() if name in names],
            [child for name, child in self._children.items() if name not in names],
        ):
            began = time.monotonic()
            for child in group:
                child.ask_to_stop()
            for child in group:
                child.finish(began + child.program.grace)
        self._children.clear()
        if self._guardian:
            self._guardian.close()
            self._guardian = None
        remove_shared_memory(triton.region_prefix(self.home))
        forget(self.home)
        self._lock.close()
        self._lock = None

    def _take_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "logs").mkdir(exist_ok=True)
        lock = (self.home / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            there = running(self.home)
            whose = f" (process {there.pid})" if there else ""
            raise Misconfigured(f"a stack already runs in this home{whose}: stop it, or set RADLOOP_HOME") from None
        self._lock = lock
        # What a killed predecessor and its killed guardian may have left.
        remove_shared_memory(triton.region_prefix(self.home))
        forget(self.home)

    def _start(self) -> None:
        self._guardian = Guardian()
        ports = Ports(self.options.host, usual=self.options.usual_ports)
        blobs = self.home / "blobs"
        blobs.mkdir(exist_ok=True)
        self._addresses["blobs"] = str(blobs)
        for name in ("postgres", "kafka", "triton"):
            self._say(name, "waiting")
        seats = rooms.seat(self.options.rooms, ports)
        for seat in seats:
            self._say(seat.room.name, "waiting")
            self._told_replaced(seat.room.name, seat.ports())
            self._addresses |= seat.addresses(self.options.host)
        with ThreadPoolExecutor(2) as pool, ExitStack() as otherwise:
            # An interrupted start must not wait for the patience of its threads.
            otherwise.callback(self._given_up.set)
            steps = [pool.submit(self._postgres), pool.submit(self._kafka, ports)]
            self._triton(ports)
            for step in steps:
                step.result()
            otherwise.pop_all()
        self._await([name for name in ("postgres", "kafka", "triton") if name in self._children])
        env = rooms.environment(seats, self._addresses, blobs, self.options)
        for seat in seats:
            self._launch(rooms.program(seat, self.options.host, env, self.home))
        self._await([seat.room.name for seat in seats])
        self._write_down()

    def _postgres(self) -> None:
        if given := self.options.postgres:
            self._addresses["postgres"] = given
            self._meet("postgres", "the database given with --postgres", lambda: answers_postgres(given))
            return
        program = postgres.program(self.home / "postgres")
        self._addresses["postgres"] = program.address
        self._launch(program)

    def _kafka(self, ports: Ports) -> None:
        if given := self.options.kafka:
            self._addresses["kafka"] = given
            first = given.split(",")[0]
            self._meet("kafka", "the broker given with --kafka", lambda: answers_kafka(first))
        else:
            port = ports.pick(9092)
            self._told_replaced("kafka", (port,))
            program = broker.program(self.home / "kafka", self.options.host, port.number)
            self._addresses["kafka"] = program.address
            self._launch(program)
            self._await(["kafka"])
        self._make_topics()

    def _make_topics(self) -> None:
        deadline = time.monotonic() + START_PATIENCE
        while True:
            try:
                Broker(self._addresses["kafka"]).ensure_topics()
            except Transient:
                if time.monotonic() > deadline or self._given_up.is_set():
                    raise
                time.sleep(0.5)
            else:
                self._say("kafka", "note", "topics are there")
                return

    def _triton(self, ports: Ports) -> None:
        repository = (self.options.model_repository or self.home / "models").resolve()
        self._addresses["model_repository"] = str(repository)
        if given := self.options.triton:
            self._addresses["triton"] = given
            addresses = [one.strip() for one in given.split(",")]
            self._meet("triton", "the server given with --triton", lambda: any(answers_tcp(one) for one in addresses))
            return
        host = self.options.host
        chosen = (ports.pick(18000), ports.pick(18001), ports.pick(18002))
        self._told_replaced("triton", chosen)
        http, grpc, metrics = (port.number for port in chosen)
        installed = ensure_venv(lambda text: self._say("triton", "note", text))
        at = triton.Listens(host, http, grpc, metrics)
        collector = self.options.settings.get("RADLOOP_OTLP") or os.environ.get("RADLOOP_OTLP", "")
        program = triton.program(installed, repository, at, triton.region_prefix(self.home), collector)
        self._addresses |= {
            "triton": program.address, "triton.http": f"{host}:{http}", "triton.metrics": f"{host}:{metrics}",
        }
        if self._guardian:
            self._guardian.sweep(triton.region_prefix(self.home))
        self._launch(program)

    def _launch(self, program: Program) -> None:
        assert self._guardian is not None
        log_file = self.log(program.part)
        if log_file.exists() and log_file.stat().st_size > _LONGEST_LOG:
            shutil.move(log_file, log_file.with_suffix(".log.1"))
        child = Child(program, log_file, self._guardian, self._heard)
        self._children[program.part] = child
        child.start()

    def _await(self, names: list[str]) -> None:
        began = time.monotonic()
        deadline = began + START_PATIENCE
        for name in names:
            child = self._children[name]
            while not child.ready.wait(0.1):
                if time.monotonic() - began > EXCUSED_AFTER and (excuse := child.program.excuse()):
                    self._say(name, "note", f"runs, but is not ready: {excuse}")
                    break
                if self._given_up.is_set():
                    raise StartFailedError("the start was interrupted")
                if child.restarts >= TRIES or time.monotonic() > deadline:
                    self._say(name, "failed", f"see logs/{name}.log")
                    raise StartFailedError(f"{name} does not become ready; the end of logs/{name}.log:\n{child.last_words()}")

    def _meet(self, name: str, what: str, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + MEETING_PATIENCE
        while not answers():
            if time.monotonic() > deadline or self._given_up.is_set():
                self._say(name, "failed")
                raise Misconfigured(f"{what} does not answer")
            time.sleep(0.2)
        self._say(name, "ready", "elsewhere")

    def _write_down(self) -> None:
        """Leave the addresses where commands, tests and benchmarks find them."""
        assert self._guardian is not None
        pids = {part.name: part.pid for part in self.parts() if part.pid is not None}
        write_down(self.home, Running(os.getpid(), self.options.site, self._addresses, {**pids, "guardian": self._guardian.pid}))

    def _told_replaced(self, part: str, ports: tuple[Port, ...]) -> None:
        for port in ports:
            if port.replaced:
                self._say(part, "note", f"port {port.wanted} is busy; using {port.number}")

    def _say(self, part: str, state: State, text: str = "") -> None:
        self._heard(Said(part, state, text))

    def _heard(self, said: Said) -> None:
        with self._saying:
            self._listener(said)
            if said.state == "ready" and running(self.home):
                # Restarted: its process id is another one now.
                self._write_down()
