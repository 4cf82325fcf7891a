"""A room of no meaning, with every kind of route, for tests of the kit's workers."""

import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from examples.shared import CASE, READER, SITE, ordered

from radloop.events.order import OrderRecorded
from radloop.events.study import StudyBackfilled
from radloop.events.wire import Wire
from radloop.kit.clock import SystemClock
from radloop.kit.deliveries import Answer
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import At, Command, Decision, Deliver, DeliveryAnswered, Due, Event, JobEnded, Record, Route, StartJob, on, on_timer
from radloop.kit.consumer import Consumer
from radloop.kit.kafka import Broker
from radloop.kit.parking import Parking
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.kit.tables import Table

CLOCK = SystemClock()


@dataclass(frozen=True, kw_only=True)
class Diary:
    """What happened to one key, in order."""

    key: str
    lines: tuple[str, ...] = ()
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class Say(Command):
    """Say an event, set a timer, owe a delivery, start a job: as the words tell."""

    words: tuple[str, ...] = ()
    event: OrderRecorded | None = None


class World:
    """The outside: what is away, and what receivers were sent."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.broken: set[str] = set()
        self.sent: list[bytes] = []
        self.refuses = True
        self.lock = threading.Lock()

    def look(self, event: OrderRecorded) -> OrderRecorded:
        """Look at the world before deciding."""
        if event.subject in self.away:
            raise Transient("the archive is away")
        if event.subject in self.broken:
            raise ZeroDivisionError
        return event

    def send(self, delivery: Deliver) -> Answer:
        """Take a delivery."""
        with self.lock:
            self.sent.append(delivery.body)
        if b"bug" in delivery.body:
            raise ZeroDivisionError
        if b"never" in delivery.body and self.refuses:
            raise Permanent("the receiver refuses it for good")
        if "ehr" in self.away:
            raise Transient("the EHR is away", after=0.05)
        return Answer("delivered", body=b"ok")


def note(key: str, diary: Diary | None, line: str) -> Diary:
    """Write one line."""
    diary = diary or Diary(key=key)
    return replace(diary, lines=(*diary.lines, line))


def say(command: Say, diary: Diary | None) -> Decision[Diary]:
    """Do as the words tell."""
    state, words = note(command.subject, diary, "said"), set(command.words)
    return Record(
        replace(state, closed="close" in words),
        emit=(command.event,) if command.event else (),
        timers=(At(command.at + timedelta(milliseconds=50), "ring"),) if "ring" in words else (),
        deliver=tuple(
            Deliver(key=f"{command.id}-{word}", receiver="ehr", subject=command.subject, kind="report", body=word.encode(),
                    content_type="text/plain", always=word == "correction")
            for word in command.words if word in {"one", "two", "never", "never-mind", "bug", "correction"}
        ),
        jobs=(StartJob(job_id=f"job-{command.id}", name="count", spec='{"to": 3}'),) if "job" in words else (),
    )


def hear(event: OrderRecorded, diary: Diary | None) -> Decision[Diary]:
    """Write an order down."""
    return Record(note(event.subject, diary, f"order {event.order_revision}"))


def shelve(event: StudyBackfilled, diary: Diary | None) -> Decision[Diary]:
    """Write an earlier study down."""
    return Record(note(event.subject, diary, "earlier"))


def answered(command: DeliveryAnswered, diary: Diary | None) -> Decision[Diary]:
    """Write an answer down."""
    return Record(note(command.subject, diary, f"{command.delivery.body.decode()} {command.outcome}"))


def rung(timer: Due, diary: Diary | None) -> Decision[Diary]:
    """Write a timer down."""
    return Record(note(timer.subject, diary, "rang"))


def job_ended(command: JobEnded, diary: Diary | None) -> Decision[Diary]:
    """Write a job's end down."""
    return Record(note(command.subject, diary, f"job {command.result or command.reason}"))


class Here:
    """One room with its workers, for one test."""

    def __init__(self, dsn: str, broker: str | Broker, folder: Path, name: str) -> None:
        """Open it at a broker, the embedded one where only its address is given."""
        self.world = World()
        folder.mkdir(exist_ok=True)
        (folder / "0001_room.sql").write_text("create table diary (key text primary key, lines jsonb not null, closed boolean not null);")
        self.store = Store(dsn, name, {Diary: Table(Diary, "diary", "key")})
        self.store.migrate(folder)
        self.store.open()
        routes: tuple[Route[Any], ...] = (
            on(Say, say, keeps=Diary), on(OrderRecorded, hear, keeps=Diary, observe=self.world.look),
            on(StudyBackfilled, shelve, keeps=Diary),
            on(DeliveryAnswered, answered, keeps=Diary), on_timer("ring", rung, keeps=Diary), on(JobEnded, job_ended, keeps=Diary),
        )
        self.runner = Runner(self.store, routes, Wire(), CLOCK)
        self.broker = Broker(broker, bells=str(folder / "bells")) if isinstance(broker, str) else broker
        self.parking = Parking(self.runner)
        self.workers: list[Any] = []

    def consumer(self, instance: str = "0", *, bulk: bool = False) -> Consumer:
        """Build a consumer of this room; what it parks, `parking` tries again."""
        return Consumer(self.runner, Wire(), self.broker, instance, self.parking, CLOCK, bulk=bulk)

    def start(self, *workers: Any) -> None:
        """Start workers, to be stopped at the end."""
        for worker in workers:
            worker.start()
            self.workers.append(worker)

    def lines(self, key: str = CASE) -> tuple[str, ...]:
        """Return a key's diary."""
        with self.store.begin() as work:
            diary = work.load(Diary, (key,))
        return diary.lines if diary else ()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return a query's rows."""
        with self.store.connection() as connection:
            return connection.execute(query).fetchall()

    def count(self, table: str, where: str = "true") -> int:
        """Count rows."""
        with self.store.connection() as connection:
            row = connection.execute(f"select count(*) from {table} where {where}").fetchone()
        assert row
        return int(row[0])

    def stop(self) -> None:
        """Stop everything."""
        for worker in reversed(self.workers):
            worker.stop()
        self.store.close()


def command(identity: str, *words: str, event: Event | None = None, subject: str = CASE) -> Say:
    """Build a command."""
    assert event is None or isinstance(event, OrderRecorded)
    return Say(id=identity, subject=subject, site=SITE, at=CLOCK.now(), actor=READER, words=words, event=event)


def order(subject: str, revision: int) -> OrderRecorded:
    """Build an order event of one case."""
    return replace(ordered(f"{subject}-{revision}", revision=revision), subject=subject, id=f"{subject}-{revision}")
