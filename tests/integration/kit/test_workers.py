"""Relay, consumer, parking, deliveries, timers and jobs over a real Postgres and the embedded broker."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from examples.shared import CASE, READER, SITE, ordered

from radloop.events.order import OrderRecorded
from radloop.events.wire import Wire
from radloop.kit import consumer as consumer_module
from radloop.kit.clock import SystemClock
from radloop.kit.consumer import Consumer
from radloop.kit.deliveries import Answer, Check, Deliveries
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import At, Command, Decision, Deliver, DeliveryAnswered, Due, Event, JobEnded, Record, Route, StartJob, on, on_timer
from radloop.kit.jobs import Progress, run_job
from radloop.kit.kafka import Broker
from radloop.kit.relay import Relay
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.kit.tables import Table
from radloop.kit.timers import Timers

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
        if b"never" in delivery.body:
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
            for word in command.words if word in {"one", "two", "never", "bug", "correction"}
        ),
        jobs=(StartJob(job_id=f"job-{command.id}", name="count", spec='{"to": 3}'),) if "job" in words else (),
    )


def hear(event: OrderRecorded, diary: Diary | None) -> Decision[Diary]:
    """Write an order down."""
    return Record(note(event.subject, diary, f"order {event.order_revision}"))


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

    def __init__(self, dsn: str, bootstrap: str, folder: Path, name: str) -> None:
        self.world = World()
        folder.mkdir(exist_ok=True)
        (folder / "0001_room.sql").write_text("create table diary (key text primary key, lines jsonb not null, closed boolean not null);")
        self.store = Store(dsn, name, {Diary: Table(Diary, "diary", "key")})
        self.store.migrate(folder)
        self.store.open()
        routes: tuple[Route[Any], ...] = (
            on(Say, say, keeps=Diary), on(OrderRecorded, hear, keeps=Diary, observe=self.world.look),
            on(DeliveryAnswered, answered, keeps=Diary), on_timer("ring", rung, keeps=Diary), on(JobEnded, job_ended, keeps=Diary),
        )
        self.runner = Runner(self.store, routes, Wire(), CLOCK)
        self.broker = Broker(bootstrap)
        self.workers: list[Any] = []

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


@pytest.fixture
def here(database: str, kafka: str, tmp_path: Path) -> Iterator[Here]:
    """A room of a name of its own (its name is its consumer group)."""
    room = Here(database, kafka, tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    room.broker.ensure_topics()
    yield room
    room.stop()


def command(identity: str, *words: str, event: Event | None = None, subject: str = CASE) -> Say:
    """Build a command."""
    assert event is None or isinstance(event, OrderRecorded)
    return Say(id=identity, subject=subject, site=SITE, at=CLOCK.now(), actor=READER, words=words, event=event)


def order(subject: str, revision: int) -> OrderRecorded:
    """Build an order event of one case."""
    return replace(ordered(f"{subject}-{revision}", revision=revision), subject=subject, id=f"{subject}-{revision}")


def test_an_event_travels_from_outbox_to_handler_once_and_in_order(here: Here, database: str, kafka: str, tmp_path: Path) -> None:
    """What one room records, the relay sends in order, and another room's consumer settles once."""
    case = str(uuid.uuid4())
    for revision in range(1, 21):
        here.runner.submit(command(f"c{revision}", event=order(case, revision)))
    other = Here(database, kafka, tmp_path / "o", f"o{uuid.uuid4().hex[:8]}")
    try:
        here.start(Relay(here.store, here.broker))
        other.start(Consumer(other.runner, Wire(), other.broker, "0", CLOCK))
        wait_until(lambda: len(other.lines(case)) == 20, 30)
        assert other.lines(case) == tuple(f"order {revision}" for revision in range(1, 21))
        wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 10)
    finally:
        other.stop()


