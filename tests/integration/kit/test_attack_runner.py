"""The runner under attack: what cannot be told apart, read, keyed or kept never loops and never hides another."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from conftest import wait_until
from examples.shared import CASE, READER, SITE, ordered

from radloop.events.order import OrderRecorded
from radloop.events.wire import Wire
from radloop.kit import codec
from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.fuse import FUSE_AFTER
from radloop.kit.flow import Arrived, At, Command, Decision, Due, Record, on, on_timer, timer_id
from radloop.kit.runner import Parked, Runner
from radloop.kit.store import Store
from radloop.kit.tables import Table

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Note:
    """A state for tests."""

    key: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tell(Command):
    """Write a line, under keys that may not be told."""

    line: str = ""
    keys: tuple[str, ...] = ()
    timers: tuple[datetime | None, ...] = ()


def keys_of(command: Tell) -> tuple[str, ...]:
    """Return the keys, or fail."""
    if command.line == "no key":
        raise Permanent("its key cannot be told")
    if command.line == "bug in key":
        raise ZeroDivisionError
    return command.keys or (command.subject,)


def tell(command: Tell, note: Note | None) -> Decision[Note]:
    """Write a line."""
    note = note or Note(key=command.subject)
    emit = (replace(ordered("big"), site="s", change="x" * 2_000_000),) if command.line == "big" else ()
    return Record(replace(note, lines=(*note.lines, command.line)), emit=emit, timers=tuple(At(when, "ring") for when in command.timers))


def ring(timer: Due, note: Note | None) -> Decision[Note]:
    """Write that it rang."""
    assert note
    return Record(replace(note, lines=(*note.lines, "rang")))


def hear(event: OrderRecorded, note: Note | None) -> Decision[Note]:
    """Write an order down; the first route of two."""
    if event.order_revision == 13:
        raise Transient("away")
    return Record(replace(note or Note(key=event.subject), lines=("heard",)))


def hear_too(event: OrderRecorded, note: Note | None) -> Decision[Note]:
    """The second route."""
    return Record(Note(key="other", lines=("heard too",)))


@pytest.fixture
def runner(database: str, tmp_path: Path) -> Iterator[Runner]:
    """A runner of a room with one table."""
    (tmp_path / "0001_room.sql").write_text("create table note (key text primary key, lines jsonb not null);")
    store = Store(database, "triage", {Note: Table(Note, "note", "key")})
    store.migrate(tmp_path)
    store.open()
    yield Runner(store, (
        on(Tell, tell, keeps=Note, key=keys_of), on_timer("ring", ring, keeps=Note), on(OrderRecorded, hear, keeps=Note),
        on(OrderRecorded, hear_too, keeps=Note, key=lambda _: "other"),
    ), Wire(), SystemClock())
    store.close()


def told(identity: str, line: str = "x", *timers: datetime | None, subject: str = CASE) -> Tell:
    """Build a command."""
    return Tell(id=identity, subject=subject, site=SITE, at=NOW, actor=READER, line=line, timers=timers)


def lines(runner: Runner, key: str = CASE) -> tuple[str, ...]:
    """Return what is written."""
    with runner.store.begin() as work:
        note = work.load(Note, (key,))
    return note.lines if note else ()


def rows(runner: Runner, query: str) -> list[tuple[object, ...]]:
    """Return a query's rows."""
    with runner.store.connection() as connection:
        return connection.execute(query).fetchall()


def test_unread_records_without_an_id_are_all_kept(runner: Runner) -> None:
    """Two different records without ce_id are two rows; the same record again is none."""
    for payload in (b"one", b"two", b"two"):
        runner.quarantine_unread("topic:x", {}, payload, "no id")
    assert sorted(bytes(row[0]) for row in rows(runner, "select payload from quarantine")) == [b"one", b"two"]


def test_unread_records_that_share_an_id_are_all_kept(runner: Runner) -> None:
    """A sender that repeats an id with other bytes hides nothing."""
    for payload in (b"one", b"two"):
        runner.quarantine_unread("topic:x", {"ce_id": "same"}, payload, "unknown")
    assert len(rows(runner, "select payload from quarantine where input_id = 'same'")) == 2


@pytest.mark.parametrize("line", ["no key", "bug in key"])
def test_an_input_whose_key_cannot_be_told_is_quarantined(runner: Runner, line: str) -> None:
    """It is answered and kept, and never tried for ever."""
    assert runner.submit(told("a", line)).kind == "quarantined"
    assert len(rows(runner, "select * from quarantine")) == 1


@pytest.mark.parametrize("identity", ["", "with\0nul", "x" * 5000])
def test_a_command_without_a_usable_identity_is_refused_and_kept(runner: Runner, identity: str) -> None:
    """An empty, endless or NUL-bearing id would be confused with others or refused by the store for ever."""
    assert runner.submit(told(identity)).kind == "rejected"
    assert len(rows(runner, "select * from quarantine")) == 1
    assert runner.submit(told("good")).kind == "recorded"


