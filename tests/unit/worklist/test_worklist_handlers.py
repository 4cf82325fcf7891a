"""What the reading room knows of a case, whichever topic came first, and what it may show of it."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from examples.shared import CASE, PATIENT, PNEUMONIA, READER, SITE, START, at, completed, envelope, order, ordered, pooled, predicted, study
from examples.worklist import EARLIER, INPUTS, lifted, published, requested, triaged, verdict

from radloop.events.model import ModelReleased
from radloop.events.order import CaseJoined
from radloop.events.prediction import PredictionFailed
from radloop.events.reading import CaseOpened
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled
from radloop.kit.flow import Event, Input, Record, Reject
from radloop.worklist.domain.case import Case
from radloop.worklist.domain.screen import Row, ordered as in_order, refusal, row_of, screen_of, serving_of
from radloop.worklist.domain.serving import Model
from radloop.worklist.handlers import OpenCase, open_case, routes

NOW = START + timedelta(minutes=5)


def told(*inputs: Input, keeps: type = Case) -> Case:
    """Run inputs of one case through the worklist's routes."""
    state = None
    for seen in inputs:
        for route in routes():
            if route.keeps is keeps and route.hears_this(seen):
                decision = route.decide(seen, state)
                if isinstance(decision, Record):
                    state = decision.state
    assert state is not None
    return state


def row(*inputs: Input, request_id: str = "") -> Row:
    """Return the row that follows from inputs."""
    return row_of(told(*inputs), NOW, request_id)


def looked(**shown: object) -> OpenCase:
    """Build a reader's look at a case."""
    return OpenCase(id="open", subject=CASE, site=SITE, at=at(90), actor=READER, **{"revision": 1, **shown})  # type: ignore[arg-type]


def joined(*, undone: bool = False, revision: int = 2, study_case: str = CASE, order_case: str = EARLIER) -> CaseJoined:
    """Build a join, said to the study's case."""
    return CaseJoined(
        **envelope(f"joined-{undone}-{revision}", 80), study_case=study_case, order_case=order_case, order=order(), patient=PATIENT,
        order_revision=revision, undone=undone,
    )


def test_a_reading_that_came_after_it_was_given_up_is_what_the_row_says() -> None:
    """In any order; where an earlier revision was read only, the row says that this one was not."""
    failed = PredictionFailed(**envelope("failed", 67), revision=1, reason="a reader was at it for more than 120 s", refused=False)
    for mixed in itertools.permutations((ordered(), completed(), predicted(), failed)):
        case = told(*mixed)
        assert case.current is not None
        assert case.why_unread == ""
    assert told(ordered(), completed(), predicted(), completed("more", 70, revision=2), replace(failed, revision=2)).why_unread


def test_any_order_of_topics_ends_in_the_same_row() -> None:
    """Every interleaving of what was said of one case leaves the same case."""
    said = (ordered(), completed(), predicted(), lifted(), published(), verdict())
    ends = {repr(told(*mixed)) for mixed in itertools.permutations(said)}
    assert len(ends) == 1


def test_a_join_holds_whether_the_orders_next_word_came_before_or_after_it() -> None:
    """A newer order must not make the list forget that a study has found its order."""
    unmatched = replace(completed(), matched=False, unmatched_reason="no order")
    newer = ordered("newer", 90, revision=3)
    ends = {repr(told(*mixed)) for mixed in itertools.permutations((unmatched, joined(), newer))}
    assert len(ends) == 1
    assert not row(unmatched, joined(), newer).unmatched


def test_a_join_undone_makes_the_case_unmatched_again() -> None:
    """The wrong order's patient and indication leave the screen with it."""
    unmatched = replace(completed(patient=replace(PATIENT, family="Images")), matched=False, unmatched_reason="no order")
    case = told(unmatched, joined(), joined(undone=True, revision=3))
    screen = screen_of(case, NOW, (PNEUMONIA,))
    assert screen.row.unmatched
    assert screen.row.person.name == "Images, Erin"
    assert screen.indication == ""


