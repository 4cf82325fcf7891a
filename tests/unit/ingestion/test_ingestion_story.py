"""Histories at ingestion's doors: whatever comes first, order and study end in one case, or are said to be apart."""

from dataclasses import replace

import pytest

from examples.ingestion import CHILD, ENGINE, ORDER, REPORT, TO, facts, heard, quiet, stored
from examples.shared import READER, SITE, at
from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled, StudyCompleted
from radloop.ingestion.handlers import RefuseMessage, UndoJoin, refuse_message, store_object
from radloop.kit.flow import Record, Reject, Skip
from radloop.standards.hl7.answer import read_answer
from radloop.standards.hl7.hospital import patient_merge, patient_update, report_message
from radloop.standards.hl7.model import Identity, Origin, Patient
from radloop.standards.hl7.write import order_message
from tests.unit.ingestion.story import OTHER, RULES, Hospital, code_of


def test_order_first_then_images_is_one_case(hospital: Hospital) -> None:
    """The study takes the order's case; nothing needs joining."""
    hospital.order(0, priority="stat")
    hospital.images(60)
    order, study = hospital.last(OrderRecorded), hospital.last(StudyCompleted)
    assert hospital.kinds() == ["OrderRecorded", "StudyCompleted"]
    assert (order.change, order.order_revision) == ("new", 1)
    assert study.subject == order.subject
    assert (study.matched, study.priority, study.revision) == (True, "stat", 1)
    assert study.study.patient is not None
    assert study.study.patient.key == order.patient.key != ""
    assert study.completed_at == at(65)


def test_images_first_are_unmatched_until_the_order_comes(hospital: Hospital) -> None:
    """The study's case survives: the order comes to it, and the join is said."""
    hospital.images(0)
    study = hospital.last(StudyCompleted)
    assert (study.matched, study.unmatched_reason) == (False, "no order has its accession number or study UID")
    hospital.order(60)
    joined, order = hospital.last(CaseJoined), hospital.last(OrderRecorded)
    assert hospital.kinds() == ["StudyCompleted", "OrderRecorded", "CaseJoined"]
    assert joined.subject == order.subject == joined.study_case == joined.order_case == study.subject
    assert joined.order_revision > order.order_revision
    assert not joined.undone


def test_an_order_within_the_quiet_period_needs_no_join(hospital: Hospital) -> None:
    """Nobody heard of the study without its order, so nothing is corrected."""
    hospital.settle(stored(0))
    hospital.order(1)
    hospital.settle(quiet(0))
    assert hospital.kinds() == ["OrderRecorded", "StudyCompleted"]
    assert hospital.last(StudyCompleted).matched


@pytest.mark.parametrize("changes", [{"patient_id": "EX-9"}, {"patient_issuer": "ELSEWHERE"}])
def test_a_study_of_another_patient_is_never_joined(hospital: Hospital, changes: dict[str, str]) -> None:
    """Accession number and study UID agree, but ID or issuer does not: two cases, and the reason."""
    hospital.order(0)
    hospital.images(60, **changes)
    study = hospital.last(StudyCompleted)
    assert study.subject != hospital.last(OrderRecorded).subject
    assert (study.matched, study.unmatched_reason) == (False, "its patient is not the order's")


def test_images_that_name_nobody_are_unmatched(hospital: Hospital) -> None:
    """Without a patient ID nothing can agree."""
    hospital.order(0)
    hospital.images(60, patient_id="")
    assert hospital.last(StudyCompleted).unmatched_reason == "its images name no patient"


def test_a_merge_joins_what_waited(hospital: Hospital) -> None:
    """A study under the old number and an order under the new one are joined by ADT^A40; both cases hear it."""
    hospital.order(0)
    hospital.images(60, patient_id="EX-OLD")
    order_case, study_case = hospital.last(OrderRecorded).subject, hospital.last(StudyCompleted).subject
    hospital.settle(heard(patient_merge(TO, "A1", at(90), CHILD, Identity(SITE, "HOSP", "EX-OLD")), 90))
    joins = [event for event in hospital.said if isinstance(event, CaseJoined)]
    assert {join.subject for join in joins} == {order_case, study_case}
    assert all((join.study_case, join.order_case, join.undone) == (study_case, order_case, False) for join in joins)
    assert len({join.id for join in joins}) == 2
    assert hospital.last(OrderRecorded).change == "patient-merged"
    hospital.order(120, code="XO", priority="stat")
    assert hospital.last(OrderRecorded).subject == study_case


