"""Relay, consumer, parking, deliveries, timers and jobs over a real Postgres and the embedded broker."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import RebalanceInProgressError
from conftest import wait_until
from examples.diary import CLOCK, Diary, Here, command, order
from examples.shared import SITE, envelope, study

from radloop.events.study import StudyBackfilled
from radloop.events.wire import Wire
from radloop.kit import consumer as consumer_module, lanes
from radloop.kit.bell import Bell, ring
from radloop.kit.courtesy import Courtesy
from radloop.kit.deliveries import Check, Deliveries
from radloop.kit.flow import At
from radloop.kit.jobs import Progress, run_job
from radloop.kit.kafka import Broker, topics
from radloop.kit.relay import Relay
from radloop.kit.timers import Timers

EARLIER = StudyBackfilled(**envelope("earlier", 0), study=study(), revision=1, purpose="pool")


@pytest.fixture
def here(database: str, kafka: str, tmp_path: Path) -> Iterator[Here]:
    """A room of a name of its own (its name is its consumer group)."""
    room = Here(database, kafka, tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    room.broker.ensure_topics()
    yield room
    room.stop()


def test_an_event_travels_from_outbox_to_handler_once_and_in_order(here: Here, database: str, kafka: str, tmp_path: Path) -> None:
    """What one room records, the relay sends in order, and another room's consumer settles once."""
    case = str(uuid.uuid4())
    for revision in range(1, 21):
        here.runner.submit(command(f"c{revision}", event=order(case, revision)))
    other = Here(database, kafka, tmp_path / "o", f"o{uuid.uuid4().hex[:8]}")
    try:
        here.start(Relay(here.store, here.broker))
        other.start(other.consumer())
        wait_until(lambda: len(other.lines(case)) == 20, 30)
        assert other.lines(case) == tuple(f"order {revision}" for revision in range(1, 21))
        wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 10)
    finally:
        other.stop()


def test_who_hears_a_topic_is_rung_when_something_was_sent(here: Here) -> None:
    """The relay rings the rooms that hear what the broker has taken, and no other."""
    hears, other = Bell(here.broker.bells, "triage", "0"), Bell(here.broker.bells, "cli", "0")
    assert not hears.wait(0)
    assert not other.wait(0)
    here.runner.submit(command("c", event=order(str(uuid.uuid4()), 1)))
    here.start(Relay(here.store, here.broker))
    assert hears.wait(30)
    assert not other.wait(0)
    hears.close()
    other.close()


def test_a_bulk_topic_rings_the_group_that_hears_it_and_that_alone(here: Here) -> None:
    """Who hears a room's other topics is not woken a thousand times for nothing."""
    bulk, live = Bell(here.broker.bells, "inference-bulk", "0"), Bell(here.broker.bells, "inference", "0")
    assert not bulk.wait(0)
    assert not live.wait(0)
    event = replace(EARLIER, id=f"rung-{here.store.room}", subject=str(uuid.uuid4()))
    with here.store.begin() as work:
        work.enqueue(event.id, Wire().encode(event, "test"))
    here.start(Relay(here.store, here.broker))
    assert bulk.wait(30)
    assert not live.wait(0)
    bulk.close()
    live.close()