def test_the_row_says_class_finding_reason_and_what_the_ris_said() -> None:
    """A lift carries its reason, the probability, and whether the RIS took or refused the priority."""
    shown = row(ordered(), completed(), predicted(), lifted(), published("refused", reason="exam in progress"))
    assert (shown.urgency, shown.move, shown.reason) == ("raised", "lifted", "lifted: pneumonia 93%")
    assert (shown.said[0].probability, shown.said[0].answer, shown.said[0].unsure) == (0.93, "present", False)
    assert shown.ris and (shown.ris.outcome, shown.ris.reason, shown.ris.code) == ("refused", "exam in progress", "A")


def test_an_older_place_never_replaces_a_newer_one() -> None:
    """Triage's own count decides, not the order of arrival."""
    assert row(completed(), lifted(2), triaged(1)).urgency == "raised"


def test_a_new_revision_hides_what_was_said_of_the_old_one() -> None:
    """A prediction belongs to the images it read."""
    shown = row(completed(), predicted(), completed("again", 80, revision=2))
    assert (shown.revision, shown.prediction_id, shown.said) == (2, "", ())


def test_a_study_no_model_reads_says_why() -> None:
    """It stays on the list, with the reason."""
    failed = PredictionFailed(**envelope("failed", 67), revision=1, reason="PatientAge is outside 0 to 18", refused=True)
    assert row(completed(), failed).unread == "PatientAge is outside 0 to 18"
    assert row(failed, completed(), predicted()).unread == "", "a reading of the same revision overrules a failure before it"


@pytest.mark.parametrize(("extra", "standing"), [
    ((), "waiting"),
    ((ReportSigned(**envelope("signed", 120), signed_at=at(120), signer="r", findings=()),), "signed"),
    ((ordered("cancelled", 90, change="cancelled", revision=2, status="cancelled"),), "cancelled"),
])
def test_a_case_leaves_the_list_when_it_is_signed_or_cancelled(extra: tuple[Event, ...], standing: str) -> None:
    """Only cases that wait to be read are on the reading list."""
    assert told(ordered(), completed(), *extra).standing == standing


def test_an_order_without_images_is_not_on_the_list() -> None:
    """There is nothing to read yet."""
    assert told(ordered()).standing == "expected"


def test_the_list_is_sorted_by_stat_then_read_by_then_arrival() -> None:
    """Nothing passes a clinician's STAT, and read_by decides among the others."""
    def case(name: str, **place: object) -> Case:
        return replace(told(completed(), triaged(**place)), case_id=name)

    stat = case("stat", urgency="stat", priority="stat", read_by=at(9000))
    soon, late = case("soon", read_by=at(600)), case("late", read_by=at(6000))
    tied = case("tied", read_by=at(6000), arrived_at=at(-60))
    assert [one.case_id for one in in_order([late, soon, tied, stat])] == ["stat", "soon", "tied", "late"]


def test_a_clinicians_stat_does_not_wait_for_triage_and_others_do() -> None:
    """Until triage has spoken, a STAT order stands on top and any other case at the end, first in, first out."""
    stat = replace(told(ordered(priority="stat"), completed()), case_id="stat")
    placed_one = replace(told(ordered(), completed(), triaged()), case_id="placed")
    new = replace(told(ordered(), completed(arrived_at=at(-600))), case_id="new")
    assert [one.case_id for one in in_order([new, placed_one, stat])] == ["stat", "placed", "new"]
    assert row_of(stat, NOW).urgency == "stat"


def test_a_verdict_taken_back_no_longer_stands() -> None:
    """Whichever of the two arrives first."""
    ended = verdict("v2", "taken-back", 97, takes_back="v1")
    assert row(completed(), predicted(), verdict()).answer is not None
    assert row(completed(), predicted(), verdict(), ended).answer is None
    assert row(completed(), predicted(), ended, verdict()).answer is None