def test_images_under_a_retired_number_find_the_order(hospital: Hospital) -> None:
    """A modality that still has the old number after the merge is understood."""
    hospital.settle(heard(patient_merge(TO, "A1", at(0), CHILD, Identity(SITE, "HOSP", "EX-OLD")), 0))
    hospital.order(30)
    hospital.images(60, patient_id="EX-OLD")
    assert hospital.last(StudyCompleted).matched


def test_a_correction_of_the_examination_parts_a_wrong_join(hospital: Hospital) -> None:
    """XO names another accession number and study: the order leaves the study's case for one of its own, and both hear it."""
    hospital.order(0)
    hospital.images(60)
    case = hospital.last(StudyCompleted).subject
    hospital.order(90, code="XO", accession=Identity(SITE, "", "ACC-EX-2"), study_uid="2.25.77")
    joins = [event for event in hospital.said if isinstance(event, CaseJoined)]
    assert all(join.undone and join.study_case == case and join.order_case != case for join in joins)
    assert {join.subject for join in joins} == {case, joins[0].order_case}
    assert hospital.last(OrderRecorded).subject == joins[0].order_case
    assert hospital.last(OrderRecorded).order.accession.value == "ACC-EX-2"


def test_an_undone_join_stays_undone(hospital: Hospital) -> None:
    """What a human parted is not joined again by the next message; a second undo has nothing to do."""
    hospital.order(0)
    hospital.images(60)
    case = hospital.last(StudyCompleted).subject
    undo = UndoJoin(id="u1", subject=case, site=SITE, at=at(90), actor=READER)
    assert isinstance(hospital.settle(undo), Record)
    assert {event.subject for event in hospital.said if isinstance(event, CaseJoined)} >= {case}
    hospital.order(120, code="XO", priority="stat")
    assert hospital.last(OrderRecorded).subject != case
    hospital.images(150, uid="2.25.1005")
    assert hospital.last(StudyCompleted).unmatched_reason == "its join was undone"
    assert isinstance(hospital.settle(replace(undo, id="u2")), Skip)


def test_a_cancel_is_said_and_revisions_count(hospital: Hospital) -> None:
    """New, changed, cancelled: each is said once, with the next revision of the case."""
    hospital.order(0)
    hospital.order(10, code="XO", priority="stat")
    hospital.order(20, code="CA")
    said = [(event.change, event.order_revision) for event in hospital.said if isinstance(event, OrderRecorded)]
    assert said == [("new", 1), ("changed", 2), ("cancelled", 3)]
    hospital.images(60)
    assert hospital.last(StudyCompleted).unmatched_reason == "its order was cancelled"


def test_two_orders_of_one_accession_are_one_case(hospital: Hospital) -> None:
    """The case lives as long as one of its orders does, and the most urgent speaks for it."""
    second = {"placer": Identity(SITE, "EHR", "PL-2"), "filler": Identity(SITE, "RIS", "FL-2")}
    hospital.order(0)
    hospital.order(5, priority="stat", **second)
    first, other = [event for event in hospital.said if isinstance(event, OrderRecorded)]
    assert first.subject == other.subject
    assert (other.order.priority, other.change) == ("stat", "changed")
    hospital.order(10, code="CA", priority="stat", **second)
    assert (hospital.last(OrderRecorded).change, hospital.last(OrderRecorded).order.priority) == ("changed", "routine")
    hospital.order(15, code="CA")
    assert hospital.last(OrderRecorded).change == "cancelled"


def test_one_accession_number_is_one_patients(hospital: Hospital) -> None:
    """Another patient's order under the same accession number is refused with 205, and changes nothing."""
    hospital.order(0)
    decision = hospital.order(5, who=OTHER, placer=Identity(SITE, "EHR", "PL-2"), filler=Identity(SITE, "RIS", "FL-2"))
    assert isinstance(decision, Reject)
    assert code_of(decision) == "AE"
    assert "205" in decision.reason
    assert len(hospital.said) == 1