def test_a_rung_consumer_does_not_wait_for_its_next_look(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a broker that does not hold fetches a consumer looks seldom, and at once when it is rung."""
    consumer = here.consumer()
    here.start(consumer, Relay(here.store, here.broker))
    wait_until(lambda: not consumer.ready, 30)
    monkeypatch.setattr(consumer_module, "IDLE_S", 600.0)
    case = str(uuid.uuid4())
    here.runner.submit(command("c", event=order(case, 1)))
    wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 10)

    def heard() -> bool:
        ring(here.broker.bells, (here.store.room,))
        return here.lines(case) == ("order 1",)

    wait_until(heard, 30)
    monkeypatch.undo()
    ring(here.broker.bells, (here.store.room,))


class Mute:
    """A member that never hears from its group."""

    def poll(self, **_: Any) -> dict[Any, Any]:
        return {}

    def assignment(self) -> set[Any]:
        return set()

    def end_offsets(self, _: Any) -> dict[Any, int]:
        return {}

    def close(self, **_: Any) -> None:
        pass


def test_a_join_that_is_never_answered_is_asked_for_anew(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker may forget who waits for its share of the group; a room that waited on would stand still for good."""
    join, asked = Broker.consumer, list[str]()
    monkeypatch.setattr(consumer_module, "UNSETTLED_S", 0.5)

    def consumer(broker: Broker, group: str, *rest: Any) -> Any:
        asked.append(group)
        if len(asked) == 1:
            return Mute()
        monkeypatch.setattr(consumer_module, "UNSETTLED_S", 60.0)
        return join(broker, group, *rest)

    taken_back: list[tuple[str, ...]] = []
    monkeypatch.setattr(Broker, "consumer", consumer)
    monkeypatch.setattr(Broker, "take_back", lambda _, *whose: taken_back.append(whose))
    case = str(uuid.uuid4())
    here.runner.submit(command("c", event=order(case, 1)))
    here.start(Relay(here.store, here.broker), here.consumer())
    wait_until(lambda: here.lines(case) == ("order 1",), 60)
    assert len(asked) == 2
    assert taken_back == [(here.store.room, "0")], "what it left behind could keep it out for good"


def test_a_parked_case_holds_nobody_else_and_keeps_its_order(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a dependency is parked, later inputs of its key behind it; others go on; then all are settled in order."""
    monkeypatch.setattr(lanes, "PARK_AFTER_S", 0.2)
    slow, quick = str(uuid.uuid4()), str(uuid.uuid4())
    here.world.away.add(slow)
    for revision in (1, 2, 3):
        here.runner.submit(command(f"s{revision}", event=order(slow, revision)))
    here.runner.submit(command("q", event=order(quick, 1)))
    here.start(Relay(here.store, here.broker), here.consumer(), here.parking)
    wait_until(lambda: here.lines(quick) == ("order 1",), 30)
    wait_until(lambda: here.count("parked", f"key = '{slow}'") == 3, 15)
    here.world.away.clear()
    wait_until(lambda: here.lines(slow) == ("order 1", "order 2", "order 3"), 30)
    wait_until(lambda: here.count("parked", f"key = '{slow}'") == 0, 10)


def test_who_hears_a_live_event_expects_more_of_them(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study's events come one after another: bulk work of the room waits for a moment after each."""
    expected: list[str] = []
    monkeypatch.setattr(here.runner.courtesy, "live", lambda: expected.append("more"))
    case = str(uuid.uuid4())
    here.runner.submit(command("c", event=order(case, 1)))
    here.start(Relay(here.store, here.broker), here.consumer())
    wait_until(lambda: here.lines(case) == ("order 1",), 30)
    assert expected


def shelved(here: Here, earlier: list[str]) -> int:
    """Count which of these earlier studies were heard; the topic holds other tests' too."""
    return here.count("inbox", f"route = 'shelve' and key in ({', '.join(map(repr, earlier))})")


def test_what_comes_by_the_thousand_stands_in_front_of_nobody(here: Here) -> None:
    """Earlier studies are heard in a lane of their own, which gives way before each of them: an order is heard past it."""
    asked, go = threading.Event(), threading.Event()
    here.runner.courtesy = Courtesy(CLOCK, lambda _: (asked.set(), go.wait(60)))
    here.runner.courtesy.live(0.5)
    case, earlier = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(50)]
    with here.store.begin() as work:
        for one in earlier:
            work.enqueue(f"earlier-{one}", Wire().encode(replace(EARLIER, id=f"earlier-{one}", subject=one), "test"))
    bulk = here.consumer(bulk=True)
    here.start(Relay(here.store, here.broker), bulk, here.consumer())
    while not asked.wait(0.1):
        here.runner.courtesy.live(0.5)
    here.runner.submit(command("c", event=order(case, 1)))
    here.workers[0].worker.wake()
    wait_until(lambda: here.lines(case) == ("order 1",), 30)
    assert shelved(here, earlier) == 0
    go.set()
    wait_until(lambda: shelved(here, earlier) == len(earlier), 30)


def test_a_poison_event_is_quarantined_after_five_attempts(here: Here) -> None:
    """It blocks nobody, and is kept with its bytes."""
    bad, good = str(uuid.uuid4()), str(uuid.uuid4())
    here.world.broken.add(bad)
    here.runner.submit(command("b", event=order(bad, 1)))
    here.runner.submit(command("g", event=order(good, 1)))
    here.start(Relay(here.store, here.broker), here.consumer())
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


def test_a_timer_somebody_waits_for_goes_before_those_that_come_by_the_thousand(here: Here) -> None:
    """Earlier studies' quiet periods end by the hundred; the one of a study that came after them is settled before them."""
    now = CLOCK.now()
    with here.store.begin() as work:
        for number in range(30):
            work.set_timer(f"earlier-{number}", SITE, At(now - timedelta(minutes=1), "ring", bulk=True))
        work.set_timer("live", SITE, At(now, "ring"))
    timers = Timers(here.runner, CLOCK)
    timers._turn()
    assert (here.lines("live"), here.count("timer")) == (("rang",), 30)
    here.runner.courtesy.live(600)
    assert 0 < timers._turn() <= 1, "it waits for the next of those that are expected, not of its own kind"
    timers._turn()
    assert here.count("timer") == 29, "one a second, however often it is woken"
    here.runner.courtesy = Courtesy(CLOCK)
    while timers._turn() == 0:
        pass
    assert here.count("timer") == 0


def test_what_waits_in_the_outbox_is_sent_with_bulk_last(here: Here) -> None:
    """An order behind a thousand earlier studies leaves before them."""
    with here.store.begin() as work:
        for number in range(20):
            event = replace(EARLIER, id=f"bulk-{here.store.room}-{number}", subject=str(uuid.uuid4()))
            work.enqueue(event.id, Wire().encode(event, "test"))
    here.runner.submit(command("c", event=order(str(uuid.uuid4()), 1)))
    waves: list[list[str]] = []
    relay = Relay(here.store, here.broker)
    send = relay._send_wave
    relay._send_wave = lambda events: (waves.append([one.topic for one in events]), send(events))[1]  # type: ignore[method-assign]
    relay._turn()
    relay.stop()
    assert waves == [["order-recorded"], ["study-backfilled"] * 20]


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


def test_what_a_stopping_consumer_has_not_begun_is_read_again(here: Here) -> None:
    """It gives way before each earlier study; stopped with most of a batch in hand, it commits nothing that was not settled."""
    asked, go = threading.Event(), threading.Event()
    here.runner.courtesy = Courtesy(CLOCK, lambda _: (asked.set(), go.wait(60)))
    here.runner.courtesy.live(600)
    earlier = [str(uuid.uuid4()) for _ in range(30)]
    with here.store.begin() as work:
        for one in earlier:
            work.enqueue(f"earlier-{one}", Wire().encode(replace(EARLIER, id=f"earlier-{one}", subject=one), "test"))
    bulk = here.consumer(bulk=True)
    relay = Relay(here.store, here.broker)
    here.start(relay)
    bulk.start()
    wait_until(asked.is_set, 30)
    stopping = threading.Thread(target=bulk.stop)
    stopping.start()
    wait_until(lambda: bulk.worker.stopping, 10)
    go.set()
    stopping.join(30)
    assert shelved(here, earlier) < len(earlier)
    here.runner.courtesy = Courtesy(CLOCK)
    here.start(here.consumer(bulk=True))
    wait_until(lambda: shelved(here, earlier) == len(earlier), 40)


def test_a_member_that_can_commit_no_more_joins_its_group_anew(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a client has lost the answer to its join, it reads on and commits nothing: it is replaced, and its offsets are kept."""
    monkeypatch.setattr(consumer_module, "UNCOMMITTED_S", 0.5)
    opened: list[KafkaConsumer] = []

    def refused(*_: object, **__: object) -> None:
        raise RebalanceInProgressError

    def opens(broker: Broker, *told: object) -> KafkaConsumer:
        member = consumer(broker, *told)
        if not opened:
            monkeypatch.setattr(member, "commit", refused)
        opened.append(member)
        return member

    consumer = Broker.consumer
    monkeypatch.setattr(Broker, "consumer", opens)
    here.start(Relay(here.store, here.broker), here.consumer())
    cases: list[str] = []

    def renewed() -> bool:
        if not cases or here.lines(cases[-1]):  # the next one is to be a commit of its own
            cases.append(str(uuid.uuid4()))
            here.runner.submit(command(f"c-{cases[-1]}", event=order(cases[-1], 1)))
        return len(opened) > 1

    wait_until(renewed, 40)
    wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 40)
    wait_until(lambda: behind_by_group(here) == 0, 40)
    assert all(here.lines(case) == ("order 1",) for case in cases)


def behind_by_group(here: Here) -> int:
    """Return how many records of order-recorded this room's group has not committed."""
    there = KafkaConsumer(**here.broker.options(), group_id=here.store.room, enable_auto_commit=False)
    try:
        partitions = [TopicPartition("order-recorded", one) for one in range(topics()["order-recorded"].partitions)]
        return sum(there.end_offsets(partitions)[one] - (there.committed(one) or 0) for one in partitions)
    finally:
        there.close()
