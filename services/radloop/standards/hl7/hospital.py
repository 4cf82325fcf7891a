"""What a hospital tells us: patient updates, merges and reports, for simulated hospitals and tests.

Orders are in `write.order_message`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from radloop.standards.hl7.er7 import escape
from radloop.standards.hl7.write import (
    Interface,
    coded,
    components,
    entity,
    header,
    message,
    person,
    record_number,
    segment,
    stamp,
)

if TYPE_CHECKING:
    from datetime import datetime

    from radloop.standards.hl7.model import Identity, Patient, Presence, Report

ANSWERS: Final[dict[Presence, str]] = {
    "present": components("52101004", "Present", "SCT"),
    "absent": components("2667000", "Absent", "SCT"),
    "cannot-say": components("82334004", "Indeterminate", "SCT"),
}


def patient_update(to: Interface, message_id: str, at: datetime, patient: Patient) -> bytes:
    """ADT^A08: the patient's data as known now."""
    lines = (
        header(to, ("ADT", "A08", "ADT_A01"), message_id, at),
        segment("EVN", {1: "A08", 2: stamp(at)}),
        person(patient),
        segment("PV1", {1: "1", 2: "O"}),
    )
    return message(lines, to.charset)


def patient_merge(to: Interface, message_id: str, at: datetime, patient: Patient, retired: Identity) -> bytes:
    """ADT^A40: `retired` was the same person as `patient` all along."""
    lines = (
        header(to, ("ADT", "A40", "ADT_A39"), message_id, at),
        segment("EVN", {1: "A40", 2: stamp(at)}),
        person(patient),
        segment("MRG", {1: record_number(retired)}),
    )
    return message(lines, to.charset)


def report_message(to: Interface, message_id: str, at: datetime, patient: Patient, report: Report) -> bytes:
    """ORU^R01 with the report's text and its findings as coded OBX (SNOMED CT present or absent)."""
    lines = [
        header(to, ("ORU", "R01", "ORU_R01"), message_id, at),
        person(patient),
        segment(
            "OBR",
            {
                1: "1",
                2: entity(report.placer),
                3: entity(report.filler),
                4: coded(report.procedure),
                7: stamp(report.signed_at),
                18: escape(report.accession.value) if report.accession else "",
                22: stamp(report.signed_at),
                25: report.status,
                32: escape(report.signer),
            },
        ),
    ]
    results: list[tuple[str, str, str]] = []
    if report.study_uid:
        results.append(("ST", components("113014", "DICOM Study", "DCM"), escape(report.study_uid)))
    results += [("CWE", coded(said.code), ANSWERS[said.value]) for said in report.observations]
    if report.text:
        results.append(("TX", components("18748-4", "Diagnostic imaging report", "LN"), escape(report.text)))
    for number, (kind, what, value) in enumerate(results, start=1):
        lines.append(segment("OBX", {1: str(number), 2: kind, 3: what, 5: value, 11: report.status}))
    return message(lines, to.charset)
