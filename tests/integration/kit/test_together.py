"""Inputs of different keys in one transaction over a real Postgres: fewer round trips, and not one promise less."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from examples.shared import ordered

from radloop.events.order import OrderRecorded
from radloop.events.wire import Wire
from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Actor, Arrived, Command, Decision, Record, on
from radloop.kit.fuse import FUSE_AFTER
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.kit.tables import Table

CASES = tuple(f"case-{number}" for number in range(6))


@dataclass(frozen=True, kw_only=True)
class Book:
    """What was heard under one key, in order."""

    key: str
    heard: tuple[str, ...] = ()


class World:
    """What goes wrong with which case: before the transaction or in it."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.never: set[str] = set()
        self.broken: set[str] = set()
        self.unfit: set[str] = set()

    def look(self, event: OrderRecorded) -> OrderRecorded:
        """Look before deciding."""
        if event.subject in self.away:
            raise Transient("the archive is away")
        return event

    def write(self, event: OrderRecorded, book: Book | None) -> Decision[Book]:
        """Write the case's own book, and say one event."""
        if event.subject in self.never:
            raise Permanent("never")
        if event.subject in self.broken:
            raise ZeroDivisionError
        book = book or Book(key=event.subject)
        line = "a\0b" if event.subject in self.unfit else f"{event.subject} {event.order_revision}"
        said = replace(event, id=f"said-{event.id}")
        return Record(replace(book, heard=(*book.heard, line)), emit=(said,))


def write_all(event: OrderRecorded, book: Book | None) -> Decision[Book]:
    """Write the book that all cases share."""
    book = book or Book(key="all")
    return Record(replace(book, heard=(*book.heard, event.subject)))


@dataclass(frozen=True)
class Here:
    """A runner and its world."""

    runner: Runner
    world: World

    def arrived(self, *cases: str, revision: int = 1) -> list[Arrived]:
        """Return an order event of each case, as it comes from the topic."""
        found = []
        for case in cases:
            message = Wire().encode(replace(ordered(revision=revision), id=f"{case}-{revision}", subject=case), "test")
            found.append(self.runner.read("", "topic:order-recorded", message.headers, message.value))
        return found

    def heard(self, key: str) -> tuple[str, ...]:
        """Return a book."""
        with self.runner.store.begin() as work:
            book = work.load(Book, (key,))
        return book.heard if book else ()

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return a query's rows."""
        with self.runner.store.connection() as connection:
            return connection.execute(query).fetchall()


class Shelf:
    """A repository that loads many books at once and, unlike a table, saves each by itself: it may keep more than the book."""

    books = Table(Book, "book", "key")

    def load(self, cursor: Any, keys: tuple[str, ...]) -> Book | None:
        """Refuse: what can be loaded together is."""
        raise AssertionError(f"{keys} was loaded alone")

    def load_all(self, cursor: Any, keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], Book | None]:
        """Load together."""
        return self.books.load_all(cursor, keys)

    def save(self, cursor: Any, keys: tuple[str, ...], state: Book) -> None:
        """Save one."""
        self.books.save(cursor, keys, state)


@pytest.fixture
def here(database: str, tmp_path: Path) -> Iterator[Here]:
    """A room of two routes: one keyed by case, one that all cases share."""
    (tmp_path / "0001_room.sql").write_text("create table book (key text primary key, heard jsonb not null);")
    store = Store(database, "triage", {Book: Table(Book, "book", "key")})
    store.migrate(tmp_path)
    store.open()
    world = World()
    yield Here(Runner(store, (
        on(OrderRecorded, world.write, keeps=Book, observe=world.look), on(OrderRecorded, write_all, keeps=Book, key=lambda _: "all"),
    ), Wire(), SystemClock()), world)
    store.close()


def test_inputs_of_different_keys_share_one_transaction(here: Here) -> None:
    """All of them are kept by the same transaction: states, inbox rows, outbox rows."""
    assert here.runner.settle_together(here.arrived(*CASES))
    assert [here.heard(case) for case in CASES] == [(f"{case} 1",) for case in CASES]
    assert here.rows("select count(*), count(distinct xmin::text) from inbox") == [(12, 1)]
    assert here.rows("select event_id from outbox order by id") == [(f"said-{case}-1",) for case in CASES]


