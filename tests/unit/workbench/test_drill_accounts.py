"""The drill's accounts: books that agree are in order, and every kind of broken promise is found and named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from radloop.workbench.drill.accounts import account
from radloop.workbench.drill.books import Buried, Change, Delivery, Ledger, Report, Said, Settled
from radloop.workbench.drill.stories import Kind, Message, story
from radloop.workbench.drill.stream import Told
from radloop.workbench.hospital.orders import book
from radloop.workbench.hospital.patients import children

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEARS = {
    "order-recorded": ("triage", "publishing"), "study-completed": ("triage",), "prediction-made": ("triage", "publishing"),
    "case-triaged": ("publishing",),
}
ROUTES = {
    "order-recorded": "take_order", "study-completed": "take_study", "prediction-made": "take_prediction", "case-triaged": "take_place",
}
CASE = "case-1"


def told(kind: Kind = "ordinary", number: int = 1) -> Told:
    """A story whose every step was acknowledged."""
    child = children(number, 1, NOW.date())
    one = Told(story(number, kind, book(number, child, number, NOW, timedelta(seconds=1))[0]))
    for step in one.story.steps:
        if isinstance(step, Message):
            one.messages[step.digest] = "AA" if step.good else "AR"
    one.images = {f"{number}.{at}" for at in range(sum(type(step).__name__ == "Image" for step in one.story.steps))}
    return one


def said(room: str, topic: str, number: int, key: str = CASE, **facts: str | int | bool) -> Said:
    """One event of a room."""
    return Said(room, topic, key, f"{topic}-{key}-{number}", number, facts)


EVENTS = (
    said("ingestion", "order-recorded", 1), said("ingestion", "study-completed", 2, revision=1, images=1),
    said("inference", "prediction-made", 3, revision=1, stage="production"),
    said("triage", "case-triaged", 4, lifted=True, code="A", revision=1),
)


def settled(events: tuple[Said, ...]) -> tuple[Settled, ...]:
    """Every event settled by everybody who must hear it, in order."""
    return tuple(
        Settled(room, ROUTES[one.topic], one.event_id, "recorded", NOW + timedelta(seconds=one.number))
        for one in events for room in HEARS[one.topic]
    )


def books(one: Told, events: tuple[Said, ...] = EVENTS) -> Ledger:
    """Books that agree with one delivered and lifted study."""
    delivered = Delivery("publishing", "r1", "ehr", CASE, "report", "delivered", 1, "")
    lifted = Delivery("publishing", "p1", "ris", CASE, "priority", "delivered", 1, "C1")
    return Ledger(
        cases={one.story.order.study_uid: CASE}, messages=dict.fromkeys(one.messages, "recorded"), objects=frozenset(one.images),
        said=events, settled=settled(events), deliveries=(delivered, lifted), buried=(), listed=frozenset({CASE}), waiting=(),
        reports=(Report(CASE, "R", "partial", 1),), changes=(Change("C1", one.story.order.placer, "A", "XR"),), repeats=0, hears=HEARS,
    )


def broken(one: Told, ledger: Ledger) -> str:
    """What was not kept, in one text."""
    return "\n".join(account([one], ledger).broken)


def test_books_that_agree_are_in_order():
    """A study whose report stands, whose lift is made and of which everybody has heard breaks no promise."""
    one = told()
    found = account([one], books(one))
    assert found.broken == ()
    assert (found.accepted, found.delivered, found.lost, found.duplicated) == (1, 1, 0, 0)


def test_accepted_is_the_sum_of_its_three_ends():
    """A delivered study, one that a signature overtook and a refused message make three accepted, and nothing is left over."""
    one, signed, refused = told(), told("signed-early", 2), told("refused", 3)
    base = books(one)
    overtaken = Delivery("publishing", "r2", "ehr", "case-2", "report", "superseded", 1, "")
    ledger = replace(
        base, cases={**base.cases, signed.story.order.study_uid: "case-2"}, objects=base.objects | signed.images,
        messages=base.messages | dict.fromkeys(signed.messages, "recorded") | dict.fromkeys(refused.messages, "quarantined"),
        deliveries=(*base.deliveries, overtaken), listed=base.listed | {"case-2"},
        said=(*base.said, said("inference", "prediction-made", 9, "case-2", revision=1, stage="production")),
        settled=(*base.settled, *settled((said("inference", "prediction-made", 9, "case-2"),))),
    )
    found = account([one, signed, refused], ledger)
    assert found.broken == ()
    assert (found.accepted, found.delivered, found.superseded, found.quarantined, found.lost) == (3, 1, 1, 1, 0)


def test_a_story_that_was_broken_off_is_not_accepted():
    """What was never acknowledged whole was never promised."""
    one = told()
    one.images.clear()
    assert account([one], books(one)).accepted == 0


def test_a_report_that_never_came_is_lost():
    """A study that ended in none of the three ways is counted as lost, and named."""
    one = told()
    found = account([one], replace(books(one), reports=()))
    assert found.lost == 1
    assert "study 1 (ordinary): accepted, and nothing came of it" in found.broken


@pytest.mark.parametrize(("change", "words"), [
    ({"reports": (Report(CASE, "R", "partial", 1), Report(CASE, "Q", "partial", 1))}, "2 reports at the EHR"),
    ({"reports": (Report(CASE, "R", "partial", 2),)}, "went through 2 versions, and 1 were sent"),
    ({"reports": (Report(CASE, "R", "partial", 1), Report("", "X", "partial", 1))}, "is of no case of ours"),
    ({"changes": (Change("C1", "P0000001", "A", "XR"), Change("C2", "P0000001", "A", "XR"))}, "made the change C1 again as C2"),
    ({"changes": (Change("C1", "P0000001", "A", "XR"), Change("C9", "P0000009", "A", "XR"))}, "C9, which publishing knows nothing of"),
])
def test_a_second_effect_is_a_duplicate(change: dict[str, object], words: str):
    """Two reports, a version too many, a change under two control ids or one that nobody sent count as duplicated."""
    one = told()
    found = account([one], replace(books(one), **change))
    assert found.duplicated >= 1
    assert words in "\n".join(found.broken)


def test_the_same_message_again_is_resent_and_no_duplicate():
    """What the far end heard again under the id it knew is counted apart."""
    one = told()
    base = books(one)
    again = replace(base, repeats=2, deliveries=(replace(base.deliveries[0], tries=3), base.deliveries[1]))
    found = account([one], again)
    assert (found.resent, found.duplicated, found.broken) == (4, 0, ())


@pytest.mark.parametrize("topic", [*HEARS])
def test_an_event_that_a_room_never_heard_is_found(topic: str):
    """Every event must be settled in every room that hears its topic, also where all of them have missed it."""
    one = told()
    base = books(one)
    gone = {event.event_id for event in base.said if event.topic == topic}
    deaf = replace(base, settled=tuple(two for two in base.settled if two.input_id not in gone))
    for room in HEARS[topic]:
        assert f"case {CASE}: {room} never settled {topic}" in broken(one, deaf)


def test_an_event_that_one_of_two_routes_missed_is_found():
    """A room that hears a topic twice has settled an event only when both routes have."""
    one, two = told(), said("ingestion", "order-recorded", 8, "case-2")
    base = books(one, (*EVENTS, two))
    first = next(item for item in base.settled if item.room == "triage")
    assert "case case-2: triage never settled order-recorded of ingestion (count)" in broken(
        one, replace(base, settled=(*base.settled, replace(first, route="count"))),
    )


def test_what_was_heard_out_of_order_is_found():
    """Of one case and topic every room settles the earlier event first."""
    one = told()
    base = books(one, (*EVENTS, said("ingestion", "order-recorded", 5)))
    late = tuple(replace(two, at=NOW + timedelta(minutes=1)) if two.input_id == "order-recorded-case-1-1" else two for two in base.settled)
    assert f"case {CASE}: triage settled order-recorded out of order (take_order)" in broken(one, replace(base, settled=late))


@pytest.mark.parametrize("second", [{"revision": 1, "images": 1}, {"revision": 2, "images": 1}])
def test_a_timer_that_fired_twice_is_found(second: dict[str, int]):
    """A study completed again without another image was completed by a timer that fired twice."""
    one = told()
    assert "a timer fired twice" in broken(one, books(one, (*EVENTS, said("ingestion", "study-completed", 6, **second))))


def test_a_study_whose_images_came_late_completes_again():
    """A second revision with more images is as promised."""
    one = told()
    late = books(one, (*EVENTS, said("ingestion", "study-completed", 6, revision=2, images=2)))
    assert broken(one, late) == ""


@pytest.mark.parametrize(("change", "words"), [
    ({"messages": {}}, "1 messages were acknowledged and are not in ingestion's books"),
    ({"objects": frozenset()}, "1 images were acknowledged and are not in ingestion's books"),
    ({"listed": frozenset()}, "it is not on the reading list"),
    ({"waiting": ("triage: 2 events are not sent",)}, "triage: 2 events are not sent"),
    ({"changes": ()}, "is delivered, and the RIS never heard it"),
    ({"reports": (Report(CASE, "R", "entered-in-error", 1),)}, "its report stands as entered-in-error"),
])
def test_what_is_missing_or_still_waits_is_found(change: dict[str, object], words: str):
    """Whatever was acknowledged is kept, listed and sent, and nothing waits in the end."""
    one = told()
    assert words in broken(one, replace(books(one), **change))


def test_a_lift_that_the_ris_never_made_is_found():
    """What triage lifted and nothing overtook must be changed at the RIS."""
    one = told()
    base = books(one)
    assert "triage lifted it, and the RIS made 0 changes" in broken(one, replace(base, changes=(), deliveries=base.deliveries[:1]))


def test_a_good_study_in_quarantine_is_found():
    """Quarantine is for what cannot be read: a kill must not bring an ordinary study there."""
    one = told()
    stuck = replace(books(one), reports=(), buried=(Buried("inference", CASE, "x", "its process died"),))
    found = account([one], stuck)
    assert found.quarantined == 1
    assert f"study 1 (ordinary), case {CASE}: it ended as quarantined" in found.broken


def test_a_study_that_only_a_shadow_has_read_is_found():
    """What the serving version never read is named, however far it came."""
    one = told()
    events = tuple(replace(two, facts={**two.facts, "stage": "shadow"}) if two.topic == "prediction-made" else two for two in EVENTS)
    assert "the serving version has not read it" in broken(one, books(one, events))


def test_a_message_that_was_refused_against_its_story_is_found():
    """A good message answered AE is a broken promise at the door."""
    one = replace(told(), refused="a message was answered AE")
    assert "study 1 (ordinary): a message was answered AE" in broken(one, books(one))


def test_no_number_of_a_patient_is_in_what_is_told():
    """Cases are named by their ids: neither an accession number nor a record number is PHI that a report may show."""
    one = told()
    text = broken(one, replace(books(one), reports=(), listed=frozenset(), objects=frozenset()))
    assert one.story.order.accession not in text
    assert one.story.order.patient.mrn not in text


@pytest.mark.parametrize(("change", "words"), [
    ({"buried": (Buried("publishing", CASE, "prediction-made-case-1-3", "its process died while handling it"),)}, "lies in quarantine"),
    ({"deliveries": (Delivery("publishing", "p1", "ris", CASE, "priority", "quarantined", 1, "C1"),)}, "its priority for the ris lies in"),
    ({"said": EVENTS[:-1], "settled": settled(EVENTS[:-1]), "deliveries": (), "changes": ()}, "never placed on the list"),
])
def test_what_somebody_would_have_to_repair_is_found_behind_a_report_that_stands(change: dict[str, object], words: str):
    """The report is there, and yet something of the case was put aside, or a room did nothing."""
    one = told()
    assert words in broken(one, replace(books(one), **change))


def test_a_good_message_in_quarantine_is_found():
    """It was answered AA, and nobody took it."""
    one = told()
    assert "acknowledged and lies in ingestion's quarantine" in broken(
        one, replace(books(one), messages=dict.fromkeys(one.messages, "quarantined")))
