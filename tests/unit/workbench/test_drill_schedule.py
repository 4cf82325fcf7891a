"""What a drill strikes when: drawn by seed, everything once before anything twice, and no longer than there is time."""

from itertools import pairwise

import pytest

from radloop.workbench.drill.schedule import FIRST, SHORT, SPACING, TAIL, Outages, schedule
from radloop.workbench.drill.strikes import strikes


def test_the_same_seed_is_the_same_schedule():
    """A drill can be played again; another seed plays another one."""
    assert schedule(3, 300, SHORT) == schedule(3, 300, SHORT)
    assert schedule(3, 300, SHORT) != schedule(4, 300, SHORT)


@pytest.mark.parametrize("seed", range(20))
def test_everything_comes_once_before_anything_comes_again(seed: int):
    """Within the first so many strikes each of the set occurs exactly once."""
    names = [one.name for one in schedule(seed, 300, SHORT)]
    assert sorted(names[: len(SHORT)]) == sorted(SHORT)


@pytest.mark.parametrize("seed", range(20))
def test_strikes_come_at_their_pace_and_end_in_time(seed: int):
    """No gap is longer than the widest spacing, the first comes soon, and the last leaves time to recover under load."""
    at = [one.at for one in schedule(seed, 120, SHORT)]
    assert at[0] == FIRST
    assert at[-1] <= 120 - TAIL
    assert max(later - before for before, later in pairwise(at)) <= SPACING[1] + 0.1


@pytest.mark.parametrize("seed", range(20))
def test_three_hundred_seconds_hold_ten_kills_and_the_short_set_fits_two_minutes(seed: int):
    """The promise of the command: at least ten kills in 300 s; and every strike of the short set within 120 s."""
    known = strikes()
    assert sum(known[one.name].kills for one in schedule(seed, 300, tuple(known))) >= 10
    assert {one.name for one in schedule(seed, 120, SHORT)} == set(SHORT)


def test_some_strikes_come_two_at_once():
    """Now and then one follows on the heels of another: platforms do not fail one part at a time."""
    gaps = [later.at - before.at for seed in range(20) for before, later in pairwise(schedule(seed, 300, SHORT))]
    assert 0.05 < sum(gap < 1.1 for gap in gaps) / len(gaps) < 0.3


def test_no_time_is_no_strike():
    """A drill too short for a strike streams and strikes nothing."""
    assert schedule(1, FIRST + TAIL - 1, SHORT) == ()


def test_the_short_set_is_of_strikes_that_there_are():
    """Every name of the short set is one of the strikes."""
    assert set(SHORT) <= set(strikes())


def test_long_outages_are_those_that_are_asked_for():
    """Short ones last as long as was said; the full ones 60 s, 30 s and 120 s."""
    assert Outages.of(4, full=False) == Outages(4, 4, 4, 4)
    assert Outages.of(4, full=True) == Outages(60, 30, 120, 4)
