"""Heads are fitted exactly, reproducibly, and by patient."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from radloop.kit.errors import Permanent
from radloop.retraining.domain.heads import Heads, Recipe, balanced, by_patient, fit_logistic, stack, train


def _samples(count: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(5)
    labels = np.arange(count) % 3 == 0
    return dice.normal(size=(count, width)) + labels[:, None] * 0.3, labels


@pytest.mark.parametrize(("count", "width"), [(12, 60), (90, 8)])
def test_the_fit_is_the_one_scikit_learn_finds(count: int, width: int) -> None:
    """Newton's method in the span of the samples reaches the optimum of the textbook objective, for wide and tall data."""
    samples, labels = _samples(count, width)
    weights = np.linspace(0.5, 2.0, count)
    oracle = LogisticRegression(C=1 / 3.0, tol=1e-10, max_iter=10_000).fit(samples, labels, sample_weight=weights)
    weight, bias = fit_logistic(samples, labels, weights, penalty=3.0)
    np.testing.assert_allclose(weight, oracle.coef_[0], atol=1e-4)
    assert bias == pytest.approx(oracle.intercept_[0], abs=1e-4)


def test_separable_labels_need_a_penalty() -> None:
    """Without a penalty separable labels have no optimum, so it is refused instead of running away."""
    samples, labels = _samples(9, 3)
    with pytest.raises(Permanent):
        fit_logistic(samples, labels, np.ones(9), penalty=0.0)


def test_the_bootstrap_keeps_patients_whole_and_classes_present() -> None:
    """All cases of a patient are drawn equally often, and both classes are always there."""
    patients = ["a", "a", "b", "c", "c", "d"]
    labels = np.array([True, True, True, False, False, False])
    for seed in range(50):
        counts = by_patient(patients, labels, seed)
        assert counts[0] == counts[1]
        assert counts[3] == counts[4]
        assert counts[labels].sum() > 0
        assert counts[~labels].sum() > 0


def test_classes_weigh_the_same_after_balancing() -> None:
    """Balancing keeps the total and gives both classes half of it."""
    weights = balanced(np.array([True, False, False, False]), np.array([1.0, 1.0, 2.0, 1.0]))
    assert weights[0] == pytest.approx(2.5)
    assert weights[1:].sum() == pytest.approx(2.5)


def test_one_class_alone_trains_nothing() -> None:
    """A head needs both classes."""
    with pytest.raises(Permanent):
        balanced(np.array([True, True]), np.ones(2))


def test_the_same_seed_trains_the_same_heads() -> None:
    """Training is reproducible to the bit, and another seed gives other members."""
    samples, labels = _samples(30, 40)
    patients = [str(place // 2) for place in range(30)]

    def trained(seed: int) -> Heads:
        return stack([train(samples.astype(np.float32), labels, np.ones(30), patients, Recipe(3, 1.0, seed))])

    np.testing.assert_array_equal(trained(1).weight, trained(1).weight)
    assert not np.array_equal(trained(1).weight, trained(2).weight)


def test_heads_take_raw_embeddings_and_refuse_what_is_not_finite() -> None:
    """The mean over members is the score; a NaN is an error, not a score."""
    heads = Heads(np.array([[[1.0, 0.0]], [[3.0, 0.0]]]), np.array([[0.0], [1.0]]))
    assert heads.mean(np.array([[2.0, 9.0]], dtype=np.float32))[0, 0] == pytest.approx(4.5)
    with pytest.raises(Permanent):
        heads.mean(np.array([[np.nan, 0.0]]))


def test_a_feature_that_hardly_moved_does_not_rule_other_cases() -> None:
    """A still feature of the labelled cases that moves on another one leaves its score in the range of all scores."""
    dice = np.random.default_rng(5)
    labels = np.arange(60) % 3 == 0
    samples = dice.normal(size=(60, 20)).astype(np.float32)
    samples[:, 0] += labels
    samples[:, 1] = 0.0
    samples[7, 1] = 1e-5
    weight, bias = train(samples, labels, np.ones(60), [str(case) for case in range(60)], Recipe(5, 10.0, 1))
    other = samples[:1].copy()
    other[0, 1] = 1.0
    members = stack([(weight, bias)])
    assert abs(members.mean(other)[0, 0]) < 2 * np.abs(members.mean(samples)).max()
