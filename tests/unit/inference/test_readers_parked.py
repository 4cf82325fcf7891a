"""A reading that must wait its turn: something of the same case is parked before it."""

from dataclasses import replace

import pytest
from tests.unit.inference.doubles import Queue, Runner, taken

from radloop.inference.adapters.readers import Readers
from radloop.inference.domain.reading import ReadStudy
from radloop.kit.clock import SystemClock
from radloop.kit.flow import Outcome
from radloop.kit.runner import Parked


@pytest.mark.parametrize(("delays", "least", "most"), [(0, 0.15, 0.3), (4, 2.0, 4.0), (10, 20.0, 36.1)])
def test_a_reading_that_must_wait_its_turn_goes_back_and_is_not_given_up(delays: int, least: float, most: float) -> None:
    """Longer each time, and it is no attempt: nobody is told that it failed, and the reader takes the next one at once."""
    queue, runner = Queue(replace(taken(takes=5), delays=delays)), Runner(Parked())
    assert Readers(queue, runner, SystemClock(), 1)._turn() == 0
    assert [type(one) for one in runner.heard] == [ReadStudy]
    [(reading, wait)] = queue.given_back
    assert (reading, queue.ended) == ("reading-1", [])
    assert least < wait < most


def test_one_that_must_wait_its_turn_keeps_no_other_of_its_batch_from_being_read() -> None:
    """Its case's is the only one that waits."""
    queue = Queue(*(taken(f"reading-{number}", case=f"case-{number}") for number in range(3)))
    runner = Runner(Outcome(kind="recorded"), Parked(), Outcome(kind="recorded"))
    readers = Readers(queue, runner, SystemClock(), 1, together=lambda _: {}, most=3)
    readers._pace["serving"] = 0.001
    assert readers._turn() == 0
    assert [reading for reading, _ in queue.given_back] == ["reading-1"]
    assert queue.ended == [("reading-0", "recorded"), ("reading-2", "recorded")]
    assert readers._held == {}
