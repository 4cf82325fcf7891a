"""Two rooms of no meaning, one that says and one that hears, without threads: a test takes each of their turns itself.

Over stores and a broker in memory, or over a real Postgres. Workers never start; what they would wait for passes on a clock
that is moved, so a course of events is the same however often it is run.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from adapters import memory_store
from adapters.fate import Fate, Killed, Mortal
from adapters.memory_broker import MemoryBroker
from adapters.memory_store import MemoryLeader, MemoryOutbox, MemoryParking, MemoryStore
from examples.shared import READER, SITE, ordered

from radloop.events.order import OrderRecorded
from radloop.events.reading import CaseOpened
from radloop.events.wire import Wire
from radloop.kit import outbox
from radloop.kit.clock import ManualClock, SystemClock
from radloop.kit.consumer import Consumer
from radloop.kit.courtesy import Courtesy
from radloop.kit.errors import Transient
from radloop.kit.flow import Command, Decision, Record, Route, caused_by, on
from radloop.kit.leader import Leader
from radloop.kit.outbox import Outbox
from radloop.kit.parking import Parking
from radloop.kit.pruning import Pruning
from radloop.kit.relay import Relay
from radloop.kit.retention import Retention
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.kit.tables import Table

KEPT = Retention(topic=1, outbox=3, inbox=5)
SHELF = "all"


@dataclass(frozen=True, kw_only=True)
class Say(Command):
    """Say so many events."""

    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Spoke:
    """The answer to Say: how many events the case has now."""

    revision: int


@dataclass(frozen=True, kw_only=True)
class Voice:
    """How many events were said of one case."""

    key: str
    revision: int = 0


@dataclass(frozen=True, kw_only=True)
class Book:
    """The ids of what was heard under one key, in order."""

    key: str
    heard: tuple[str, ...] = ()


class World:
    """The outside of the room that hears: cases whose dependency is away, cases and commands its handler fails on."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.broken: set[str] = set()
        self.poison: set[str] = set()

    def look(self, event: OrderRecorded) -> OrderRecorded:
        """Look before deciding."""
        if event.subject in self.away:
            raise Transient("the archive is away")
        return event

    def hear(self, event: OrderRecorded, book: Book | None) -> Decision[Book]:
        """Write it into the case's own book, and say that it was opened."""
        if event.subject in self.broken or event.id.rpartition("-")[0] in self.poison:
            raise ZeroDivisionError
        return Record(_written(event.subject, book, event.id), emit=(CaseOpened(
            id=caused_by(event, "opened"), subject=event.subject, site=event.site, at=event.at, reader=READER, opened_at=event.at,
            revision=event.order_revision),))


def _written(key: str, book: Book | None, line: str) -> Book:
    book = book or Book(key=key)
    return replace(book, heard=(*book.heard, line))


def shelve(event: OrderRecorded, book: Book | None) -> Decision[Book]:
    """Write it into the book that all cases share."""
    return Record(_written(SHELF, book, event.id))


def say(command: Say, voice: Voice | None) -> Decision[Voice]:
    """Say what was asked for, numbered on."""
    voice = voice or Voice(key=command.subject)
    numbers = range(voice.revision + 1, voice.revision + command.count + 1)
    return Record(
        replace(voice, revision=voice.revision + command.count), answer=Spoke(revision=voice.revision + command.count),
        emit=tuple(replace(ordered(revision=one), id=f"{command.id}-{one}", subject=command.subject, at=command.at) for one in numbers),
    )