def test_an_audit_hides_what_the_model_said_until_it_is_answered() -> None:
    """In the list and on the screen; nor does the row say that the model was unsure, or what it thought of the place."""
    kept = triaged(2, prediction_id="example-predicted", abstained=True, reasons=("kept its place: the ensemble disagrees",))
    history = (ordered(), completed(), predicted(), requested(ai_hidden=True), kept)
    shown = row(*history)
    assert shown.ai_hidden
    assert (shown.said, shown.prediction_id, shown.move, shown.reason) == ((), "", "", "")
    screen = screen_of(told(*history), NOW, (), shown.request_id)
    assert not screen.ai_shown
    assert screen.findings == (PNEUMONIA,)
    answered = verdict(ai_shown=False, prediction_id="", request_id=shown.request_id)
    assert row(*history, answered).said


@pytest.mark.parametrize("seen", [
    (lifted(),), (lifted(), triaged(3, undone=True)), (looked(prediction_id="example-predicted", ai_shown=True),),
], ids=["a lift on the list", "a lift that was undone", "opened with the AI shown"])
def test_what_a_reader_may_have_seen_is_hidden_no_more(seen: tuple[Input, ...]) -> None:
    """An answer is never called blind whose reader may know what the model said: then it is asked for with the AI shown."""
    case = told(ordered(), completed(), predicted(), *seen, requested(ai_hidden=True))
    (request,) = case.open_requests
    for named in ("", request.request_id):
        screen = screen_of(case, NOW, (), named)
        assert (screen.ai_shown, screen.row.ai_hidden, screen.row.request_id) == (True, False, request.request_id)
    assert refusal(case, request.request_id, 1, "", NOW), "an answer that calls itself blind is refused"
    assert not refusal(case, request.request_id, 1, "example-predicted", NOW)


def test_a_case_opened_without_the_ai_can_still_be_answered_blind() -> None:
    """Who looked before the reading was there has not seen it."""
    case = told(ordered(), completed(), looked(), predicted(), requested(ai_hidden=True))
    assert row_of(case, NOW).ai_hidden


def test_a_row_shows_what_the_model_said_with_the_place_that_rests_on_it() -> None:
    """Until triage has spoken nobody knows whether an audit is to hide it; a case on the screen, or opened, does not wait."""
    history = (ordered(), completed(), triaged(), predicted())
    assert row(*history).said == ()
    assert row(*history, triaged(2, prediction_id="example-predicted")).said
    assert row(*history, looked()).said
    assert screen_of(told(*history), NOW, ()).row.said


def test_an_audit_answer_taken_back_is_not_asked_for_again_as_one() -> None:
    """The reader has seen by then what the model said: a second answer would not be their own alone."""
    audit = requested(ai_hidden=True)
    given = verdict("v1", request_id=audit.request_id)
    after = told(ordered(), completed(), predicted(), audit, given, verdict("v2", "taken-back", 97, takes_back="v1"))
    seen = row_of(after, NOW)
    assert (seen.asked, seen.ai_hidden, seen.answer) == (False, False, None)


def test_an_expired_audit_hides_nothing() -> None:
    """A wish nobody answered in time is over."""
    case = told(completed(), predicted(), requested(ai_hidden=True), triaged(prediction_id="example-predicted"))
    assert row_of(case, NOW).ai_hidden
    assert row_of(case, NOW + timedelta(days=2)).said


def test_what_a_model_said_of_an_earlier_study_is_shown_only_to_answer_a_request() -> None:
    """A backfilled study is never on the reading list, and shows nothing without a request."""
    earlier = StudyBackfilled(**envelope("backfilled", 5), study=study(), revision=1, purpose="pool")
    history = (earlier, pooled(), requested())
    assert told(*history).standing == "earlier"
    assert row(*history).said == ()
    assert row(*history, request_id=f"request-chosen-{CASE}").said


