"""The readers, with doubles for the queue and the runner."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.inference.doubles import Queue, Runner, taken

from radloop.inference.adapters.postgres import LEASE_S, Taken
from radloop.inference.adapters.readers import Readers
from radloop.inference.domain.case import CLASSES, URGENT
from radloop.inference.domain.reading import AbandonReading, ReadStudy
from radloop.kit.clock import ManualClock, SystemClock
from radloop.kit.errors import Transient
from radloop.kit.flow import Outcome


def turn(queue: Queue, runner: Runner, *, urgent: bool = False) -> float:
    """Let one reader take one turn."""
    readers = Readers(queue, runner, SystemClock(), 1)
    return readers._turn(URGENT) if urgent else readers._turn()


def test_a_reading_is_handed_over_as_a_command_named_by_it() -> None:
    """The command's id is the reading's, so that a second look after a crash says nothing new."""
    queue, runner = Queue(taken()), Runner()
    assert turn(queue, runner) == 0
    [command] = runner.heard
    assert (type(command), command.id, command.role) == (ReadStudy, "reading-1", "serving")
    assert queue.ended == [("reading-1", "recorded")]


def test_the_urgent_reader_takes_only_what_somebody_waits_for() -> None:
    """It is free when a STAT comes."""
    queue = Queue(taken(rank=3))
    assert turn(queue, Runner(), urgent=True) > 0
    assert turn(queue, Runner()) == 0


def test_one_of_the_readers_is_kept_for_what_somebody_waits_for() -> None:
    """Whatever waits besides: as many as there are others can be busy with a backfill, and a STAT is still taken at once."""
    queue = Queue(taken(rank=3))
    urgent, other = Readers(queue, Runner(), SystemClock(), 1)._workers
    assert (urgent.name, other.name) == ("reader-urgent", "reader-1")
    urgent._turn()
    assert queue.ended == []
    other._turn()
    assert queue.ended == [("reading-1", "recorded")]


def test_before_it_is_known_what_waits_only_a_stat_is_read() -> None:
    """A STAT may lie behind all that came while the room was away: nobody's study goes before it because it was heard of first."""
    queue, runner, heard = Queue(taken("live"), taken("stat", rank=0)), Runner(), list[str]()
    readers = Readers(queue, runner, SystemClock(), 1, lambda: bool(heard))
    assert readers._turn() == 0
    assert readers._turn() > 0
    assert queue.ended == [("stat", "recorded")]
    heard.append("all that waited")
    assert readers._turn() == 0
    assert queue.ended == [("stat", "recorded"), ("live", "recorded")]


def test_a_room_that_cannot_hear_what_waits_reads_the_rest_after_a_minute() -> None:
    """Its broker may be away for an hour: whoever is known by then is not kept waiting for it."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue = Queue(taken("live"))
    readers = Readers(queue, Runner(), clock, 1, lambda: False)
    assert readers._turn() > 0
    clock.advance(61)
    assert readers._turn() == 0
    assert queue.ended == [("live", "recorded")]


@pytest.mark.parametrize("below", [URGENT, len(CLASSES)])
def test_others_begin_nothing_that_can_wait_while_an_urgent_one_is_read(below: int) -> None:
    """The processor is the STAT's, whichever reader took it."""
    queue = Queue(taken(rank=0), taken("reading-2", rank=3))
    readers: Readers

    def submit(command: Any) -> Outcome:
        readers._turn()
        return Outcome(kind="recorded")

    readers = Readers(queue, submit, SystemClock(), 1)
    readers._turn(below)
    assert queue.ended == [("reading-1", "recorded")]


def test_nothing_that_can_wait_is_begun_just_after_an_urgent_one() -> None:
    """Its case is still to be placed and listed; the next urgent one is taken at once, the rest a moment later."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue = Queue(taken(rank=0), taken("reading-2", rank=3), taken("reading-3", rank=1))
    readers = Readers(queue, Runner(), clock, 1)
    for _ in range(3):
        readers._turn()
    assert [name for name, _ in queue.ended] == ["reading-1", "reading-3"]
    assert 0 < readers._turn() < 1
    clock.advance(1)
    readers._turn()
    assert [name for name, _ in queue.ended] == ["reading-1", "reading-3", "reading-2"]


def test_what_is_being_read_stays_leased_and_what_is_stuck_does_not() -> None:
    """A process that dies is noticed within one lease, a reading that takes long is not taken from its reader, and one that hangs is."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue = Queue(taken())
    readers: Readers

    def submit(command: Any) -> Outcome:
        for _ in range(2):
            assert 0 < readers._renew() < LEASE_S / 2
            clock.advance(130)
        return Outcome(kind="recorded")

    readers = Readers(queue, submit, clock, 1)
    readers._turn()
    readers._renew()
    assert queue.renewed == [["reading-1"]]


