"""Readings that are read together: how many, which never, and what becomes of them where one fails or hangs."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.inference.doubles import Queue, Runner, taken

from radloop.inference.adapters.readers import Readers
from radloop.inference.domain.reading import ReadStudy
from radloop.kit.clock import ManualClock, SystemClock
from radloop.kit.errors import Transient
from radloop.kit.flow import Outcome


class Together:
    """Reads what it is given together, but for some."""

    def __init__(self, *alone: str) -> None:
        self.alone, self.heard = alone, list[list[str]]()

    def __call__(self, commands: Any) -> dict[str, Outcome]:
        self.heard.append([command.id for command, _ in commands])
        return {command.id: Outcome(kind="recorded") for command, _ in commands if command.id not in self.alone}


def many(count: int, **changes: Any) -> Queue:
    """Return a queue of readings of as many cases."""
    return Queue(*(taken(f"reading-{number}", case=f"case-{number}", **changes) for number in range(count)))


def quick(queue: Queue, together: Together, most: int = 4, runner: Runner | None = None) -> Readers:
    """Return readers that have learned how little time a study takes."""
    readers = Readers(queue, runner or Runner(), SystemClock(), 1, together=together, most=most)
    readers._pace["serving"] = 0.001
    return readers


def test_studies_that_wait_are_read_together_as_many_as_may() -> None:
    """The most of them at once; a lone one is read alone."""
    queue, together = many(5), Together()
    readers = quick(queue, together)
    readers._turn()
    readers._turn()
    assert together.heard == [[f"reading-{number}" for number in range(4)]]
    assert sorted(queue.ended) == [(f"reading-{number}", "recorded") for number in range(5)]


def test_how_many_are_read_together_follows_from_how_long_one_takes() -> None:
    """Half a second is enough for what is begun at once; before it is known how long one takes it is one."""
    queue, together = many(9), Together()
    readers = Readers(queue, Runner(), SystemClock(), 1, together=together, most=8)
    readers._turn()
    assert together.heard == []
    readers._pace["serving"] = 0.2
    readers._turn()
    assert [len(one) for one in together.heard] == [2]


def test_what_hangs_alone_after_its_batch_hung_is_given_up_too() -> None:
    """Else it would take one reader after the other, until none is left for anybody's patient."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue, seen = many(2), list[str]()
    readers: Readers

    def hang() -> None:
        clock.advance(130)
        queue.waiting.append(taken("reading-0", takes=2, case="case-0"))  # its lease has run out
        readers._turn()

    def together(commands: Any) -> dict[str, Outcome]:
        hang()
        return {}

    def submit(command: Any) -> Outcome:
        seen.append(command.id)
        if len(seen) == 1:
            hang()
        return Outcome(kind="recorded")

    readers = Readers(queue, submit, clock, 1, together=together, most=2)
    readers._pace["serving"] = 0.001
    readers._turn()
    assert seen[:2] == ["reading-0", "reading-0/abandoned"]


def test_what_was_put_back_is_in_nobodys_hands_while_the_rest_of_its_batch_is_read() -> None:
    """Taken by another reader much later, it is read, and not given up as if it had hung all the time."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue, seen = many(3), list[str]()
    readers: Readers

    def submit(command: Any) -> Outcome:
        seen.append(command.id)
        clock.advance(70)  # postgres is away, and each step waits for it
        if seen == ["reading-0"]:
            raise Transient("postgres is away")
        if seen == ["reading-0", "reading-1", "reading-2"]:
            queue.waiting.append(taken("reading-0", takes=1, case="case-0"))
            readers._turn()
        return Outcome(kind="recorded")

    readers = Readers(queue, submit, clock, 1, together=lambda _: {}, most=3)
    readers._pace["serving"] = 0.001
    with pytest.raises(Transient):
        readers._turn()
    assert seen == ["reading-0", "reading-1", "reading-2", "reading-0"]
    assert readers._held == {}


def test_an_encoding_is_made_alone_and_says_nothing_of_how_long_a_study_takes() -> None:
    """It takes a hundred times as long: a STAT would wait for all of them."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue = Queue(*(replace(taken(f"encoding-{number}", rank=2, case=f"case-{number}"), role="encode") for number in range(3)))
    together = Together()

    def submit(command: Any) -> Outcome:
        clock.advance(1.0)
        return Outcome(kind="skipped")

    readers = Readers(queue, submit, clock, 1, together=together, most=3)
    readers._pace |= {"serving": 0.001, "encode": 0.001}
    for _ in range(3):
        readers._turn()
    assert (together.heard, len(queue.ended)) == ([], 3)
    assert readers._pace["serving"] == 0.001


