"""What retraining decides, input by input."""

import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from examples.retraining import START, answered, asked, ended, label
from examples.shared import CASE, SITE, at, envelope, ordered, pooled, predicted, prediction

from radloop.events.common import Blob
from radloop.events.model import ModelReleased, ModelTrained
from radloop.events.prediction import ImageQuality, PredictionShadowed
from radloop.kit import codec
from radloop.kit.flow import Decision, Due, Record, Skip
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.book import Book, Version
from radloop.retraining.domain.case import MOST_SAID, POOLED, CaseFile
from radloop.retraining.domain.commands import AddModel, Moved, Promote, Rollback, StartCycle, Started
from radloop.retraining.domain.record import signer
from radloop.retraining.handlers import (
    add_model, consider_cycle, end_cycle, promote, published, roll_back, start_cycle, take_label, take_order,
    take_prediction, wait_for_quiet,
)
from radloop.retraining.ports import Offered

PLAN, SIGN = load_plan(), signer(b"key" * 11)
AGAIN, LAST = replace(START, id="again"), replace(START, id="last")
QUIET = Due(id="quiet-1", subject="chest", site=SITE, at=at(500), name="quiet")
OFFERED = Offered(model="chest", weights="1" * 64, snapshot="2" * 64, labels=20)


def kept(decision: Decision[Book]) -> Book:
    """Return the book that a decision keeps."""
    assert isinstance(decision, Record)
    assert decision.state is not None
    return decision.state


def shadowed() -> Book:
    """Return a book whose first version came from outside and is in shadow."""
    book = kept(add_model((AddModel(**asked("add"), package="1" * 64), OFFERED, None), None, PLAN))
    return kept(published(answered(1), book, PLAN, SIGN))


def serving() -> Book:
    """Return a book whose second version passed its gate and serves."""
    book = kept(end_cycle(ended(START, content="c" * 64), kept(start_cycle((START, 75), shadowed())), PLAN, SIGN))
    return kept(published(answered(2), book, PLAN, SIGN))


def followed() -> Book:
    """Return a book whose third version passed its gate and serves after the second."""
    learned = kept(end_cycle(ended(AGAIN, 3, content="d" * 64), kept(start_cycle((AGAIN, 75), serving())), PLAN, SIGN))
    return kept(published(answered(3), learned, PLAN, SIGN))


def stages(book: Book) -> dict[int, str]:
    """Return the stage of each version."""
    return {one.number: one.stage for one in book.versions}


def case(*seen: object) -> CaseFile:
    """Return the case after a history."""
    state: CaseFile | None = None
    for event in seen:
        name = type(event).__name__
        decision = (
            take_label((event, ("snap",)), state) if name == "LabelSettled"
            else take_order(event, state) if name == "OrderRecorded" else take_prediction(event, state, PLAN)
        )
        state = decision.state if isinstance(decision, Record) and decision.state else state
    assert state is not None
    return state


def test_an_answer_teaches_once_there_is_an_embedding() -> None:
    """A label alone, or an embedding alone, trains nothing; both do, in either order."""
    assert case(label()).teaches == 0
    assert case(predicted()).teaches == 0
    assert case(label(), predicted()).teaches == case(predicted(), label()).teaches == 1


def test_a_withdrawn_label_teaches_no_more_and_names_its_snapshots() -> None:
    """Whoever reads the book later can say which versions had learned it."""
    after = case(predicted(), label(), label("gone", 2, "", withdrawn=True))
    assert after.teaches == 0
    assert after.withdrawn_from == ("snap",)


def test_a_label_that_was_settled_again_is_in_no_way_withdrawn() -> None:
    """A new answer after a withdrawal teaches again."""
    after = case(predicted(), label(), label("gone", 2, "", withdrawn=True), label("again", 3, "absent"))
    assert (after.teaches, after.withdrawn_from) == (1, ())


def test_an_older_label_changes_nothing() -> None:
    """Labels are counted: the higher holds, whatever comes back from quarantine."""
    assert case(predicted(), label("second", 2, "absent"), label("first", 1)).label("233604007").value == "absent"


