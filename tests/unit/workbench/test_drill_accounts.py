"""The drill's accounts: books that agree are in order, and every kind of broken promise is found and named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from radloop.workbench.drill.accounts import account
from radloop.workbench.drill.books import Buried, Change, Delivery, Ledger, Listed, Report, Said, Settled
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
LISTED = Listed("waiting", "routine", "Ann", 1)
REPORT = Delivery("publishing", "r1", "ehr", CASE, "report", "delivered", 1, "")
LIFT = Delivery("publishing", "p1", "ris", CASE, "priority", "delivered", 1, "C1")
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


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
    said("inference", "prediction-made", 3, revision=1, stage="production", version=2),
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
    return Ledger(
        cases={one.story.order.study_uid: CASE}, messages=dict.fromkeys(one.messages, "recorded"), objects=frozenset(one.images),
        said=events, settled=settled(events), deliveries=(REPORT, LIFT), buried=(), listed={CASE: LISTED}, waiting=(),
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
    theirs = (
        said("ingestion", "study-completed", 8, "case-2", revision=1, images=1),
        said("inference", "prediction-made", 9, "case-2", revision=1, stage="production", version=2),
    )
    ledger = replace(
        base, cases={**base.cases, signed.story.order.study_uid: "case-2"}, objects=base.objects | signed.images,
        messages=base.messages | dict.fromkeys(signed.messages, "recorded") | dict.fromkeys(refused.messages, "quarantined"),
        deliveries=(*base.deliveries, overtaken), listed={**base.listed, "case-2": replace(LISTED, standing="signed", place=0)},
        said=(*base.said, *theirs), settled=(*base.settled, *settled(theirs)),
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
    assert broken(told("two-images"), books(told("two-images"), (*EVENTS, *AGAIN))) == ""


@pytest.mark.parametrize(("change", "words"), [
    ({"messages": {}}, "1 messages were acknowledged and are not in ingestion's books"),
    ({"objects": frozenset()}, "1 images were acknowledged and are not in ingestion's books"),
    ({"listed": {}}, "it is not on the reading list"),
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
    text = broken(one, replace(books(one), reports=(), listed={}, objects=frozenset()))
    assert one.story.order.accession not in text
    assert one.story.order.patient.mrn not in text


@pytest.mark.parametrize(("change", "words"), [
    ({"buried": (Buried("publishing", CASE, "prediction-made-case-1-3", "its process died"),)}, "lies in publishing's quarantine"),
    ({"buried": (Buried("ingestion", "a-study", "quiet|1", "KeyError in complete"),)}, "a-study: quiet|1 lies in ingestion's quarantine"),
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
    buried = (Buried("ingestion", "", "in-1", "KeyError in take_message", *one.messages),)
    assert "in-1 lies in ingestion's quarantine" in broken(one, replace(books(one), buried=buried))


def test_what_belongs_into_quarantine_stays_there_through_later_rounds():
    """A refused message and an image that nobody can read, told in this round or an earlier one, are no broken promise."""
    one, refused, unreadable = told(), told("refused", 2), told("unreadable", 3)
    base = books(one)
    theirs = (said("ingestion", "study-completed", 8, "case-3", revision=1, images=1),)
    ledger = replace(
        base, cases={**base.cases, unreadable.story.order.study_uid: "case-3"}, objects=base.objects | unreadable.images,
        messages=base.messages | dict.fromkeys(unreadable.messages, "recorded") | dict.fromkeys(refused.messages, "quarantined"),
        listed={**base.listed, "case-3": replace(LISTED, place=0)}, said=(*base.said, *theirs), settled=(*base.settled, *settled(theirs)),
        buried=(Buried("ingestion", "", "in-2", "not this site's", *refused.messages), Buried("inference", "case-3", "r3", "(7FE0,0010)")),
    )
    found = account([one], ledger, [refused, unreadable])
    assert found.broken == ()
    assert (found.accepted, found.delivered, found.quarantined) == (1, 1, 0)
    assert account([one, refused, unreadable], ledger).quarantined == 2
    assert "in-2 lies in" in broken(one, ledger)


@pytest.mark.parametrize(("kind", "listed", "words"), [
    ("changed", LISTED, "has its order as routine, not asap"),
    ("renamed", LISTED, "has its patient under the earlier name"),
    ("signed-early", LISTED, "has it as waiting, not signed"),
    ("signed-late", LISTED, "has it as waiting, not signed"),
    ("cancelled-late", LISTED, "has it as waiting, not cancelled"),
    ("ordinary", replace(LISTED, place=2), "its place on the reading list is number 2, not triage's last"),
    ("ordinary", replace(LISTED, priority="stat"), "has its order as stat, not routine"),
])
def test_a_message_that_was_acknowledged_and_changed_nothing_is_found(kind: Kind, listed: Listed, words: str):
    """A change, an update and a signature must be seen where people look, and a place must be triage's last."""
    one = told(kind)
    assert words in broken(one, replace(books(one), listed={CASE: listed}))