def test_of_a_batch_that_is_stuck_each_is_tried_alone_and_none_given_up() -> None:
    """Nobody knows which one it is; only a reading that hangs by itself is given up."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue, runner = many(3), Runner()
    readers: Readers

    def stuck(commands: Any) -> dict[str, Outcome]:
        if queue.waiting:
            return {}
        clock.advance(130)
        queue.waiting = [taken(f"reading-{number}", takes=2, case=f"case-{number}") for number in range(3)]
        for _ in range(3):
            readers._turn()
        return {}

    readers = Readers(queue, runner, clock, 1, together=stuck, most=3)
    readers._pace["serving"] = 0.001
    readers._turn()
    assert {type(command) for command in runner.heard} == {ReadStudy}
    assert ("reading-0", "recorded") in queue.ended


def test_the_reader_that_is_kept_for_what_is_urgent_takes_less_at_a_time() -> None:
    """A STAT waits for a quarter of a second at worst there."""
    queue, together = many(9), Together()
    readers = quick(queue, together, most=8)
    readers._pace["serving"] = 0.12
    readers._workers[0]._turn()
    readers._pace["serving"] = 0.12
    readers._workers[1]._turn()
    assert [len(one) for one in together.heard] == [2, 4]


def test_what_was_begun_before_takes_no_fresh_ones_with_it() -> None:
    """It may be what ends its process: those beside it would be counted with it, and given up."""
    queue, together = Queue(taken("old", takes=2, case="old"), *many(3).waiting), Together()
    readers = quick(queue, together)
    readers._turn()
    assert queue.ended == [("old", "recorded")]
    readers._turn()
    assert len(together.heard[0]) == 3


def test_nothing_of_a_batch_stays_in_hand_and_each_has_its_own_outcome() -> None:
    """No lease is renewed, nobody is held up, and how each of them ended is what is written down."""
    class Mixed(Together):
        def __call__(self, commands: Any) -> dict[str, Outcome]:
            readers._renew()
            return {command.id: Outcome(kind="skipped" if at else "recorded") for at, (command, _) in enumerate(commands)}

    queue = many(3)
    readers = quick(queue, Mixed())
    readers._turn()
    assert queue.renewed == [["reading-0", "reading-1", "reading-2"]], "all of them are renewed while they are read"
    assert queue.ended == [("reading-0", "recorded"), ("reading-1", "skipped"), ("reading-2", "skipped")]
    assert (readers._held, readers._urgent, readers._batched) == ({}, set(), set())


def test_how_long_a_study_takes_is_learned_from_each_turn() -> None:
    """Of a batch it is the share of one."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))

    class Slow(Together):
        def __call__(self, commands: Any) -> dict[str, Outcome]:
            clock.advance(0.1 * len(commands))
            return super().__call__(commands)

    readers = Readers(many(400), Runner(), clock, 1, together=Slow(), most=8)
    readers._pace["serving"] = 0.01
    for _ in range(40):
        readers._turn()
    assert readers._pace["serving"] == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("changes", [{"rank": 0}, {"takes": 2}])
def test_a_stat_and_what_was_begun_before_are_read_alone(changes: dict[str, int]) -> None:
    """A STAT waits for nobody; what was begun and not ended may be what ends its process."""
    queue, together = many(3, **changes), Together()
    readers = quick(queue, together)
    for _ in range(3):
        readers._turn()
    assert together.heard == []
    assert len(queue.ended) == 3


def test_a_case_is_read_once_in_a_batch() -> None:
    """Its second reading goes back, uncounted, and is taken next."""
    queue, together = Queue(taken("a", case="one"), taken("b", case="one"), taken("c", case="two")), Together()
    readers = quick(queue, together)
    readers._turn()
    assert together.heard == [["a", "c"]]
    readers._turn()
    assert queue.given_back == [("b", 0.0)]


def test_where_the_end_of_a_batch_cannot_be_told_its_rest_is_read() -> None:
    """Neither read nor put back, it would wait for the end of its lease, and be counted as what ended a process."""
    class Away(Queue):
        away = True

        def end_all(self, ended: Any) -> None:
            if self.away:
                raise Transient("postgres is away")
            super().end_all(ended)

    queue, together = Away(*many(3).waiting), Together("reading-1")
    readers = quick(queue, together)
    readers._turn()
    assert queue.ended == [("reading-1", "recorded")]
    queue.away = False
    readers._turn()
    assert sorted(queue.ended) == [(f"reading-{number}", "recorded") for number in range(3)]


def test_where_no_more_can_be_taken_the_first_is_read() -> None:
    """It is in hand: left, it would wait for the end of its lease, and be counted as what ended a process."""
    class Away(Queue):
        def take_beside(self, taken: Any, most: int, held: Any) -> Any:
            raise Transient("postgres is away")

    queue = Away(*many(2).waiting)
    quick(queue, Together())._turn()
    assert queue.ended == [("reading-0", "recorded")]


def test_what_could_not_be_read_together_is_read_alone() -> None:
    """One of them, or none of them: each gets its own try, and the others are not read again."""
    runner, queue, together = Runner(), many(4), Together("reading-1")
    quick(queue, together, runner=runner)._turn()
    assert [command.id for command in runner.heard] == ["reading-1"]
    assert len(queue.ended) == 4


def test_where_a_dependency_is_away_nothing_of_a_batch_stays_in_hand() -> None:
    """Each goes back for as long as it must; one that can be read meanwhile is."""
    away = Transient("triton is away", after=3.0)
    runner, queue = Runner(away, Outcome(kind="recorded"), away), many(3)
    with pytest.raises(Transient):
        quick(queue, Together("reading-0", "reading-1", "reading-2"), runner=runner)._turn()
    assert queue.given_back == [("reading-0", 3.0), ("reading-2", 3.0)]
    assert queue.ended == [("reading-1", "recorded")]
