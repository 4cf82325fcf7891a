"""Promise 4: what triage may and may never do to the reading list."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from examples.shared import CASE, PATIENT, READER, SITE, at, completed, envelope, order, ordered, predicted
from examples.triage import OTHER
from hypothesis import given
from hypothesis import strategies as st

from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.prediction import PredictionFailed
from radloop.events.reading import CaseOpened
from radloop.events.report import ReportSigned
from radloop.events.triage import CaseTriaged
from radloop.kit.codec import decode, encode
from radloop.kit.flow import Due, Event, Input, Record
from radloop.triage.adapters.policy import read_policy
from radloop.triage.domain.case import Case
from radloop.triage.domain.policy import Policy
from radloop.triage.domain.selection import Candidate
from radloop.triage.handlers import UndoReordering, routes

POLICY: Policy = read_policy()


class NoPool:
    """A pool with nobody in it."""

    def candidates(self, site: str) -> tuple[Candidate, ...]:
        """Return none."""
        return ()

    def case(self, case_id: str) -> Case | None:
        """Return none."""
        return None


def told(*inputs: Input) -> tuple[Case | None, list[CaseTriaged]]:
    """Run a history through triage's routes for one case; return the case and what was said of its place."""
    case: Case | None = None
    said: list[Event] = []
    for seen in inputs:
        for route in routes(POLICY, NoPool()):
            if route.keeps is Case and route.hears_this(seen):
                decision = route.decide(seen, case)
                if isinstance(decision, Record):
                    case = decision.state
                    said += decision.emit
    return case, [one for one in said if isinstance(one, CaseTriaged)]


def opened(seconds: float) -> CaseOpened:
    """Build an opening."""
    return CaseOpened(**envelope(f"opened-{seconds}", seconds), reader=READER, opened_at=at(seconds), revision=1)


def undo() -> UndoReordering:
    """Build a reader's undo."""
    return UndoReordering(id="undo", subject=CASE, site=SITE, at=at(80), actor=READER)


def test_a_study_takes_its_place_by_the_clinicians_own_priority() -> None:
    """Before any prediction the list is first in, first out within the order's priority."""
    _, said = told(ordered(), completed())
    assert [one.urgency for one in said] == ["routine"]
    assert said[0].read_by == at(0) + timedelta(minutes=POLICY.allowance_minutes.routine)
    assert said[0].reasons == ("waiting for its reading: first in, first out",)


def test_a_confident_finding_lifts_a_routine_case_once() -> None:
    """A lift is a shorter allowance from arrival, with its reason and the code for the RIS."""
    _, said = told(ordered(), completed(), predicted(0.93), predicted(0.97, name="again", seconds=70))
    assert [one.lifted for one in said] == [False, True, True]
    assert said[1].read_by == at(0) + timedelta(minutes=POLICY.allowance_minutes.raised)
    assert said[1].reasons == ("lifted: pneumonia 93%",)
    assert [one.priority_code for one in said] == ["", "A", ""]


@pytest.mark.parametrize("priority", ["stat", "asap"])
def test_only_a_clinician_makes_stat_and_nothing_of_ours_changes_it(priority: str) -> None:
    """AI never touches a case the clinician already hurried."""
    _, said = told(ordered(priority=priority), completed(), predicted(0.99))
    assert {one.urgency for one in said} == {priority}
    assert not any(one.lifted or one.priority_code for one in said)


@pytest.mark.parametrize("doubt", [
    {"out_of_distribution": True},
    {"conformal": ("absent", "present")},
    {"conformal": ()},
    {"members": (0.99, 0.99, 0.99, 0.2, 0.99)},
])
def test_an_unsure_reading_keeps_its_place(doubt: dict[str, object]) -> None:
    """Disagreement, out of distribution, or a conformal set that is not one answer: abstain."""
    event = predicted(0.95)
    if "out_of_distribution" in doubt:
        made = replace(event.prediction, out_of_distribution=True)
    else:
        made = replace(event.prediction, findings=(replace(event.prediction.findings[0], **doubt),))  # type: ignore[arg-type]
    _, said = told(ordered(), completed(), replace(event, prediction=made))
    assert (said[-1].urgency, said[-1].abstained, bool(said[-1].guards)) == ("routine", True, True)
    assert said[-1].reasons[0].startswith("kept its place")