def test_a_reading_that_hangs_is_given_up_by_another_reader_of_the_same_process() -> None:
    """Where there is one instance only, nobody else could say that it was not read; tried again, it would hold the next reader too."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue, seen = Queue(taken()), list[str]()
    readers: Readers

    def submit(command: Any) -> Outcome:
        seen.append(command.id)
        if len(seen) == 1:
            queue.waiting.append(taken())  # its lease has run out
            readers._turn()
            assert len(seen) == 1
            clock.advance(130)
            readers._turn()
        return Outcome(kind="recorded")

    readers = Readers(queue, submit, clock, 1)
    readers._turn()
    assert seen == ["reading-1", "reading-1/abandoned"]
    assert [outcome for _, outcome in queue.ended] == ["abandoned", "recorded"]


def test_an_urgent_reading_that_hangs_holds_up_what_can_wait_no_longer() -> None:
    """Given up, nobody waits for it: what is not urgent is read again, though its reader is stuck still."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue, seen = Queue(taken("stat", rank=0)), list[str]()
    readers: Readers

    def submit(command: Any) -> Outcome:
        seen.append(command.id)
        if len(seen) == 1:
            clock.advance(130)
            queue.waiting.append(taken("stat", rank=0))
            readers._turn()
            clock.advance(1)
            queue.waiting.append(taken("shadow", rank=3))
            readers._turn()
        return Outcome(kind="recorded")

    readers = Readers(queue, submit, clock, 1)
    readers._turn()
    assert seen == ["stat", "stat/abandoned", "shadow"]


def test_a_dependency_that_is_away_is_no_attempt() -> None:
    """The reading goes back, and the reader waits as long as it is told."""
    queue = Queue(taken())
    with pytest.raises(Transient) as away:
        turn(queue, Runner(Transient("triton is away", after=0.7)))
    assert away.value.after == 0.7
    assert (queue.given_back, queue.ended) == ([("reading-1", 0.7)], [])


def test_a_reading_nobody_can_make_is_abandoned_and_said() -> None:
    """After the runner has quarantined it, or its process has died again and again, the study says so."""
    queue, runner = Queue(taken()), Runner(Outcome(kind="quarantined", reason="TypeError in record_reading"))
    turn(queue, runner)
    assert [type(one) for one in runner.heard] == [ReadStudy, AbandonReading]
    assert queue.ended == [("reading-1", "abandoned")]
    queue, runner = Queue(taken(takes=6)), Runner()
    turn(queue, runner)
    assert [type(one) for one in runner.heard] == [AbandonReading]


def test_what_waits_for_a_version_that_cannot_be_loaded_waits_longer_each_time() -> None:
    """Taken again at once it would keep all others from being taken: it arrived first."""
    waits = []
    for delays in (0, 4, 9):
        queue = Queue(replace(taken(), delays=delays))
        with pytest.raises(Transient):
            turn(queue, Runner(Transient("being loaded", after=0.2)))
        waits += [seconds for _, seconds in queue.given_back]
    assert 0.15 < waits[0] < 0.3
    assert 2.0 < waits[1] < 4.0
    assert waits[2] == 10.0


class Deaf(Queue):
    """A queue whose store is away for three words, takings but not."""

    def __init__(self, *waiting: Taken) -> None:
        super().__init__(*waiting)
        self.away, self.asked = 3, 0
        self.failure: Exception | None = None

    def hear(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.away -= 1
        if self.away >= 0:
            raise Transient("postgres is away")

    def end(self, taken: Taken, outcome: str) -> None:
        self.hear()
        super().end(taken, outcome)

    def give_back(self, taken: Taken, after_seconds: float) -> None:
        self.hear()
        super().give_back(taken, after_seconds)

    def take(self, below_rank: int, held: Collection[str]) -> Taken | None:
        self.asked += 1
        return super().take(below_rank, held)


@pytest.mark.parametrize("reads", [Outcome(kind="recorded"), Transient("triton is away")])
def test_what_the_queue_could_not_be_told_it_is_told_before_anything_is_taken(reads: Any) -> None:
    """Else a reading that ended, or was put back, is taken again and again, and said to have failed in the end."""
    queue = Deaf(taken())
    readers = Readers(queue, Runner(reads), SystemClock(), 1)
    for _ in range(3):
        with pytest.raises(Transient, match="postgres"):
            readers._turn()
    assert queue.asked == 1
    readers._turn()
    assert queue.asked == 2
    assert [name for name, _ in queue.ended + queue.given_back] == ["reading-1"]


def test_a_reading_that_was_made_after_all_is_not_said_to_be_abandoned() -> None:
    """Whoever was stuck with it came through; the runner skips what says otherwise, and knows how it ended."""
    queue = Queue(taken(takes=6))
    turn(queue, Runner(Outcome(kind="skipped"), Outcome(kind="recorded", repeated=True)))
    assert queue.ended == [("reading-1", "recorded")]


def test_what_the_queue_could_not_be_told_it_is_told_at_the_end_too() -> None:
    """A rollout takes no reading out of others' hands for the rest of a lease."""
    queue = Deaf(taken())
    readers = Readers(queue, Runner(), SystemClock(), 1)
    with pytest.raises(Transient):
        readers._turn()
    queue.away = 0
    readers.stop()
    assert queue.ended == [("reading-1", "recorded")]


def test_a_word_that_fails_in_itself_keeps_no_reading_from_being_taken() -> None:
    """Its own reading is taken again once its lease has ended; a STAT behind it is read at once."""
    queue = Deaf(taken())
    readers = Readers(queue, Runner(), SystemClock(), 1)
    with pytest.raises(Transient):
        readers._turn()
    queue.failure = ValueError("no such column")
    queue.waiting.append(taken("stat", rank=0))
    with pytest.raises(ValueError, match="no such column"):
        readers._turn()
    queue.away, queue.failure = 0, None
    readers._turn()
    assert queue.ended == [("stat", "recorded")]
