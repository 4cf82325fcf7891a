"""From bytes to a message of ours, or to the error that answers it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from radloop.standards.hl7.er7 import Segment, decode, header_segment, lines_of, segments
from radloop.standards.hl7.errors import Hl7Error, Location
from radloop.standards.hl7.model import Header, Message, Origin, PatientMessage, PatientUpdate
from radloop.standards.hl7.orders import ORDER_SEGMENTS, orders
from radloop.standards.hl7.reports import REPORT_SEGMENTS, reports
from radloop.standards.hl7.values import patient, patient_identities, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = re.compile(r"2(\.\d+){0,3}")
MERGES: Final = frozenset({"A40", "A47"})
UPDATES: Final = frozenset({"A08", "A31"})


def read(raw: bytes, origin: Origin) -> Message:
    """Read ORM^O01, OMI^O23, ADT^A08/A31/A40/A47 or ORU^R01. Raises Hl7Error, and nothing else, for any bytes."""
    lines = lines_of(decode(raw))
    msh = _msh(lines)
    header = _header(msh, origin)
    _check(header)
    reader = READERS.get(header.message_type)
    if reader is None:
        raise Hl7Error("200", "this message type is not taken here", Location("MSH", 1, 9))
    return reader(header, lines, origin)


def read_header(raw: bytes, origin: Origin) -> Header | None:
    """MSH as far as it can be read, unchecked, so that even a bad message is answered; None where there is none."""
    try:
        return _header(_msh(lines_of(decode(raw))), origin)
    except Hl7Error:
        pass
    try:
        return _header(_msh(lines_of(raw.decode("ascii", "replace").lstrip("\ufffd").lstrip())), origin)
    except Hl7Error:
        return None


def _msh(lines: tuple[str, ...]) -> Segment:
    """The first line as MSH. Raises Hl7Error."""
    if not lines:
        raise Hl7Error("100", "the message is empty")
    return header_segment(lines[0])


def _header(msh: Segment, origin: Origin) -> Header:
    """MSH's fields as they stand, unchecked."""
    return Header(
        sending_app=msh.value(3),
        sending_facility=msh.value(4),
        receiving_app=msh.value(5),
        receiving_facility=msh.value(6),
        control_id=msh.value(10),
        processing_id=msh.value(11).upper(),
        message_type=msh.value(9, 1).upper(),
        trigger=msh.value(9, 2).upper(),
        version=msh.value(12),
        charset=(msh.repetitions(18) or ("",))[0].strip(),
        at=timestamp(msh, 7, origin),
    )


def _check(header: Header) -> None:
    """Refuse what cannot be answered for: no type, no control id, no or another version. Raises Hl7Error."""
    if not header.message_type:
        raise Hl7Error("101", "no message type", Location("MSH", 1, 9))
    if not header.control_id:
        raise Hl7Error("101", "no message control id", Location("MSH", 1, 10))
    if not header.processing_id:
        raise Hl7Error("101", "no processing id", Location("MSH", 1, 11))
    if not VERSION.fullmatch(header.version):
        raise Hl7Error("203", "the version is not one of HL7 v2", Location("MSH", 1, 12))


def _event(header: Header, taken: frozenset[str]) -> None:
    """Refuse an event that is not taken; a missing one (before 2.2 some left it out) counts too. Raises Hl7Error."""
    if header.trigger not in taken:
        raise Hl7Error("201", "this event is not taken here", Location("MSH", 1, 9))


def _order_message(event: str) -> Callable[[Header, tuple[str, ...], Origin], Message]:
    """A reader of order messages with that trigger event."""

    def read_orders(header: Header, lines: tuple[str, ...], origin: Origin) -> Message:
        _event(header, frozenset({event}))
        return orders(header, segments(lines, ORDER_SEGMENTS), origin)

    return read_orders


def _patient_message(header: Header, lines: tuple[str, ...], origin: Origin) -> PatientMessage:
    """ADT: one update per PID; its MRG says which identities it retires. Raises Hl7Error."""
    _event(header, MERGES | UPDATES)
    updates: list[PatientUpdate] = []
    for found in segments(lines, frozenset({"PID", "MRG"})):
        if found.name == "PID":
            updates.append(PatientUpdate(patient(found, origin)))
        elif updates:
            retired = patient_identities(found, 1, origin)
            updates[-1] = PatientUpdate(updates[-1].patient, retired)
    if not updates:
        raise Hl7Error("100", "no PID segment", Location("PID"))
    if header.trigger in MERGES and not all(update.retired for update in updates):
        raise Hl7Error("101", "a merge names no prior patient identifier", Location("MRG", 1, 1))
    return PatientMessage(header, tuple(updates))


def _report_message(header: Header, lines: tuple[str, ...], origin: Origin) -> Message:
    """ORU^R01. Raises Hl7Error."""
    _event(header, frozenset({"R01"}))
    return reports(header, segments(lines, REPORT_SEGMENTS), origin)


READERS: Final[dict[str, Callable[[Header, tuple[str, ...], Origin], Message]]] = {
    "ORM": _order_message("O01"),
    "OMI": _order_message("O23"),
    "ADT": _patient_message,
    "ORU": _report_message,
}
"""The contents page: message type (MSH-9.1) to its reader."""
