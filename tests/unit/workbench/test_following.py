"""Whether readers follow the machine: the audit slice shows it, and the report says so."""

import pytest

from radloop.workbench.hospital.readers import Radiologist, Skill
from radloop.workbench.hospital.reading_room import Given
from radloop.workbench.play.following import exceeds, following

CASES = tuple(f"A{number}" for number in range(100))
TRUTH = {case: place % 2 == 0 for place, case in enumerate(CASES)}


def answers(anchoring: float, audit: int = 15) -> list[Given]:
    """Return a round of 100 questions of which the model was wrong in four of ten; the first `audit` were answered with it hidden."""
    reader = Radiologist("r", 3, TRUTH, Skill(0.92, 0.95, 0.0), anchoring)
    given = []
    for place, case in enumerate(CASES):
        said = "present" if TRUTH[case] != (place % 5 < 2) else "absent"
        hidden = place < audit
        thought = reader.reads(case, "" if hidden else said)
        given.append(Given("r", case, case, "accept", thought.opinion, f"q{place}", hidden, said, thought.followed, 20.0))
    return given


def test_readers_that_always_follow_are_seen_and_said() -> None:
    """All wrong answers that were shown come back; with the AI hidden these readers seldom err."""
    told = following(answers(1.0), TRUTH)
    assert told.shown[0] == told.shown[1] > 30
    assert told.hidden[1] == 15
    assert told.p_value < 0.001
    assert told.words.startswith("readers follow the model: 34 of 34")


def test_they_are_seen_also_where_the_model_is_seldom_wrong() -> None:
    """A few wrong answers that were shown are enough: the audit slice is held against them as a whole."""
    some = [one for place, one in enumerate(answers(1.0)) if one.hidden or place % 4 == 0]
    assert following(some, TRUTH).words.startswith("readers follow the model")


def test_readers_of_their_own_mind_are_not_accused() -> None:
    """Their own errors are no following."""
    told = following(answers(0.0), TRUTH)
    assert told.p_value > 0.05
    assert told.words.startswith("no proof")


def test_too_small_a_slice_is_said_to_be_too_small() -> None:
    """Nothing is claimed from no hidden answer."""
    assert "too few" in following(answers(1.0, audit=0), TRUTH).words


def test_answers_to_no_request_do_not_count() -> None:
    """The slice is drawn from requests."""
    own = [Given("r", "A1", "A1", "accept", "present", "", False, "present", False, 20.0)]
    assert following(own, TRUTH).shown == (0, 0)


@pytest.mark.parametrize(("one", "other", "p_value"), [
    ((3, 3), (0, 3), 0.05), ((8, 10), (1, 10), 0.0027), ((1, 2), (1, 2), 5 / 6), ((0, 0), (0, 0), 1.0),
])
def test_the_test_is_fishers(one: tuple[int, int], other: tuple[int, int], p_value: float) -> None:
    """One-sided, as in scipy.stats.fisher_exact(alternative='greater')."""
    assert exceeds(one, other) == pytest.approx(p_value, abs=2e-4)
