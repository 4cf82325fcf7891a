"""The counterfactual queue: first in, first out within the clinician's own priority, with the same work in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radloop.workbench.hospital.queueing import Job, first_in_first_out

ALONE = {"r1": 1.0}


def job(name: str, complete: float, hands: float = 10.0, stat_from: float | None = None, away: float = 0.0) -> Job:
    """Return a study that may be opened as soon as it is complete."""
    return Job(name, complete, complete, stat_from, "r1", hands, away)


def test_who_came_first_is_read_first() -> None:
    """One reader, no priorities."""
    assert first_in_first_out([job("b", 2), job("a", 1), job("c", 3)], ALONE, 5) == {"a": 15, "b": 25, "c": 35}


def test_a_stat_is_taken_next_and_never_interrupts() -> None:
    """It passes those that wait, not the one that is being read."""
    signed = first_in_first_out([job("a", 0), job("b", 1), job("s", 5, stat_from=5)], ALONE, 0)
    assert signed == {"a": 10, "s": 20, "b": 30}


def test_a_study_that_becomes_a_stat_is_one_from_then_on() -> None:
    """Before that it waits like any other."""
    late = [job("a", 0), job("b", 1), job("c", 2, stat_from=15)]
    assert first_in_first_out(late, ALONE, 0) == {"a": 10, "b": 20, "c": 30}
    early = [job("a", 0), job("b", 1), job("c", 2, stat_from=5)]
    assert first_in_first_out(early, ALONE, 0) == {"a": 10, "c": 20, "b": 30}


def test_nothing_is_read_before_it_may_be() -> None:
    """The reader waits for what a technologist still has."""
    assert first_in_first_out([Job("a", 0, 50, None, "r1", 10, 0)], ALONE, 0) == {"a": 60}


def test_questions_between_two_cases_keep_the_reader_away() -> None:
    """Time that is spent after signing delays the next case, not this one."""
    assert first_in_first_out([job("a", 0, away=7), job("b", 1)], ALONE, 0) == {"a": 10, "b": 27}


def test_another_reader_takes_as_long_as_they_are_slow() -> None:
    """The work is the case's; the pace is the reader's."""
    two = {"r1": 1.0, "r2": 2.0}
    signed = first_in_first_out([job("a", 0), job("b", 0)], two, 0)
    assert signed == {"a": 10, "b": 20}


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(1, 40), st.booleans()), min_size=1, max_size=30), st.integers(1, 3))
def test_every_study_is_read_once_and_nobody_idles_while_one_waits(drawn: list[tuple[float, float, bool]], readers: int) -> None:
    """Work is conserved: the last signature is no later than all work one after the other, and everybody gets one."""
    jobs = [
        Job(f"a{place:02d}", at, at, at if stat else None, "r0", hands, 0) for place, (at, hands, stat) in enumerate(drawn)
    ]
    signed = first_in_first_out(jobs, {f"r{number}": 1.0 for number in range(readers)}, 0)
    assert signed.keys() == {one.accession for one in jobs}
    assert all(signed[one.accession] >= one.available + one.hands - 1e-9 for one in jobs)
    assert max(signed.values()) <= max(one.available for one in jobs) + sum(one.hands for one in jobs) + 1e-6


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(1, 40)), min_size=2, max_size=20, unique_by=lambda one: one[0]))
def test_one_reader_without_stats_never_overtakes(drawn: list[tuple[float, float]]) -> None:
    """The order of signatures is the order of coming."""
    jobs = [job(f"a{place:02d}", at, hands) for place, (at, hands) in enumerate(drawn)]
    signed = first_in_first_out(jobs, ALONE, 0)
    by_time = sorted(jobs, key=lambda one: one.complete)
    assert [signed[one.accession] for one in by_time] == sorted(signed.values())
    assert first_in_first_out([], ALONE, 0) == pytest.approx({})