@pytest.mark.parametrize("reading_first", [True, False])
def test_a_lift_by_the_first_images_stands_whichever_topic_came_first(reading_first: bool) -> None:
    """New images before the reading of the old ones was heard change nothing: it still lifts."""
    later = (predicted(), completed("second", 70, revision=2))
    case, said = told(ordered(), completed(), *(later if reading_first else reversed(later)))
    assert case is not None
    assert case.lifted
    assert said[-1].reasons == ("lifted: by the reading of an earlier revision",)


@given(probability=st.floats(0, 1), priority=st.sampled_from(["stat", "asap", "routine"]))
def test_ai_never_lowers_a_case(probability: float, priority: str) -> None:
    """Whatever the model says, a case is never to be read later than without it."""
    _, without = told(ordered(priority=priority), completed())
    _, said = told(ordered(priority=priority), completed(), predicted(probability))
    assert said[-1].read_by <= without[-1].read_by
    assert said[-1].urgency != "stat" or priority == "stat"


@pytest.mark.parametrize("end", [
    opened(66.5), ReportSigned(**envelope("signed", 66.5), signed_at=at(66.5), signer="r", findings=()),
    ordered("cancel", 66.5, change="cancelled", revision=2, status="cancelled"),
])
def test_nothing_moves_a_case_that_was_opened_signed_or_cancelled(end: Event) -> None:
    """A prediction after that is not said, and lifts nothing."""
    before, after = told(ordered(), completed(), end), told(ordered(), completed(), end, predicted(seconds=90, read_at=at(90)))
    assert len(after[1]) == len(before[1])


def test_a_reader_undoes_a_lift_and_only_a_clinician_gives_the_case_another_place() -> None:
    """The undo sends the clinician's own priority back, and no later reading lifts the case again."""
    case, said = told(ordered(), completed(), predicted(), undo(), predicted(0.99, name="later", seconds=100))
    assert [one.urgency for one in said] == ["routine", "raised", "routine", "routine"]
    assert [one.priority_code for one in said] == ["", "A", "R", ""]
    assert case is not None
    assert case.undone
    _, said = told(
        ordered(), completed(), predicted(), undo(), ordered("changed", 120, change="changed", revision=2, priority="stat"),
    )
    assert said[-1].urgency == "stat"


@pytest.mark.parametrize("change", ["patient-updated", "patient-merged", "changed"])
def test_news_of_the_order_that_leave_its_priority_do_not_end_an_undo(change: str) -> None:
    """A patient update is no human's word on the reordering, nor is the RIS's echo of the undo."""
    case, said = told(ordered(), completed(), predicted(), undo(), ordered("news", 120, change=change, revision=2))
    assert case is not None
    assert case.undone
    assert [one.urgency for one in said] == ["routine", "raised", "routine"]


def test_a_clinician_who_makes_a_lifted_case_stat_is_obeyed() -> None:
    """The clinician's own priority stands above the lift."""
    _, said = told(ordered(), completed(), predicted(), ordered("stat", 90, change="changed", revision=2, priority="stat"))
    assert (said[-1].urgency, said[-1].lifted) == ("stat", False)


def test_without_a_prediction_in_time_the_case_is_listed_first_in_first_out() -> None:
    """The deadline changes nothing but the reason."""
    due = Due(id="due", subject=CASE, site=SITE, at=at(185), name="deadline")
    _, said = told(ordered(), completed(), due)
    assert said[-1].reasons == ("no prediction in time: first in, first out",)
    assert said[-1].read_by == said[0].read_by


