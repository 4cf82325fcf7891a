"""What nobody waits for yields, and never stands still."""

import pytest

from examples.shared import at
from radloop.kit.clock import ManualClock
from radloop.kit.courtesy import LONGEST_S, MOMENT_S, Courtesy


class Waited:
    """A wait that moves the clock, and in which live objects may come."""

    def __init__(self) -> None:
        self.clock, self.seconds, self.live = ManualClock(at(0)), 0.0, 0
        self.courtesy = Courtesy(self.clock, self.wait)

    def wait(self, seconds: float) -> None:
        """Let the time pass; a modality that sends goes on sending."""
        self.clock.advance(seconds)
        self.seconds += seconds
        if self.live:
            self.live -= 1
            self.courtesy.live()


def test_a_longer_expectation_is_not_shortened_by_a_shorter_one() -> None:
    """A modality's images are still coming while their order's events pass."""
    house = Waited()
    house.courtesy.live(LONGEST_S)
    house.courtesy.live(0.1)
    house.courtesy.give_way()
    assert house.seconds == pytest.approx(LONGEST_S)


def test_an_earlier_study_is_taken_at_once_where_nothing_live_comes() -> None:
    """A house at rest is the backfill's."""
    house = Waited()
    house.courtesy.give_way()
    assert house.seconds == 0


def test_it_waits_while_a_modality_sends_and_for_a_bounded_time() -> None:
    """However long live studies come, one object a second is taken."""
    house = Waited()
    house.live = 100
    house.courtesy.live()
    house.courtesy.give_way()
    assert house.seconds == pytest.approx(LONGEST_S)


def test_it_waits_no_longer_than_until_the_house_is_calm() -> None:
    """What is left of the pause after the last live object."""
    house = Waited()
    house.courtesy.live()
    house.clock.advance(MOMENT_S - 0.25)
    house.courtesy.give_way()
    assert house.seconds == pytest.approx(0.25)
