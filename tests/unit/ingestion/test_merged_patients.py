"""A merge reaches every case of the patient, so that nobody is two people on two sides of a split."""

from dataclasses import replace
from typing import Any

import pytest

from examples.ingestion import CHILD, REPORT, STUDY, TO, heard, quiet, stored
from examples.shared import SITE, at
from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.study import StudyBackfilled, StudyCompleted
from radloop.feedback.adapters.rule import read_rule
from radloop.feedback.domain import CaseFile as Answered
from radloop.feedback.handlers import take_backfilled, take_order
from radloop.ingestion.domain.people import identity, pseudonym
from radloop.kit.flow import Record
from radloop.retraining.domain.case import CaseFile as Learnt
from radloop.retraining.handlers import take_order as learn_of_order
from radloop.standards.hl7.hospital import patient_merge, patient_update, report_message
from radloop.standards.hl7.model import Identity, Patient
from tests.unit.ingestion.story import Hospital

SURVIVOR = Patient((Identity(SITE, "HOSP", "EX-NEW"),), "Example", "Erin", "2019-05-04", "F")


def merged(hospital: Hospital, seconds: float = 5000, into: Patient = SURVIVOR, old: Identity = CHILD.id) -> list[OrderRecorded]:
    """Merge the child into the survivor; return what was said of it."""
    before = len(hospital.said)
    hospital.settle(heard(patient_merge(TO, f"A{seconds}", at(seconds), into, old), seconds))
    said = hospital.said[before:]
    assert all(isinstance(event, OrderRecorded) for event in said)
    return said  # type: ignore[return-value]


def end(hospital: Hospital, how: str) -> str:
    """Bring a case about; return its id."""
    if how in {"signed", "cancelled", "open"}:
        hospital.order(0)
    if how != "cancelled":
        hospital.images(60, purpose=how if how in {"pool", "gate"} else "")
    if how == "signed":
        hospital.settle(heard(report_message(TO, "R1", at(600), CHILD, REPORT), 600))
    if how == "cancelled":
        hospital.order(60, code="CA")
    return str(hospital.said[-1].subject)


@pytest.mark.parametrize("how", ["open", "signed", "cancelled", "unmatched", "pool", "gate"])
def test_a_merge_is_said_of_every_case_of_the_patient(hospital: Hospital, how: str) -> None:
    """Open or closed, live or earlier, with an order or without: its patient has the survivor's pseudonym from now on."""
    case = end(hospital, how)
    (said,) = merged(hospital)
    assert (said.subject, said.change) == (case, "patient-merged")
    assert said.patient.key == pseudonym(identity(SURVIVOR.id), "salt")
    assert said.order.status == {"cancelled": "cancelled", "pool": "completed", "gate": "completed"}.get(how, "active")
    assert (said.order.placer is None) == (how in {"unmatched", "pool", "gate"})


def test_a_second_merge_is_a_newer_word(hospital: Hospital) -> None:
    """Each has the next revision of its case, so that the last one holds whenever it is heard; a repeat says nothing."""
    end(hospital, "pool")
    first = merged(hospital)
    last = replace(SURVIVOR, identities=(Identity(SITE, "HOSP", "EX-LAST"),))
    second = merged(hospital, 6000, into=last, old=SURVIVOR.id)
    assert [event.order_revision for event in (*first, *second)] == [1, 2]
    assert second[0].patient.id.value == "EX-LAST"
    assert merged(hospital, 7000, into=last, old=SURVIVOR.id) == []


def test_an_update_that_changes_who_a_patient_is_says_so_everywhere(hospital: Hospital) -> None:
    """A08 with another record number first changes the pseudonym as a merge does; one without leaves closed cases alone."""
    end(hospital, "signed")
    hospital.settle(heard(patient_update(TO, "A1", at(700), replace(CHILD, family="Newname")), 700))
    assert "OrderRecorded" not in hospital.kinds()[-1:]
    renamed = replace(CHILD, identities=(*SURVIVOR.identities, *CHILD.identities))
    hospital.settle(heard(patient_update(TO, "A2", at(800), renamed), 800))
    assert (hospital.last(OrderRecorded).change, hospital.last(OrderRecorded).patient.id.value) == ("patient-updated", "EX-NEW")


def test_a_study_that_nobody_has_heard_of_needs_no_news(hospital: Hospital) -> None:
    """Its patient is told with its images, by the number that holds then."""
    hospital.settle(stored(0, purpose="pool"))
    assert merged(hospital, 2) == []
    hospital.settle(quiet(0))
    assert hospital.last(StudyBackfilled).study.patient.id.value == "EX-NEW"  # type: ignore[union-attr]


def test_news_of_a_studys_patient_do_not_make_it_matched(hospital: Hospital) -> None:
    """It has no order still: the one that comes later is joined to it, and said with a newer revision."""
    case = end(hospital, "unmatched")
    (news,) = merged(hospital)
    hospital.images(5100, uid="2.25.1005")
    assert not hospital.last(StudyCompleted).matched
    hospital.order(5200, who=SURVIVOR)
    join = hospital.last(CaseJoined)
    assert (join.study_case, join.subject) == (case, case)
    assert join.order_revision > hospital.last(OrderRecorded).order_revision > news.order_revision


@pytest.mark.parametrize("news_first", [False, True])
def test_who_divides_patients_hears_of_the_merge(hospital: Hospital, news_first: bool) -> None:
    """Feedback and retraining have the survivor's pseudonym for an earlier case, whichever topic came first."""
    end(hospital, "gate")
    study, (news,) = hospital.last(StudyBackfilled), merged(hospital)
    rule, answered = read_rule(), None
    for event in (news, study) if news_first else (study, news):
        take: Any = take_order if event is news else take_backfilled
        decision = take(event, answered, rule)
        assert isinstance(decision, Record)
        answered = decision.state
    assert isinstance(answered, Answered)
    assert (answered.patient_key, answered.purpose) == (news.patient.key, "gate")
    learnt = learn_of_order(news, Learnt(case_id=news.subject, read_patient="old", label_patient="old"))
    assert isinstance(learnt, Record)
    assert learnt.state is not None
    assert (learnt.state.patient, learnt.state.cancelled) == (news.patient.key, False)


def test_a_merge_of_somebody_else_says_nothing(hospital: Hospital) -> None:
    """Only the patient's own cases are concerned."""
    end(hospital, "pool")
    assert merged(hospital, old=Identity(SITE, "HOSP", "EX-0009")) == []
    assert hospital.chart.study(STUDY).person.id.value == "EX-0001"  # type: ignore[union-attr]
