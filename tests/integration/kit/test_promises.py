"""What the kit's guarantees rest on, one by one, over a real Postgres: each of these is broken on purpose in tests/contract."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from conftest import wait_until
from examples.diary import CLOCK, Diary, Here, command, note, order
from examples.shared import SITE
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from radloop.events.wire import Wire
from radloop.kit.deliveries import Answer, Check, Deliveries
from radloop.kit.flow import Command, Decision, Deliver, Record, on
from radloop.kit.kafka import topics
from radloop.kit.leader import Leader
from radloop.kit.outbox import Outbox
from radloop.kit.runner import Runner
from tests.adapters.embedded_broker import Embedded

ONE = "case-1"


@pytest.fixture
def here(database: str, tmp_path: Path) -> Iterator[Here]:
    """A room without a broker."""
    room = Here(database, "127.0.0.1:9", tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    yield room
    room.stop()


@dataclass(frozen=True, kw_only=True)
class Write(Command):
    """Write a line; the word says whether to take one's time over it."""

    word: str


def test_two_inputs_of_one_key_never_decide_at_once(here: Here, database: str) -> None:
    """Also where the key has no row yet: the second waits for the first one's commit, and decides on what that kept."""
    entered, go = threading.Event(), threading.Event()

    def write(asked: Write, diary: Diary | None) -> Decision[Diary]:
        if asked.word == "slowly":
            entered.set()
            go.wait(30)
        return Record(note(ONE, diary, asked.word))

    runner = Runner(here.store, (on(Write, write, keeps=Diary),), Wire(), CLOCK)
    told = command("x")
    writers = [
        threading.Thread(target=runner.submit, args=(Write(id=word, subject=ONE, site=SITE, at=told.at, actor=told.actor, word=word),))
        for word in ("slowly", "quickly")
    ]
    writers[0].start()
    assert entered.wait(30)
    writers[1].start()
    with psycopg.connect(database, autocommit=True) as looking:
        waits = "select from pg_locks where locktype = 'advisory' and not granted"
        wait_until(lambda: looking.execute(waits).fetchone() is not None or not writers[1].is_alive(), 30)
    go.set()
    for writer in writers:
        writer.join(30)
    assert here.lines(ONE) == ("slowly", "quickly")


def test_one_instance_alone_does_what_one_must_do(here: Here) -> None:
    """The relay, the timers, the pruning of a room: whoever holds the lock, until it lets go or dies."""
    first, second, other = Leader(here.store, "relay"), Leader(here.store, "relay"), Leader(here.store, "timers")
    assert first.holds()
    assert not second.holds()
    assert other.holds()
    first.let_go()
    wait_until(second.holds, 10)
    second.let_go()
    other.let_go()


def test_what_is_committed_late_under_a_smaller_id_is_sent_too(here: Here) -> None:
    """Ids are given when rows are written, not when they are committed: the order of ids is not the order of news."""
    wire = Wire()
    outbox = Outbox(here.store)
    late, early = order("late", 1), order("early", 1)
    with here.store.begin() as slow:
        slow.enqueue(late.id, wire.encode(late, "x"))
        slow.finish()
        with here.store.begin() as quick:
            quick.enqueue(early.id, wire.encode(early, "x"))
        [first] = outbox.waiting([], bulk=False)
        outbox.mark_sent([first.id])
    [second] = outbox.waiting([], bulk=False)
    assert (first.key, second.key) == ("early", "late")
    assert second.id < first.id


def test_no_receiver_is_asked_inside_a_transaction(here: Here, database: str) -> None:
    """While it answers, or does not, nothing of the case is locked: a slow EHR must hold up no order, and a rollback recalls no report."""
    free: list[bool] = []

    class Ehr:
        """Looks whether its case could be locked by somebody else."""

        def send(self, delivery: Deliver) -> Answer:
            """Take it."""
            with psycopg.connect(database) as looking:
                row = looking.execute(
                    "select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (f"{here.store.room}|{delivery.subject}",),
                ).fetchone()
            free.append(bool(row and row[0]))
            return Answer("delivered")

    here.start(Deliveries(here.runner, {"ehr": Ehr()}, Check(keeps=Diary, superseded=lambda *_: None), CLOCK, SITE))
    here.runner.submit(command("a", "one"))
    wait_until(lambda: here.count("delivery", "state = 'delivered'") == 1, 30)
    assert free == [True]


def test_a_decision_that_is_not_kept_says_nothing(here: Here) -> None:
    """What it would have said is kept with its state or not at all: nobody hears of what never was."""

    def fail(asked: Write, diary: Diary | None) -> Decision[Diary]:
        said = replace(order(ONE, 1), id=f"said-{asked.id}")
        return Record(note(ONE, diary, "a\0b"), emit=(said,))

    def say_first(asked: Write, diary: Diary | None) -> Decision[Diary]:
        decided = fail(asked, diary)
        assert isinstance(decided, Record)
        return Record(None, emit=decided.emit, deliver=(
            Deliver(key="k", receiver="ehr", subject="a\0b", kind="report", body=b"", content_type="x"),
        ))

    told = command("x")
    for handler in (fail, say_first):
        runner = Runner(here.store, (on(Write, handler, keeps=Diary, name=handler.__name__),), Wire(), CLOCK)
        runner.submit(Write(id=handler.__name__, subject=ONE, site=SITE, at=told.at, actor=told.actor, word="x"))
    assert here.count("outbox") == 0
    assert here.count("quarantine") == 2


def test_who_comes_up_does_not_believe_what_is_committed(database: str, tmp_path: Path) -> None:
    """A commit under way when a broker dies may arrive in its next life, beyond what is sent again: a consumer reads back a minute."""
    embedded = Embedded(tmp_path / "broker")
    embedded.start()
    room = Here(database, embedded.bootstrap, tmp_path / "m", "here")
    try:
        room.broker.ensure_topics()
        case = str(uuid.uuid4())
        say(room, case, 1, 5)
        commit_the_end(room)
        room.start(room.consumer())
        wait_until(lambda: len(room.lines(case)) == 5, 60)
        embedded.stop()
        embedded.start()
        say(room, case, 6, 6)
        wait_until(lambda: len(room.lines(case)) == 6, 60)
        assert room.lines(case) == tuple(f"order {revision}" for revision in range(1, 7))
    finally:
        room.stop()
        embedded.kill()


def commit_the_end(room: Here) -> None:
    """Commit for the room's group that it has read all there is, which it has not."""
    there = KafkaConsumer(**room.broker.options(), group_id=room.store.room, enable_auto_commit=False)
    partitions = [TopicPartition("order-recorded", one) for one in range(topics()["order-recorded"].partitions)]
    there.assign(partitions)
    there.commit({one: OffsetAndMetadata(end, "", -1) for one, end in there.end_offsets(partitions).items()})
    there.close()


def say(room: Here, case: str, first: int, last: int) -> None:
    """Put orders of a case on the topic, as any producer would."""
    producer = room.broker.producer()
    for revision in range(first, last + 1):
        message = Wire().encode(order(case, revision), "test")
        producer.send(
            "order-recorded", value=message.value, key=case.encode(),
            headers=[(name, text.encode()) for name, text in message.headers.items()],
        ).get(20)
    producer.close()
