"""What is kept how long, over a real Postgres and the embedded broker: repeats stay harmless, and nothing that is owed is pruned."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import wait_until
from examples.diary import CLOCK, Here, command, order

from radloop.events.wire import Wire
from radloop.kit import outbox as outbox_module
from radloop.kit.admin import Admin
from radloop.kit.clock import ManualClock
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.outbox import Outbox
from radloop.kit.pruning import Pruning
from radloop.kit.relay import Relay
from radloop.kit.retention import Retention, read_retention
from radloop.kit.runner import Runner
from radloop.v1 import admin_service_pb2 as pb
from radloop.workbench.play.settled import behind

KEPT = Retention(topic=1, outbox=3, inbox=5)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def here(database: str, kafka: str, tmp_path: Path) -> Iterator[Here]:
    """A room of a name of its own (its name is its consumer group)."""
    room = Here(database, kafka, tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    room.broker.ensure_topics()
    yield room
    room.stop()


def age(here: Here, table: str, column: str, days: int, where: str = "true") -> None:
    """Make rows older."""
    with here.store.connection() as connection:
        connection.execute(f"update {table} set {column} = {column} - make_interval(days => {days}) where {where}")


def prune(here: Here) -> None:
    """Prune until nothing is left to prune."""
    pruning = Pruning(here.store, KEPT, CLOCK)
    while pruning._turn() == 0.2:
        pass
    pruning.stop()


def say(here: Here, count: int) -> str:
    """Say so many events of one case, and have the broker take them."""
    case = str(uuid.uuid4())
    for revision in range(1, count + 1):
        here.runner.submit(command(f"{case}-{revision}", event=order(case, revision), subject=case))
    relay = Relay(here.store, here.broker)
    here.start(relay)
    wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 30)
    here.workers.remove(relay)
    relay.stop()
    return case


def test_what_is_old_goes_and_what_is_young_stays(here: Here) -> None:
    """Outbox and inbox lose what is older than the file says, batch by batch, and nothing else."""
    say(here, 4)
    age(here, "outbox", "created_at", 4, "id <= 2")
    age(here, "inbox", "settled_at", 7, "input_id like '%-1'")
    age(here, "inbox", "settled_at", 5, "input_id like '%-2'")  # within a day of clocks that differ
    prune(here)
    assert (here.count("outbox"), here.count("inbox")) == (2, 3)


def test_pruning_takes_small_bites(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is old, one transaction deletes a bounded batch and lets others in before the next."""
    monkeypatch.setattr(outbox_module, "PRUNED_AT_ONCE", 2)
    say(here, 5)
    age(here, "outbox", "created_at", 9)
    pruning = Pruning(here.store, KEPT, CLOCK)
    assert pruning._turn() == 0.2
    assert here.count("outbox") == 3
    pruning.stop()


def test_what_the_broker_never_took_is_never_pruned(here: Here) -> None:
    """An outbox that waits for its broker for longer than the retention loses nothing, nor does one that is to be repeated."""
    case = say(here, 2)
    age(here, "outbox", "created_at", 9)
    with here.store.connection() as connection:
        connection.execute("update outbox set sent_at = null where event_id like '%-1'")
        connection.execute("update outbox set again = true where event_id like '%-2'")
    prune(here)
    assert here.count("outbox", f"key = '{case}'") == 2


def test_whatever_is_left_to_repeat_has_no_second_effect(here: Here, database: str, kafka: str, tmp_path: Path) -> None:
    """Pruned on the last day that the file allows and then repeated whole: every hearer still knows what it has settled.

    Days pass in the tables and not at the broker: a day more, and a consumer that reads back would find what no inbox knows.
    """
    other = Here(database, kafka, tmp_path / "o", f"o{uuid.uuid4().hex[:8]}")
    try:
        case = say(here, 6)
        other.start(other.consumer())
        wait_until(lambda: len(other.lines(case)) == 6, 30)
        for days in range(5):
            prune(here)
            prune(other)
            Outbox(here.store).repeat(EPOCH)
            relay = Relay(here.store, here.broker)
            relay.start()
            wait_until(lambda: here.count("outbox", "again") == 0, 30)
            relay.stop()
            wait_until(lambda: behind(kafka, other.store.room) == 0, 30)
            assert here.count("outbox") == (6 if days < KEPT.outbox else 0)
            age(here, "outbox", "created_at", 1)
            age(other, "inbox", "settled_at", 1)
        probe = say(here, 1)
        wait_until(lambda: other.lines(probe) == ("order 1",), 30)
        assert other.lines(case) == tuple(f"order {revision}" for revision in range(1, 7))
    finally:
        other.stop()


def test_an_event_from_before_the_inbox_remembers_goes_to_quarantine(here: Here) -> None:
    """It may have been settled and forgotten; whether it was is for people to say, and no handler sees it."""
    message = Wire().encode(order("c", 1), "x")
    clock = ManualClock(EPOCH + timedelta(days=100))
    runner = Runner(here.store, here.runner.routes, Wire(), clock, timedelta(days=5))
    young, old = (EPOCH + timedelta(days=days) for days in (96, 94))
    assert runner.read("", "topic:order-recorded", {**message.headers, "ce_recordedtime": young.isoformat()}, message.value)
    with pytest.raises(Permanent, match="more than 5 days ago"):
        runner.read("", "topic:order-recorded", {**message.headers, "ce_recordedtime": old.isoformat()}, message.value)
    with pytest.raises(Permanent, match="ce_recordedtime"):
        runner.read("", "topic:order-recorded", {**message.headers, "ce_recordedtime": "yesterday"}, message.value)


