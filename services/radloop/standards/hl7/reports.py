"""ORU^R01: reports, their status and signature, and the findings that they state in code."""

from __future__ import annotations

from typing import Final

from radloop.standards.hl7.er7 import Segment
from radloop.standards.hl7.errors import Hl7Error, Location
from radloop.standards.hl7.model import CodedObservation, Header, Origin, Presence, Report, ReportMessage
from radloop.standards.hl7.values import code, identity, patient, timestamp

REPORT_SEGMENTS: Final = frozenset({"PID", "ORC", "OBR", "OBX", "ZDS", "IPC"})

SNOMED: Final = "http://snomed.info/sct"
LOINC: Final = "http://loinc.org"
YES_NO: Final = "http://terminology.hl7.org/CodeSystem/v2-0136"
INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v2-0078"

PRESENCE: Final[dict[tuple[str, str], Presence]] = {
    (SNOMED, "52101004"): "present",
    (SNOMED, "2667000"): "absent",
    (SNOMED, "10828004"): "present",
    (SNOMED, "260385009"): "absent",
    (SNOMED, "82334004"): "cannot-say",
    (LOINC, "LA9633-4"): "present",
    (LOINC, "LA9634-2"): "absent",
    (YES_NO, "Y"): "present",
    (YES_NO, "N"): "absent",
    (INTERPRETATION, "POS"): "present",
    (INTERPRETATION, "NEG"): "absent",
    (INTERPRETATION, "IND"): "cannot-say",
}
"""How OBX-5 says that the finding in OBX-3 is there or not: SNOMED CT present / absent / positive / negative /
indeterminate, LOINC answers, HL7 yes/no and interpretation codes."""

CODED: Final = frozenset({"CE", "CWE", "CNE", "CF"})
TEXTUAL: Final = frozenset({"TX", "FT", "ST"})
STUDY_UID: Final = frozenset({"113014", "110180"})
"""DCM codes of an OBX that carries the Study Instance UID (IHE SINR, DICOM TID 1600)."""


def reports(header: Header, found: tuple[Segment, ...], origin: Origin) -> ReportMessage:
    """Read one patient's reports. Raises Hl7Error."""
    people = [s for s in found if s.name == "PID"]
    if not people:
        raise Hl7Error("100", "no PID segment", Location("PID"))
    if len(people) > 1:
        raise Hl7Error("100", "more than one PID segment", people[1].at())
    groups: list[list[Segment]] = []
    before: list[Segment] = []
    for one in found:
        if one.name == "OBR":
            groups.append([*before, one])
            before = []
        elif one.name == "ORC":
            before = [one]
        elif groups and one.name != "PID":
            groups[-1].append(one)
    if not groups:
        raise Hl7Error("100", "no OBR segment", Location("OBR"))
    return ReportMessage(header, patient(people[0], origin), tuple(_report(group, origin) for group in groups))


def _report(group: list[Segment], origin: Origin) -> Report:
    """One report. Raises Hl7Error where OBR-25 is missing: without it nobody knows whether it is final."""
    obr = next(s for s in group if s.name == "OBR")
    orc = next((s for s in group if s.name == "ORC"), None)
    results = [s for s in group if s.name == "OBX"]
    status = obr.value(25).upper()
    if not status:
        raise Hl7Error("101", "no result status", obr.at(25))
    places = [(s, position) for s in group for name, position in (("IPC", 1),) if s.name == name]
    places += [(obr, 18), (obr, 20)]
    accession = next((a for a in (identity(s, p, origin) for s, p in places) if a), None)
    return Report(
        placer=identity(obr, 2, origin) or (identity(orc, 2, origin) if orc else None),
        filler=identity(obr, 3, origin) or (identity(orc, 3, origin) if orc else None),
        accession=accession,
        study_uid=_study_uid(group, results),
        procedure=code(obr, 4),
        status=status,
        signed_at=timestamp(obr, 22, origin),
        signer=obr.value(32, 1, 1) or obr.value(32, 1, 2),
        observations=tuple(o for o in (_observation(s) for s in results) if o),
        text="\n".join(s.value(5) for s in results if s.value(2) in TEXTUAL and s.value(3) not in STUDY_UID),
    )


def _study_uid(group: list[Segment], results: list[Segment]) -> str:
    """ZDS-1, IPC-3 or the OBX that carries the study's UID; the last of those, as the current study comes last."""
    for one in group:
        if one.name == "ZDS" and one.value(1):
            return one.value(1)
        if one.name == "IPC" and one.value(3):
            return one.value(3)
    said = [s.value(5) for s in results if s.value(3) in STUDY_UID]
    return said[-1] if said else ""


def _observation(obx: Segment) -> CodedObservation | None:
    """A coded OBX whose value says present, absent or cannot say; None for any other, also for one withdrawn (D, W)."""
    if obx.value(2) not in CODED or obx.value(11).upper() in {"D", "W", "X"}:
        return None
    finding, answer = code(obx, 3), code(obx, 5)
    value = PRESENCE.get((answer.system, answer.value.upper()))
    return CodedObservation(finding, value) if value and finding.value else None
