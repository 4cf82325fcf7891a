"""Courses of events told by hand, over the twins in memory: kills, losses and refusals at a chosen point, and how it must end.

Each of them is a promise of relay or consumer that `tests/contract/test_broken_promises.py` breaks, or one that
`test_kit_model.py` once found broken.
"""

from typing import Any

import pytest
from adapters.memory_broker import MemoryConsumer
from examples.echo import SHELF, Rooms

from radloop.kit.consumer import Consumer
from radloop.kit.runner import ATTEMPTS

CASE = "case-a"
BESIDE = ("case-a", "case-c")
"""Two cases that two rooms say on the same partition."""


@pytest.fixture
def rooms() -> Rooms:
    """Two rooms with nothing in them."""
    return Rooms()


def say(rooms: Rooms, name: str, count: int = 1, case: str = CASE) -> None:
    """Have so many events of a case said, and let the relay of whoever says them take its turn."""
    sayer = rooms.says(case)
    sayer.turn(lambda: sayer.runner.submit(rooms.command(name, case, count)))
    sayer.turn(sayer.relay._turn)


def send(rooms: Rooms, kind: str = "", after: int = 0) -> None:
    """Let the sayer's relay take its turn, and something befall it."""
    rooms.sayer.turn(rooms.sayer.relay._turn, kind, after)


def hear(rooms: Rooms, kind: str = "", after: int = 0, where: str = "") -> None:
    """Let the hearer's consumer take its turn, and something befall it."""
    rooms.hearer.turn(rooms.hearer.consumer._turn, kind, after, where)


def lag(rooms: Rooms) -> int:
    """Return how many events the hearer would be given if it began now."""
    kept = rooms.broker.kept
    ends = {one: end for one, end in kept.ends.items() if one.topic == "order-recorded"}
    return sum(end - kept.heard_to(rooms.hearer.store.room, one) for one, end in ends.items())


def end_well(rooms: Rooms, case: str = CASE) -> tuple[str, ...]:
    """Let all take some turns, and return what was heard of a case."""
    for _ in range(3):
        for room in (rooms.sayer, rooms.teller):
            room.turn(room.relay._turn)
        hear(rooms)
    return rooms.book(case)


@pytest.mark.parametrize("point", range(8))
def test_what_was_not_settled_when_a_process_died_is_heard_by_the_next(rooms: Rooms, point: int) -> None:
    """Killed at whichever of its commits, or before the offset's: the next process hears all of it, once."""
    say(rooms, "a", 2)
    say(rooms, "b", 1, "case-b")
    rooms.broker.sync()
    rooms.pass_time(120)  # who comes up reads back a minute, and would hear by that what an offset had passed by
    hear(rooms, "kill", point)
    assert end_well(rooms) == ("a-1", "a-2")
    assert sorted(rooms.book(SHELF)) == ["a-1", "a-2", "b-1"]


def test_what_the_broker_lost_is_sent_again(rooms: Rooms) -> None:
    """It acknowledged two events, died and lost them; nobody says anything new, and both are heard."""
    say(rooms, "a", 2)
    rooms.broker.lose_tail()
    assert end_well(rooms) == ("a-1", "a-2")


@pytest.mark.parametrize("point", range(12))
def test_a_relay_killed_while_it_sends_again_sends_all_of_it_again(rooms: Rooms, point: int) -> None:
    """Back after minutes the broker has lost two events; wherever the relay dies in sending them, its successor sends both."""
    say(rooms, "a", 2)
    rooms.broker.lose_tail()
    rooms.pass_time(300)
    rooms.sayer.restart()
    send(rooms, "kill", point)
    assert end_well(rooms) == ("a-1", "a-2")


def test_what_a_broker_refuses_holds_back_what_was_said_after_it(rooms: Rooms) -> None:
    """The first of a case's events is refused, the second not even tried; another case's goes; then all are sent, in order."""
    rooms.broker.refuses = 1
    rooms.sayer.turn(lambda: rooms.sayer.runner.submit(rooms.command("a", CASE, 2)))
    say(rooms, "b", 1, "case-b")
    assert [record.key for record in rooms.broker.taken] == [b"case-b"]
    assert end_well(rooms) == ("a-1", "a-2")


def test_what_is_committed_at_a_broker_that_lost_its_tail_hides_nothing(rooms: Rooms) -> None:
    """It dies as an offset is on its way, which reaches it in its next life: another room's event lies where the lost one lay."""
    lost, other = BESIDE
    say(rooms, "early", 1, lost)
    hear(rooms)
    rooms.broker.sync()
    rooms.pass_time(120)  # what is sent again is what was lost, and that alone
    say(rooms, "lost", 1, lost)
    hear(rooms, "lose", where="before the broker takes offsets")
    assert rooms.fate.struck["lose"] == 1
    assert rooms.book(lost) == ("early-1", "lost-2")
    say(rooms, "other", 1, other)
    assert end_well(rooms, other) == ("other-1",)


@pytest.mark.parametrize("seconds", [1, 3_600])
def test_it_hides_nothing_from_a_consumer_that_was_killed_before_its_next_look(rooms: Rooms, seconds: int) -> None:
    """The same, and nobody is left who saw the broker go: the commit tells the next process how far it must read back."""
    lost, other = BESIDE
    say(rooms, "early", 1, lost)
    hear(rooms)
    rooms.broker.sync()
    rooms.pass_time(120)
    say(rooms, "lost", 1, lost)
    hear(rooms, "lose", where="before the broker takes offsets")
    assert rooms.fate.struck["lose"] == 1
    rooms.hearer.restart()
    say(rooms, "other", 1, other)
    send(rooms)
    rooms.broker.sync()
    rooms.pass_time(seconds)
    assert end_well(rooms, other) == ("other-1",)


