"""What a version is worth: intervals over patients, and a gain measured on the same patients."""

import numpy as np
import pytest

from radloop.retraining.domain.arrays import sigmoid
from radloop.workbench.hospital.scores import area, gain
from radloop.workbench.workshop import scored_on_random

DICE = np.random.default_rng(1)
TRUTH = DICE.random(300) < 0.4
GOOD = TRUTH + DICE.normal(0, 0.6, 300)
BETTER = TRUTH + DICE.normal(0, 0.35, 300)
EACH = [f"p{place}" for place in range(300)]


def test_an_area_stands_inside_its_interval() -> None:
    """And the interval is what a few hundred images allow."""
    told = area([GOOD], TRUTH, EACH, 7)
    assert told.low < told.estimate < told.high
    assert 0.02 < told.high - told.low < 0.12


def test_many_images_of_few_patients_tell_less() -> None:
    """Whole patients are resampled: ten images of one are not ten witnesses."""
    few = [f"p{place // 10}" for place in range(300)]
    same = np.repeat(GOOD[::10], 10)
    truth = np.repeat(TRUTH[::10], 10)
    assert area([same], truth, few, 7).high - area([same], truth, few, 7).low > 1.5 * (
        area([same], truth, EACH, 7).high - area([same], truth, EACH, 7).low
    )


def test_a_gain_is_paired() -> None:
    """The same scores gain nothing, for certain; better ones gain, and the interval says so."""
    nothing = gain([GOOD], GOOD, TRUTH, EACH, 7)
    assert (nothing.low, nothing.estimate, nothing.high) == (0.0, 0.0, 0.0)
    told = gain([GOOD], BETTER, TRUTH, EACH, 7)
    assert 0 < told.low < told.estimate < told.high
    assert told.estimate == pytest.approx(area([BETTER], TRUTH, EACH, 7).estimate - area([GOOD], TRUTH, EACH, 7).estimate)


def test_several_draws_count_by_their_mean() -> None:
    """One lucky draw of random labels is not what random labels are worth."""
    both = area([GOOD, BETTER], TRUTH, EACH, 7)
    assert both.estimate == pytest.approx((area([GOOD], TRUTH, EACH, 7).estimate + area([BETTER], TRUTH, EACH, 7).estimate) / 2)
    assert 0 < gain([GOOD, BETTER], BETTER, TRUTH, EACH, 7).estimate < gain([GOOD], BETTER, TRUTH, EACH, 7).estimate


def test_random_labels_teach_by_the_plans_own_recipe() -> None:
    """More of them teach more, on embeddings in which there is something to learn."""
    way = DICE.normal(size=32)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        embeddings = DICE.normal(size=(count, 32)).astype(np.float32)
        return embeddings, DICE.random(count) < sigmoid(embeddings @ way)

    test, truth = drawn(400)
    worth = []
    for count in (20, 400):
        embeddings, labels = drawn(count)
        scores = scored_on_random(embeddings, labels, [f"q{place}" for place in range(count)], test)
        worth.append(area([scores], truth, [f"t{place}" for place in range(400)], 7).estimate)
    assert 0.5 < worth[0] < worth[1]
