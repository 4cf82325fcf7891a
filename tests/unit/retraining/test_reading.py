"""Calibration, conformal sets, operating point and distribution, against oracles and known answers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.calibration import Platt, fit_platt
from radloop.retraining.domain.conformal import Conformal, fit_conformal
from radloop.retraining.domain.distribution import fit_distribution
from radloop.retraining.domain.learning import calibrate, learn
from radloop.retraining.domain.operating import operating_point
from radloop.retraining.domain.snapshot import Snapshot


def _scores(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    labels = dice.random(count) < 0.2
    return dice.normal(size=count) * 2 + np.where(labels, 3.0, -2.0), labels


def test_slope_and_offset_are_those_of_a_logistic_fit() -> None:
    """On many cases the smoothed targets hardly matter, and Platt's fit is a plain logistic regression on the score."""
    scores, labels = _scores(20_000)
    oracle = LogisticRegression(C=1e9).fit(scores[:, None], labels)
    platt = fit_platt(scores, labels)
    assert platt.slope == pytest.approx(oracle.coef_[0, 0], rel=0.02)
    assert platt.offset == pytest.approx(oracle.intercept_[0], rel=0.02)
    assert platt.prevalence == pytest.approx(labels.mean())


def test_perfectly_separated_scores_stay_finite() -> None:
    """The smoothed targets keep slope and offset finite where a plain fit would run away."""
    platt = fit_platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([False, False, True, True]))
    assert np.isfinite([platt.slope, platt.offset]).all()


@pytest.mark.parametrize("labels", [[True] * 4, [False] * 4, [True, True, False, False]])
def test_what_cannot_calibrate_is_refused(labels: list[bool]) -> None:
    """One class alone, or scores that run against the labels, calibrate nothing."""
    with pytest.raises(Permanent):
        fit_platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array(labels))


def test_the_offset_follows_the_prevalence() -> None:
    """Fitted where half is positive and moved to a tenth, slope and offset are those of a fit where a tenth is."""
    dice = np.random.default_rng(5)

    def site(share: float) -> tuple[np.ndarray, np.ndarray]:
        labels = dice.random(100_000) < share
        return dice.normal(size=len(labels)) + np.where(labels, 1.0, -1.0), labels

    moved, fitted = fit_platt(*site(0.5)).at(0.1), fit_platt(*site(0.1))
    # Normal scores, one apart either way: the log odds are 2 x plus those of the prior.
    assert (moved.slope, moved.offset) == pytest.approx((2.0, np.log(0.1 / 0.9)), abs=0.05)
    assert (moved.slope, moved.offset) == pytest.approx((fitted.slope, fitted.offset), abs=0.1)
    scores, labels = site(0.1)
    assert moved.probability(scores).mean() == pytest.approx(labels.mean(), abs=0.003)
    assert moved.prevalence == 0.1


def test_a_version_is_calibrated_for_the_sites_mix_where_the_plan_tells_it() -> None:
    """Probabilities are those of the site; who is called positive, and what the sets hold, is as on the acceptance set."""
    scores, labels = _scores(4000)
    plan = load_plan().calibration
    as_it_is, moved = calibrate(scores, labels, "f", plan), calibrate(scores, labels, "f", plan, 0.02)
    assert (as_it_is.platt.prevalence, moved.platt.prevalence) == (pytest.approx(labels.mean()), 0.02)
    before, after = as_it_is.platt.probability(scores), moved.platt.probability(scores)
    assert after.mean() < before.mean() / 2
    assert ((before >= as_it_is.operating_point) == (after >= moved.operating_point)).all()
    assert ((before >= as_it_is.conformal.present_from) == (after >= moved.conformal.present_from)).all()
    assert ((before <= as_it_is.conformal.absent_to) == (after <= moved.conformal.absent_to)).all()


def test_the_prevalence_of_what_the_model_does_not_find_is_refused() -> None:
    """A misspelt code must not pass as a mix that nobody told."""
    nothing, plan = np.empty((0, 2), np.float32), replace(load_plan(), prevalence={"233604008": 0.1})
    with pytest.raises(Permanent, match="233604008"):
        learn(Snapshot((), nothing), (), nothing, ("233604007",), plan)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(-5, 5))
