"""Who is drawn: nobody on two sides, and nothing that follows from the truth."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from radloop.kit.errors import Misconfigured
from radloop.workbench.hospital.cohort import PARTS, Cohort, Sizes, draw, sizes
from radloop.workbench.hospital.sources import Candidate, Phantoms, Pixels, open_source


class Made:
    """A source of made-up patients, a few of them with several images."""

    name = "made"

    def __init__(self, positives: int = 900, negatives: int = 1100) -> None:
        self._count = (positives, negatives)

    def training(self) -> Sequence[tuple[str, bool, tuple[str, ...]]]:
        """Return patients whose key tells the label, as the real file names do."""
        positives, negatives = self._count
        return [(f"P{i}", True, (f"p{i}a", f"p{i}b")) for i in range(positives)] + [
            (f"N{i}", False, (f"n{i}",)) for i in range(negatives)
        ]

    def test(self) -> Sequence[Candidate]:
        """Return a test split with patients of its own."""
        return [Candidate(f"T{i}", i % 2 == 0, f"t{i}") for i in range(10)]

    def pixels(self, image: str) -> Pixels:
        """Return nothing to see."""
        return np.zeros((8, 8), np.uint8)


def parts(cohort: Cohort) -> dict[str, tuple[Candidate, ...]]:
    return {name: getattr(cohort, name) for name in PARTS}


def test_no_patient_is_in_two_parts_or_twice_in_one() -> None:
    """A patient gives one study to one part."""
    keys = [one.patient for part in parts(draw(Made(), 7, Sizes())).values() for one in part]
    assert len(keys) == len(set(keys))


def test_the_parts_have_their_sizes_and_mixes() -> None:
    """The gate set has its own mix; everything else stands at the prevalence, seeds with both classes."""
    drawn = draw(Made(), 7, Sizes())
    assert {name: len(part) for name, part in parts(drawn).items()} == {
        "seeds": 20,
        "acceptance": 200,
        "pool": 800,
        "gate": 640,
        "morning": 60,
        "irregular": 11,
        "test": 10,
    }
    assert sum(one.positive for one in drawn.gate) == 440
    for part in (drawn.seeds, drawn.acceptance, drawn.pool, drawn.morning):
        assert sum(one.positive for one in part) == pytest.approx(0.2 * len(part))


def test_a_seed_draws_the_same_and_another_seed_another() -> None:
    """The draw is repeatable."""
    assert draw(Made(), 7, Sizes()) == draw(Made(), 7, Sizes())
    assert draw(Made(), 7, Sizes()).pool != draw(Made(), 8, Sizes()).pool


def test_the_order_within_a_part_says_nothing_of_the_truth() -> None:
    """Positives are spread: the mean place of positives and negatives is about the same."""
    pool = draw(Made(), 7, Sizes()).pool
    places = np.arange(len(pool))
    truth = np.array([one.positive for one in pool])
    assert abs(places[truth].mean() - places[~truth].mean()) < 0.1 * len(pool)


def test_a_small_demo_keeps_a_gate_set_that_can_decide() -> None:
    """Scaling down never goes below 400 positives and 100 negatives."""
    small = sizes(12, 100)
    assert (small.morning, small.pool) == (12, 100)
    assert small.gate_positives >= 400
    assert small.gate_negatives >= 100


@pytest.mark.parametrize(("measures", "also"), [("gate", "acceptance"), ("test", "pool"), ("morning", "seeds"), ("test", "irregular")])
def test_a_case_that_calibrates_or_teaches_is_never_also_measured(measures: str, also: str) -> None:
    """Built in on purpose, a patient on two sides makes the cohort refuse to be: no figure could be taken on it."""
    cohort = draw(Made(), 7, Sizes())
    with pytest.raises(Misconfigured, match=f"two parts of the cohort.*{measures}|two parts of the cohort.*{also}"):
        replace(cohort, **{measures: (*getattr(cohort, measures), getattr(cohort, also)[0])})


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 20.0])
def test_a_prevalence_that_is_no_share_is_said_so(share: float) -> None:
    """20 is not 20 %."""
    with pytest.raises(Misconfigured, match="between 0 and 1"):
        sizes(60, 800, share)


def test_without_a_model_only_the_morning_is_drawn() -> None:
    """At any prevalence: nothing has to be calibrated or gated."""
    drawn = draw(Made(), 7, sizes(60, 800, 0.05, ai=False))
    assert {name: len(part) for name, part in parts(drawn).items() if part} == {"morning": 60, "irregular": 11, "test": 10}


def test_a_rare_finding_takes_a_larger_acceptance_set() -> None:
    """Every version is calibrated on at least 20 cases of each class."""
    assert sizes(60, 100, 0.1).acceptance * 0.1 >= 25


def test_too_few_patients_is_said_and_not_papered_over() -> None:
    """A part is never filled by drawing somebody twice."""
    with pytest.raises(Misconfigured, match="not enough"):
        draw(Made(positives=100), 7, Sizes())


def test_without_a_data_directory_phantoms_are_enough_for_the_full_demo() -> None:
    """Phantoms have patients for every part, their truth is drawn, and a picture is the same whenever it is asked for."""
    source = open_source(None, 3)
    assert isinstance(source, Phantoms)
    drawn = draw(source, 3, Sizes())
    image = drawn.pool[0].image
    assert (source.pixels(image) == source.pixels(image)).all()
    assert {one.positive for one in drawn.test} == {True, False}