def test_a_study_that_no_model_reads_stays_on_the_list_with_the_reason() -> None:
    """Refused is not dropped."""
    refused = PredictionFailed(**envelope("refused", 66), revision=1, reason="PatientAge is outside 0 to 18 years", refused=True)
    _, said = told(ordered(), completed(), refused)
    assert said[-1].reasons == ("not read by a model: PatientAge is outside 0 to 18 years",)


def test_a_reading_that_came_after_it_was_given_up_holds_whichever_is_heard_first() -> None:
    """A reader that was stuck came through: the study was read, and its place follows from that."""
    given_up = PredictionFailed(**envelope("failed", 67), revision=1, reason="a reader was at it for more than 120 s", refused=False)
    places = [
        (said[-1].urgency, said[-1].reasons)
        for mixed in itertools.permutations((ordered(), completed(), predicted(0.99), given_up)) for _, said in [told(*mixed)]
    ]
    assert set(places) == {("raised", ("lifted: pneumonia 99%",))}


def test_an_older_order_never_overwrites_a_newer_one() -> None:
    """What is older than the state's revision is superseded, whenever it comes."""
    case, _ = told(ordered("b", 5, change="changed", revision=2, priority="stat"), ordered("a", 0, revision=1))
    assert case is not None
    assert case.priority == "stat"


def test_a_waiting_routine_case_overtakes_a_fresh_lift_in_time() -> None:
    """The allowance is the guard: no lift passes a case whose time has come."""
    allowance = POLICY.allowance_minutes
    waiting = at(0) + timedelta(minutes=allowance.routine)
    _, said = told(ordered(), completed(arrived_at=at(60 * (allowance.routine - allowance.raised) + 1)), predicted())
    assert said[-1].lifted
    assert waiting < said[-1].read_by


def echo(seconds: float = 75, revision: int = 2, priority: str = "asap", change: str = "changed") -> OrderRecorded:
    """Build what the RIS broadcasts once it shows the priority we asked for; a clinician's own change looks the same."""
    return ordered(f"order-{revision}", seconds, change=change, revision=revision, priority=priority)


LIFTED = (ordered(), completed(), predicted())


def test_the_ris_echo_of_a_lift_is_not_the_clinicians_word() -> None:
    """The lift stands, and its undo still sends the clinician's own priority back."""
    case, said = told(*LIFTED, echo(), undo())
    assert [(one.lifted, one.priority, one.priority_code) for one in said[1:]] == [
        (True, "routine", "A"), (True, "routine", ""), (False, "routine", "R"),
    ]
    assert said[-1].urgency == "routine"
    assert case is not None
    assert case.undone


def test_a_clinician_who_raises_a_lifted_case_loses_nothing_while_it_is_lifted() -> None:
    """Taken for an echo, a raise still gives at least its own class's place, and the row says what it was taken for."""
    _, said = told(*LIFTED, echo())
    _, own = told(ordered(priority="asap"), completed())
    assert said[-1].read_by <= min(own[-1].read_by, said[-2].read_by)
    assert said[-1].reasons == ("lifted: pneumonia 93%", "the order says asap since: taken for the RIS's echo of the lift")


def test_only_the_first_of_its_kind_is_taken_for_an_echo() -> None:
    """Said again, it is the clinician's own: the case is theirs, and there is no lift to undo."""
    case, said = told(*LIFTED, echo(), echo(85, 3))
    assert (said[-1].urgency, said[-1].priority, said[-1].lifted) == ("asap", "asap", False)
    assert case is not None
    assert not case.lifted


@pytest.mark.parametrize("change", ["patient-updated", "patient-merged"])
def test_news_of_the_patient_leave_an_echo_an_echo(change: str) -> None:
    """The order that such news repeat says nothing new."""
    case, said = told(*LIFTED, echo(), echo(85, 3, change=change))
    assert case is not None
    assert (case.lifted, case.own_priority, said[-1].lifted) == (True, "routine", True)