def test_a_late_image_makes_the_next_revision(hospital: Hospital) -> None:
    """Revision two has both images; a derived object makes none."""
    hospital.order(0)
    hospital.images(60)
    hospital.images(90, uid="2.25.1005")
    assert (hospital.last(StudyCompleted).revision, len(hospital.last(StudyCompleted).study.instances)) == (2, 2)
    timers = len(hospital.timers)
    decision = hospital.images(120, uid="2.25.1006", not_acquired="a derived image")
    assert decision.answer.status == 0  # type: ignore[attr-defined]
    assert len(hospital.timers) == timers
    assert hospital.last(StudyCompleted).revision == 2


def test_the_same_uid_with_other_bytes_is_refused(hospital: Hospital) -> None:
    """0x0111 and a reason; the first object stands. The same bytes once more are fine."""
    hospital.settle(stored(0))
    again = hospital.settle(stored(1))
    other = hospital.settle(stored(2, content="d" * 64))
    assert isinstance(again, Skip)
    assert again.answer.status == 0  # type: ignore[attr-defined]
    assert isinstance(other, Reject)
    assert other.answer.status == 0x0111  # type: ignore[attr-defined]
    assert len(hospital.chart.objects) == 1


def test_an_object_of_another_patient_in_a_known_study_is_refused(hospital: Hospital) -> None:
    """Two patients in one study is a mix-up at the modality: 0xA900."""
    hospital.settle(stored(0))
    decision = hospital.settle(stored(1, uid="2.25.1005", patient_id="EX-0002"))
    assert isinstance(decision, Reject)
    assert decision.answer.status == 0xA900  # type: ignore[attr-defined]


def test_a_final_report_signs_its_case(hospital: Hospital) -> None:
    """Findings in code travel; a preliminary report changes nothing; a second final one is a correction."""
    hospital.order(0)
    hospital.images(60)
    preliminary = hospital.settle(heard(report_message(TO, "R0", at(500), CHILD, replace(REPORT, status="P")), 500))
    assert code_of(preliminary) == "AA"
    assert "ReportSigned" not in hospital.kinds()
    hospital.settle(heard(report_message(TO, "R1", at(600), CHILD, REPORT), 600))
    signed = hospital.last(ReportSigned)
    assert signed.subject == hospital.last(StudyCompleted).subject
    assert [(one.code.value, one.value) for one in signed.findings] == [("233604007", "present")]
    assert (signed.signer, signed.purpose, signed.signed_at) == ("reader-1", "", at(600))
    hospital.settle(heard(patient_update(TO, "A1", at(700), CHILD), 700))
    assert "patient-updated" not in [e.change for e in hospital.said if isinstance(e, OrderRecorded)]


@pytest.mark.parametrize("who", [CHILD, OTHER])
def test_a_report_about_nothing_known_of_that_patient_is_refused(hospital: Hospital, who: Patient) -> None:
    """No order and study at all, or those of another patient: AE, 204."""
    if who is OTHER:
        hospital.order(0)
    decision = hospital.settle(heard(report_message(TO, "R1", at(600), who, REPORT), 600))
    assert isinstance(decision, Reject)
    assert "204" in decision.reason


def test_an_update_is_one_event_per_open_case(hospital: Hospital) -> None:
    """Each open case of the patient hears of it once; a cancelled one does not."""
    for number in (1, 2, 3):
        hospital.order(
            number, placer=Identity(SITE, "EHR", f"PL-{number}"), filler=Identity(SITE, "RIS", f"FL-{number}"),
            accession=Identity(SITE, "", f"ACC-{number}"), study_uid=f"2.25.{number}",
        )
    hospital.order(
        9, code="CA", placer=Identity(SITE, "EHR", "PL-3"), filler=Identity(SITE, "RIS", "FL-3"),
        accession=Identity(SITE, "", "ACC-3"), study_uid="2.25.3",
    )
    before = len(hospital.said)
    hospital.settle(heard(patient_update(TO, "A1", at(90), replace(CHILD, family="Newname")), 90))
    updates = hospital.said[before:]
    assert len({event.subject for event in updates}) == len(updates) == 2
    assert all(isinstance(event, OrderRecorded) and event.patient.family == "Newname" for event in updates)


def test_a_backfilled_study_is_told_apart_from_live_work(hospital: Hospital) -> None:
    """It says study-backfilled with its purpose, joins no order, and its report carries the purpose."""
    hospital.order(0)
    hospital.images(60, purpose="acceptance")
    assert hospital.last(StudyBackfilled).purpose == "acceptance"
    assert hospital.last(StudyBackfilled).subject != hospital.last(OrderRecorded).subject
    hospital.settle(heard(report_message(TO, "R1", at(600), CHILD, REPORT), 600))
    assert hospital.last(ReportSigned).subject == hospital.last(StudyBackfilled).subject
    assert hospital.last(ReportSigned).purpose == "acceptance"
    assert hospital.last(ReportSigned).patient_key


