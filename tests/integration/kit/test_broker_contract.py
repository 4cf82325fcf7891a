"""What the kit relies on from a Kafka broker, the same for the embedded one, for Apache Kafka and for one that is given.

`RADLOOP_KAFKA_BOOTSTRAP_SERVERS` (with `RADLOOP_KAFKA_SECURITY`, `_MECHANISM`, `_USER`, `_PASSWORD` and `_CA_FILE`) gives one.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from adapters import brokers
from adapters.embedded_broker import Embedded
from conftest import wait_until
from examples.diary import Here, command, order
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec

from radloop.events.wire import Wire
from radloop.kit import kafka as kafka_module
from radloop.kit.codec import Message
from radloop.kit.errors import Misconfigured
from radloop.kit.kafka import MILLISECONDS_A_DAY, Broker, topics
from radloop.kit.retention import read_retention
from radloop.kit.relay import Relay
from radloop.kit.runner import EVENT_BYTES
from radloop.workbench.play.settled import behind

ORDERS = [TopicPartition("order-recorded", number) for number in range(topics()["order-recorded"].partitions)]


@pytest.fixture(params=brokers.KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    """Reach a broker of each kind, its topics made."""
    found = brokers.broker(request.param, request, tmp_path)
    found.ensure_topics()
    return found


@pytest.fixture
def here(database: str, broker: Broker, tmp_path: Path) -> Iterator[Here]:
    """Open a room of a name of its own (its name is its consumer group)."""
    room = Here(database, broker, tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    yield room
    room.stop()


@pytest.fixture
def admin(broker: Broker) -> Iterator[Any]:
    """Ask the broker itself."""
    client = KafkaAdminClient(**broker.options(), request_timeout_ms=10_000)
    yield client
    client.close()


@pytest.fixture
def topic(admin: Any) -> Iterator[str]:
    """Make a topic of this test's own."""
    name = f"radloop-test-{uuid.uuid4().hex[:8]}"
    admin.create_topics({name: {"num_partitions": 3, "replication_factor": -1}}, wait_for_metadata=True)
    yield name
    admin.delete_topics([name])


def read(broker: Broker, topic: str, most: int) -> list[Any]:
    """Read a topic as a group of its own until so many records came."""
    consumer, found = broker.consumer(f"g{uuid.uuid4().hex[:8]}", "0", (topic,)), []
    deadline = time.monotonic() + 60
    while len(found) < most and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=200).values():
            found += records
    consumer.close()
    return found


def test_what_is_produced_is_consumed_in_order_per_key(broker: Broker, topic: str) -> None:
    """Every record comes, once, with its bytes; those of one key in the order in which they were sent."""
    producer = broker.producer()
    sent = [(f"case-{number % 10}".encode(), b"%d" % number) for number in range(200)]
    for key, value in sent:
        producer.send(topic, key=key, value=value)
    producer.flush(20)
    producer.close()
    found = [(record.key, record.value) for record in read(broker, topic, len(sent))]
    assert sorted(found) == sorted(sent)
    for key in dict(sent):
        assert [one for one in found if one[0] == key] == [one for one in sent if one[0] == key]


def test_headers_arrive_as_they_were_said(here: Here, broker: Broker) -> None:
    """All of them, in any script, empty ones too; the trace goes on at the other side."""
    mark = str(uuid.uuid4())
    headers = {
        "ce_id": mark, "ce_type": "radloop.v1.OrderRecorded", "traceparent": f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01",
        "note": "Grüße, 東京 ☢", "empty": "", "content-type": "application/protobuf",
    }
    with here.store.begin() as work:
        work.enqueue(mark, Message("order-recorded", mark, headers, b"no order"))
    here.start(Relay(here.store, here.broker))
    wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 30)
    consumer = broker.consumer(here.store.room, "reads", ("order-recorded",))
    found: list[dict[str, str]] = []

    def came() -> bool:
        for records in consumer.poll(timeout_ms=200).values():
            found.extend(
                {name: value.decode() for name, value in record.headers} for record in records if record.key == mark.encode()
            )
        return bool(found)

    wait_until(came, 60)
    consumer.close()
    assert [{name: text for name, text in one.items() if name != "ce_recordedtime"} for one in found] == [headers]


def test_topics_are_made_as_they_are_described(broker: Broker, admin: Any) -> None:
    """Every topic of proto/topics is there, with its partitions, each with a leader."""
    broker.ensure_topics()
    told = {one["name"]: one["partitions"] for one in admin.describe_topics(list(topics()))}
    assert {name: len(partitions) for name, partitions in told.items()} == {name: one.partitions for name, one in topics().items()}
    assert all(one["leader_id"] >= 0 for partitions in told.values() for one in partitions)


