"""A room as a process: migrate, take up the workers, open the doors, and leave in good order when asked to."""

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc

from radloop.kit import rpc, telemetry
from radloop.kit.admin import Admin
from radloop.kit.clock import Clock, SystemClock
from radloop.kit.closing import RELAY_S, close_together, leave_in_time
from radloop.kit.codec import EventCodec
from radloop.kit.consumer import Consumer
from radloop.kit.deliveries import Check, Deliveries, Receiver
from radloop.kit.errors import Misconfigured, RadloopError, Transient
from radloop.kit.flow import Route
from radloop.kit.health import Health
from radloop.kit.jobs import Job, Jobs, run_job
from radloop.kit.memory import keep_memory
from radloop.kit.parking import Parking
from radloop.kit.pruning import Pruning
from radloop.kit.relay import Relay
from radloop.kit.retention import read_retention
from radloop.kit.runner import Runner
from radloop.kit.settings import RoomSettings
from radloop.kit.store import Store
from radloop.kit.tables import Repository
from radloop.kit.timers import Timers
from radloop.kit.worker import Worker, back_off

log = logging.getLogger(__name__)


class Part(Protocol):
    """A door or a worker of the room's own: started after the room can settle inputs, stopped before it stops."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """Finish what is in hand and end."""
        ...


Ready = Callable[[], str]
"""A room's own reason not to be ready, empty where it is."""


@dataclass(frozen=True, kw_only=True)
class Furnishing:
    """What a room's main.py hands over once the runner exists: services, doors, receivers, reasons."""

    services: Sequence[Callable[[grpc.Server], None]] = ()
    streams: int = 0
    """The most calls of these services that stay open at once."""
    parts: Sequence[Part] = ()
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    check: Check[Any] | None = None
    ready: Sequence[Ready] = ()


@dataclass(frozen=True, kw_only=True)
class Room:
    """Everything concrete that makes one room; `main` builds it from settings and calls `run`."""

    name: str
    settings: RoomSettings
    routes: Sequence[Route[Any]]
    repositories: Mapping[type, Repository[Any]]
    events: EventCodec
    migrations: Path
    furnish: Callable[[Runner], Furnishing] = lambda _: Furnishing()
    jobs: Mapping[str, Job] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)

    def runner(self) -> Runner:
        """Return this room's runner over its own schema, migrated."""
        store = Store(self.settings.postgres.get_secret_value(), self.name, self.repositories)
        store.migrate(self.migrations)
        store.open()
        return Runner(store, self.routes, self.events, self.clock, read_retention(self.settings.retention).horizon)

    def run(self, arguments: Sequence[str]) -> int:
        """Run as a process until SIGTERM or SIGINT; `job ID` runs one job in this (child) process instead."""
        telemetry.configure(self.name, self.settings.otlp)
        self.settings.broker().key()  # a file that is not there is told now, not when the database has answered
        stop = threading.Event()

        def leave(*_: object) -> None:
            if not stop.is_set():
                leave_in_time()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, leave)
        runner = self._patiently(self.runner, stop)
        if runner is None:
            return 0
        if arguments[:1] == ["job"]:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a job has nothing to give back: another child resumes it
            run_job(arguments[1], runner, self.jobs, self.clock, self.settings.site)
            return 0
        self.serve(runner, stop)
        return 0

    def _patiently(self, make: Callable[[], Runner], stop: threading.Event) -> Runner | None:
        tries = 0
        while not stop.is_set():
            try:
                return make()
            except Transient as away:
                log.warning("waiting to start", extra={"reason": away.reason})
                stop.wait(back_off(tries))
                tries += 1
        return None

    def serve(self, runner: Runner, stop: threading.Event) -> None:
        """Start every part, wait for `stop`, and end them: all others at once, then the relay, which sends what they still say."""
        broker = self.settings.broker()
        furnishing = self.furnish(runner)
        relay, timers, parking = Relay(runner.store, broker), Timers(runner, self.clock), Parking(runner)
        pruning = Pruning(runner.store, read_retention(self.settings.retention), self.clock)
        consumer = Consumer(runner, self.events, broker, self.settings.instance, parking, self.clock)
        bulk = Consumer(runner, self.events, broker, self.settings.instance, parking, self.clock, bulk=True)
        workers: list[Worker] = [relay.worker, timers.worker, parking.worker, pruning.worker]
        inner: list[Part] = [relay, timers, parking, pruning, consumer, bulk]
        runner.after_commit("event", relay.worker.wake)
        runner.after_commit("timer", timers.worker.wake)
        if furnishing.check is not None:
            deliveries = Deliveries(runner, furnishing.receivers, furnishing.check, self.clock, self.settings.site)
            inner.append(deliveries)
            workers.append(deliveries.worker)
            runner.after_commit("delivery", deliveries.worker.wake)
        if self.jobs:
            jobs = Jobs(runner.store, f"radloop.{self.name}.main")
            inner.append(jobs)
            workers.append(jobs.worker)
            runner.after_commit("job", jobs.worker.wake)
        started = threading.Event()

        def reasons() -> list[str]:
            why = [] if started.is_set() else ["starting"]
            why += [f"{worker.name}: {worker.away}" for worker in workers if worker.away]
            why += [f"{one.worker.name}: {one.ready}" for one in (consumer, bulk) if one.ready]
            why += [str(blown)] if (blown := runner.fuse.blown) else []
            return why + [said for ready in furnishing.ready if (said := ready())]

        health = Health(self.settings.health, reasons)
        health.start()
        server, port = rpc.server(self.settings.grpc, (Admin(runner, reasons).register, *furnishing.services), furnishing.streams)
        for part in (*inner, *furnishing.parts):
            part.start()
        started.set()
        log.info("open", extra={"grpc_port": port, "health_port": health.port})
        backlog = Worker("backlog", lambda: _count_backlog(runner.store))
        backlog.start()
        stop.wait()
        log.info("closing")
        others = [part.stop for part in (*furnishing.parts, *inner) if part is not relay]
        if not close_together([*others, backlog.stop, lambda: _end(server)]):
            log.warning("a part takes long to close")
        close_together([relay.stop], RELAY_S)
        health.stop()
        runner.store.close()


def _end(server: grpc.Server) -> None:
    server.stop(grace=2).wait()


def _count_backlog(store: Store) -> float:
    for table, waiting in store.backlog().items():
        telemetry.gauge("radloop_backlog", waiting, table=table)
    return 10.0


def main(name: str, settings: type[RoomSettings], build: Callable[[Any], Room], arguments: Sequence[str] | None = None) -> int:
    """Run a room from the command line: `--check-config` prints its settings, secrets hidden, and exits."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        loaded = settings.load(name)
        if "--check-config" in given:
            sys.stdout.write(json.dumps(loaded.model_dump(mode="json"), indent=2) + "\n")
            return 0
        if given and given[0] != "job":
            sys.stdout.write(
                f"radloop-{name}: the {name} room as a process. Settings come from RADLOOP_{name.upper()}_* (or RADLOOP_*).\n"
                "  --check-config   print the settings, secrets hidden, and exit\n"
                "  --help           this text\n",
            )
            return 0 if given[0] in {"--help", "-h"} else 2
        if given:
            keep_memory(however_large=True)
        return build(loaded).run(given)
    except Misconfigured as wrong:
        sys.stderr.write(f"radloop-{name} cannot start: {wrong.reason}\n")
        return 78
    except RadloopError as failed:
        sys.stderr.write(f"radloop-{name} stopped: {failed.reason}\n")
        return 1
