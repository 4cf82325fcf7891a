"""The counterfactual queue: first in, first out within the clinician's own priority, with the same work in it."""

from hypothesis import given
from hypothesis import strategies as st

from radloop.workbench.hospital.queueing import Job, first_in_first_out

def job(name: str, complete: float, stat_from: float | None = None) -> Job:
    """Return a study that may be opened as soon as it is complete."""
    return Job(name, complete, complete, stat_from)


def signed(jobs: list[Job], begin: float = 0.0, **seconds: float) -> dict[str, float]:
    """Return when one reader signs them, each after ten seconds unless told otherwise."""
    return first_in_first_out(jobs, ["r1"], lambda _, name: seconds.get(name, 10.0), begin)


def test_who_came_first_is_read_first() -> None:
    """One reader, no priorities."""
    assert signed([job("b", 2), job("a", 1), job("c", 3)], 5) == {"a": 15, "b": 25, "c": 35}


def test_a_stat_is_taken_next_and_never_interrupts() -> None:
    """It passes those that wait, not the one that is being read."""
    assert signed([job("a", 0), job("b", 1), job("s", 5, stat_from=5)]) == {"a": 10, "s": 20, "b": 30}


def test_a_study_that_becomes_a_stat_is_one_from_then_on() -> None:
    """Before that it waits like any other."""
    assert signed([job("a", 0), job("b", 1), job("c", 2, stat_from=15)]) == {"a": 10, "b": 20, "c": 30}
    assert signed([job("a", 0), job("b", 1), job("c", 2, stat_from=5)]) == {"a": 10, "c": 20, "b": 30}


def test_nothing_is_read_before_it_may_be() -> None:
    """The reader waits for what a technologist still has."""
    assert signed([Job("a", 0, 50, None)]) == {"a": 60}


def test_each_reader_takes_as_long_as_they_take() -> None:
    """For this very study, whoever has it in the real morning."""
    took = {("r1", "a"): 10, ("r1", "b"): 10, ("r2", "a"): 20, ("r2", "b"): 25}
    jobs = [job("a", 0), job("b", 0)]
    assert first_in_first_out(jobs, ["r1", "r2"], lambda reader, name: took[reader, name], 0) == {"a": 10, "b": 25}


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(1, 40), st.booleans()), min_size=1, max_size=30), st.integers(1, 3))
def test_every_study_is_read_once_and_nobody_idles_while_one_waits(drawn: list[tuple[float, float, bool]], readers: int) -> None:
    """Work is conserved: the last signature is no later than all work one after the other, and everybody gets one."""
    jobs = [job(f"a{place:02d}", at, at if stat else None) for place, (at, _, stat) in enumerate(drawn)]
    took = {f"a{place:02d}": seconds for place, (_, seconds, _) in enumerate(drawn)}
    ends = first_in_first_out(jobs, [f"r{number}" for number in range(readers)], lambda _, name: took[name], 0)
    assert ends.keys() == took.keys()
    assert all(ends[one.accession] >= one.available + took[one.accession] - 1e-9 for one in jobs)
    assert max(ends.values()) <= max(one.available for one in jobs) + sum(took.values()) + 1e-6


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(1, 40)), min_size=2, max_size=20, unique_by=lambda one: one[0]))
def test_one_reader_without_stats_never_overtakes(drawn: list[tuple[float, float]]) -> None:
    """The order of signatures is the order of coming."""
    jobs = [job(f"a{place:02d}", at) for place, (at, _) in enumerate(drawn)]
    ends = signed(jobs, **{f"a{place:02d}": seconds for place, (_, seconds) in enumerate(drawn)})
    by_time = sorted(jobs, key=lambda one: one.complete)
    assert [ends[one.accession] for one in by_time] == sorted(ends.values())
    assert signed([]) == {}