class Inline:
    """An executor of one hand, which does what it is given at once."""

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Do it, and keep how it ended."""
        ended: Future[None] = Future()
        try:
            ended.set_result(work())
        except BaseException as failed:  # noqa: BLE001 - as an executor does: raised where the result is asked for
            ended.set_exception(failed)
        return ended

    def shutdown(self, **_: object) -> None:
        """Nothing waits."""


class Room:
    """One room: its store stays, and what a process holds in memory is made anew by `restart`."""

    def __init__(self, rooms: "Rooms", store: Any, routes: tuple[Route[Any], ...]) -> None:
        self.rooms, self.store, self._routes = rooms, store, routes
        self._started = False
        self.restart()

    def restart(self) -> None:
        """Begin with nothing in hand, as after a kill."""
        rooms = self.rooms
        if self._started:
            self.relay._leader.let_go()
            self.pruning._leader.let_go()
            rooms.broker.members.pop(self.store.room, None)
        self._started = True
        with rooms.peers():
            self.runner = Runner(self.store, self._routes, Wire(), rooms.clock, KEPT.horizon)
            self.runner.courtesy = Courtesy(rooms.clock, rooms.clock.advance)
            self.parking: Parking = rooms.parking(self.runner)
            self.relay = Relay(self.store, rooms.broker)  # type: ignore[arg-type]
            self.pruning = Pruning(self.store, KEPT, rooms.clock)
            self.consumer = Consumer(self.runner, Wire(), rooms.broker, "0", self.parking, rooms.clock)  # type: ignore[arg-type]
        self.consumer.worker.pause = rooms.clock.advance  # type: ignore[method-assign]
        self.consumer._lanes._hands, self.consumer._lanes._pool = 1, Inline()  # type: ignore[assignment]

    def turn(self, work: Callable[[], object], kind: str = "", after: int = 0) -> object:
        """Let a process do something and something befall it; return what it said, None where it had to stop."""
        self.rooms.fate.arm(kind, after)
        try:
            with self.rooms.peers():
                return work()
        except Transient:
            return None
        except Killed:
            self.rooms.fate.live()
            self.restart()
            return None
        finally:
            self.rooms.fate.live()


class Rooms:
    """Both rooms and all they share; over the twins here, over Postgres below."""

    def __init__(self) -> None:
        self.fate, self.world, self.clock = Fate(), World(), ManualClock(SystemClock().now())
        self.broker = MemoryBroker(self.clock, self.fate.at)
        self.fate.lose = self.broker.lose_tail
        self.outbox, self.leader, self.parking, self._prune_inbox = self._peers()
        saying, hearing = self._stores()
        self.sayer = Room(self, saying, (on(Say, say, keeps=Voice, answers=Spoke),))
        self.hearer = Room(self, hearing, (
            on(OrderRecorded, self.world.hear, keeps=Book, observe=self.world.look),
            on(OrderRecorded, shelve, keeps=Book, key=lambda _: SHELF),
        ))

    def _peers(self) -> tuple[Any, Any, Any, Any]:
        return MemoryOutbox, MemoryLeader, MemoryParking, memory_store.prune_inbox

    def _stores(self) -> tuple[Any, Any]:
        stores = MortalMemoryStore("saying", self.clock), MortalMemoryStore("hearing", self.clock)
        for one in stores:
            one.fate = self.fate
        return stores

    @contextmanager
    def peers(self) -> Iterator[None]:
        """Have the kit use the twins where it names its own."""
        with (
            patch.multiple("radloop.kit.relay", Outbox=self.outbox, Leader=self.leader, Line=self.broker.line),
            patch.multiple("radloop.kit.pruning", Outbox=self.outbox, Leader=self.leader, prune_inbox=self._prune_inbox),
            patch.multiple("radloop.kit.consumer", Line=self.broker.line),
        ):
            yield

    def command(self, name: str, case: str, count: int = 1) -> Say:
        """Build a command."""
        return Say(id=name, subject=case, site=SITE, at=self.clock.now(), actor=READER, count=count)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.clock.advance(seconds)

    def book(self, key: str) -> tuple[str, ...]:
        """Return what was heard under a key."""
        with self.hearer.store.begin() as work:
            book = work.load(Book, (key,))
        return book.heard if book else ()

    def said(self, room: Room) -> dict[str, tuple[str, bool]]:
        """Return key, and whether it was sent, of what a room's outbox holds, by event id."""
        return {row.event_id: (row.message.key, row.sent_at is not None) for row in room.store.tables.outbox.values()}

    def quarantined(self) -> list[tuple[str, str, str]]:
        """Return route, input id and reason of what the hearer buried."""
        return [(row.route, row.arrived.seen.id, row.reason) for row in self.hearer.store.tables.quarantine.values()]

    def attempts(self) -> list[tuple[str, str]]:
        """Return route and input id of what the hearer has tried and not forgotten."""
        return [name for name, count in self.hearer.store.tables.attempt.items() if count > 0]

    def close(self) -> None:
        """Let everything go."""


class MortalMemoryStore(Mortal, MemoryStore):
    """The twin, which may be killed at each commit."""


class MortalStore(Mortal, Store):
    """Postgres, whose client may be killed at each commit."""


class PostgresRooms(Rooms):
    """Both rooms over one real database, emptied first; its defaults tell the time that the test has moved on to."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self._dsn, self._folder = dsn, folder
        super().__init__()

    def _peers(self) -> tuple[Any, Any, Any, Any]:
        return Outbox, Leader, Parking, outbox.prune_inbox

    def _stores(self) -> tuple[Any, Any]:
        self._folder.mkdir(exist_ok=True)
        (self._folder / "0001_room.sql").write_text("""
            create table voice (key text primary key, revision integer not null);
            create table book (key text primary key, heard jsonb not null);
            create table moved (by interval not null);
            create function told() returns timestamptz language sql as 'select now() + by from moved';
            alter table outbox alter created_at set default told();
            alter table inbox alter settled_at set default told();
        """)
        tables = {Voice: Table(Voice, "voice", "key"), Book: Table(Book, "book", "key")}
        stores = []
        for name in ("saying", "hearing"):
            store = MortalStore(self._dsn, name, tables)
            store.fate = Fate()
            store.migrate(self._folder)
            store.open()
            with store.connection() as connection:
                connection.execute("truncate inbox, outbox, attempt, parked, quarantine, voice, book, moved")
                connection.execute("insert into moved values ('0')")
            store.fate = self.fate
            stores.append(store)
        return stores[0], stores[1]

    def pass_time(self, seconds: float) -> None:
        super().pass_time(seconds)
        for room in (self.sayer, self.hearer):
            with room.store.connection() as connection:
                connection.execute("update moved set by = by + %s", (timedelta(seconds=seconds),))
                connection.execute("update parked set not_before = not_before - %s", (timedelta(seconds=seconds),))

    def said(self, room: Room) -> dict[str, tuple[str, bool]]:
        with room.store.connection() as connection:
            rows = connection.execute("select event_id, key, sent_at is not null from outbox").fetchall()
        return {event_id: (key, sent) for event_id, key, sent in rows}

    def quarantined(self) -> list[tuple[str, str, str]]:
        with self.hearer.store.connection() as connection:
            return connection.execute("select route, input_id, reason from quarantine").fetchall()

    def attempts(self) -> list[tuple[str, str]]:
        with self.hearer.store.connection() as connection:
            return connection.execute("select route, input_id from attempt where count > 0").fetchall()

    def close(self) -> None:
        for room in (self.sayer, self.hearer):
            room.relay._leader.let_go()
            room.pruning._leader.let_go()
            room.store.close()
