"""Writing HL7 v2: the building blocks, and the order messages that we and a simulated hospital send.

The same arguments give the same bytes, so that a resend is recognisable as one.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from radloop.standards.hl7.er7 import CHARSETS, escape
from radloop.standards.hl7.values import SYSTEM_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from radloop.standards.hl7.model import Code, Identity, Order, Patient

CONTROL_ID_LENGTH: Final = 20
"""MSH-10 may have 20 characters up to HL7 v2.5.1, and 199 after."""

PRIORITY_CODES: Final = {
    "stat": ("S", "STAT"),
    "asap": ("A", "ASAP"),
    "routine": ("R", "Routine"),
}
"""Our classes to HL7 table 0485."""

FIRST_WITH_TQ1: Final = (2, 5)


@dataclass(frozen=True, slots=True)
class Interface:
    """Between whom messages go, and how: MSH-3 to MSH-6, MSH-11, MSH-12, MSH-18."""

    sending_app: str
    sending_facility: str
    receiving_app: str
    receiving_facility: str
    processing_id: str = "P"
    version: str = "2.5.1"
    charset: str = "UNICODE UTF-8"

    @property
    def has_tq1(self) -> bool:
        """Whether this version has TQ1 segments."""
        numbers = tuple(int(part) for part in self.version.split(".") if part.isdigit())
        return numbers >= FIRST_WITH_TQ1


def control_id(key: str) -> str:
    """MSH-10 for a delivery: 20 base32 characters (100 bits) of the SHA-256 of its key."""
    digest = hashlib.sha256(key.encode()).digest()
    return base64.b32encode(digest).decode("ascii")[:CONTROL_ID_LENGTH]


def stamp(at: datetime | None) -> str:
    """An instant as TS with offset; empty for None."""
    return at.strftime("%Y%m%d%H%M%S%z") if at else ""


def components(*parts: str) -> str:
    """Escaped components, trailing empty ones left out."""
    return "^".join(escape(part) for part in parts).rstrip("^")


def entity(identity: Identity | None) -> str:
    """An EI field."""
    return components(identity.value, identity.issuer) if identity else ""


def coded(code: Code) -> str:
    """A CE or CWE field."""
    return components(code.value, code.display, SYSTEM_NAMES.get(code.system, code.system))


def record_number(identity: Identity) -> str:
    """A CX field that names a medical record number."""
    return components(identity.value, "", "", identity.issuer, "MR")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment from its ready-made (escaped) fields by position; positions left out are empty."""
    last = max((position for position, text in fields.items() if text), default=0)
    return "|".join((name, *(fields.get(position, "") for position in range(1, last + 1))))


def header(to: Interface, kind: tuple[str, str, str], message_id: str, at: datetime) -> str:
    """MSH; `kind` is message type, trigger event and structure."""
    old = not to.has_tq1 and to.version < "2.3.1"
    return "|".join(
        (
            "MSH",
            "^~\\&",
            escape(to.sending_app),
            escape(to.sending_facility),
            escape(to.receiving_app),
            escape(to.receiving_facility),
            stamp(at),
            "",
            components(*(kind[:2] if old else kind)),
            escape(message_id),
            to.processing_id,
            to.version,
            *([""] * 5),
            to.charset,
        ),
    ).rstrip("|")


def person(patient: Patient) -> str:
    """PID."""
    return segment(
        "PID",
        {
            1: "1",
            3: "~".join(record_number(identity) for identity in patient.identities),
            5: components(patient.family, patient.given),
            7: patient.birth_date.replace("-", ""),
            8: patient.sex,
        },
    )


def message(lines: Iterable[str], charset: str = "UNICODE UTF-8") -> bytes:
    """Segments as bytes, each ended by CR; what the set cannot say becomes a question mark."""
    codec = CHARSETS.get(charset.upper(), "utf-8")
    return "".join(line + "\r" for line in lines).encode(codec, "replace")


def order_message(
    to: Interface,
    message_id: str,
    at: datetime,
    patient: Patient,
    order: Order,
    kind: Literal["ORM", "OMI"] = "ORM",
    reason: str = "",
) -> bytes:
    """ORM^O01 (with ZDS) or OMI^O23 (with IPC) for one order; `order.control_code` is ORC-1.

    ORC-5 is empty for an active order: whether it is scheduled or in process is more than we know.
    """
    word, text = PRIORITY_CODES.get(order.priority, ("", ""))
    quantity = f"1^^^^^{word}" if word else ""
    status = {"completed": "CM", "cancelled": "CA"}.get(order.status, "")
    numbers = {2: entity(order.placer), 3: entity(order.filler)}
    orc = {1: order.control_code, **numbers, 5: status, 7: quantity, 9: stamp(order.placed_at)}
    accession = escape(order.accession.value) if order.accession else ""
    obr = {
        1: "1",
        **numbers,
        4: coded(order.procedure),
        18: accession if kind == "ORM" else "",
        24: escape(order.modality) if kind == "ORM" else "",
        27: quantity,
        31: components("", order.indication),
    }
    lines = [
        header(to, ("ORM", "O01", "ORM_O01") if kind == "ORM" else ("OMI", "O23", "OMI_O23"), message_id, at),
        person(patient),
        segment("ORC", orc),
    ]
    if to.has_tq1 and word:
        lines.append(segment("TQ1", {1: "1", 9: components(word, text, "HL70485")}))
    lines.append(segment("OBR", obr))
    if reason:
        lines.append(segment("NTE", {1: "1", 2: "O", 3: escape(reason)}))
    if kind == "OMI":
        uid = components(order.study_uid, "", order.study_uid, "ISO") if order.study_uid else ""
        requested = order.filler or order.placer
        procedure = escape(requested.value) if requested else ""
        lines.append(
            segment("IPC", {1: entity(order.accession), 2: procedure, 3: uid, 4: procedure, 5: escape(order.modality)}),
        )
    elif order.study_uid:
        lines.append(segment("ZDS", {1: components(order.study_uid, "", "Application", "DICOM")}))
    return message(lines, to.charset)
