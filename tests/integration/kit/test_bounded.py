"""What the kit takes into memory at once is bounded, however much waits: of a topic, an outbox, what is parked, due or owed, of callers."""

import socket
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from adapters import brokers
from conftest import wait_until
from examples.diary import CLOCK, Diary, Here, order
from kafka.admin import KafkaAdminClient

from radloop.kit import health as health_module, outbox as outbox_module, parking as parking_module, rpc
from radloop.kit.admin import MOST, Admin
from radloop.kit.codec import Message
from radloop.kit.deliveries import AT_ONCE, Answer, Check, Deliveries
from radloop.kit.errors import Transient
from radloop.kit.flow import Arrived, At, Deliver
from radloop.kit.health import Health
from radloop.kit.kafka import FETCH_BYTES, PARTITION_BYTES, Broker
from radloop.kit.outbox import Outbox
from radloop.kit.relay import Relay
from radloop.kit.runner import EVENT_BYTES
from radloop.kit.timers import BATCH, Timers
from radloop.v1 import admin_service_pb2 as pb


@pytest.fixture
def here(database: str, kafka: str, tmp_path: Path) -> Iterator[Here]:
    """A room of a name of its own (its name is its consumer group)."""
    room = Here(database, kafka, tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    room.broker.ensure_topics()
    yield room
    room.stop()


@pytest.fixture(params=brokers.KINDS[1:])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    """Reach a broker of each kind, its topics made; but for the embedded one, which sends all that waits, whatever it is told."""
    return brokers.broker(request.param, request, tmp_path)


@pytest.fixture
def wide(broker: Broker) -> Iterator[str]:
    """Make a topic of this test's own, of as many partitions as a room hears in all."""
    admin, name = KafkaAdminClient(**broker.options(), request_timeout_ms=10_000), f"radloop-test-{uuid.uuid4().hex[:8]}"
    admin.create_topics({name: {"num_partitions": 32, "replication_factor": -1}}, wait_for_metadata=True)
    yield name
    admin.delete_topics([name])
    admin.close()


def test_a_consumer_takes_a_bounded_part_of_what_waits(broker: Broker, wide: str) -> None:
    """Where far more waits, what one look takes is what one answer of a broker may hold; all of it comes."""
    producer, count = broker.producer(), 64
    for number in range(count):
        producer.send(wide, value=bytes(EVENT_BYTES), partition=number % 32, headers=[])
    producer.flush()
    producer.close()
    consumer = broker.consumer(f"g-{wide}", "0", (wide,))
    looks: list[list[int]] = []

    def read() -> bool:
        looks.append([len(one.value) for found in consumer.poll(timeout_ms=500).values() for one in found])
        return sum(map(len, looks)) == count

    wait_until(read, 120)
    consumer.close()
    assert max(map(sum, looks)) <= FETCH_BYTES + PARTITION_BYTES


def test_what_is_sent_again_is_read_in_bounded_batches(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage the largest events come back a few at a time, and every one of them does."""
    monkeypatch.setattr(outbox_module, "BATCH_BYTES", 3_000)
    for number in range(7):
        with here.store.begin() as work:
            work.enqueue(f"{here.store.room}-{number}", Message("study-completed", f"case-{number}", {}, bytes(1_000)))
    outbox = Outbox(here.store)
    outbox.mark_sent([row[0] for row in here.rows("select id from outbox")])
    ids = outbox.sent_lately(60.0)
    assert len(outbox.read(ids)) == 3
    batches: list[int] = []
    sends_again = Relay(here.store, here.broker)
    monkeypatch.setattr(sends_again, "_send", lambda events, **_: batches.append(len(events)))
    sends_again._send_again()
    assert batches == [3, 3, 1]


def test_what_is_parked_is_tried_in_bounded_pages_and_all_of_it_is(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are parked, one turn looks at a page of them; turn by turn all are settled."""
    monkeypatch.setattr(parking_module, "PAGE", 5)
    cases = [str(uuid.uuid4()) for _ in range(12)]
    route = next(one for one in here.runner.routes if one.name == "hear")
    for case in cases:
        event = order(case, 1)
        message = here.runner._events.encode(event, "test")
        here.store.park(route.name, (case,), Arrived(
            seen=event, payload=message.value, source=f"topic:{message.topic}", type_name=message.headers["ce_type"],
            headers=dict(message.headers),
        ), "waits")
    assert len(list(here.parking._due())) == 5
    here.start(here.parking)
    wait_until(lambda: here.count("parked") == 0, 30)
    assert all(here.lines(case) == ("order 1",) for case in cases)


def test_timers_are_read_in_bounded_pages(here: Here) -> None:
    """However many are due, one look takes a few, and what becomes due meanwhile is not behind all of them."""
    with here.store.begin() as work:
        for number in range(3 * BATCH):
            work.set_timer(f"key-{number}", "site-1", At(CLOCK.now(), "ring"))
    timers = Timers(here.runner, CLOCK)
    assert timers._settle_due(bulk=False, most=BATCH) == BATCH
    assert here.count("timer") == 2 * BATCH
    here.start(timers)
    wait_until(lambda: here.count("timer") == 0, 30)


def test_of_what_is_owed_a_receiver_has_a_few_in_hand(here: Here) -> None:
    """A thousand deliveries wait in the table while a slow receiver has two of them; all are sent in the end."""
    let, hands, most = threading.Event(), threading.Semaphore(0), list[int]()
    lock, running = threading.Lock(), set[str]()

    class Slow:
        def send(self, delivery: Deliver) -> Answer:
            with lock:
                running.add(delivery.key)
                most.append(len(running))
            hands.release()
            assert let.wait(30)
            with lock:
                running.discard(delivery.key)
            return Answer("delivered")

    with here.store.begin() as work, work.without_waiting():
        for number in range(60):
            work.deliver("say", Deliver(
                key=f"d{number}", receiver="ehr", subject=f"case-{number}", kind="report", body=b"x", content_type="text/plain"))
    deliveries = Deliveries(here.runner, {"ehr": Slow()}, Check(keeps=Diary, superseded=lambda _delivery, _diary: None), CLOCK, "site-1")
    here.start(deliveries)
    for _ in range(AT_ONCE):
        assert hands.acquire(timeout=30)
    assert here.count("delivery", "leased_until is not null") == AT_ONCE
    let.set()
    wait_until(lambda: here.count("delivery", "state = 'waiting'") == 0, 60)
    assert max(most) == AT_ONCE


def test_a_case_with_no_end_of_facts_is_traced_up_to_a_bound(here: Here) -> None:
    """The last facts are told, and that there are more; what one says of a very large event is left to the table."""
    with here.store.connection() as connection:
        connection.execute(
            "insert into inbox (route, input_id, key, type, outcome, settled_at) select 'say', 'i' || n, 'case', 'Say', 'recorded',"
            " now() + make_interval(secs => n) from generate_series(1, %s) as n", (MOST + 50,))
    told = Admin(here.runner, list).Trace(pb.TraceRequest(case_id="case"), None)  # type: ignore[arg-type]
    assert (told.entries[0].kind, len(told.entries)) == ("left out", MOST + 1)
    times = [one.at.ToDatetime() for one in told.entries]
    assert times == sorted(times)


def test_a_caller_too_many_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a room waits in a bounded line; who does not fit into it is refused at once as by a room that is away."""
    monkeypatch.setattr(rpc, "CALLS", rpc.AT_ONCE + 2)
    let, begun = threading.Event(), threading.Semaphore(0)

    def slow(_request: bytes, _context: Any) -> bytes:
        begun.release()
        assert let.wait(30)
        return b"ok"

    handlers = grpc.method_handlers_generic_handler("test.Slow", {"Ask": grpc.unary_unary_rpc_method_handler(slow)})
    server, port = rpc.server("127.0.0.1:0", (lambda made: made.add_generic_rpc_handlers((handlers,)),))
    channel = rpc.channel(f"127.0.0.1:{port}")
    ask = channel.unary_unary("/test.Slow/Ask")

    def call() -> bytes:
        with rpc.calling("slow") as how:
            return bytes(ask(b"", **how))

    with ThreadPoolExecutor(rpc.CALLS) as pool:
        waiting = [pool.submit(call) for _ in range(rpc.CALLS)]
        for _ in range(rpc.AT_ONCE):
            assert begun.acquire(timeout=30)
        wait_until(lambda: "limit exceeded" in why_not(ask), 30)
        let.set()
        assert [one.result(30) for one in waiting] == [b"ok"] * rpc.CALLS
    channel.close()
    server.stop(None).wait()


def why_not(ask: Any) -> str:
    """Call with little patience; return why there is no answer."""
    try:
        with rpc.calling("slow"):
            ask(b"", timeout=0.5)
    except Transient as away:
        return away.reason
    return ""


def test_silent_callers_of_health_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many may be connected at once; one that says nothing is hung up on after a while, and then there is room again."""
    monkeypatch.setattr(health_module, "AT_ONCE", 2)
    monkeypatch.setattr(health_module, "SILENCE_S", 1.0)
    health = Health("127.0.0.1:0", list)
    health.start()
    silent = [socket.create_connection(("127.0.0.1", health.port), 5) for _ in range(2)]
    with socket.create_connection(("127.0.0.1", health.port), 5) as one_more:
        one_more.sendall(b"GET /live HTTP/1.0\r\n\r\n")
        assert refused(one_more)

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{health.port}/live", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    wait_until(answers, 10)
    for one in silent:
        one.close()
    health.stop()


def refused(line: Any) -> bool:
    """Say whether the far end hung up without a word."""
    try:
        return not line.recv(10)
    except ConnectionResetError:
        return True


