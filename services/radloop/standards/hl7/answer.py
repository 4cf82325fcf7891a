"""Answers: the ACK we give, and what the RIS says to an order of ours (ORR^O02)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from radloop.standards.hl7.er7 import CHARSETS, decode, escape, header_segment, lines_of, segments
from radloop.standards.hl7.errors import CONDITIONS, Hl7Error, Location
from radloop.standards.hl7.model import Header, Identity, Origin
from radloop.standards.hl7.values import identity
from radloop.standards.hl7.write import FIRST_WITH_TQ1, Interface, components, entity, header, message, segment

if TYPE_CHECKING:
    from datetime import datetime

AckCode = Literal["AA", "AE", "AR"]
"""HL7 table 0008, original mode: accepted, error, rejected."""

COMMIT_CODES: Final[dict[str, AckCode]] = {"CA": "AA", "CE": "AE", "CR": "AR"}
OUR_VERSION: Final = "2.5.1"


def acknowledge(
    received: Header | None,
    code: AckCode,
    message_id: str,
    at: datetime,
    error: Hl7Error | None = None,
) -> bytes:
    """ACK for a message: same version and character set as the sender's, MSA, and ERR where there is an error.

    Where not even MSH could be read (`received` is None) the answer names nobody and echoes no control id.
    """
    to = _back(received)
    trigger = received.trigger if received else ""
    lines = [header(to, ("ACK", trigger, "ACK"), message_id, at), _acceptance(received, code, error)]
    if error:
        lines.append(_error(to, error))
    return message(lines, to.charset)


def order_response(
    received: Header,
    accepted: bool,
    message_id: str,
    at: datetime,
    placer: Identity | None,
    filler: Identity | None,
    reason: str = "",
) -> bytes:
    """ORR^O02 as a RIS answers an XO: AA with XR (changed as requested) or UX (unable to change)."""
    to = _back(received)
    lines = [header(to, ("ORR", "O02", "ORR_O02"), message_id, at), _acceptance(received, "AA", None)]
    if reason:
        lines.append(segment("NTE", {1: "1", 2: "L", 3: escape(reason)}))
    numbers = {2: entity(placer), 3: entity(filler)}
    lines.append(segment("ORC", {1: "XR" if accepted else "UX", **numbers}))
    return message(lines, to.charset)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered: its code, the control id it answers, ORC-1 where it is an order response, its words."""

    code: AckCode
    control_id: str
    order_control: str
    filler: Identity | None
    text: str

    @property
    def changed(self) -> bool:
        """Whether the receiver says that it changed the order as requested (XR)."""
        return self.code == "AA" and self.order_control == "XR"

    @property
    def refused(self) -> bool:
        """Whether the receiver says that it is unable to change the order (UX, UA, UC)."""
        return self.code == "AA" and self.order_control in {"UX", "UA", "UC"}


def read_answer(raw: bytes, origin: Origin) -> Answer:
    """Read an ACK or ORR, enhanced mode's commit codes included. Raises Hl7Error where there is no MSA."""
    lines = lines_of(decode(raw))
    if not lines:
        raise Hl7Error("100", "the answer is empty")
    header_segment(lines[0])
    found = {s.name: s for s in reversed(segments(lines, frozenset({"MSA", "ORC", "ERR", "NTE"})))}
    msa, orc = found.get("MSA"), found.get("ORC")
    if msa is None:
        raise Hl7Error("100", "the answer has no MSA segment", Location("MSA"))
    code = msa.value(1).upper()
    known: AckCode | None = COMMIT_CODES.get(code)
    if code in {"AA", "AE", "AR"}:
        known = "AA" if code == "AA" else "AE" if code == "AE" else "AR"
    if known is None:
        raise Hl7Error("103", "the acknowledgement code is unknown", msa.at(1))
    said = ((msa, 3), (found.get("ERR"), 8), (found.get("NTE"), 3))
    texts = [one.value(position) for one, position in said if one]
    return Answer(
        code=known,
        control_id=msa.value(2),
        order_control=orc.value(1).upper() if orc else "",
        filler=identity(orc, 3, origin) if orc else None,
        text=" ".join(text for text in texts if text),
    )


def _back(received: Header | None) -> Interface:
    """The way back to the sender, in its version and character set."""
    if received is None:
        return Interface("", "", "", "", "P", OUR_VERSION)
    return Interface(
        sending_app=received.receiving_app,
        sending_facility=received.receiving_facility,
        receiving_app=received.sending_app,
        receiving_facility=received.sending_facility,
        processing_id=received.processing_id or "P",
        version=received.version if received.version.startswith("2") else OUR_VERSION,
        charset=received.charset if received.charset.upper() in CHARSETS else "",
    )


def _acceptance(received: Header | None, code: AckCode, error: Hl7Error | None) -> str:
    """MSA; MSA-3 says the error in words for senders that read no ERR."""
    echoed = escape(received.control_id) if received else ""
    return segment("MSA", {1: code, 2: echoed, 3: escape(str(error)) if error else ""})


def _error(to: Interface, error: Hl7Error) -> str:
    """ERR: since 2.5 location, code and severity have fields of their own; before, one field held them."""
    where = error.at
    field = str(where.field) if where.field else ""
    condition = components(error.code, CONDITIONS[error.code], "HL70357")
    if to.version and tuple(int(n) for n in to.version.split(".") if n.isdigit()) >= FIRST_WITH_TQ1:
        place = components(where.segment, str(where.occurrence), field)
        return segment("ERR", {2: place, 3: condition, 4: "E", 8: escape(error.reason)})
    coded = condition.replace("^", "&")
    return segment("ERR", {1: f"{where.segment}^{where.occurrence}^{field}^{coded}"})
