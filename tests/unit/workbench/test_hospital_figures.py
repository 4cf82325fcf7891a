"""What the demo counts: nothing lost, nothing twice, nothing that nobody can explain."""

import numpy as np
import pytest

from radloop.workbench.hospital.figures import Played, Required, count, failures, percentile
from radloop.workbench.hospital.scores import auc


def case(*reports: str, predicted: bool = True, rejected: bool = False, closed: bool = False, reason: str = "",
         matched: bool = True) -> Played:
    """Return a case of the morning."""
    return Played("c", predicted, closed, rejected, reports, reason, matched)


def test_a_case_that_was_read_has_one_report() -> None:
    """One is right, none is lost, two is twice."""
    counted = count([case("partial"), case(), case("partial", "partial")], 0)
    assert (counted.read_by_model, counted.reports_lost, counted.reports_twice, counted.unexplained) == (3, 1, 1, 0)


@pytest.mark.parametrize(
    "odd",
    [
        case("entered-in-error"),
        case("partial", rejected=True),
        case("partial", predicted=False),
        case("partial", closed=True),
        case(predicted=False),
        case("partial", matched=False, reason="unmatched"),
    ],
)
def test_what_fits_nothing_is_unexplained(odd: Played) -> None:
    """A status without its cause, a report without a reading, and none without a reason are all counted."""
    assert count([odd], 0).unexplained == 1


def test_what_is_explained_is_not_counted() -> None:
    """A rejection withdraws, a signature before the first try sends nothing, and an unread case has a reason."""
    told = [
        case("entered-in-error", rejected=True), case(closed=True, reason="signed first"),
        case(predicted=False, reason="no version served"), case(matched=False, reason="unmatched"),
    ]
    assert count(told, 0).unexplained == 0
    assert count(told, 2).unexplained == 2


FIGURES = {
    "read_by_model": 60.0, "reports_in_ehr": 60.0, "reports_lost": 0.0, "reports_twice": 0.0, "unexplained": 0.0,
    "labels_asked": 100.0, "priority_changes": 9.0, "model_versions_released": 1.0, "auc_gain": 0.05,
    "before_opened_share": 0.98, "irregularities": 13.0, "irregularities_as_expected": 13.0,
}


def test_figures_that_hold_fail_nothing() -> None:
    """The exit status is 0 only here."""
    assert failures(FIGURES, Required(), []) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reports_lost", 1.0), ("reports_twice", 1.0), ("unexplained", 1.0), ("reports_in_ehr", 59.0), ("labels_asked", 99.0),
        ("priority_changes", 4.0), ("model_versions_released", 0.0), ("auc_gain", 0.004), ("auc_gain", float("nan")),
        ("before_opened_share", 0.94), ("before_opened_share", None), ("read_by_model", 0.0),
    ],
)
def test_each_check_bites(name: str, value: float) -> None:
    """Every figure that is off is named, also one that is no number."""
    assert any(name in sentence for sentence in failures({**FIGURES, name: value}, Required(), []))


def test_an_irregularity_that_ended_otherwise_is_said() -> None:
    """All that were played must have ended as documented."""
    assert failures({**FIGURES, "irregularities_as_expected": 12.0}, Required(), []) == ["12 of 13 irregularities ended as documented"]


def test_the_auc_is_the_share_of_pairs_in_order() -> None:
    """Ties count half, and a missing class has no AUC."""
    truth = np.array([True, True, False, False])
    assert auc(np.array([0.9, 0.4, 0.4, 0.1]), truth) == pytest.approx(0.875)
    assert np.isnan(auc(np.array([0.9]), np.array([True])))
    assert percentile([], 50) == 0.0