AGAIN = (
    said("ingestion", "study-completed", 6, revision=2, images=2),
    said("inference", "prediction-made", 7, revision=2, stage="production", version=2),
)


@pytest.mark.parametrize(("events", "words"), [
    (EVENTS, "never complete with its 2 images"),
    ((*EVENTS, AGAIN[0]), "its last revision was not read"),
    ((*EVENTS, *AGAIN, replace(AGAIN[1], number=8, event_id="again")), "one version read one revision more than once"),
    ((*EVENTS, *AGAIN, said("triage", "case-triaged", 8, lifted=True, code="A", revision=1)), "placed as revisions [1, 1]"),
    ((*EVENTS, *AGAIN, said("triage", "case-triaged", 8, lifted=True, code="A", revision=3)), "placed as revisions [1, 3]"),
])
def test_a_second_image_must_be_completed_and_read_once(events: tuple[Said, ...], words: str):
    """Its report stands by the first image already, and that is not enough; nor may anything be said twice."""
    one = told("two-images")
    assert words in broken(one, books(one, events))


@pytest.mark.parametrize(("change", "words"), [
    ({"changes": (Change("C1", "P0000001", "S", "XR"),)}, "the RIS has it as S, triage as A"),
    ({"changes": (Change("C1", "P0000001", "A", "AR"),)}, "the RIS answered C1 with AR"),
    ({"changes": (Change("C1", "P0000001", "A", "XR", changed=True),)}, "heard C1 again with other bytes"),
    ({"said": (*EVENTS[:-1], replace(EVENTS[-1], facts={"lifted": False, "revision": 1}))}, "left it, and the RIS made 1 changes"),
    ({"deliveries": (REPORT, replace(LIFT, case="case-2"))}, "by C1, which is of another case"),
    (
        {
            "deliveries": (REPORT, replace(LIFT, key="p2", control="C2"), LIFT),
            "changes": (Change("C1", "P0000001", "A", "XR"), Change("C2", "P0000001", "R", "XR")),
        },
        "not the order they were said in",
    ),
])
def test_a_change_that_is_not_what_was_said_is_found(change: dict[str, object], words: str):
    """Priority, order, case, answer and bytes of what the RIS heard are those that publishing and triage said."""
    one = told()
    order = replace(one.story.order, placer="P0000001")
    one.story = replace(one.story, order=order)
    assert words in broken(one, replace(books(one), **change))


@pytest.mark.parametrize(("report", "words"), [
    (Report(CASE, "R", "partial", 1, EARLY), "1 versions, and 2 were sent"),
    (Report(CASE, "R", "partial", 2, EARLY), "is not the one that was sent last"),
])
def test_a_correction_that_the_ehr_does_not_show_is_found(report: Report, words: str):
    """Delivered by our own word, and not there; or there, and overtaken by an older one."""
    one = told()
    sent = (replace(REPORT, issued=EARLY), replace(REPORT, key="r2", kind="correction", issued=LATE))
    assert words in broken(one, replace(books(one), deliveries=(*sent, LIFT), reports=(report,)))
