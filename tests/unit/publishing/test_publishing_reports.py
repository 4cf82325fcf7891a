"""What publishing decides to tell the EHR: told as histories, asserted on what is to be sent."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from examples.publishing import FOUND, OTHER, answered, joined, signed, triaged, verdict
from examples.shared import CASE, completed, order, ordered, predicted

from radloop.kit.flow import DeliveryAnswered, Input, Reject, Skip
from radloop.standards.fhir.lookup import Lookup
from radloop.standards.fhir.values import resource_id
from tests.unit.publishing.story import READ, ROUTES, Story, opened, resources, second, statuses


def test_a_matched_read_case_is_published_once_with_what_the_ehr_knows() -> None:
    """The EHR is asked what a report refers to, then told once; the report names its own Patient."""
    story = Story().hear(*READ)
    assert [delivery.kind for delivery in story.sent] == ["look-up", "report"]
    assert statuses(story) == ["partial"]
    assert story.reports[0]["subject"]["reference"] == "Patient/p-1"
    assert story.reports[0]["id"] == resource_id(CASE, "report")
    assert [(said.kind, said.outcome, said.identifiers) for said in story.said] == [
        ("report", "delivered", (f"DiagnosticReport/{resource_id(CASE, 'report')}",)),
    ]


@pytest.mark.parametrize("sequence", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_whichever_topic_comes_first_the_report_is_the_same(sequence: Iterable[int]) -> None:
    """No order of topics is promised."""
    assert statuses(Story().hear(*(READ[one] for one in sequence))) == ["partial"]


@pytest.mark.parametrize("inputs", [
    (ordered(), completed(), predicted(stage="shadow")),
    (ordered(), completed()),
    (ordered(), predicted()),
    (completed(), predicted()),
    (ordered(change="cancelled", status="cancelled"), completed(), predicted()),
    (signed(), *READ),
], ids=["shadow", "unread", "no images", "no order", "cancelled", "late"])
def test_what_may_not_be_published_is_not(inputs: tuple[Input, ...]) -> None:
    """Shadowed, unread, incomplete, cancelled and late cases leave nothing at the EHR."""
    assert Story().hear(*inputs).sent == []


@pytest.mark.parametrize(("inputs", "reason"), [
    ((signed(), *READ), "the report was signed"),
    ((ordered(change="cancelled", status="cancelled"), completed(), predicted()), "the order was cancelled"),
])
def test_a_reading_that_comes_too_late_says_why_it_has_no_report(inputs: tuple[Input, ...], reason: str) -> None:
    """Superseded before its first try, once, with the reason; nothing is asked of the EHR."""
    story = Story().hear(*inputs, opened())
    assert [(said.kind, said.outcome, said.reason) for said in story.said] == [("report", "superseded", reason)]


def test_a_signature_while_the_ehr_is_asked_says_so() -> None:
    """Whatever the moment, a reading without a report has a reason."""
    story = Story(answers=False).hear(*READ, signed())
    story.hear(answered(story.waiting.pop(0), answer=FOUND.write())).deliver()
    assert story.sent == []
    assert [said.outcome for said in story.said] == ["superseded"]


def test_an_unmatched_study_is_published_when_it_finds_its_order() -> None:
    """The join comes later, and the report then."""
    story = Story().hear(replace(completed(), matched=False), predicted())
    assert story.sent == []
    assert statuses(story.hear(joined())) == ["partial"]


def test_a_patient_that_is_merged_publishes_no_unmatched_study() -> None:
    """An order event may speak of a study without an order, for its patient's sake: neither the EHR nor the RIS hears of it."""
    nobodys = replace(order(), placer=None, filler=None, accession=None)
    merged = replace(ordered("merged", 80, "patient-merged"), order=nobodys)
    assert Story().hear(replace(completed(), matched=False), predicted(), merged, triaged()).sent == []


def test_a_non_finite_probability_is_rejected() -> None:
    """It is never repaired, and never becomes a result."""
    route = next(route for route in ROUTES if route.hears_this(predicted()))
    assert isinstance(route.decide(predicted(float("nan")), None), Reject)


def test_an_older_word_is_superseded() -> None:
    """What is older than the state's revision changes nothing, also when it comes back from quarantine."""
    case = Story().hear(ordered(revision=3), completed(revision=2)).case
    for seen in (ordered(revision=2), completed(revision=1)):
        route = next(route for route in ROUTES if route.hears_this(seen))
        assert isinstance(route.decide(seen, case), Skip)


def test_a_reject_withdraws_and_taking_it_back_publishes_again() -> None:
    """Entered in error, then partial again, always the same resource."""
    story = Story().hear(*READ, verdict("reject"))
    assert statuses(story) == ["partial", "entered-in-error"]
    story.hear(verdict("taken-back", name="back", seconds=110, takes_back="verdict"))
    assert statuses(story) == ["partial", "entered-in-error", "partial"]
    assert len({report["id"] for report in story.reports}) == 1
    assert [said.kind for said in story.said] == ["report", "correction", "report"]


