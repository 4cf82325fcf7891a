"""Order numbers that come again: an order never changes its patient, and a cancel is never undone by a late word."""

from dataclasses import replace
from typing import Any

import pytest

from examples.ingestion import CHILD, ORDER, REPORT, TO, heard
from examples.shared import SITE, at
from radloop.events.order import OrderRecorded
from radloop.events.report import ReportSigned
from radloop.events.study import StudyCompleted
from radloop.ingestion.domain.chart import Chart
from radloop.kit.flow import Decision, Record, Reject
from radloop.standards.hl7.hospital import patient_merge, report_message
from radloop.standards.hl7.model import Identity
from radloop.standards.hl7.write import order_message
from tests.unit.ingestion.story import OTHER, Hospital, code_of

ELSEWHERE: dict[str, Any] = {"accession": Identity(SITE, "", "ACC-EX-2"), "study_uid": "2.25.77"}
"""Another examination."""


def refused(decision: Decision[Chart], condition: str) -> str:
    """The reason of an AE with this condition, which tells what to do and names nobody."""
    assert isinstance(decision, Reject)
    assert code_of(decision) == "AE"
    assert decision.reason.startswith(condition)
    assert not any(named in decision.reason for named in ("EX-0001", "EX-0002", "PL-1", "FL-1", "ACC-EX"))
    return decision.reason


def active(hospital: Hospital) -> list[tuple[str, str]]:
    """The patients and accession numbers of the orders that stand."""
    return [
        (one.person.id.value, one.accession.value if one.accession else "") for one in hospital.chart.orders if one.status == "active"
    ]


@pytest.mark.parametrize("code", ["NW", "XO", "CA"])
@pytest.mark.parametrize("changes", [ELSEWHERE, {"accession": None, "study_uid": "2.25.77"}, {"filler": None}])
def test_an_order_never_changes_its_patient(hospital: Hospital, code: str, changes: dict[str, Any]) -> None:
    """Another patient under an open order's number is refused with what to do; nothing about the first order changes."""
    hospital.order(0, priority="stat")
    before = hospital.chart
    assert "ADT^A40" in refused(hospital.order(60, code=code, who=OTHER, **changes), "205")
    assert hospital.chart == before
    assert len(hospital.said) == 1


def test_a_merge_is_the_way_to_another_patient(hospital: Hospital) -> None:
    """What was refused is taken once the hospital has said that the two are one person."""
    hospital.order(0)
    refused(hospital.order(60, code="XO", who=OTHER), "205")
    hospital.settle(heard(patient_merge(TO, "A1", at(90), OTHER, CHILD.id), 90))
    assert code_of(hospital.order(120, code="XO", who=OTHER, priority="stat")) == "AA"
    assert active(hospital) == [("EX-0002", "ACC-EX-1")]


def test_an_order_message_adds_a_number_and_leaves_who_the_patient_is(hospital: Hospital) -> None:
    """PID-3 with a further number first does not make the order that number's: only a patient message may."""
    hospital.order(0)
    both = replace(CHILD, identities=(Identity(SITE, "HOSP", "EX-0003"), *CHILD.identities), family="Newname")
    assert code_of(hospital.order(60, code="XO", who=both)) == "AA"
    told = hospital.last(OrderRecorded).patient
    assert (told.id.value, told.family) == ("EX-0001", "Newname")


@pytest.mark.parametrize("end", ["signed", "completed", "cancelled"])
def test_the_number_of_an_order_that_is_over_is_free_for_another_patient(hospital: Hospital, end: str) -> None:
    """After years placers use their numbers again: a new order is taken as one, and the old one stays as it was."""
    hospital.order(0)
    over(hospital, end)
    old = next(one for one in hospital.chart.orders)
    assert code_of(hospital.order(1000, who=OTHER, filler=None, **ELSEWHERE)) == "AA"
    assert old in hospital.chart.orders
    new = hospital.last(OrderRecorded)
    assert (new.change, new.patient.id.value, new.subject != old.case_id) == ("new", "EX-0002", True)


def over(hospital: Hospital, end: str) -> None:
    """Bring the hospital's order to an end."""
    if end == "signed":
        hospital.settle(heard(report_message(TO, "R1", at(600), CHILD, REPORT), 600))
    elif end == "cancelled":
        hospital.order(600, code="CA")
    else:
        hospital.settle(heard(order_message(TO, "C1", at(600), CHILD, replace(ORDER, control_code="SC", status="completed")), 600))


@pytest.mark.parametrize("end", ["signed", "completed"])
def test_the_same_patients_new_examination_under_a_used_number_is_a_new_order(hospital: Hospital, end: str) -> None:
    """The finished examination keeps its order; the same number for the same examination is the old order still."""
    hospital.order(0)
    over(hospital, end)
    hospital.order(1000, **ELSEWHERE)
    hospital.order(1100, code="XO", priority="stat", **ELSEWHERE)
    assert [(one.accession.value, one.priority) for one in hospital.chart.orders if one.accession] == [
        ("ACC-EX-1", "routine"), ("ACC-EX-2", "stat"),
    ]
    hospital.order(1200)
    assert len(hospital.chart.orders) == 2


@pytest.mark.parametrize("who", [CHILD, OTHER])
def test_a_used_number_leads_a_report_to_its_own_examination(hospital: Hospital, who: Any) -> None:
    """Of two orders with one number the report's patient and examination say which it is about."""
    hospital.order(0)
    over(hospital, "completed")
    hospital.order(1000, who=who, filler=None, **ELSEWHERE)
    new = hospital.last(OrderRecorded).subject
    report = replace(REPORT, filler=None, study_uid="")
    hospital.settle(heard(report_message(TO, "R1", at(2000), CHILD, report), 2000))
    first = hospital.last(ReportSigned).subject
    hospital.settle(heard(report_message(TO, "R2", at(2100), who, replace(report, accession=ELSEWHERE["accession"])), 2100))
    assert (hospital.last(ReportSigned).subject, first != new) == (new, True)


