"""Promise 4: what triage may and may never do to the reading list."""

from dataclasses import replace
from datetime import timedelta


import numpy as np
import pytest
from examples.shared import CASE, READER, SITE, at, completed, envelope, ordered, predicted
from hypothesis import given
from hypothesis import strategies as st

from radloop.events.prediction import PredictionFailed
from radloop.events.reading import CaseOpened
from radloop.events.report import ReportSigned
from radloop.events.triage import CaseTriaged, ReviewRequested
from radloop.kit.codec import decode, encode
from radloop.kit.flow import Due, Event, Input, Record
from radloop.triage.adapters.policy import read_policy
from radloop.triage.domain.case import Case, entropy
from radloop.triage.domain.policy import Policy
from radloop.triage.domain.selection import Asked, Candidate, draw
from radloop.triage.handlers import RequestReviews, UndoReordering, consider_review, request_reviews, routes

POLICY: Policy = read_policy()


class NoPool:
    """A pool with nobody in it."""

    def candidates(self, site: str) -> tuple[Candidate, ...]:
        """Return none."""
        return ()


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


def test_a_reader_undoes_a_lift_until_a_human_changes_the_order() -> None:
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


def candidates(count: int) -> tuple[Candidate, ...]:
    """Build a pool whose probabilities run from 0 to 1."""
    chance = np.random.default_rng(7)
    return tuple(
        Candidate(
            case_id=f"case-{index:04d}", prediction_id=f"p{index}", probability=index / (count - 1), model="chest", version=1,
            embedding=tuple(chance.normal(size=4)),
        )
        for index in range(count)
    )


def test_a_batch_is_mostly_chosen_and_one_part_in_seven_a_random_audit() -> None:
    """15 % of the requests are drawn at random from all, with their probability; the rest are near the margin."""
    drawn = draw(candidates(200), 20, 0.15, seed=3)
    audits, chosen = [one for one in drawn if one.drawn == "audit"], [one for one in drawn if one.drawn == "chosen"]
    assert (len(audits), len(chosen)) == (3, 17)
    assert {one.probability for one in audits} == {3 / 200}
    assert all(abs(one.candidate.probability - 0.5) < 0.5 for one in chosen)
    assert drawn == draw(candidates(200), 20, 0.15, seed=3) != draw(candidates(200), 20, 0.15, seed=4)


def test_audit_requests_hide_the_ai_and_nothing_is_asked_twice() -> None:
    """An audit is answered with the AI hidden; a second batch asks about other cases."""
    command = RequestReviews(id="ask", subject="pool", site=SITE, at=at(0), actor=READER, count=20, seed=1)
    first = request_reviews((command, candidates(60)), None, POLICY)
    assert isinstance(first, Record)
    assert all(isinstance(one, ReviewRequested) and one.ai_hidden == (one.drawn == "audit") for one in first.emit)
    second = request_reviews((replace(command, id="ask-2"), candidates(60)), first.state, POLICY)
    assert isinstance(second, Record)
    assert not {one.subject for one in first.emit} & {one.subject for one in second.emit}


def test_the_days_budget_of_live_requests_is_kept() -> None:
    """Readers are asked no more often than the policy allows, and about a share of the cases only."""
    asked: Asked | None = None
    count = 0
    for index in range(400):
        decision = consider_review(predicted(0.5 + index / 1000, name=f"p{index}"), asked, POLICY)
        if isinstance(decision, Record):
            asked = decision.state
            count += len(decision.emit)
    assert 0 < count <= POLICY.reviews.live_per_day


@given(st.floats(0, 1))
def test_entropy_is_a_number_of_bits(probability: float) -> None:
    """From 0 (certain) to 1 (one half)."""
    assert 0 <= entropy(probability) <= 1


def test_a_case_survives_its_own_storage() -> None:
    """What is kept is what was known."""
    case, _ = told(ordered(), completed(), predicted(), opened(90))
    assert decode(Case, encode(case)) == case