def test_labels_of_measuring_cases_never_train() -> None:
    """Acceptance and gate sets are kept for what they are for."""
    assert case(predicted(), label(purpose="acceptance")).teaches == 0
    assert case(predicted(), label(purpose="gate")).teaches == 0


def test_a_cancelled_order_teaches_nothing() -> None:
    """Until it is placed again."""
    cancelled = ordered("cancel", 5, "cancelled", 2, status="cancelled")
    assert case(predicted(), label(), cancelled).teaches == 0
    assert case(predicted(), label(), cancelled, ordered("again", 6, "new", 3)).teaches == 1


def test_another_models_reading_teaches_nothing() -> None:
    """Embeddings of different backbones are not comparable; what it said is kept all the same, to be judged as its own."""
    after = case(predicted(), label(), predicted(model="knee", revision=2, embedding=Blob("d" * 64, 5120)))
    assert (after.embedding, after.teaches) == ("b" * 64, 1)
    assert [(one.model, one.version) for one in after.said] == [("chest", 2), ("knee", 2)]


def test_what_each_version_said_is_kept_with_the_case() -> None:
    """Probabilities, distance and quality, once a version: nothing that drift would have to ask the image for."""
    quality = ImageQuality(mean=0.4, contrast=0.2, at_ends=0.1)
    after = case(predicted(ood_ratio=0.7, quality=quality), shadowed_by(3, 0.2))
    assert [(one.version, one.stage, one.findings[0].probability, one.findings[0].positive) for one in after.said] == [
        (2, "production", 0.93, True), (3, "shadow", 0.2, False)]
    assert (after.said[0].ood_ratio, after.said[0].quality) == (0.7, quality)
    assert (after.said[1].ood_ratio, after.said[1].quality) == (None, None)


def shadowed_by(version: int, probability: float = 0.6, **changes: Any) -> PredictionShadowed:
    """Build what a shadow version said."""
    said = prediction(probability, version=version, stage="shadow", **changes)
    return PredictionShadowed(**envelope(f"shadowed-{version}-{probability}", 67), prediction=said)


def test_what_versions_said_is_the_same_in_any_order() -> None:
    """The newest revision of each version holds, live over earlier, and of two alike the content decides."""
    history = [
        predicted(0.9), predicted(0.8, revision=2), predicted(0.7, revision=2), pooled(), shadowed_by(3, 0.2), shadowed_by(3, 0.3),
        shadowed_by(4, ood_ratio=0.5), shadowed_by(4), predicted(model="knee"),
    ]
    end = case(*history)
    assert [(one.model, one.version, one.revision, one.stage) for one in end.said] == [
        ("chest", 2, 2, "production"), ("chest", 3, 1, "shadow"), ("chest", 4, 1, "shadow"), ("knee", 2, 1, "production")]
    for seed in range(50):
        shuffled = list(history)
        random.Random(seed).shuffle(shuffled)
        assert case(*shuffled).said == end.said


def test_an_earlier_study_is_marked_as_such() -> None:
    """It was taken years ago: whoever judges today's traffic leaves it out."""
    assert [one.stage for one in case(pooled()).said] == [POOLED]


def test_a_case_that_many_versions_read_keeps_the_newest() -> None:
    """A row does not grow for as long as a site trains, whatever comes back late."""
    versions = list(range(1, 31))
    for seed in range(10):
        random.Random(seed).shuffle(versions)
        kept_versions = [one.version for one in case(*(shadowed_by(number) for number in versions)).said]
        assert kept_versions == list(range(31 - MOST_SAID, 31))


def test_a_row_of_before_has_nothing_said() -> None:
    """What was kept before the upgrade reads as it was, and is told more by the next reading."""
    before = {name: value for name, value in json.loads(codec.encode(case(predicted(), label()))).items() if name != "said"}
    assert codec.decode(CaseFile, json.dumps(before)).said == ()