def test_what_a_broker_has_at_our_offset_after_a_loss_is_not_heard_before_what_is_sent_again(rooms: Rooms) -> None:
    """It lost what lay below, took it anew and more behind it, all between two looks: the case is heard in its order all the same."""
    first, other = BESIDE
    say(rooms, "lost", 1, other)
    hear(rooms)
    rooms.broker.lose_tail()
    say(rooms, "a", 2, first)
    assert end_well(rooms, first) == ("a-1", "a-2")


def test_an_input_that_ends_its_process_again_and_again_is_quarantined(rooms: Rooms) -> None:
    """Counted before each try, it is put aside after five, and those behind it are heard."""
    rooms.world.deadly.add(CASE)
    say(rooms, "a")
    say(rooms, "b", 1, "case-b")
    for _ in range(ATTEMPTS + 2):
        hear(rooms)
    assert [(route, name) for route, name, _ in rooms.quarantined()] == [("hear", "a-1")]
    assert end_well(rooms, "case-b") == ("b-1",)


def test_it_is_counted_behind_whatever_is_read_again_on_coming_up(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was settled before comes first, in batches of its own; the one that kills comes after them, and is counted."""
    monkeypatch.setattr("radloop.kit.consumer.MOST", 2)
    say(rooms, "known", 5)
    for _ in range(4):
        hear(rooms)
    rooms.world.deadly.add(CASE)
    say(rooms, "a")
    for _ in range(6 * (ATTEMPTS + 2)):
        hear(rooms)
    assert [(route, name) for route, name, _ in rooms.quarantined()] == [("hear", "a-6")]


def test_what_came_after_a_process_did_is_not_counted_beforehand(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process can have died of it before: two commits are spared an event."""
    say(rooms, "before")
    hear(rooms)
    say(rooms, "after")
    counted: list[Any] = []
    monkeypatch.setattr(rooms.hearer.store, "attempt", lambda *named: counted.append(named) or 1)
    monkeypatch.setattr(rooms.hearer.store, "attempt_first", lambda units: counted.append(units) or True)
    assert end_well(rooms) == ("before-1", "after-2")
    assert not counted


def test_offsets_are_committed_a_while_after_they_are_settled_and_where_nothing_more_comes(rooms: Rooms) -> None:
    """Of what comes close upon each other only the last; a process that is killed meanwhile hears the rest again, without effect."""
    hear(rooms)
    for number in range(22):
        say(rooms, f"n{number}")
        hear(rooms)
        rooms.pass_time(0.1)
    assert 5 <= rooms.broker.commits <= 8
    hear(rooms)
    assert lag(rooms) == 0
    committed = rooms.broker.commits
    hear(rooms)
    assert rooms.broker.commits == committed
    say(rooms, "last")
    hear(rooms)
    rooms.hearer.restart()
    assert end_well(rooms) == (*(f"n{number}-{number + 1}" for number in range(22)), "last-23")


def test_no_more_is_in_hand_than_is_counted_when_a_process_dies(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much waits: what was taken lies within so many records of what was committed."""
    monkeypatch.setattr("radloop.kit.consumer.MOST", 4)
    hear(rooms)
    ahead = []
    settle = Consumer._settle_all

    def note(self: Consumer, kafka: Any, polled: Any) -> None:
        kept, group = rooms.broker.kept, rooms.hearer.store.room
        ahead.append(max(records[-1].offset + 1 - kept.heard_to(group, one) for one, records in polled.items()))
        settle(self, kafka, polled)

    monkeypatch.setattr(Consumer, "_settle_all", note)
    for count in (1, 9, 3, 1):
        say(rooms, f"n{count}-{len(ahead)}", count)
        hear(rooms)
    assert len(end_well(rooms)) == 14
    assert max(ahead) == 4


def test_what_the_group_did_not_take_is_committed_when_it_has_settled(rooms: Rooms) -> None:
    """Another member joins while an offset waits: the partition stays where it was, and nobody else would tell how far it was heard."""
    hear(rooms)
    say(rooms, "a")
    hear(rooms)
    rooms.broker.joining = True
    hear(rooms)
    rooms.broker.joining = False
    hear(rooms)
    assert lag(rooms) == 0


def test_a_consumer_that_is_asked_to_stop_leaves_nothing_settled_uncommitted(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked between two looks, or while it waits in one: what it had settled is committed, what came then is left to the next."""
    hear(rooms)
    say(rooms, "a")
    hear(rooms)
    rooms.hearer.consumer.stop()
    assert lag(rooms) == 0
    rooms.hearer.restart()
    hear(rooms)
    say(rooms, "b")
    hear(rooms)
    say(rooms, "c")
    poll = MemoryConsumer.poll

    def poll_until_asked(self: MemoryConsumer, timeout_ms: int, max_records: int) -> Any:
        rooms.hearer.consumer.worker.ask_to_stop()
        return poll(self, timeout_ms, max_records)

    monkeypatch.setattr(MemoryConsumer, "poll", poll_until_asked)
    hear(rooms)
    rooms.hearer.consumer.stop()
    assert (rooms.book(CASE), lag(rooms)) == (("a-1", "b-2"), 1)


def test_a_consumer_stops_without_a_word_where_its_group_takes_no_offsets(rooms: Rooms) -> None:
    """Whatever the broker says: what comes after it in a room's stop must be reached."""
    hear(rooms)
    say(rooms, "a")
    hear(rooms)
    rooms.broker.joining = True
    hear(rooms)
    rooms.pass_time(16)
    rooms.hearer.consumer.stop()
    assert rooms.hearer.consumer._kafka is None