def test_moving_there_and_back_changes_nothing(fitted: float, other: float, score: float) -> None:
    """The odds move by the ratio of the prior odds, whatever the score, and come back whence they came."""
    platt = Platt(slope=1.5, offset=-0.3, prevalence=fitted, cases=200)
    at = np.array([score])
    before, after = platt.probability(at)[0], platt.at(other).probability(at)[0]
    assert after / (1 - after) == pytest.approx(before / (1 - before) * (other / (1 - other)) / (fitted / (1 - fitted)))
    assert platt.at(other).at(fitted).offset == pytest.approx(platt.offset)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, float("nan")])
def test_a_prevalence_at_either_end_is_refused(prevalence: float) -> None:
    """Where nothing or everything is positive the offset would be infinite."""
    with pytest.raises(Permanent):
        Platt(slope=1.0, offset=0.0, prevalence=0.5, cases=0).at(prevalence)
    with pytest.raises(Permanent):
        Platt(slope=1.0, offset=0.0, prevalence=prevalence, cases=0).at(0.5)


def test_a_score_that_is_not_finite_is_refused() -> None:
    """No score is repaired."""
    with pytest.raises(Permanent):
        fit_platt(np.array([0.0, np.inf]), np.array([False, True]))


def test_each_class_is_covered_on_fresh_cases() -> None:
    """Mondrian thresholds cover both classes, also the rare one, at the share asked for (mean over draws)."""
    held = []
    for seed in range(60):
        scores, labels = _scores(400, seed)
        fitted = fit_conformal(1 / (1 + np.exp(-scores)), labels, 0.9)
        fresh, truth = _scores(2_000, seed + 1_000)
        chance = 1 / (1 + np.exp(-fresh))
        held.append(((chance >= fitted.present_from)[truth].mean(), (chance <= fitted.absent_to)[~truth].mean()))
    assert np.mean(held, axis=0) == pytest.approx([0.9, 0.9], abs=0.02)


def test_too_few_cases_rule_nothing_out() -> None:
    """A class with fewer cases than its coverage needs keeps its answer in every set."""
    fitted = fit_conformal(np.array([0.1, 0.9]), np.array([False, True]), 0.9)
    assert fitted == Conformal(present_from=0.0, absent_to=1.0, coverage=0.9)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.floats(0, 1))
def test_a_set_is_never_empty(cases: list[tuple[float, bool]], probability: float) -> None:
    """Whatever it was fitted on, a conformal set rules out at most one answer."""
    fitted = fit_conformal(np.array([case[0] for case in cases]), np.array([case[1] for case in cases]), 0.8)
    assert fitted.answers(probability)


def test_the_operating_point_finds_the_share_asked_for() -> None:
    """It is the highest threshold that still finds the share of positives."""
    probabilities = np.array([0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
    labels = np.array([False] + [True] * 10)
    assert operating_point(probabilities, labels, 0.9) == pytest.approx(0.3)
    assert operating_point(probabilities, labels, 0.99) == pytest.approx(0.2)


def test_strangers_are_farther_than_the_threshold() -> None:
    """About the share asked for of fresh friends is flagged, and a stranger always is."""
    dice = np.random.default_rng(1)
    basis = dice.normal(size=(10, 80))
    known, held, fresh = (dice.normal(size=(count, 10)) @ basis for count in (300, 200, 2_000))
    fitted = fit_distribution(known, 0.95, held)
    assert (fitted.distance(fresh) > fitted.threshold).mean() == pytest.approx(0.05, abs=0.04)
    stranger = fresh[:50] + dice.normal(size=(50, 80)) * 6
    assert (fitted.distance(stranger) > fitted.threshold).mean() > 0.95


def test_twenty_embeddings_without_held_out_ones_flag_few_friends() -> None:
    """Cross-fitting keeps the threshold of a very first model above nearly all of its own kind."""
    dice = np.random.default_rng(2)
    basis = dice.normal(size=(6, 50))
    fitted = fit_distribution(dice.normal(size=(20, 6)) @ basis, 0.99)
    assert (fitted.distance(dice.normal(size=(500, 6)) @ basis) > fitted.threshold).mean() < 0.2
