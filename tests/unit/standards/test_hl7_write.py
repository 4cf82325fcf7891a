"""Writing HL7 v2: what we send is valid to a parser that is not ours, and reads back as it was meant."""

from dataclasses import replace
from datetime import UTC, datetime

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from radloop.standards.hl7.answer import acknowledge, order_response, read_answer
from radloop.standards.hl7.errors import Hl7Error, Location
from radloop.standards.hl7.hospital import patient_merge, patient_update, report_message
from radloop.standards.hl7.model import (
    Code,
    CodedObservation,
    Header,
    Identity,
    Order,
    OrderMessage,
    Origin,
    Patient,
    PatientMessage,
    Report,
    ReportMessage,
)
from radloop.standards.hl7.outbound import priority_change
from radloop.standards.hl7.read import read, read_header
from radloop.standards.hl7.write import Interface, control_id, order_message

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORIGIN = Origin("site-1", issuer="HOSP")
TO = Interface("RIS", "GEN", "RADLOOP", "GEN")
PATIENT = Patient((Identity("site-1", "HOSP", "4711"),), "O|Neil^", "Äda", "2020-03-15", "F")
ORDER = Order(
    control="new",
    control_code="NW",
    placer=Identity("site-1", "RIS", "P1"),
    filler=Identity("site-1", "RIS", "F1"),
    accession=Identity("site-1", "", "ACC1"),
    priority="routine",
    procedure=Code("http://loinc.org", "36643-5", "XR Chest"),
    modality="DX",
    indication="cough & fever",
    status="active",
    study_uid="1.2.3",
    placed_at=AT,
)


def header(raw: bytes) -> Header:
    """The header of a message that has one."""
    found = read_header(raw, ORIGIN)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["ORM", "OMI"])
@pytest.mark.parametrize("version", ["2.3.1", "2.5.1", "2.8"])
def test_an_order_reads_back_as_it_was_written(kind: str, version: str) -> None:
    """Nothing is lost between our writer and our reader, in any version, whatever delimiters a name holds."""
    to = replace(TO, version=version)
    message = read(order_message(to, "M1", AT, PATIENT, ORDER, "OMI" if kind == "OMI" else "ORM"), ORIGIN)
    assert isinstance(message, OrderMessage)
    assert message.patient == PATIENT
    assert message.orders == (ORDER,)


def test_a_priority_change_says_it_in_three_places() -> None:
    """XO carries the new priority in TQ1-9, ORC-7.6 and OBR-27.6, both order numbers, and the reason in NTE."""
    raw = priority_change(TO, "case|priority|1", AT, PATIENT, ORDER, "asap", "AI: pneumonia 0.97")
    peer = hl7.parse(raw.decode())
    assert str(peer.segment("ORC")[1]) == "XO"
    assert (str(peer.segment("ORC")[2]), str(peer.segment("ORC")[3])) == ("P1^RIS", "F1^RIS")
    assert str(peer.segment("TQ1")[9]) == "A^ASAP^HL70485"
    assert str(peer["ORC.F7.R1.C6"]) == "A"
    assert str(peer["OBR.F27.R1.C6"]) == "A"
    assert str(peer.segment("NTE")[3]) == "AI: pneumonia 0.97"
    assert str(peer.segment("MSH")[10]) == control_id("case|priority|1")
    assert len(control_id("case|priority|1")) == 20
    assert raw == priority_change(TO, "case|priority|1", AT, PATIENT, ORDER, "asap", "AI: pneumonia 0.97")