def test_a_round_of_answers_is_learned_from_as_a_whole() -> None:
    """Each answer puts the start off, but never beyond the plan's patience."""
    first = wait_for_quiet(label(), None, PLAN)
    assert isinstance(first, Record)
    assert first.timers[0].when == label().at + timedelta(seconds=PLAN.training.quiet_seconds)
    late = replace(label("late", 2), at=label().at + timedelta(seconds=PLAN.training.patience_seconds + 60))
    last = wait_for_quiet(late, first.state, PLAN)
    assert isinstance(last, Record)
    assert last.timers[0].when == label().at + timedelta(seconds=PLAN.training.patience_seconds)


def test_reports_of_measuring_cases_start_no_cycle() -> None:
    """Backfilling an acceptance set is no new answer."""
    assert isinstance(wait_for_quiet(label(purpose="acceptance", source="report"), None, PLAN), Skip)


def test_a_cycle_starts_with_enough_new_answers_and_not_before() -> None:
    """Twenty-four are not enough, twenty-five are; after a cycle they are counted from there."""
    few, enough = (consider_cycle((QUIET, count), shadowed(), PLAN) for count in (24, 25))
    assert isinstance(few, Record)
    assert not few.jobs
    assert isinstance(enough, Record)
    assert len(enough.jobs) == 1
    again = consider_cycle((QUIET, 75 + 24), serving(), PLAN)
    assert isinstance(again, Record)
    assert not again.jobs


def test_two_cycles_never_run_at_once() -> None:
    """The second is told why it does not start."""
    running = kept(start_cycle((START, 75), shadowed()))
    second = start_cycle((StartCycle(**asked("second")), 75), running)
    assert isinstance(second, Skip)
    assert second.answer == Started(cycle_id="", reason="a cycle is running")
    quiet = consider_cycle((QUIET, 500), running, PLAN)
    assert isinstance(quiet, Record)
    assert not quiet.jobs


def test_without_a_model_there_is_nothing_to_start_from() -> None:
    """The answer says so."""
    decision = start_cycle((START, 75), None)
    assert isinstance(decision, Skip)
    assert "no model is registered" in decision.reason


def test_an_added_model_is_in_shadow_once_its_package_is_published() -> None:
    """Nothing is said before the model repository has it, and it is not called proven."""
    added = add_model((AddModel(**asked("add"), package="1" * 64), OFFERED, None), None, PLAN)
    assert isinstance(added, Record)
    assert not added.emit
    assert len(added.deliver) == 1
    assert added.answer == Moved(version=1)
    said = published(answered(1), added.state, PLAN, SIGN)
    assert isinstance(said, Record)
    assert [(one.stage, one.release) for one in said.emit if isinstance(one, ModelReleased)] == [("shadow", 1)]
    assert stages(kept(said)) == {1: "shadow"}


def test_the_same_weights_are_registered_once() -> None:
    """Another command with the same package gets the version that is there."""
    again = add_model((AddModel(**asked("add-2"), package="1" * 64), OFFERED, OFFERED), shadowed(), PLAN)
    assert isinstance(again, Skip)
    assert again.answer == Moved(version=1)


def test_the_same_weights_in_another_package_are_refused() -> None:
    """What was changed would be lost without a word: the answer names the version, what differs and what to do."""
    command = AddModel(**asked("add-2"), package="9" * 64)
    changed, held = replace(OFFERED, says={"ood": 4.0, "members": 1}), replace(OFFERED, says={"ood": 3.0, "members": 1})
    decision = add_model((command, changed, held), shadowed(), PLAN)
    assert isinstance(decision, Skip)
    assert decision.reason.startswith("version 1 holds these weights, and its package says otherwise of ood. ")
    assert "metadata" in decision.reason
    assert decision.answer == Moved(version=0, reason=decision.reason)
    meanwhile = add_model((command, changed, None), shadowed(), PLAN)
    assert isinstance(meanwhile, Skip)
    assert "add the package again" in meanwhile.reason


def test_a_package_that_is_not_in_order_is_refused_with_its_reason() -> None:
    """Whoever offers it can repair it."""
    decision = add_model((AddModel(**asked("add"), package="1" * 64), Offered(reason="model.onnx is missing"), None), None, PLAN)
    assert isinstance(decision, Skip)
    assert decision.answer == Moved(version=0, reason="model.onnx is missing")


