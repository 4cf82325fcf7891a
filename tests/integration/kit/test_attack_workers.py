"""The workers under attack: a broker killed right after its answer, records nobody could have meant, threads that must not die."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from adapters.embedded_broker import Embedded
from conftest import wait_until
from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError
from examples.diary import Here, command, order

from radloop.events.wire import Wire
from radloop.kit.errors import Misconfigured
from radloop.kit.line import Line
from radloop.kit.outbox import Outbox
from radloop.kit.relay import Relay
from radloop.kit.worker import Worker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Embedded]:
    """Start a broker of this test's own."""
    embedded = Embedded(tmp_path / "broker")
    embedded.start()
    yield embedded
    embedded.kill()


@pytest.fixture
def here(database: str, kafka: str, tmp_path: Path) -> Iterator[Here]:
    """A room of a name of its own (its name is its consumer group)."""
    room = Here(database, kafka, tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    room.broker.ensure_topics()
    yield room
    room.stop()


def test_what_an_idle_relays_broker_lost_is_sent_again(broker: Embedded, database: str, tmp_path: Path) -> None:
    """Killed right after its answer and back at once, with nothing new to send: the relay notices, and nothing is lost."""
    address = f"127.0.0.1:{broker.port}"
    here = Here(database, address, tmp_path / "m", "here")
    other = Here(database, address, tmp_path / "o", "other")
    here.broker.ensure_topics()
    time.sleep(1.5)  # the broker keeps its topics about once a second
    case = str(uuid.uuid4())
    try:
        here.start(Relay(here.store, here.broker))
        wait_until(lambda: here.workers[0]._was_away is False, 30)
        for revision in range(1, 6):
            here.runner.submit(command(f"c{revision}", event=order(case, revision)))
        here.workers[0].worker.wake()
        wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 30)
        broker.kill()
        broker.start()
        other.start(other.consumer())
        wait_until(lambda: len(other.lines(case)) == 5, 60)
        assert other.lines(case) == tuple(f"order {revision}" for revision in range(1, 6))
    finally:
        here.stop()
        other.stop()


def test_a_lost_broker_is_rebuilt_from_what_the_rooms_have_said(broker: Embedded, database: str, tmp_path: Path) -> None:
    """Its data directory is empty when it comes back: a replay tells whoever has missed something, and nobody else anything new."""
    address = f"127.0.0.1:{broker.port}"
    here, knows, missed = (Here(database, address, tmp_path / name, name) for name in ("here", "knows", "missed"))
    here.broker.ensure_topics()
    case = str(uuid.uuid4())
    try:
        here.start(Relay(here.store, here.broker, resend_window_s=0.0))
        for revision in range(1, 21):
            here.runner.submit(command(f"c{revision}", event=order(case, revision)))
        knows.start(knows.consumer())
        wait_until(lambda: len(knows.lines(case)) == 20, 60)
        broker.kill()
        broker.forget()
        broker.start()
        missed.start(missed.consumer())
        wait_until(lambda: not here.workers[0].worker.away and here.workers[0]._was_away is False, 60)
        Outbox(here.store).repeat(datetime(2020, 1, 1, tzinfo=UTC))
        wait_until(lambda: here.count("outbox", "again") == 0, 60)
        here.runner.submit(command("c21", event=order(case, 21)))
        wait_until(lambda: len(missed.lines(case)) == 21 and len(knows.lines(case)) == 21, 60)
        told = tuple(f"order {revision}" for revision in range(1, 22))
        assert knows.lines(case) == missed.lines(case) == told
    finally:
        for one in (here, knows, missed):
            one.stop()


def test_a_line_is_cut_by_the_shortest_outage(broker: Embedded) -> None:
    """kafka-python reconnects without a word; the line tells, once."""
    line = Line([("127.0.0.1", broker.port)])
    assert not line.was_cut()
    assert not line.was_cut()
    broker.kill()
    broker.start()
    assert line.was_cut()
    assert not line.was_cut()
    line.close()


def test_records_nobody_could_have_meant_are_kept_and_block_nobody(here: Here) -> None:
    """No headers, an empty one, NUL, bytes that are no UTF-8, no value at all, an endless id: kept, each of them."""
    good = order(str(uuid.uuid4()), 1)
    message = Wire().encode(good, "x")
    producer: Any = KafkaProducer(bootstrap_servers=here.broker.bootstrap)
    try:
        for number, headers in enumerate((
            [], [("ce_id", b"")], [("ce_id", b"a\0b"), ("ce_type", b"x\0")], [("ce_id", b"\xff\xfe")], [("ce_id", b"x" * 9000)],
        )):
            producer.send("order-recorded", value=b"%d" % number, key=good.subject.encode(), headers=headers).get(20)
        producer.send("order-recorded", value=None, key=b"k", headers=[]).get(20)
        producer.send(
            "order-recorded", value=message.value, key=good.subject.encode(),
            headers=[(name, text.encode()) for name, text in message.headers.items()],
        ).get(20)
        here.start(here.consumer())
        wait_until(lambda: here.lines(good.subject) == ("order 1",), 40)
        wait_until(lambda: here.count("quarantine", "payload in ('0','1','2','3','4','')") == 6, 20)
    finally:
        producer.close()


def test_a_relay_survives_a_producer_that_cannot_even_be_closed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """kafka-python's close raises what it could not flush; the relay goes on with a new producer."""
    relay = Relay(here.store, here.broker)
    broken = here.broker.producer()

    def stuck(timeout: float | None = None) -> None:
        raise KafkaTimeoutError

    monkeypatch.setattr(broken, "flush", stuck)
    relay._producer, relay._was_away = broken, False
    here.runner.submit(command("a", event=order(str(uuid.uuid4()), 1)))
    here.start(relay)
    wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 30)


@pytest.mark.parametrize("failure", [ZeroDivisionError("Doe^Jane"), Misconfigured("topic x has 1 partition")])
def test_a_worker_outlives_what_its_turn_did_not_foresee(failure: Exception) -> None:
    """A thread that dies silently would stop its room; it says so in readiness, without the message, and tries again."""
    turns: list[str] = []

    def turn() -> float:
        turns.append(worker.away)
        if len(turns) == 1:
            raise failure
        return 1.0

    worker = Worker("w", turn)
    worker.start()
    wait_until(lambda: len(turns) >= 2, 10)
    worker.stop()
    assert turns[1]
    assert "Doe" not in turns[1]
    assert worker.away == ""
