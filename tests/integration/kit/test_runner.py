"""The runner over a real Postgres: one transaction, one effect, whatever comes twice or fails."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from radloop.events.wire import Wire
from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Actor, At, Command, Decision, Deliver, Due, Record, Reject, Skip, on, on_timer
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.kit.tables import Table
from dataclasses import dataclass, replace

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Count:
    """A state for tests."""

    key: str
    value: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Add(Command):
    """Add to the count; the word says how it should go."""

    word: str = ""
    raw: bytes = b"\xff\x00"


@dataclass(frozen=True, kw_only=True)
class Sum:
    """The answer to Add."""

    value: int


def add(command: Add, count: Count | None) -> Decision[Count]:
    """Decide by the word."""
    count = count or Count(key=command.subject)
    match command.word:
        case "reject":
            return Reject("cannot be", answer=Sum(value=-1))
        case "skip":
            return Skip("nothing to do")
        case "permanent":
            raise Permanent("never")
        case "transient":
            raise Transient("away")
        case "surprise":
            raise ZeroDivisionError
    state = replace(count, value=count.value + 1, notes=(*count.notes, command.id))
    return Record(
        state, answer=Sum(value=state.value), timers=(At(NOW, "ring"),),
        deliver=(Deliver(key=command.id, receiver="ehr", subject=command.subject, kind="report", body=b"\x00x", content_type="x"),),
    )


def ring(timer: Due, count: Count | None) -> Decision[Count]:
    """Count a timer."""
    assert count is not None
    return Record(replace(count, value=count.value + 100))


@pytest.fixture
def runner(database: str, tmp_path: Path) -> Runner:
    """A runner of a room with one table."""
    (tmp_path / "0001_room.sql").write_text("create table tally (key text primary key, value integer not null, notes jsonb not null);")
    store = Store(database, "triage", {Count: Table(Count, "tally", "key")})
    store.migrate(tmp_path)
    store.open()
    routes = (on(Add, add, keeps=Count, answers=Sum), on_timer("ring", ring, keeps=Count))
    yield Runner(store, routes, Wire(), SystemClock())
    store.close()


def told(identity: str, word: str = "") -> Add:
    """Build a command."""
    return Add(id=identity, subject="case-1", site="s", at=NOW, actor=Actor(kind="reader", id="r"), word=word)


def count_of(runner: Runner, table: str) -> int:
    """Count a table's rows."""
    with runner.store.connection() as connection:
        row = connection.execute(f"select count(*) from {table}").fetchone()
    assert row
    return int(row[0])


def test_a_command_is_recorded_with_its_answer_timer_and_delivery(runner: Runner) -> None:
    """One decision keeps state, answer, timer and delivery together."""
    outcome = runner.submit(told("a"))
    assert (outcome.kind, outcome.answer, outcome.repeated) == ("recorded", Sum(value=1), False)
    assert count_of(runner, "timer") == count_of(runner, "delivery") == count_of(runner, "inbox") == 1


def test_whoever_waits_is_woken_for_what_was_kept_alone(runner: Runner) -> None:
    """A decision with a delivery and a timer wakes those two; one that fails, is refused or repeated wakes nobody."""
    woken: list[str] = []
    for what in ("state", "event", "delivery", "timer", "job"):
        runner.after_commit(what, partial(woken.append, what))
    runner.submit(told("a"))
    assert sorted(woken) == ["delivery", "state", "timer"]
    runner.submit(told("a"))
    runner.submit(told("b", "reject"))
    runner.submit(told("c", "permanent"))
    assert len(woken) == 3


def test_the_same_command_twice_has_one_effect_and_the_same_answer(runner: Runner) -> None:
    """A repeat gets the stored answer and changes nothing."""
    first, again, other = runner.submit(told("a")), runner.submit(told("a")), runner.submit(told("b"))
    assert first.answer == again.answer == Sum(value=1)
    assert again.repeated
    assert other.answer == Sum(value=2)
    assert count_of(runner, "delivery") == 2


def test_a_rejected_command_is_quarantined_and_answered(runner: Runner) -> None:
    """A Reject keeps the raw input with its reason, and the door gets the reason."""
    outcome = runner.submit(told("a", "reject"))
    assert (outcome.kind, outcome.reason, outcome.answer) == ("rejected", "cannot be", Sum(value=-1))
    assert count_of(runner, "quarantine") == 1
    assert runner.submit(told("a", "reject")).answer == Sum(value=-1)
    assert count_of(runner, "quarantine") == 1


def test_a_permanent_error_is_quarantined_and_the_next_is_unharmed(runner: Runner) -> None:
    """Permanent becomes quarantine; others go on."""
    assert runner.submit(told("a", "permanent")).kind == "quarantined"
    assert runner.submit(told("b")).answer == Sum(value=1)


def test_a_surprise_is_tried_five_times_then_quarantined(runner: Runner) -> None:
    """An unforeseen error is an attempt, counted in the store; after five the input is quarantined."""
    outcome = runner.submit(told("a", "surprise"))
    assert outcome.kind == "quarantined"
    with runner.store.connection() as connection:
        assert connection.execute("select attempts, reason from quarantine").fetchone() == (5, "ZeroDivisionError in add")


def test_a_transient_error_is_never_counted(runner: Runner) -> None:
    """A dependency that is away is not an attempt, and leaves no trace."""
    for _ in range(7):
        with pytest.raises(Transient):
            runner.submit(told("a", "transient"))
    assert count_of(runner, "attempt") == count_of(runner, "quarantine") == count_of(runner, "inbox") == 0


def test_a_skip_is_remembered_with_its_reason(runner: Runner) -> None:
    """Nothing to do is an outcome too."""
    assert runner.submit(told("a", "skip")).reason == "nothing to do"
    again = runner.submit(told("a", "skip"))
    assert (again.kind, again.reason, again.repeated) == ("skipped", "nothing to do", True)


def test_a_quarantined_input_can_be_run_again_after_repair(runner: Runner) -> None:
    """Retry gives the claim back and runs the handler on the stored bytes."""
    runner.submit(told("a", "surprise"))
    with runner.store.connection() as connection:
        item, kind, source, headers, payload = connection.execute("select id, type, source, headers, payload from quarantine").fetchone()
    arrived = runner.read(kind, source, headers, bytes(payload).replace(b"surprise", b"fine"))
    assert runner.retry(item, "add", arrived).answer == Sum(value=1)


def test_a_due_timer_is_settled_once(runner: Runner) -> None:
    """The same timer at the same instant is the same input."""
    runner.submit(told("a"))
    due = Due(id="t", subject="case-1", site="s", at=NOW, name="ring")
    assert runner.due(due, "").kind == "recorded"
    assert runner.due(due, "").repeated
    assert runner.submit(told("b")).answer == Sum(value=102)