def test_those_that_share_a_key_see_what_the_one_before_them_kept(here: Here) -> None:
    """A route that keys all cases alike finds the state as its predecessor in the transaction left it."""
    assert here.runner.settle_together(here.arrived(*CASES))
    assert here.heard("all") == CASES


def test_a_repository_of_its_own_is_read_ahead_too(database: str, here: Here) -> None:
    """All its states are loaded in one round trip, and one that was saved meanwhile is what the next finds."""
    store = Store(database, "triage", {Book: Shelf()})
    store.open()
    try:
        runner = Runner(store, here.runner.routes, Wire(), SystemClock())
        assert runner.settle_together(here.arrived(*CASES))
    finally:
        store.close()
    assert here.heard("all") == CASES
    assert [here.heard(case) for case in CASES] == [(f"{case} 1",) for case in CASES]


def test_what_was_settled_before_has_no_second_effect(here: Here) -> None:
    """A batch that repeats some inputs keeps what is new of it alone."""
    assert here.runner.settle_together(here.arrived(*CASES[:3]))
    assert here.runner.settle_together(here.arrived(*CASES))
    assert here.heard("all") == CASES
    assert here.heard(CASES[0]) == (f"{CASES[0]} 1",)
    assert here.rows("select count(*) from outbox") == [(len(CASES),)]


@pytest.mark.parametrize("trouble", ["away", "never", "broken", "unfit"])
def test_where_one_fails_nothing_is_kept_and_nothing_is_counted(here: Here, trouble: str) -> None:
    """An absence, a refusal, a bug, a value the database cannot hold: the batch is undone whole, so that each is settled alone."""
    getattr(here.world, trouble).add(CASES[3])
    assert not here.runner.settle_together(here.arrived(*CASES))
    for table in ("inbox", "outbox", "book", "attempt", "quarantine"):
        assert here.rows(f"select * from {table}") == []
    for one in here.arrived(*(case for case in CASES if case != CASES[3])):
        assert here.runner.settle_once(one)
    assert len(here.heard("all")) == len(CASES) - 1


def test_a_batch_with_a_parked_key_is_settled_one_by_one(here: Here) -> None:
    """Later inputs of a parked key must go behind it, so none is taken past it unseen."""
    first, second = here.arrived(CASES[0])[0], here.arrived(CASES[0], revision=2)[0]
    here.runner.store.park("write", (CASES[0],), first, "away")
    assert not here.runner.settle_together([second, *here.arrived(CASES[1])])
    assert here.rows("select * from inbox") == []


def test_what_was_in_hand_when_a_process_died_goes_together_once(here: Here) -> None:
    """After a start a batch is counted before it is tried; had one of them ended the process, each is settled alone from then on."""
    careful = [replace(one, careful=True) for one in here.arrived(*CASES)]
    seen: list[object] = []
    with pytest.MonkeyPatch.context() as patched:
        def die(work: object, units: object) -> None:
            seen.extend(here.rows("select count from attempt"))
            raise SystemExit  # as far as the store can tell: nothing after this ever runs

        patched.setattr(here.runner, "_settle_units", die)
        with pytest.raises(SystemExit):
            here.runner.settle_together(careful)
    assert seen == [(1,)] * 12, "each was counted for each of its routes before any of them was tried"
    assert not here.runner.settle_together(careful)
    assert here.rows("select count(*) from inbox") == [(0,)]
    for one in careful:
        assert here.runner.settle_once(one)
    assert here.rows("select * from attempt") == []
    assert here.heard("all") == CASES


def test_what_was_counted_beforehand_and_settled_before_is_forgotten(here: Here) -> None:
    """After a kill before the offset is committed a batch comes again: none of its counts is left over, whether new or a repeat."""
    assert here.runner.settle_together(here.arrived(*CASES[:3]))
    assert here.runner.settle_together([replace(one, careful=True) for one in here.arrived(*CASES)])
    assert here.rows("select * from attempt") == []