@pytest.mark.parametrize("headers", [{"ce_id": ""}, {"ce_subject": ""}, {"ce_id": "x" * 5000}])
def test_an_event_without_a_usable_identity_is_unreadable(runner: Runner, headers: dict[str, str]) -> None:
    """All events of empty id would be one event to the inbox."""
    message = Wire().encode(ordered("a"), "x")
    with pytest.raises(Permanent, match="id"):
        runner.read("", "topic:order-recorded", {**message.headers, **headers}, message.value)


def test_a_timer_set_anew_meanwhile_does_not_ring_at_its_old_instant(runner: Runner) -> None:
    """Read as due, replaced before its turn: the old instant leaves no trace, the new one rings."""
    late = NOW + timedelta(hours=1)
    runner.submit(told("a", "x", NOW))
    runner.submit(told("b", "y", late))
    old, new = (Due(id=timer_id("triage", CASE, "ring", at), subject=CASE, site=SITE, at=at, name="ring") for at in (NOW, late))
    assert runner.due(old, "", revocable=True).kind == "skipped"
    assert lines(runner) == ("x", "y")
    assert runner.due(new, "", revocable=True).kind == "recorded"
    runner.submit(told("c", "z", NOW))
    assert runner.due(old, "", revocable=True).kind == "recorded"


def test_a_cancelled_timer_does_not_ring(runner: Runner) -> None:
    """Cancelled between its reading and its turn."""
    runner.submit(told("a", "x", NOW))
    runner.submit(told("b", "y", None))
    old = Due(id=timer_id("triage", CASE, "ring", NOW), subject=CASE, site=SITE, at=NOW, name="ring")
    assert runner.due(old, "", revocable=True).kind == "skipped"
    assert lines(runner) == ("x", "y")


def test_what_is_parked_waits_under_all_of_its_keys(runner: Runner) -> None:
    """An input of two keys holds back later ones of either."""
    both = replace(told("both"), keys=("k1", "k2"))
    arrived = Arrived(seen=both, payload=codec.encode(both), source="door:x", type_name="Tell")
    runner.store.park("tell", ("k1", "k2"), arrived, "away")
    for key in ("k1", "k2"):
        with pytest.raises(Parked):
            runner.submit(replace(told(f"later-{key}"), keys=(key,)))
    assert runner.submit(both).kind == "recorded"


def test_one_route_that_waits_does_not_hold_the_others(runner: Runner) -> None:
    """An input of two routes, the first of which waits for a dependency, is settled by the second."""
    message = Wire().encode(ordered("a", revision=13), "x")
    with pytest.raises(Transient):
        runner.settle(runner.read("", "topic:order-recorded", message.headers, message.value))
    assert lines(runner, "other") == ("heard too",)


@pytest.mark.parametrize("failure", [
    psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure,
    psycopg.errors.AdminShutdown,
])
def test_a_store_that_asks_to_be_asked_again_is_away(runner: Runner, failure: type[psycopg.Error]) -> None:
    """A standby that only reads, a deadlock, a shutdown: waited for, never counted as an attempt."""
    with pytest.raises(Transient), runner.store.begin():
        raise failure("x")


def test_what_the_store_can_never_keep_is_no_outage(runner: Runner) -> None:
    """A value too big for an index never fits, though its class says operational."""
    with pytest.raises(Permanent), runner.store.begin():
        raise psycopg.errors.ProgramLimitExceeded("x")


def test_a_statement_that_is_wrong_is_no_fault_of_the_input(runner: Runner) -> None:
    """What the server says of a statement of ours stays unforeseen, so that the fuse can notice broken code."""
    with pytest.raises(psycopg.errors.DivisionByZero), runner.store.connection() as connection:
        connection.execute("select 1 / 0")


def test_inputs_that_no_database_can_keep_never_blow_the_fuse(runner: Runner) -> None:
    """A sender that pads its names with NUL is quarantined message by message, and everybody else's are taken."""
    for number in range(2 * FUSE_AFTER):
        outcome = runner.submit(told(f"bad {number}", "a\0b", subject=f"case {number}"))
        assert outcome.kind == "quarantined"
    assert not runner.fuse.open
    assert runner.submit(told("good")).kind == "recorded"
    assert rows(runner, "select count(*) from quarantine") == [(2 * FUSE_AFTER,)]


def test_the_first_try_after_postgres_ended_its_connections_succeeds(runner: Runner, database: str) -> None:
    """Connections that died at rest are noticed before they are lent: the door answers as if nothing had been."""
    runner.submit(told("a"))
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()",
        )
        wait_until(lambda: admin.execute("select count(*) from pg_stat_activity where datname = current_database()").fetchone() == (1,), 10)
    assert runner.submit(told("b")).kind == "recorded"


def test_an_event_that_no_broker_takes_is_refused_where_it_is_made(runner: Runner) -> None:
    """In the outbox it would stop the relay, and with it everybody else's events."""
    assert "too big" in runner.submit(told("a", "big")).reason
    assert rows(runner, "select * from outbox") == []