@pytest.mark.parametrize("end", ["", "signed", "cancelled"])
def test_an_accession_number_is_one_patients_for_good(hospital: Hospital, end: str) -> None:
    """Also after its order is over: two patients under one would publish one's images into the other's record."""
    hospital.order(0)
    if end:
        over(hospital, end)
    other = {"placer": Identity(SITE, "EHR", "PL-2"), "filler": Identity(SITE, "RIS", "FL-2")}
    assert "accession number of its own" in refused(hospital.order(1000, who=OTHER, **other), "205")


@pytest.mark.parametrize(("code", "condition"), [("NW", "205"), ("XO", "207"), ("SC", "207"), ("RP", "207")])
def test_a_cancel_is_not_undone(hospital: Hospital, code: str, condition: str) -> None:
    """A new order under the number, or a change of it, is refused and waits in quarantine; the order stays cancelled."""
    hospital.order(0)
    hospital.order(60, code="CA")
    assert "number of its own" in refused(hospital.order(120, code=code, priority="stat"), condition)
    assert active(hospital) == []
    assert hospital.last(OrderRecorded).change == "cancelled"
    assert code_of(hospital.order(180, code="CA")) == "AA"


def test_a_repeat_that_another_sender_makes_of_a_cancelled_order_is_refused(hospital: Hospital) -> None:
    """Whose clock is right nobody knows: it is refused in the open, never taken and cancelled in silence."""
    hospital.order(0)
    hospital.order(60, code="CA")
    refused(hospital.order(120, said=-60, to=replace(TO, sending_app="EHR")), "205")
    refused(hospital.order(130, said=60), "205")


@pytest.mark.parametrize("code", ["NW", "XO"])
def test_an_order_that_its_own_cancel_overtook_ends_as_cancelled(hospital: Hospital, code: str) -> None:
    """CA first, then what was said before it (MSH-7): taken, its particulars kept, and cancelled all the same."""
    bare: dict[str, Any] = {"accession": None, "study_uid": "", "indication": ""}
    assert code_of(hospital.order(60, code="CA", **bare)) == "AA"
    assert hospital.last(OrderRecorded).change == "cancelled"
    assert code_of(hospital.order(61, code=code, said=0)) == "AA"
    told = hospital.last(OrderRecorded)
    assert (told.change, told.order.status, told.order.indication) == ("cancelled", "cancelled", "cough")
    hospital.images(120)
    assert hospital.last(StudyCompleted).unmatched_reason == "its order was cancelled"
    refused(hospital.order(180), "205")


def test_an_order_without_a_message_time_is_held_against_its_own(hospital: Hospital) -> None:
    """Where MSH-7 is empty ORC-9 says what came first."""
    for code, placed in (("CA", at(60)), ("NW", at(0))):
        order = replace(ORDER, control_code=code, status="cancelled" if code == "CA" else "active", placed_at=placed)
        raw = order_message(TO, code, at(99), CHILD, order).replace(b"|20260302083139+0000||ORM", b"|||ORM", 1)
        assert b"GEN|||ORM" in raw
        assert isinstance(hospital.settle(heard(raw, 99)), Record)
    assert active(hospital) == []


def test_a_late_word_fills_in_what_is_missing_and_lowers_nothing(hospital: Hospital) -> None:
    """NW after the XO that made it STAT: the STAT stands, whatever arrived first; a late STAT is heard too."""
    hospital.order(60, code="XO", priority="stat", indication="")
    hospital.order(61, said=0, priority="routine", indication="cough")
    told = hospital.last(OrderRecorded).order
    assert (told.priority, told.indication) == ("stat", "cough")
    hospital.order(120, code="XO", priority="asap")
    hospital.order(121, code="XO", said=90, priority="stat")
    assert hospital.last(OrderRecorded).order.priority == "stat"


def test_what_one_sender_said_is_not_forgotten_when_another_speaks(hospital: Hospital) -> None:
    """The EHR's STAT is not lowered by its own older message, though the RIS spoke of the order in between."""
    ehr, ris = replace(TO, sending_app="EHR"), replace(TO, sending_app="RIS")
    hospital.order(0, said=0, to=ehr)
    hospital.order(60, "XO", said=60, to=ehr, priority="stat")
    hospital.order(61, "SC", said=61, to=ris, priority="")
    hospital.order(62, said=30, to=ehr, priority="routine")
    assert hospital.last(OrderRecorded).order.priority == "stat"


def test_a_clock_that_is_ahead_by_seconds_is_still_a_clock(hospital: Hospital) -> None:
    """What a sender said later is its later word, also where its clock runs ahead of ours."""
    hospital.order(60, "XO", said=70, priority="stat")
    hospital.order(61, said=65, priority="routine")
    assert hospital.last(OrderRecorded).order.priority == "stat"


def test_one_late_word_does_not_let_in_another(hospital: Hospital) -> None:
    """A message that was overtaken moves back nothing of what is known: no priority, no end, no name."""
    hospital.order(0)
    hospital.order(100, "XO", priority="stat", status="completed", who=replace(CHILD, family="Newer"))
    hospital.order(101, said=50, who=replace(CHILD, family="Older"))
    hospital.order(102, said=60, priority="routine", who=replace(CHILD, family="Older"))
    (known,) = hospital.chart.orders
    assert (known.priority, known.status, known.person.family) == ("stat", "completed", "Newer")