def test_a_candidate_that_passed_serves_once_it_is_published_and_its_elders_retire() -> None:
    """The new version is said first, so that something serves at every moment."""
    trained = end_cycle(ended(START), kept(start_cycle((START, 75), shadowed())), PLAN, SIGN)
    assert isinstance(trained, Record)
    assert [type(one) for one in trained.emit] == [ModelTrained]
    said = published(answered(2), trained.state, PLAN, SIGN)
    assert isinstance(said, Record)
    assert [(one.version, one.stage) for one in said.emit if isinstance(one, ModelReleased)] == [
        (2, "production"), (1, "retired"),
    ]
    assert kept(said).cycles[-1].state == "released"


def test_a_candidate_that_failed_is_kept_with_the_reason_and_reaches_nobody() -> None:
    """No publication, no release, a signed record, and its number is not used again."""
    book = kept(start_cycle((START, 75), shadowed()))
    decision = end_cycle(ended(START, passed=False), book, PLAN, SIGN)
    assert isinstance(decision, Record)
    assert not decision.deliver
    after = kept(decision)
    assert stages(after) == {1: "shadow", 2: "candidate"}
    assert after.cycles[-1].state == "gated-out"
    assert after.records[-1].reason == "the gate was not passed"
    assert after.next_number() == 3


def test_a_cycle_that_could_not_run_says_why() -> None:
    """No version comes of it, and the next may start."""
    broken = replace(ended(START), succeeded=False, reason="the acceptance set has 3 cases")
    after = kept(end_cycle(broken, kept(start_cycle((START, 75), shadowed())), PLAN, SIGN))
    assert (after.cycles[-1].state, after.cycles[-1].evidence) == ("failed", ("the acceptance set has 3 cases",))
    assert after.running() is None


def test_a_cycle_that_learned_nothing_new_makes_no_version() -> None:
    """The version before serves on, and nothing is said, delivered or recorded of a twin."""
    before = kept(start_cycle((AGAIN, 75), serving()))
    decision = end_cycle(ended(AGAIN, 3, content="c" * 64), before, PLAN, SIGN)
    assert isinstance(decision, Record)
    after = kept(decision)
    assert (decision.emit, decision.deliver, after.versions, after.records) == ((), (), before.versions, before.records)
    assert (after.cycles[-1].state, after.running(), len(decision.timers)) == ("unchanged", None, 1)
    assert (after.cycles[-1].evidence[0], after.next_number()) == ("nothing new was learned: this is version 2 again", 3)


def test_what_was_rolled_back_does_not_come_again_by_itself() -> None:
    """Learned from the same labels once more, it passes the same gate: whoever took it out of service had a reason."""
    back = kept(roll_back(Rollback(**asked("back")), followed(), PLAN, SIGN))
    assert stages(back) == {1: "retired", 2: "production", 3: "retired"}
    after = kept(end_cycle(ended(LAST, 4, content="d" * 64), kept(start_cycle((LAST, 75), back)), PLAN, SIGN))
    assert (stages(after), after.cycles[-1].state) == (stages(back), "unchanged")
    assert "promote" in after.cycles[-1].evidence[0]


def test_what_served_before_and_was_followed_by_others_may_come_again() -> None:
    """Labels were taken back: what follows from the rest is a version like any other. So is what a smaller gate set kept out."""
    after = kept(end_cycle(ended(LAST, 4, content="c" * 64), kept(start_cycle((LAST, 75), followed())), PLAN, SIGN))
    assert stages(after)[4] == "candidate"
    out = kept(end_cycle(ended(START, passed=False, content="c" * 64), kept(start_cycle((START, 75), shadowed())), PLAN, SIGN))
    after = kept(end_cycle(ended(AGAIN, 3, content="c" * 64), kept(start_cycle((AGAIN, 75), out)), PLAN, SIGN))
    assert after.cycles[-1].state == "releasing"