def test_topics_keep_records_as_long_as_they_are_described_to(broker: Broker, admin: Any) -> None:
    """What waits for a hearer that is away must still be there when it comes back."""
    told = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in topics()], config_filter="all")
    kept = {name: int(configs["retention.ms"]["value"]) for name, configs in told["topic"].items()}
    assert kept == dict.fromkeys(topics(), read_retention().topic * MILLISECONDS_A_DAY)


def test_a_topic_with_other_partitions_is_refused(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order per case hangs on their number, so a room says so instead of starting."""
    changed = {name: replace(one, partitions=one.partitions + (name == "order-recorded")) for name, one in topics().items()}
    monkeypatch.setattr(kafka_module, "topics", lambda: changed)
    with pytest.raises(Misconfigured, match=r"topic order-recorded has \d+ partitions, not"):
        broker.ensure_topics()


def test_who_comes_before_the_topics_are_made_does_not_have_them_made(tmp_path: Path) -> None:
    """The embedded broker, as Apache Kafka by default, makes a topic that is asked for, with one partition, and that for good."""
    embedded = Embedded(tmp_path / "broker")
    embedded.start()
    early = Broker(embedded.bootstrap)
    consumer = early.consumer("g", "0", ("order-recorded",))
    try:
        consumer.poll(timeout_ms=500)
        assert not consumer.assignment()
        early.ensure_topics()
        wait_until(lambda: (consumer.poll(timeout_ms=200), len(consumer.assignment()) == len(ORDERS))[1], 30)
    finally:
        consumer.close()
        embedded.kill()


def test_the_biggest_event_goes_through_and_a_bigger_one_is_refused_at_the_door(here: Here) -> None:
    """900,000 bytes reach the handler; what is more never reaches the outbox, where it would stand in front of all others."""
    case = str(uuid.uuid4())
    small = len(Wire().encode(order(case, 1), here.store.room).value)

    def of(size: int, revision: int) -> Any:
        plain = order(case, revision)
        longer = plain.order.indication + "x" * (size - small - 4)  # 4: longer lengths take more bytes
        return replace(plain, order=replace(plain.order, indication=longer))

    fits, too_big = of(EVENT_BYTES, 1), of(EVENT_BYTES + 100, 2)
    assert EVENT_BYTES - 10 <= len(Wire().encode(fits, here.store.room).value) <= EVENT_BYTES
    assert here.runner.submit(command("fits", event=fits)).kind == "recorded"
    refused = here.runner.submit(command("too big", event=too_big))
    assert (refused.kind, "too big for a topic" in refused.reason) == ("quarantined", True)
    here.start(Relay(here.store, here.broker), here.consumer())
    wait_until(lambda: here.lines(case) == ("order 1",), 60)
    assert here.count("outbox") == 1


def test_a_poison_event_is_quarantined_after_five_attempts_and_blocks_nobody(here: Here) -> None:
    """Those behind it, of other cases in the same partition, are settled; it is kept with its bytes."""
    bad, good = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(20)]
    here.world.broken.add(bad)
    here.runner.submit(command("b", event=order(bad, 1)))
    for number, case in enumerate(good):
        here.runner.submit(command(f"g{number}", event=order(case, 1)))
    here.start(Relay(here.store, here.broker), here.consumer(), here.parking)
    wait_until(lambda: all(here.lines(case) == ("order 1",) for case in good), 60)
    wait_until(lambda: here.count("quarantine", f"subject = '{bad}' and attempts = 5") == 1, 60)
    wait_until(lambda: lag(here.broker, here.store.room) == 0, 30)


def lag(broker: Broker, group: str) -> int:
    """Return how many orders a group has not committed, asked of the broker; all of them where it has committed nothing."""
    client: Any = KafkaAdminClient(**broker.options(), request_timeout_ms=10_000)
    try:
        ends = client.list_partition_offsets(dict.fromkeys(ORDERS, OffsetSpec.LATEST))
        kept = client.list_group_offsets({group: ORDERS})[group]
    finally:
        client.close()
    return sum(ends[one].offset - (max(0, kept[one].offset) if one in kept else 0) for one in ORDERS)


def test_lag_is_what_was_not_consumed(database: str, broker: Broker, here: Here, tmp_path: Path) -> None:
    """The broker's own figures, and what the workbench makes of them, agree with what was settled."""
    triage = Here(database, broker, tmp_path / "triage", "triage")
    case, watched = str(uuid.uuid4()), broker.security == "PLAINTEXT"
    try:
        here.start(Relay(here.store, here.broker))
        before = lag(broker, "triage")
        for revision in range(1, 6):
            here.runner.submit(command(f"c{revision}", event=order(case, revision)))
        wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 30)
        assert lag(broker, "triage") == before + 5
        assert not watched or behind(broker.bootstrap, "triage") >= before + 5
        triage.start(triage.consumer())
        wait_until(lambda: lag(broker, "triage") == 0, 60)
        assert len(triage.lines(case)) == 5
        assert not watched or behind(broker.bootstrap, "triage") == 0
    finally:
        triage.stop()