def test_what_was_counted_and_settled_by_a_copy_of_it_is_forgotten(here: Here) -> None:
    """Its process died, and then it came again by its topic before whoever had it in hand looked again: no count is left over."""
    [one] = here.arrived(CASES[0])
    here.runner.store.attempt("write", one.seen.id, "started")
    assert here.runner.settle_once(one)
    assert here.runner.settle_once(replace(one, careful=True))
    assert here.rows("select * from attempt") == []


def test_what_fails_together_is_not_counted_as_an_attempt_of_each(here: Here) -> None:
    """One away among those counted beforehand: the others have failed in nothing, and neither has it."""
    here.world.broken.add(CASES[2])
    assert not here.runner.settle_together([replace(one, careful=True) for one in here.arrived(*CASES)])
    assert here.rows("select * from attempt") == []


def test_a_count_from_before_is_never_taken_back(here: Here) -> None:
    """An input that has ended a process keeps its count, whatever becomes of those beside it: else it could do so for ever."""
    careful = [replace(one, careful=True) for one in here.arrived(*CASES)]
    here.runner.store.attempt("write", careful[0].seen.id, "started")
    here.world.away.add(CASES[3])
    assert not here.runner.settle_together(careful)
    here.world.away.clear()
    assert not here.runner.settle_together(careful)
    assert here.rows("select count from attempt") == [(1,)]


def test_an_open_fuse_lets_no_batch_through(here: Here) -> None:
    """While the code fails on everything one input a minute tries, not thirty at once."""
    for number in range(FUSE_AFTER):
        here.runner.fuse.blow(f"case {number}", "KeyError in write")
    assert not here.runner.settle_together(here.arrived(*CASES))


def test_a_batch_wakes_whoever_waits_for_what_it_kept(here: Here) -> None:
    """The relay is woken once for all its events, and only once they are committed."""
    woken: list[object] = []
    here.runner.after_commit("event", lambda: woken.append(here.rows("select count(*) from outbox")))
    here.runner.after_commit("timer", lambda: woken.append("timer"))
    assert here.runner.settle_together(here.arrived(*CASES))
    assert woken == [[(len(CASES),)]]


@dataclass(frozen=True, kw_only=True)
class Write(Command):
    """Write a case into its book."""


def test_commands_are_settled_together_and_those_that_were_before_are_left_out(database: str, tmp_path: Path) -> None:
    """Their outcomes come by their ids; handlers see what was looked at once for all, and its failure leaves all to be settled alone."""
    (tmp_path / "0001_room.sql").write_text("create table book (key text primary key, heard jsonb not null);")
    store = Store(database, "triage", {Book: Table(Book, "book", "key")})
    store.migrate(tmp_path)
    store.open()
    looks: list[str] = []

    def write(command: Write, book: Book | None) -> Record[Book]:
        return Record(Book(key=command.subject, heard=(*(book.heard if book else ()), command.id)))

    def observe(command: Write) -> Write:
        looks.append(command.id)
        return command

    runner = Runner(store, (on(Write, write, keeps=Book, observe=observe),), Wire(), SystemClock())
    commands = [
        (Write(id=f"write-{case}", subject=case, site="s", at=datetime(2026, 1, 1, tzinfo=UTC), actor=Actor(kind="system", id="t")), "")
        for case in CASES
    ]
    runner.submit(commands[0][0])
    looks.clear()
    seen = {command.id: replace(command, id=f"seen-{command.id}") for command, _ in commands[:-1]}
    assert set(runner.submit_together(commands, lambda: seen)) == {command.id for command, _ in commands[1:]}
    assert looks == [commands[-1][0].id], "what the one look left out is observed by itself"
    with store.begin() as work:
        heard = [work.load(Book, (case,)).heard for case in CASES[1:]]
    assert heard == [(f"seen-write-{case}",) for case in CASES[1:-1]] + [(f"write-{CASES[-1]}",)]

    def away() -> dict[str, object]:
        raise Transient("triton is away")

    again = [(replace(command, id=f"again-{command.id}"), "") for command, _ in commands]
    assert runner.submit_together(again, away) == {}
    with store.connection() as connection:
        assert connection.execute("select count(*), count(distinct xmin::text) from inbox").fetchone() == (len(CASES), 2)
    store.close()