def test_a_parked_case_holds_nobody_else_and_keeps_its_order(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a dependency is parked, later inputs of its key behind it; others go on; then all are settled in order."""
    monkeypatch.setattr(consumer_module, "PARK_AFTER_S", 0.2)
    slow, quick = str(uuid.uuid4()), str(uuid.uuid4())
    here.world.away.add(slow)
    for revision in (1, 2, 3):
        here.runner.submit(command(f"s{revision}", event=order(slow, revision)))
    here.runner.submit(command("q", event=order(quick, 1)))
    here.start(Relay(here.store, here.broker), Consumer(here.runner, Wire(), here.broker, "0", CLOCK))
    wait_until(lambda: here.lines(quick) == ("order 1",), 30)
    wait_until(lambda: here.count("parked", f"key = '{slow}'") == 3, 15)
    here.world.away.clear()
    wait_until(lambda: here.lines(slow) == ("order 1", "order 2", "order 3"), 30)
    wait_until(lambda: here.count("parked", f"key = '{slow}'") == 0, 10)


def test_a_poison_event_is_quarantined_after_five_attempts(here: Here) -> None:
    """It blocks nobody, and is kept with its bytes."""
    bad, good = str(uuid.uuid4()), str(uuid.uuid4())
    here.world.broken.add(bad)
    here.runner.submit(command("b", event=order(bad, 1)))
    here.runner.submit(command("g", event=order(good, 1)))
    here.start(Relay(here.store, here.broker), Consumer(here.runner, Wire(), here.broker, "0", CLOCK))
    wait_until(lambda: here.lines(good) == ("order 1",), 30)
    wait_until(lambda: here.count("quarantine", f"subject = '{bad}' and attempts = 5") == 1, 30)


def deliveries(here: Here) -> Deliveries:
    """Build the worker of deliveries, whose check supersedes what a closed case still owes."""
    check = Check(keeps=Diary, superseded=lambda _, diary: "closed" if diary and diary.closed else None)
    return Deliveries(here.runner, {"ehr": here.world}, check, CLOCK, SITE)


def test_deliveries_go_in_order_and_their_answers_come_back(here: Here) -> None:
    """One at a time per receiver and case; refused for good goes to quarantine, and the next goes on."""
    here.runner.submit(command("a", "one", "never", "two"))
    here.start(deliveries(here))
    wait_until(lambda: len(here.lines()) == 4, 15)
    assert here.world.sent == [b"one", b"never", b"two"]
    assert here.lines() == ("said", "one delivered", "never quarantined", "two delivered")
    wait_until(lambda: here.count("delivery", "state = 'waiting'") == 0, 5)


def test_a_receiver_that_is_away_gets_the_same_bytes_until_it_answers(here: Here) -> None:
    """Away is never counted; later ones wait their turn; there is one answer in the end."""
    here.world.away.add("ehr")
    here.runner.submit(command("a", "one", "two"))
    here.start(deliveries(here))
    wait_until(lambda: len(here.world.sent) >= 3, 15)
    here.world.away.clear()
    wait_until(lambda: len(here.lines()) == 3, 15)
    assert set(here.world.sent[:-1]) == {b"one"}
    assert here.lines() == ("said", "one delivered", "two delivered")


def test_a_bug_in_a_receiver_is_counted_and_silences_nobody(here: Here) -> None:
    """After five attempts the delivery is quarantined, and the next goes on."""
    here.runner.submit(command("a", "bug", "two"))
    here.start(deliveries(here))
    wait_until(lambda: len(here.lines()) == 3, 30)
    assert here.lines() == ("said", "bug quarantined", "two delivered")
    assert here.world.sent == [b"bug"] * 5 + [b"two"]


def test_what_a_closed_case_still_owes_is_superseded_but_a_correction_goes(here: Here) -> None:
    """Checked against the case as it is now, before the first try."""
    here.runner.submit(command("a", "one", "correction", "close"))
    here.start(deliveries(here))
    wait_until(lambda: len(here.lines()) == 3, 15)
    assert here.world.sent == [b"correction"]
    assert here.lines() == ("said", "one superseded", "correction delivered")


def test_a_timer_rings_once(here: Here) -> None:
    """What is due becomes an input; it is settled once, and gone."""
    here.start(Timers(here.runner, CLOCK))
    here.runner.submit(command("a", "ring"))
    wait_until(lambda: here.lines() == ("said", "rang"), 10)
    wait_until(lambda: here.count("timer") == 0, 5)
    assert here.lines() == ("said", "rang")


def test_a_job_runs_under_its_lease_and_its_result_is_a_command(here: Here) -> None:
    """The result comes back to the room; run again after a kill before its last line, it has no second effect."""
    here.runner.submit(command("a", "job"))

    def counting(spec: str, progress: Progress) -> str:
        progress.tell(0.5, "half way")
        return spec.upper()

    run_job("job-a", here.runner, {"count": counting}, CLOCK, SITE)
    run_job("job-a", here.runner, {"count": counting}, CLOCK, SITE)
    assert here.lines() == ("said", 'job {"TO": 3}')
    assert here.count("job", "state = 'done'") == 1


def test_two_relays_of_one_room_never_send_at_once(here: Here) -> None:
    """The advisory lock lets one send; when it stops, the other takes over."""
    first, second = Relay(here.store, here.broker), Relay(here.store, here.broker)
    here.start(first)
    here.runner.submit(command("a", event=order(str(uuid.uuid4()), 1)))
    wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 15)
    here.start(second)
    first.stop()
    here.runner.submit(command("b", event=order(str(uuid.uuid4()), 1)))
    wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 15)