def test_a_clock_that_was_ahead_hides_nothing_from_being_sent_again(here: Here) -> None:
    """What it marked meanwhile is not the latest: what has been sent since lies just as near to an outage."""
    case = say(here, 2)
    with here.store.connection() as connection:
        connection.execute("update outbox set sent_at = now() + interval '1 hour' where event_id like '%-1'")
    assert len(Outbox(here.store).sent_lately(60.0)) == here.count("outbox", f"key = '{case}'") == 2


def test_what_is_sent_says_when_it_was_said(here: Here) -> None:
    """However late and however often it is sent, the header is the same: the instant at which it was recorded."""
    say(here, 1)
    outbox = Outbox(here.store)
    outbox.repeat(EPOCH)
    [first] = outbox.to_repeat()
    [again] = outbox.to_repeat()
    assert first == again
    told = datetime.fromisoformat(first.headers["ce_recordedtime"])
    assert here.rows("select created_at from outbox") == [(told,)]


def test_what_is_repeated_goes_before_what_is_new_of_its_case_and_behind_all_others(here: Here) -> None:
    """A rebuilt cluster hears each case in order, and whoever waits for another case does not wait for that."""
    old = say(here, 3)
    Outbox(here.store).repeat(EPOCH)
    new = str(uuid.uuid4())
    here.runner.submit(command("old-4", event=order(old, 4), subject=old))
    here.runner.submit(command("new-1", event=order(new, 1), subject=new))
    relay = Relay(here.store, here.broker, resend_window_s=0.0)
    sent: list[tuple[str, str]] = []
    send = relay._send_wave
    relay._send_wave = lambda events: (sent.extend((one.key, one.headers["ce_id"]) for one in events), send(events))[1]  # type: ignore[method-assign]
    while relay._turn() == 0.0:
        pass
    relay.stop()
    assert sent == [(new, f"{new}-1"), *((old, f"{old}-{revision}") for revision in (1, 2, 3, 4))]


def test_what_hearers_may_have_forgotten_is_not_replayed(here: Here) -> None:
    """Asked for more than they remember it refuses with a sentence; asked for nothing it goes back as far as they do."""
    case = say(here, 3)
    age(here, "outbox", "created_at", 6, "event_id like '%-1'")
    admin = Admin(Runner(here.store, here.runner.routes, Wire(), CLOCK, KEPT.horizon), list)
    asked = pb.ReplayRequest(case_id=case)
    assert admin.Replay(asked, None).events == 2
    assert here.rows("select event_id from outbox where again order by id") == [(f"{case}-2",), (f"{case}-3",)]
    asked.since.FromDatetime(CLOCK.now() - timedelta(days=6))
    with pytest.raises(Permanent, match="is not sent again"):
        admin.Replay(asked, None)


def test_a_room_replays_only_what_it_says(here: Here) -> None:
    """A topic that is another's, or nobody's, is refused by name."""
    admin = Admin(here.runner, list)
    for topic in ("study-completed", "no-such-topic"):
        with pytest.raises(Permanent, match=topic):
            admin.Replay(pb.ReplayRequest(topic=topic), None)


def test_one_case_or_one_topic_is_replayed_and_no_other(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are they are marked in bounded bites, each once."""
    monkeypatch.setattr(outbox_module, "MARKED_AT_ONCE", 2)
    mine, other = say(here, 5), say(here, 3)
    outbox = Outbox(here.store)
    assert outbox.repeat(EPOCH, case=mine) == 5
    assert here.count("outbox", f"again and key = '{other}'") == 0
    assert outbox.repeat(EPOCH, topic="order-recorded") == 8
    assert outbox.repeat(EPOCH, topic="study-completed") == 0
    assert outbox.repeat(CLOCK.now()) == 0


def test_a_batch_is_bounded_in_bytes(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of the largest events are never in memory at once; the first goes whatever its size."""
    for number in range(6):
        here.runner.submit(command(f"c{number}", event=order(str(uuid.uuid4()), 1)))
    size = here.rows("select max(octet_length(value)) from outbox")[0][0]
    outbox = Outbox(here.store)
    monkeypatch.setattr(outbox_module, "BATCH_BYTES", 2 * size)
    assert len(outbox.waiting([], bulk=False)) == 2
    monkeypatch.setattr(outbox_module, "BATCH_BYTES", 1)
    assert len(outbox.waiting([], bulk=False)) == 1


@pytest.mark.parametrize("told", [
    "topic: 14\noutbox: 10\ninbox: 30\n", "topic: 14\noutbox: 30\ninbox: 30\n", "topic: 14\noutbox: 20\n",
    "topic: 0\noutbox: 1\ninbox: 2\n",
    "topic: 1.5\noutbox: 2\ninbox: 3\n", "[]", "a: [",
])
def test_a_retention_that_would_let_repeats_through_is_refused(tmp_path: Path, told: str) -> None:
    """Topic ≤ outbox < inbox, whole days, all three: else the room does not start, and says what to set."""
    file = tmp_path / "retention.yaml"
    file.write_text(told)
    with pytest.raises(Misconfigured, match="RADLOOP_RETENTION"):
        read_retention(str(file))


def test_the_retention_that_comes_with_radloop_holds() -> None:
    """The packaged file is one that would be accepted of a site."""
    assert read_retention().inbox > read_retention().outbox >= read_retention().topic