def crowd(size: int) -> bytes:
    """Build an order whose patient has so many numbers."""
    who = replace(CHILD, identities=tuple(Identity(SITE, "HOSP", f"EX-{number}") for number in range(size)))
    return order_message(TO, "M1", at(0), who, ORDER)


@pytest.mark.parametrize(
    ("raw", "code", "reason"),
    [
        (order_message(replace(TO, processing_id="T"), "M1", at(0), CHILD, ORDER), "AR", "202"),
        (order_message(TO, "", at(0), CHILD, ORDER), "AE", "101"),
        (order_message(TO, "M1", at(0), CHILD, ORDER).replace(b"ORM^O01^ORM_O01", b"ZZZ^Z99"), "AR", "200"),
        (order_message(TO, "M1", at(0), CHILD, ORDER).partition(b"ORC")[0], "AE", "100"),
        (order_message(TO, "M1", at(0), CHILD, replace(ORDER, control_code="XO", accession=None, study_uid="")), "AE", "204"),
        (b"hello", "AR", "100"),
        (crowd(600), "AE", "207"),
        (crowd(2000), "AE", "102"),
    ],
    ids=["not this site's", "no id", "not taken", "no order", "not known", "no message", "too many locks", "too many to read"],
)
def test_a_bad_message_is_refused_and_changes_nothing(hospital: Hospital, raw: bytes, code: str, reason: str) -> None:
    """AE or AR with the condition; the reason names no patient; the next message is unharmed."""
    decision = hospital.settle(heard(raw, 0))
    assert isinstance(decision, Reject)
    assert code_of(decision) == code
    assert decision.reason.startswith(reason)
    assert "EX-0001" not in decision.reason
    assert code_of(hospital.order(1)) == "AA"


def test_a_known_control_id_with_other_content_is_taken_and_flagged(hospital: Hospital) -> None:
    """Senders' counters restart: the second message counts, and says that its id was used before."""
    hospital.settle(heard(order_message(TO, "M1", at(0), CHILD, ORDER), 0))
    changed = replace(ORDER, control_code="XO", priority="stat")
    decision = hospital.settle(heard(order_message(TO, "M1", at(9), CHILD, changed), 9))
    assert decision.answer.flagged  # type: ignore[attr-defined]
    assert hospital.last(OrderRecorded).order.priority == "stat"


def test_what_never_became_a_message_is_answered(hospital: Hospital) -> None:
    """A truncated frame with a readable header is answered AE to its control id."""
    raw = order_message(TO, "M7", at(0), CHILD, ORDER)[:80]
    broken = RefuseMessage(id="b", subject="b", site=SITE, at=at(0), actor=ENGINE, raw=raw, reason="truncated")
    decision = refuse_message(broken, hospital.chart, RULES)
    assert isinstance(decision, Reject)
    answer = read_answer(decision.answer.message, RULES.origin)  # type: ignore[attr-defined]
    assert (answer.code, answer.control_id) == ("AE", "M7")


def test_facts_without_issuer_have_the_sites_own(hospital: Hospital) -> None:
    """With the site's issuer set, images that name none agree with messages that do."""
    rules = replace(RULES, origin=Origin(SITE, "HOSP"))
    hospital.order(0)
    image = replace(stored(60), facts=facts(patient_issuer=""))
    decision = store_object(image, hospital.chart, rules)
    assert isinstance(decision, Record)
    assert decision.answer.case_id == hospital.last(OrderRecorded).subject  # type: ignore[attr-defined]


def test_only_an_earlier_study_falls_quiet_after_all_others() -> None:
    """Its timer yields; that of a live study does not, also where a backfill hands over one more of its objects."""
    earlier, live = Hospital(), Hospital()
    earlier.settle(stored(60, purpose="pool"))
    live.settle(stored(60))
    live.settle(stored(61, content="d" * 64, purpose="pool", sop_instance_uid="2.25.5002"))
    assert [one.bulk for one in earlier.timers] == [True]
    assert [one.bulk for one in live.timers] == [False, False]