def test_a_reject_that_comes_first_ends_in_the_same_state() -> None:
    """The EHR holds one report, entered in error, whichever topic was quicker."""
    assert statuses(Story().hear(verdict("reject"), *READ)) == ["entered-in-error"]


def test_a_reject_reaches_the_ehr_after_the_signature_too() -> None:
    """A correction always goes."""
    assert statuses(Story().hear(*READ, signed(), verdict("reject"))) == ["partial", "entered-in-error"]


def test_a_refinement_updates_the_finding() -> None:
    """The reader's absolute answer stands in the Observation, and says that it is the reader's."""
    story = Story().hear(*READ, verdict("refine", "absent"))
    observation = next(one for one in resources(story.sent[-1]) if one["resourceType"] == "Observation")
    assert observation["interpretation"][0]["coding"][0]["code"] == "NEG"
    assert "reader" in observation["note"][-1]["text"]
    assert statuses(story) == ["partial", "partial"]
    assert story.sent[-1].kind == "correction"


def test_accepting_changes_nothing() -> None:
    """What the EHR already holds is not sent again."""
    assert statuses(Story().hear(*READ, verdict("accept", "present"), verdict("cannot-say", "cannot-say", name="v2"))) == ["partial"]


def test_a_new_revision_updates_the_report_and_a_verdict_on_the_old_one_no_longer_counts() -> None:
    """A late image makes a new reading, which the reader has not judged."""
    story = Story().hear(*READ, verdict("reject"), completed("c2", 200, 2), predicted(0.1, "p2", 201, revision=2))
    assert statuses(story) == ["partial", "entered-in-error", "partial"]


def test_a_cancelled_order_withdraws_what_stands() -> None:
    """The order is gone, and so is the result."""
    story = Story().hear(*READ, ordered("cancel", 80, "cancelled", 2, status="cancelled"))
    assert statuses(story) == ["partial", "entered-in-error"]


def test_an_undone_join_withdraws_under_the_patient_it_was_filed_under() -> None:
    """The resource in the wrong chart says so."""
    story = Story().hear(completed(), predicted(), joined(), joined(undone=True, revision=3))
    assert statuses(story) == ["partial", "entered-in-error"]
    assert story.reports[1]["subject"] == story.reports[0]["subject"]
    assert statuses(story.hear(joined(revision=4)))[-1] == "partial"


def test_a_merged_patient_is_looked_up_anew() -> None:
    """The report follows the patient's identity to the chart that holds it now."""
    merged = ordered("merged", 80, "patient-merged", 2)
    merged = replace(merged, patient=replace(merged.patient, id=replace(merged.patient.id, value="EX-0002")))
    story = Story().hear(*READ, merged)
    assert [delivery.kind for delivery in story.sent] == ["look-up", "report", "look-up", "report"]
    assert b"EX-0002" in story.sent[2].body


def numbers_of(report: dict[str, Any]) -> list[str]:
    """By which numbers a report names its orders."""
    return [one["identifier"]["value"] for one in report["basedOn"]]


def test_a_report_names_every_order_of_its_case() -> None:
    """What several orders asked for is answered for all of them, however the EHR finds them; a cancelled one is not named."""
    gone = second("FL-3", status="cancelled")
    story = Story().hear(replace(ordered(), other_orders=(second(), gone)), completed(), predicted())
    assert numbers_of(story.reports[-1]) == ["PL-1", "PL-of-FL-2"]
    observation = next(one for one in resources(story.sent[-1]) if one["resourceType"] == "Observation")
    assert observation["basedOn"] == story.reports[-1]["basedOn"]


def test_an_order_that_comes_later_is_added_and_one_that_is_cancelled_is_taken_away() -> None:
    """The report follows the case's orders; it stays one report."""
    more = replace(ordered("more", 70, "changed", 2), other_orders=(second(accession=None),))
    less = replace(ordered("less", 80, "changed", 3), other_orders=(second(accession=None, status="cancelled"),))
    story = Story().hear(*READ, more, less)
    assert [numbers_of(report) for report in story.reports] == [["ACC-EX-1"], ["ACC-EX-1", "PL-of-FL-2"], ["ACC-EX-1"]]
    assert len({report["id"] for report in story.reports}) == 1


def test_which_order_speaks_for_the_case_changes_no_report() -> None:
    """A second order that is more urgent leads the case from now on: the EHR was told of both, and is not told again."""
    first = replace(ordered(), other_orders=(second(),))
    flipped = replace(ordered("flipped", 70, "changed", 2), order=second(priority="asap"), other_orders=(ordered().order,))
    story = Story().hear(first, completed(), predicted(), flipped)
    assert len(story.reports) == 1


def test_an_order_joined_to_a_study_brings_its_siblings() -> None:
    """They are named when they come with a join, and gone when it is undone."""
    came = replace(joined(), other_orders=(second(),))
    story = Story().hear(replace(completed(), matched=False), predicted(), came)
    assert numbers_of(story.reports[-1]) == ["PL-1", "PL-of-FL-2"]
    assert story.case is not None
    undone = story.hear(replace(joined(undone=True, revision=3), other_orders=(second(),))).case
    assert undone is not None
    assert undone.orders == ()


