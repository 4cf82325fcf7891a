"""What the messages we take say, as plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal

from radloop.standards.hl7.errors import Location

Priority = Literal["stat", "asap", "routine", ""]
"""The clinician's own priority; empty where the message does not say."""

Control = Literal["new", "changed", "cancelled"]
"""What an order message does to its order."""

Status = Literal["active", "completed", "cancelled"]
"""Where an order stands."""

Presence = Literal["present", "absent", "cannot-say"]
"""What a coded observation says of its finding."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose messages these are: what a message leaves unsaid is filled in from here.

    `issuer` is the assigning authority of patient IDs that name none; `zone` is the site's time
    zone, for timestamps without an offset; `priorities` are the site's own priority codes, in capitals.
    """

    site: str
    issuer: str = ""
    zone: tzinfo = UTC
    priorities: tuple[tuple[str, Priority], ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """An identifier that means something only with its site and issuer. PHI."""

    site: str
    issuer: str
    value: str


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: coding system as a URI (as FHIR names it; a local name stays as it is), value, display."""

    system: str
    value: str
    display: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """MSH, as far as anyone asks: who sent it, under which id, what it is, in which version, when."""

    sending_app: str
    sending_facility: str
    receiving_app: str
    receiving_facility: str
    control_id: str
    processing_id: str
    message_type: str
    trigger: str
    version: str
    charset: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Patient:
    """PID: the patient's identities (the first one is the patient's own at this site), name, birth date, sex. PHI."""

    identities: tuple[Identity, ...]
    family: str = ""
    given: str = ""
    birth_date: str = ""
    sex: str = ""

    @property
    def id(self) -> Identity:
        """The identity by which this site knows the patient: the first medical record number, else the first."""
        return self.identities[0]


@dataclass(frozen=True, slots=True)
class Order:
    """One order of an order message: ORC with its OBR, TQ1, IPC or ZDS.

    `undefined` is the place of a priority that neither the standard nor the site defines, taken as ASAP; `actor` is who
    did it (ORC-19).
    """

    control: Control
    control_code: str
    placer: Identity | None
    filler: Identity | None
    accession: Identity | None
    priority: Priority
    procedure: Code
    modality: str
    indication: str
    status: Status
    study_uid: str
    placed_at: datetime | None
    undefined: Location | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """ORM^O01 or OMI^O23: orders placed, changed or cancelled for one patient."""

    header: Header
    patient: Patient
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class PatientUpdate:
    """The patient as known now, and the identities that this message retires (MRG-1), none for a mere update."""

    patient: Patient
    retired: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class PatientMessage:
    """ADT^A08 (or A31): data updated; ADT^A40 (or A47): identities merged."""

    header: Header
    updates: tuple[PatientUpdate, ...]


@dataclass(frozen=True, slots=True)
class CodedObservation:
    """A finding that a report states in code."""

    code: Code
    value: Presence


@dataclass(frozen=True, slots=True)
class Report:
    """One OBR of a result message, with its coded observations and its text."""

    placer: Identity | None
    filler: Identity | None
    accession: Identity | None
    study_uid: str
    procedure: Code
    status: str
    signed_at: datetime | None
    signer: str
    observations: tuple[CodedObservation, ...] = ()
    text: str = ""

    @property
    def final(self) -> bool:
        """Whether OBR-25 says final (F) or corrected after final (C); table 0123."""
        return self.status in FINAL_STATUSES


FINAL_STATUSES: Final = frozenset({"F", "C"})


@dataclass(frozen=True, slots=True)
class ReportMessage:
    """ORU^R01: reports of one patient."""

    header: Header
    patient: Patient
    reports: tuple[Report, ...] = field(default=())


Message = OrderMessage | PatientMessage | ReportMessage
"""What reading a message of ours yields."""