def test_our_messages_are_valid_to_hl7apy() -> None:
    """The strict validation of hl7apy finds nothing wrong with reports, patient messages, orders and answers."""
    report = Report(
        ORDER.placer,
        ORDER.filler,
        ORDER.accession,
        "1.2.3",
        ORDER.procedure,
        "F",
        AT,
        "R7",
        (CodedObservation(Code("http://snomed.info/sct", "233604007", "Pneumonia"), "present"),),
        "Text.",
    )
    written = (
        report_message(TO, "M2", AT, PATIENT, report),
        patient_update(TO, "M3", AT, PATIENT),
        patient_merge(TO, "M4", AT, PATIENT, Identity("site-1", "HOSP", "OLD")),
        acknowledge(header(patient_update(TO, "M3", AT, PATIENT)), "AA", "A1", AT),
    )
    for raw in written:
        message = parse_message(raw.decode().strip(), VALIDATION_LEVEL.TOLERANT)
        assert message.validate() is True


def test_a_report_reads_back_as_it_was_written() -> None:
    """Status, signature, findings and text survive."""
    report = Report(
        ORDER.placer,
        ORDER.filler,
        ORDER.accession,
        "1.2.3",
        ORDER.procedure,
        "F",
        AT,
        "R7",
        (
            CodedObservation(Code("http://snomed.info/sct", "233604007", "Pneumonia"), "absent"),
            CodedObservation(Code("http://snomed.info/sct", "60046008", "Effusion"), "cannot-say"),
        ),
        "Two\nlines | and ^ more",
    )
    message = read(report_message(TO, "M2", AT, PATIENT, report), ORIGIN)
    assert isinstance(message, ReportMessage)
    assert message.reports == (report,)


def test_patient_messages_read_back() -> None:
    """An update retires nobody; a merge names whom."""
    update = read(patient_update(TO, "M3", AT, PATIENT), ORIGIN)
    merge = read(patient_merge(TO, "M4", AT, PATIENT, Identity("site-1", "HOSP", "OLD")), ORIGIN)
    assert isinstance(update, PatientMessage)
    assert isinstance(merge, PatientMessage)
    assert (update.updates[0].patient, update.updates[0].retired) == (PATIENT, ())
    assert merge.updates[0].retired == (Identity("site-1", "HOSP", "OLD"),)


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
def test_an_error_answer_says_code_and_place(version: str) -> None:
    """AE or AR carries the sender's version and control id, and ERR in the form of that version."""
    received = header(order_message(replace(TO, version=version), "M1", AT, PATIENT, ORDER))
    error = Hl7Error("101", "no patient identifier", Location("PID", 1, 3))
    raw = acknowledge(received, "AE", "A1", AT, error)
    peer = hl7.parse(raw.decode())
    assert str(peer.segment("MSH")[12]) == version
    assert (str(peer.segment("MSA")[1]), str(peer.segment("MSA")[2])) == ("AE", "M1")
    assert (str(peer.segment("MSH")[3]), str(peer.segment("MSH")[5])) == ("RADLOOP", "RIS")
    if version == "2.5.1":
        assert str(peer.segment("ERR")[2]) == "PID^1^3"
        assert str(peer.segment("ERR")[3]) == "101^Required field missing^HL70357"
    else:
        assert str(peer.segment("ERR")[1]) == "PID^1^3^101&Required field missing&HL70357"


def test_garbage_is_answered_too() -> None:
    """Bytes without MSH get AR without a control id."""
    answer = read_answer(acknowledge(None, "AR", "A1", AT, Hl7Error("100", "no MSH")), ORIGIN)
    assert (answer.code, answer.control_id) == ("AR", "")


def test_the_ris_says_changed_or_unable() -> None:
    """XR means changed, UX refused; a bare AA means neither."""
    received = header(priority_change(TO, "k", AT, PATIENT, ORDER, "asap", "why"))
    changed = read_answer(order_response(received, True, "A1", AT, ORDER.placer, ORDER.filler), ORIGIN)
    unable = read_answer(order_response(received, False, "A2", AT, ORDER.placer, ORDER.filler, "in progress"), ORIGIN)
    bare = read_answer(acknowledge(received, "AA", "A3", AT), ORIGIN)
    assert (changed.changed, changed.refused) == (True, False)
    assert (unable.changed, unable.refused, unable.text) == (False, True, "in progress")
    assert (bare.changed, bare.refused) == (False, False)
    assert changed.control_id == received.control_id