@pytest.mark.parametrize("history", [
    (ordered(), completed(), echo(60.5), predicted()),
    (ordered(), completed(), predicted(), echo(priority="stat")),
    (ordered(), completed(), predicted(0.1), echo()),
    (completed(), predicted(), ordered(priority="asap", seconds=75)),
    (*LIFTED, echo(72, priority="routine"), echo(85, 3)),
], ids=["before the lift", "another class", "nothing was lifted", "the first word on the order", "not the first word since the lift"])
def test_a_change_that_cannot_be_an_echo_is_the_clinicians_own(history: tuple[Input, ...]) -> None:
    """Only what follows a lift, and says exactly what we asked for, is doubted."""
    case, said = told(*history)
    assert case is not None
    assert case.own_priority == case.priority != "routine"
    assert (said[-1].urgency, said[-1].lifted) == (case.priority, False)


@pytest.mark.parametrize("revisions", [("asap",), ("asap", "routine"), ("asap", "routine", "asap")])
def test_an_undone_lift_never_comes_back_and_clinicians_are_obeyed(revisions: tuple[str, ...]) -> None:
    """Echoes that come after the undo lift nothing again, and a clinician who then raises the case is not taken for one."""
    later = (echo(85 + number, 2 + number, priority) for number, priority in enumerate(revisions))
    case, said = told(*LIFTED, undo(), *later)
    assert case is not None
    assert not case.lifted
    assert (said[-1].urgency, said[-1].lifted, said[-1].undone) == (revisions[-1], False, revisions[-1] == "routine")


def test_an_order_raised_after_echo_and_undo_is_the_clinicians_own() -> None:
    """One echo is expected of one lift: the next raise is obeyed, whether or not the RIS echoed the undo too."""
    for between in ((), (echo(90, 3, "routine"),)):
        _, said = told(*LIFTED, echo(), undo(), *between, echo(95, 4))
        assert (said[-1].urgency, said[-1].undone) == ("asap", False)


def test_an_echo_of_a_lift_made_before_its_order_came_is_one() -> None:
    """The RIS is asked once the order is there; that it came is no word on it since the lift."""
    case, said = told(completed(), predicted(), ordered(seconds=70), echo())
    assert case is not None
    assert (case.echoed, said[-1].lifted) == (True, True)


def test_an_echo_is_one_whether_or_not_a_join_was_heard_between() -> None:
    """Orders and joins are two topics; what came late of one of them decides nothing."""
    join = CaseJoined(
        **envelope("joined", 70), study_case=CASE, order_case=CASE, order=order(), patient=PATIENT, order_revision=2,
    )
    early, _ = told(ordered(), completed(), predicted(), join, echo(75, 3))
    late, _ = told(ordered(), completed(), predicted(), echo(75, 3), join)
    assert early is not None
    assert late is not None
    assert (early.echoed, early.place(POLICY)) == (late.echoed, late.place(POLICY)) == (True, late.place(POLICY))


def test_the_order_that_a_join_brings_is_no_echo() -> None:
    """Nothing was asked of the RIS about an order that came with the join."""
    join = CaseJoined(
        **envelope("joined", 80), study_case=CASE, order_case=OTHER, order=order("asap"), patient=PATIENT, order_revision=3,
    )
    case, said = told(*LIFTED, echo(), join)
    assert case is not None
    assert (case.own_priority, said[-1].urgency) == ("asap", "asap")


def test_an_echo_is_one_whichever_topic_came_first() -> None:
    """What decides are the instants that the events carry, not which was heard first."""
    early, _ = told(ordered(), echo(), completed(), predicted())
    late, _ = told(*LIFTED, echo())
    assert early is not None
    assert late is not None
    assert (early.echoed, early.place(POLICY)) == (late.echoed, late.place(POLICY)) == (True, late.place(POLICY))


def test_a_case_survives_its_own_storage() -> None:
    """What is kept is what was known."""
    case, _ = told(ordered(), completed(), predicted(), opened(90))
    assert decode(Case, encode(case)) == case
