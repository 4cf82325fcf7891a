"""Values as fields hold them: identities, codes, timestamps, persons, priorities."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from radloop.standards.hl7.errors import Hl7Error
from radloop.standards.hl7.model import Code, Identity, Origin, Patient, Priority

if TYPE_CHECKING:
    from radloop.standards.hl7.er7 import Segment

TIMESTAMP: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,4}))?)?)?)?)?)?([+-]\d{4})?",
)

PRIORITIES: Final[dict[str, Priority]] = {
    "S": "stat",
    "STAT": "stat",
    "EM": "stat",
    "EMERGENCY": "stat",
    "A": "asap",
    "ASAP": "asap",
    "UR": "asap",
    "URGENT": "asap",
    "RR": "asap",
    "T": "asap",
    "R": "routine",
    "ROUTINE": "routine",
    "NORMAL": "routine",
    "EL": "routine",
    "ELECTIVE": "routine",
    "P": "routine",
    "PREOP": "routine",
    "C": "routine",
    "PRN": "routine",
}
"""HL7 table 0485 (and the words, and the codes of HL7 v3, that senders write instead) to the three classes. Pre-op, callback
and as needed say when the examination is wanted, not how soon it must be read; where timing is critical the reading is too."""

TIMED: Final = re.compile(r"T([SMHDWL])\d+")
"""Table 0485 too: timing critical within so many seconds, minutes, hours, days, weeks or months."""

SOON: Final = frozenset("SMH")
UNKNOWN: Final[Priority] = "asap"
"""How a priority is taken that nobody defined: not as routine, for it may mean more, and never as a STAT that nobody asked for."""

URGENCY: Final[tuple[Priority, ...]] = ("stat", "asap", "routine")

SYSTEM_URIS: Final = {
    "SCT": "http://snomed.info/sct",
    "SNOMED-CT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "LOINC": "http://loinc.org",
    "RADLEX": "http://radlex.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "C4": "http://www.ama-assn.org/go/cpt",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "HL70078": "http://terminology.hl7.org/CodeSystem/v2-0078",
    "HL70136": "http://terminology.hl7.org/CodeSystem/v2-0136",
}
"""HL7 table 0396 (and what senders write instead) to the URI of the system; any other name stays as it is."""

SYSTEM_NAMES: Final = {
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LN",
    "http://radlex.org": "RadLex",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
    "http://www.ama-assn.org/go/cpt": "C4",
    "http://hl7.org/fhir/sid/icd-10": "I10",
}
"""The way back, for writing."""

NOT_A_RECORD_NUMBER: Final = frozenset({"SS", "DL", "PPN", "AN", "VN", "BC", "MC", "MCN", "HC", "PN"})
"""Identifier types of table 0203 that name an account, an insurance or a document instead of a patient record."""

RECORD_NUMBERS: Final = ("MR", "PI", "PT", "")

SEXES: Final = frozenset("MFO")


def timestamp(segment: Segment, position: int, origin: Origin) -> datetime | None:
    """A TS or DTM field as an instant; None where it is empty, vaguer than a day, or no timestamp at all.

    A clock that writes nonsense must not keep an order out.
    """
    match = TIMESTAMP.fullmatch(segment.value(position))
    if not match or not match[3]:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups(default="0")
    try:
        zone = _zone(offset) if match[8] else origin.zone
        microsecond = int(fraction.ljust(6, "0"))
        return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, tzinfo=zone)
    except ValueError:
        return None


def _zone(offset: str) -> timezone:
    """The zone that `+HHMM` or `-HHMM` names. Raises ValueError beyond a day."""
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    return timezone(-ahead if offset[0] == "-" else ahead)


def identity(segment: Segment, position: int, origin: Origin) -> Identity | None:
    """An EI field (number^namespace^universal id): placer, filler, accession; None where empty.

    Its issuer stays empty where the message names none: the authority of patient IDs does not number orders.
    """
    value = segment.value(position)
    if not value:
        return None
    issuer = segment.value(position, 2) or segment.value(position, 3)
    return Identity(origin.site, issuer, value)


def patient_identities(segment: Segment, position: int, origin: Origin) -> tuple[Identity, ...]:
    """A repeating CX field as identities, medical record numbers first, other patient identifiers after."""
    ranked: list[tuple[int, Identity]] = []
    for raw in segment.repetitions(position):
        value, kind = segment.part(raw, 1), segment.part(raw, 5)
        if not value or kind in NOT_A_RECORD_NUMBER:
            continue
        issuer = segment.part(raw, 4) or segment.part(raw, 4, 2) or origin.issuer
        rank = RECORD_NUMBERS.index(kind) if kind in RECORD_NUMBERS else len(RECORD_NUMBERS)
        ranked.append((rank, Identity(origin.site, issuer, value)))
    ranked.sort(key=lambda pair: pair[0])
    return tuple(dict.fromkeys(identity for _, identity in ranked))


def patient(segment: Segment, origin: Origin) -> Patient:
    """PID as a patient. Raises Hl7Error where PID-3 (or PID-2, as before 2.3) names nobody."""
    identities = patient_identities(segment, 3, origin) or patient_identities(segment, 2, origin)
    if not identities:
        raise Hl7Error("101", "no patient identifier", segment.at(3))
    birth = segment.value(7)
    sex = segment.value(8).upper()
    known = re.match(r"(\d{4})(\d{2})(\d{2})", birth)
    return Patient(
        identities=identities,
        family=segment.value(5, 1),
        given=segment.value(5, 2),
        birth_date="-".join(known.groups()) if known else "",
        sex=sex if sex in SEXES else "",
    )


def code(segment: Segment, position: int) -> Code:
    """A CE or CWE field; where its first triplet has no code the alternate one is taken."""
    for value, display, system in ((1, 2, 3), (4, 5, 6)):
        if segment.value(position, value):
            name = segment.value(position, system)
            uri = SYSTEM_URIS.get(name.upper(), name)
            return Code(uri, segment.value(position, value), segment.value(position, display))
    return Code("", "", segment.value(position, 2))


def priority(text: str, own: tuple[tuple[str, Priority], ...] = ()) -> Priority:
    """A priority code or word as one of the three classes; empty where unsaid or unknown. `own` are the site's codes."""
    word = text.strip().upper()
    timed = TIMED.fullmatch(word)
    if timed and word not in dict(own):
        return "asap" if timed[1] in SOON else "routine"
    return {**PRIORITIES, **dict(own)}.get(word, "")


def more_urgent(one: Priority, other: Priority) -> Priority:
    """The more urgent of two classes; unsaid is none."""
    return min(one, other, key=lambda it: URGENCY.index(it) if it else len(URGENCY))