def test_an_answer_to_what_was_replaced_is_refused_in_words() -> None:
    """Revision and prediction must be those that were on the screen."""
    case = told(completed(), predicted())
    assert refusal(case, "", 1, "example-predicted", NOW) == ""
    assert "reading changed" in refusal(case, "", 1, "", NOW)
    newer = told(completed(), predicted(), completed("again", 80, revision=2))
    assert "new images" in refusal(newer, "", 1, "example-predicted", NOW)
    assert refusal(None, "", 1, "", NOW)


def test_opening_a_case_is_said_with_what_was_shown() -> None:
    """Each look is an event; the first reader stays on the case."""
    command = looked(prediction_id="example-predicted", ai_shown=True)
    decision = open_case(command, told(completed(), predicted()))
    assert isinstance(decision, Record)
    (event,) = decision.emit
    assert isinstance(event, CaseOpened)
    assert (event.reader, event.revision, event.prediction_id, event.ai_shown) == (READER, 1, "example-predicted", True)
    assert decision.state.opened.reader == READER.id


@pytest.mark.parametrize("shown", [
    {"revision": 0}, {"revision": 2}, {"revision": -1}, {"prediction_id": "made-up", "ai_shown": True},
    {"revision": 1, "prediction_id": "example-predicted-2", "ai_shown": True},
])
def test_opening_what_was_never_there_to_be_shown_is_refused(shown: dict[str, object]) -> None:
    """A made-up revision or reading is kept in quarantine, and said to nobody: what a reader saw must be true."""
    decision = open_case(looked(**shown), told(completed(), predicted()))
    assert isinstance(decision, Reject)
    assert decision.answer is not None
    assert not decision.answer.opened
    assert decision.answer.reason == decision.reason


def test_what_was_replaced_on_its_way_was_shown_all_the_same() -> None:
    """Images and readings may be replaced between the screen and the word that it was opened: the look is recorded as it was."""
    newer = predicted(0.4, name="predicted-2", seconds=88, read_at=at(88))
    case = told(completed(), predicted(), newer, completed("again", 89, revision=2))
    for known in ("example-predicted", "example-predicted-2"):
        assert isinstance(open_case(looked(prediction_id=known, ai_shown=True), case), Record)


def test_opening_what_is_not_there_is_refused() -> None:
    """No case, no opening; nor where there are no images yet."""
    assert isinstance(open_case(looked(), None), Reject)
    assert isinstance(open_case(looked(), told(ordered())), Reject)


def released(version: int, stage: str, release: int) -> ModelReleased:
    """Build a stage change."""
    return ModelReleased(
        **envelope(f"released-{release}", release, "chest"), model="chest", version=version, stage=stage, previous_stage="",
        canary_share=0.0, change_record="r", weights_sha256="e" * 64, release=release, released_at=at(release),
    )


@pytest.mark.parametrize("history", [
    (released(1, "shadow", 1), released(2, "shadow", 2), released(2, "production", 3)),
    (released(2, "production", 3), released(1, "shadow", 1), released(2, "shadow", 2)),
])
def test_the_page_knows_which_version_speaks(history: tuple[Event, ...]) -> None:
    """In shadow nobody speaks; the highest release of a version holds."""
    first: Model = told(history[0], keeps=Model)  # type: ignore[assignment]  # told returns what the routes keep
    assert serving_of([first]).mode in {"shadow", "production"}
    model: Model = told(*history, keeps=Model)  # type: ignore[assignment]  # see above
    serving = serving_of([model])
    assert (serving.mode, serving.version, serving.shadow) == ("production", 2, 1)
    assert serving.since == at(3), "since when it serves is the stage change's own time"
    assert serving_of([]).mode == "none"


def test_the_examples_end_as_they_should() -> None:
    """The example history is one of a lifted, answered, signed case whose answer was taken back."""
    case = told(*(seen for seen in INPUTS if seen.subject == CASE))
    shown = row_of(case, NOW)
    assert (shown.standing, shown.answer, shown.opened, shown.urgency) == ("signed", None, True, "raised")
