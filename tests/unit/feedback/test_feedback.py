"""Verdicts are kept with what was shown, and settle to labels by one rule."""

from dataclasses import replace


import pytest
from examples.feedback import OTHER, verdict
from examples.shared import CASE, PNEUMONIA, READER, SITE, at, completed, envelope, predicted, study

from radloop.events.reading import FindingAnswer, LabelSettled, VerdictRecorded
from radloop.events.report import CodedObservation, ReportSigned
from radloop.events.study import StudyBackfilled
from radloop.events.triage import ReviewRequested
from radloop.feedback.adapters.rule import read_rule
from radloop.feedback.domain import CaseFile
from radloop.feedback.handlers import Answered, TakeBackVerdict, routes
from radloop.kit.flow import Decision, Event, Input, Record, Reject, Skip

RULE = read_rule()


def told(*inputs: Input) -> tuple[CaseFile | None, list[Event], Decision[CaseFile] | None]:
    """Run a history; return the case, what was said, and the last decision."""
    case: CaseFile | None = None
    said: list[Event] = []
    last: Decision[CaseFile] | None = None
    for seen in inputs:
        for route in routes(RULE):
            if route.hears_this(seen):
                last = route.decide(seen, case)
                if isinstance(last, Record):
                    case = last.state
                    said += last.emit
    return case, said, last


def labels(said: list[Event]) -> list[LabelSettled]:
    """Return the labels that were said."""
    return [one for one in said if isinstance(one, LabelSettled)]


def requested(drawn: str = "audit") -> ReviewRequested:
    """Build a review request."""
    return ReviewRequested(
        **envelope("requested", 70), request_id="request-1", finding=PNEUMONIA, label_value=0.8, cost_seconds=12,
        expires_at=at(9000), drawn=drawn, drawn_probability=0.05, strategy="random", model="chest", version=2,
        ai_hidden=True, pooled=False,
    )


def test_a_verdict_is_recorded_and_settles_a_label() -> None:
    """The label says how its case was drawn, and whether the AI was shown."""
    _, said, last = told(completed(), predicted(), requested(), verdict(ai_shown=False, prediction_id=""))
    assert isinstance(last, Record)
    assert last.answer == Answered(done=True)
    assert [type(one) for one in said] == [VerdictRecorded, LabelSettled]
    label = labels(said)[0]
    assert (label.value, label.drawn, label.drawn_probability, label.ai_shown, label.patient_key) == (
        "present", "audit", 0.05, False, "p-3f9a",
    )


def test_a_verdict_on_something_replaced_is_refused_and_said_so() -> None:
    """New images or a newer prediction: look again, then answer; nothing is recorded."""
    _, said, last = told(completed(), predicted(), completed("second", 80, revision=2), verdict())
    assert isinstance(last, Skip)
    assert last.answer == Answered(done=False, reason="new images arrived: look again, then answer")
    _, said, last = told(completed(), predicted(), predicted(0.4, name="newer", seconds=90, read_at=at(90)), verdict())
    assert isinstance(last, Skip)
    assert "newer prediction" in last.reason
    assert not said


@pytest.mark.parametrize("change", [
    {"kind": "maybe"}, {"answers": ()}, {"answers": (FindingAnswer(code=PNEUMONIA, value="perhaps"),)}, {"seconds_spent": -1.0},
    {"seconds_spent": float("nan")},
])
def test_a_wrong_verdict_is_rejected_with_the_reason(change: dict[str, object]) -> None:
    """Bad input gets a clear error, and waits in quarantine."""
    _, said, last = told(completed(), predicted(), verdict(**change))
    assert isinstance(last, Reject)
    assert not said


def test_a_verdict_on_an_unknown_case_is_rejected() -> None:
    """No such case."""
    _, _, last = told(verdict())
    assert isinstance(last, Reject)
    assert last.reason == "no such case"


def test_a_verdict_taken_back_withdraws_its_label() -> None:
    """It stays on record, and the label is withdrawn by name."""
    back = TakeBackVerdict(id="back", subject=CASE, site=SITE, at=at(110), actor=READER, verdict_id="verdict-1")
    case, said, _ = told(completed(), predicted(), verdict(), back)
    assert [one.withdrawn for one in labels(said)] == [False, True]
    assert [one.label_revision for one in labels(said)] == [1, 2]
    assert case is not None
    assert [one.taken_back for one in case.verdicts] == [True]
    recorded = [one for one in said if isinstance(one, VerdictRecorded)]
    assert [(one.kind, one.takes_back) for one in recorded] == [("accept", ""), ("taken-back", "verdict-1")]


def test_cannot_say_teaches_nothing() -> None:
    """A reader who cannot say settles no label, and withdraws the earlier one."""
    unsure = verdict("verdict-2", kind="cannot-say", answers=(FindingAnswer(code=PNEUMONIA, value="cannot-say"),))
    unsure = replace(unsure, at=at(120))
    _, said, _ = told(completed(), predicted(), verdict(), unsure)
    assert [one.withdrawn for one in labels(said)] == [False, True]


def test_a_verdict_that_contradicts_itself_is_refused() -> None:
    """Present and absent for one finding in one answer settles nothing: it is refused, and no label follows."""
    both = (FindingAnswer(code=PNEUMONIA, value="present"), FindingAnswer(code=PNEUMONIA, value="absent"))
    _, said, last = told(completed(), predicted(), verdict(answers=both))
    assert isinstance(last, Reject)
    assert not labels(said)


def test_the_newest_verdict_holds() -> None:
    """A second answer replaces the first, whichever kind it is."""
    second = replace(verdict("verdict-2", kind="reject", answers=(FindingAnswer(code=PNEUMONIA, value="absent"),)), at=at(130))
    _, said, _ = told(completed(), predicted(), verdict(), second)
    assert [one.value for one in labels(said)] == ["present", "absent"]


@pytest.mark.parametrize("report_first", [True, False])
def test_a_signed_report_settles_the_label_of_a_measuring_case(report_first: bool) -> None:
    """Acceptance and gate sets are labelled by signed reports, whichever message came first."""
    study_event = StudyBackfilled(**envelope("b", 5, OTHER), study=study(), revision=1, purpose="gate")
    report = ReportSigned(
        **envelope("s", 6, OTHER), signed_at=at(6), signer="r", findings=(CodedObservation(code=PNEUMONIA, value="absent"),),
    )
    _, said, _ = told(*((report, study_event) if report_first else (study_event, report)))
    assert [(one.value, one.source, one.purpose) for one in labels(said)] == [("absent", "report", "gate")]


def test_no_reader_settles_the_label_of_a_measuring_case() -> None:
    """What measures is never chosen by anybody."""
    backfilled = StudyBackfilled(**envelope("b", 5), study=study(), revision=1, purpose="acceptance")
    _, said, _ = told(backfilled, verdict(prediction_id="", ai_shown=False))
    assert not labels(said)