def test_what_passed_and_could_not_be_published_may_be_learned_again() -> None:
    """Nobody took it out of service: the disk was full, and is no longer."""
    passed = kept(end_cycle(ended(START, content="c" * 64), kept(start_cycle((START, 75), shadowed())), PLAN, SIGN))
    failed = kept(published(replace(answered(2), outcome="refused", reason="disk full"), passed, PLAN, SIGN))
    after = kept(end_cycle(ended(AGAIN, 3, content="c" * 64), kept(start_cycle((AGAIN, 75), failed)), PLAN, SIGN))
    assert after.cycles[-1].state == "releasing"


def test_no_gate_no_promotion() -> None:
    """Neither a model from outside nor a failed candidate reaches a patient by hand."""
    for stage in ("canary", "production"):
        decision = promote(Promote(**asked("promote"), version=1, stage=stage), shadowed(), PLAN, SIGN)
        assert isinstance(decision, Skip)
        assert decision.answer == Moved(version=0, reason="version 1 has passed no gate")


def test_a_package_that_cannot_be_published_is_not_released() -> None:
    """The cycle says so, and the version stays a candidate."""
    book = kept(end_cycle(ended(START), kept(start_cycle((START, 75), shadowed())), PLAN, SIGN))
    failed = replace(answered(2, "quarantined"), reason="version 2 is already there with other weights")
    after = published(failed, book, PLAN, SIGN)
    assert isinstance(after, Record)
    assert not after.emit
    assert stages(kept(after)) == {1: "shadow", 2: "candidate"}
    assert kept(after).cycles[-1].state == "failed"


def second_release() -> Book:
    """Return a book whose third version followed the second into production."""
    command = StartCycle(**asked("start-3"))
    book = kept(end_cycle(ended(command, 3), kept(start_cycle((command, 100), serving())), PLAN, SIGN))
    return kept(published(answered(3), book, PLAN, SIGN))


def test_a_rollback_brings_the_version_before_back_at_once() -> None:
    """And retires the one that is rolled back; nothing else moves."""
    book = second_release()
    assert stages(book) == {1: "retired", 2: "retired", 3: "production"}
    decision = roll_back(Rollback(**asked("back")), book, PLAN, SIGN)
    assert isinstance(decision, Record)
    assert not decision.deliver
    assert stages(kept(decision)) == {1: "retired", 2: "production", 3: "retired"}


def test_a_second_rollback_never_returns_to_what_was_rolled_back() -> None:
    """Pressed twice in a hurry, it must not put the bad version before patients again."""
    once = kept(roll_back(Rollback(**asked("back")), second_release(), PLAN, SIGN))
    assert isinstance(roll_back(Rollback(**asked("again")), once, PLAN, SIGN), Skip)


def test_there_is_nothing_behind_the_first_version() -> None:
    """A rollback then answers why nothing moves."""
    assert isinstance(roll_back(Rollback(**asked("back")), serving(), PLAN, SIGN), Skip)


def test_every_stage_change_leaves_a_signed_record() -> None:
    """One per change and candidate, genuine under the site's key and no other."""
    book = kept(roll_back(Rollback(**asked("back")), second_release(), PLAN, SIGN))
    assert all(one.genuine(SIGN) and not one.genuine(signer(b"other" * 9)) for one in book.records)
    assert len({one.record_id for one in book.records}) == len(book.records)
    assert [(one.version, one.stage) for one in book.records] == [
        (1, "shadow"), (2, "candidate"), (2, "production"), (1, "retired"), (3, "candidate"), (3, "production"),
        (2, "retired"), (2, "production"), (3, "retired"),
    ]
    assert {one.plan_sha256 for one in book.records} == {PLAN.sha256}


def test_releases_count_up_so_that_the_higher_holds() -> None:
    """Every said change has a number of its own."""
    assert second_release().release == 5


def test_a_version_knows_the_case_by_pseudonym_only() -> None:
    """What is pooled keeps its purpose and its patient's key."""
    known = case(pooled())
    assert (known.case_id, known.pooled_as, known.patient) == (CASE, "pool", "p-3f9a")
    assert isinstance(serving().versions[0], Version)
