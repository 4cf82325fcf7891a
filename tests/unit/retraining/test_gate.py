"""The gate passes on the lower bound of a paired bootstrap over patients."""

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.gate import GateResult, Scored, aucs, hold_gate, resamples

PLAN = load_plan().gate


def _set(quality: float, seed: int = 0, positives: int = 420, negatives: int = 140) -> tuple[Scored, np.ndarray, list[str]]:
    dice = np.random.default_rng(seed)
    labels = np.arange(positives + negatives) < positives
    scores = dice.normal(size=len(labels)) + labels * quality
    return Scored(scores, scores > 0.5), labels, [str(place // 2) for place in range(len(labels))]


def test_the_weighted_auc_is_the_textbook_one() -> None:
    """With ties and counts, each row equals scikit-learn's AUC with the counts as sample weights."""
    dice = np.random.default_rng(4)
    scores, labels = dice.integers(0, 12, 80).astype(float), dice.random(80) < 0.4
    counts = dice.integers(0, 4, (7, 80)).astype(float)
    expected = [roc_auc_score(labels, scores, sample_weight=row) for row in counts]
    np.testing.assert_allclose(aucs(scores, labels, counts), expected)


def test_patients_are_resampled_whole() -> None:
    """Cases of one patient count equally often in every replicate, and as many patients are drawn as there are."""
    counts = resamples(["a", "a", "b", "c"], 100, seed=1)
    np.testing.assert_array_equal(counts[:, 0], counts[:, 1])
    np.testing.assert_array_equal(counts[:, 0] + counts[:, 2] + counts[:, 3], np.full(100, 3))


def test_a_first_model_is_held_to_the_absolute_floor() -> None:
    """Without a predecessor the lower bound of the AUC itself must reach the floor."""
    good, labels, patients = _set(2.5)
    assert hold_gate(good, None, labels, patients, PLAN).passed
    poor, labels, patients = _set(1.4)
    result = hold_gate(poor, None, labels, patients, PLAN)
    assert not result.passed
    assert result.criteria[0].lower_bound < result.criteria[0].estimate


def test_the_same_model_again_is_not_worse() -> None:
    """A candidate that equals its predecessor differs by exactly nothing: the bootstrap is paired."""
    same, labels, patients = _set(2.0)
    result = hold_gate(same, same, labels, patients, PLAN)
    assert result.passed
    assert [criterion.lower_bound for criterion in result.criteria] == [0.0, 0.0]


def test_a_worse_model_is_kept_back_by_name() -> None:
    """A candidate that ranks worse fails on AUC, and the sentence says by how much."""
    before, labels, patients = _set(2.5)
    noise = np.random.default_rng(9).normal(size=len(labels))
    worse = Scored(before.scores + noise, before.called)
    result = hold_gate(worse, before, labels, patients, PLAN)
    assert not result.passed
    assert any("AUC" in line and "failed" in line for line in result.sentences())


def test_lost_sensitivity_alone_fails() -> None:
    """The same ranking at an operating point that misses more positives does not pass."""
    before, labels, patients = _set(2.5)
    result = hold_gate(Scored(before.scores, before.scores > 2.0), before, labels, patients, PLAN)
    assert [criterion.passed for criterion in result.criteria] == [True, False]


@pytest.mark.parametrize(("positives", "negatives"), [(399, 140), (420, 99)])
def test_a_small_gate_set_holds_no_gate(positives: int, negatives: int) -> None:
    """Too few cases pass nobody, however good they look."""
    good, labels, patients = _set(5.0, positives=positives, negatives=negatives)
    result = hold_gate(good, None, labels, patients, PLAN)
    assert not result.passed
    assert "too small" in result.reason


def test_no_criteria_is_no_pass() -> None:
    """A gate that was not held was not passed."""
    assert not GateResult(500, 500, 300).passed


def test_a_score_that_is_not_finite_is_refused() -> None:
    """A broken score is neither first nor last: the gate does not run."""
    good, labels, patients = _set(2.0)
    with pytest.raises(Permanent):
        hold_gate(Scored(np.where(labels, np.nan, 0.0), good.called), None, labels, patients, PLAN)


def test_a_case_without_patient_is_refused() -> None:
    """Without the patient nobody can say that patients do not cross."""
    good, labels, patients = _set(2.0)
    with pytest.raises(Permanent):
        hold_gate(good, None, labels, ["", *patients[1:]], PLAN)


def test_two_thousand_replicates_take_less_than_five_seconds() -> None:
    """The gate is quick enough to hold it after every cycle, on thousands of cases."""
    good, labels, patients = _set(2.5, positives=1_500, negatives=500)
    begun = time.perf_counter()
    hold_gate(good, good, labels, patients, PLAN)
    assert time.perf_counter() - begun < 5
