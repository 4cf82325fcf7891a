"""Several Tritons as one reader, with doubles for the servers."""

from typing import Any

import pytest
from tests.examples import inference as example
from tests.unit.inference.doubles import BLANK, Server, clock, loaded

from radloop.inference.adapters.fleet import Fleet
from radloop.inference.adapters.loading import Loaded
from radloop.inference.adapters.triton import BusyError, DeadStubError, LateError
from radloop.kit.clock import ManualClock
from radloop.kit.errors import Permanent, Transient


def fleet(*servers: Server, time: ManualClock | None = None) -> tuple[Fleet, list[Loaded]]:
    """Put servers together that hold version 1."""
    time = time or clock()
    keepers = [loaded(one, example.released(1), time=time, name=f"{name}:1") for name, one in zip("abc", servers, strict=False)]
    for keeper in keepers:
        keeper._turn()
    return Fleet(keepers, 12.0, time), keepers


def test_readings_go_to_those_that_are_warm_in_turn() -> None:
    """Two servers share the work; one that is cold gets none."""
    one, other = Server(), Server()
    both, keepers = fleet(one, other)
    before = len(one.asked), len(other.asked)
    for _ in range(6):
        both.read(example.package(1), BLANK)
    assert (len(one.asked) - before[0], len(other.asked) - before[1]) == (3, 3)
    one.failure = Transient("triton is away")
    with pytest.raises(Transient):
        keepers[0].read(example.package(1), BLANK)
    one.failure = None
    for _ in range(4):
        both.read(example.package(1), BLANK)
    assert (len(one.asked) - before[0], len(other.asked) - before[1]) == (3, 7)
    assert both.warm("chest", 1)


@pytest.mark.parametrize("failure", [
    DeadStubError("died"), BusyError("its queue is full"), LateError("no answer in time"), Transient("triton is away"),
])
def test_what_one_server_cannot_read_the_next_one_does(failure: Exception) -> None:
    """At once: whoever asked does not learn of it."""
    one, other = Server(), Server()
    both, _ = fleet(one, other)
    one.failure = failure
    for _ in range(4):
        both.read(example.package(1), BLANK)
    other.failure = Transient("away too", after=0.7)
    with pytest.raises(Transient):
        both.read(example.package(1), BLANK)


def test_what_one_refuses_for_good_is_asked_of_no_other() -> None:
    """It would be refused there too."""
    one, other = Server(), Server()
    both, _ = fleet(one, other)
    one.failure = other.failure = Permanent("triton refused it")
    asked = len(other.asked)
    with pytest.raises(Permanent, match="refused it"):
        both.read(example.package(1), BLANK)
    assert len(other.asked) == asked


def test_all_that_is_tried_has_one_deadline() -> None:
    """A server that hangs leaves the next one its share of the time; a late start leaves less."""
    time = clock()

    class Hangs(Server):
        def infer(self, model: str, version: int, tensors: Any, outputs: Any, within: float | None = None) -> Any:
            said = super().infer(model, version, tensors, outputs, within)
            if self.loads and len(self.asked) > 2:
                time.advance(within or 0)
                raise LateError("no answer in time")
            return said

    servers = Hangs(), Hangs(), Hangs()
    all_three, _ = fleet(*servers, time=time)
    with pytest.raises(LateError):
        all_three.read(example.package(1), BLANK)
    assert [one.within[-1] for one in servers] == [4.0, 4.0, 4.0]
    assert time.monotonic() == 12.0


def test_the_room_is_ready_as_long_as_one_server_is_in_step() -> None:
    """With none, each is named with its reason; a lone one needs no name."""
    one, other = Server(), Server()
    both, keepers = fleet(one, other)
    keepers[0].worker.away = "triton is away: UNAVAILABLE"
    assert both.ready() == ""
    keepers[1].worker.away = "chest 1 is not loaded"
    assert both.ready() == "a:1: triton is away: UNAVAILABLE; b:1: chest 1 is not loaded"
    assert Fleet(keepers[:1], 12.0, clock()).ready() == "triton is away: UNAVAILABLE"