def test_two_orders_that_are_one_request_at_the_ehr_are_named_once() -> None:
    """A reference is not repeated."""
    story = Story(answers=False).hear(replace(ordered(), other_orders=(second(),)), completed(), predicted())
    asked = story.waiting.pop()
    found = Lookup.read(asked.body)
    one_request = replace(found, orders=tuple(replace(one, id="s-1") for one in found.orders))
    story.hear(answered(asked, answer=one_request.write())).deliver()
    assert len(found.orders) == 2
    assert [one["reference"] for one in story.reports[-1]["basedOn"]] == ["ServiceRequest/s-1"]


def test_a_readers_correction_after_the_signature_goes_although_the_orders_changed() -> None:
    """It corrects what the reader said, and leaves the rest of the report as it stands."""
    more = replace(ordered("more", 130, "changed", 2), other_orders=(second(),))
    story = Story().hear(*READ, signed(), more, verdict("refine", seconds=140))
    assert statuses(story) == ["partial", "partial"]
    assert story.sent[-1].kind == "correction"
    assert story.reports[1]["basedOn"] == story.reports[0]["basedOn"]


def test_the_order_that_moved_away_leaves_its_old_case() -> None:
    """The join is said to both cases; the order's own has no order any more, until it is undone."""
    moved = Story().hear(ordered(), joined(study=OTHER, order_case=CASE))
    assert moved.case is not None
    assert moved.case.order is None
    back = moved.hear(replace(joined(undone=True, revision=3, study=OTHER, order_case=CASE), id="back"))
    assert back.case is not None
    assert back.case.order is not None


@pytest.mark.parametrize("after", [signed(), ordered("cancel", 80, "cancelled", 2, status="cancelled")], ids=["signed", "cancelled"])
def test_what_is_closed_before_the_first_try_is_never_sent(after: Input) -> None:
    """The EHR was away; when it is back, a result for a closed case is superseded, and nothing needs correcting."""
    story = Story(answers=False).hear(*READ)
    story.hear(answered(story.waiting.pop(), answer=FOUND.write())).hear(after)
    story.deliver()
    assert story.sent == []
    assert {said.outcome for said in story.said} == {"superseded"}


def test_a_waiting_report_is_overtaken_by_its_correction() -> None:
    """Only the newest word is sent."""
    story = Story(answers=False).hear(*READ)
    story.hear(answered(story.waiting.pop(), answer=FOUND.write()), verdict("refine")).deliver()
    assert [delivery.kind for delivery in story.sent] == ["correction"]
    assert [said.outcome for said in story.said] == ["superseded", "delivered"]


def test_one_request_per_case_is_in_flight() -> None:
    """While the EHR is being asked, a second fact asks nothing; the answer decides anew."""
    story = Story(answers=False).hear(*READ, verdict("refine"))
    assert [delivery.kind for delivery in story.waiting] == ["look-up"]
    assert [delivery.kind for delivery in story.deliver().sent] == ["look-up", "report"]


def test_an_ehr_that_cannot_search_is_told_by_identifier() -> None:
    """A look-up that the EHR refuses for good does not keep the report back."""
    story = Story(answers=False).hear(*READ)
    story.hear(answered(story.waiting.pop(), "quarantined")).deliver()
    assert statuses(story) == ["partial"]
    assert "reference" not in story.reports[0]["subject"]


@pytest.mark.parametrize(("probability", "changes", "code"), [
    (0.93, {}, "POS"), (0.05, {}, "NEG"), (0.5, {}, "IND"), (0.93, {"out_of_distribution": True}, "IND"),
])
def test_abstaining_is_said_as_indeterminate(probability: float, changes: dict[str, Any], code: str) -> None:
    """Two possible answers or an unfamiliar image are IND, however high the probability."""
    story = Story().hear(ordered(), completed(), predicted(probability, **changes))
    observation = next(one for one in resources(story.sent[-1]) if one["resourceType"] == "Observation")
    assert observation["interpretation"][0]["coding"][0]["code"] == code


def test_triages_abstention_reaches_the_report() -> None:
    """Members that disagree are triage's to see; the report then says indeterminate too."""
    story = Story().hear(*READ, triaged(lifted=False, code="", abstained=True, guards=("disagreement",)))
    observation = next(one for one in resources(story.sent[-1]) if one["resourceType"] == "Observation")
    assert observation["interpretation"][0]["coding"][0]["code"] == "IND"


def test_an_answer_is_said_once_with_its_reason() -> None:
    """A delivery that was quarantined is told to the list as such."""
    story = Story(answers=False).hear(*READ)
    story.hear(answered(story.waiting.pop(), answer=FOUND.write()))
    seen: DeliveryAnswered = answered(story.waiting.pop(), "quarantined", reason="the EHR answered 422")
    assert [(said.outcome, said.reason) for said in story.hear(seen).said] == [("quarantined", "the EHR answered 422")]
