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
    warnings: tuple[Hl7Error, ...] = (),
) -> bytes:
    """ACK for a message: same version and character set as the sender's, MSA, and ERR where there is an error.

    Where not even MSH could be read (`received` is None) the answer names nobody and echoes no control id. `warnings` are
    said of a message that was taken: in ERR with severity W; before 2.5, where ERR has no severity, in MSA-3 alone.
    """
    to = _back(received)
    trigger = received.trigger if received else ""
    told = error or next(iter(warnings), None)
    lines = [header(to, ("ACK", trigger, "ACK"), message_id, at), _acceptance(received, code, told)]
    if error:
        lines.append(_error(to, error, "E"))
    elif _rates_errors(to):
        lines += [_error(to, one, "W") for one in warnings]
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
    """What a receiver answered: its code, the control id it answers, its words; and of an order response ORC-1 to ORC-3.

    `committed` marks enhanced mode's commit code: what the application says is still to come. `error` is what table 0357
    calls the code in ERR-3, empty where there is none.
    """

    code: AckCode
    control_id: str
    order_control: str
    placer: Identity | None
    filler: Identity | None
    text: str
    committed: bool = False
    error: str = ""

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
    first = {line[:3]: line for line in reversed(lines[1:])}  # one of each is read, however many there are
    found = {s.name: s for s in segments((lines[0], *first.values()), frozenset({"MSA", "ORC", "ERR", "NTE"}))}
    msa, orc = found.get("MSA"), found.get("ORC")
    if msa is None:
        raise Hl7Error("100", "the answer has no MSA segment", Location("MSA"))
    code = msa.value(1).upper()
    known: AckCode | None = COMMIT_CODES.get(code)
    if code in {"AA", "AE", "AR"}:
        known = "AA" if code == "AA" else "AE" if code == "AE" else "AR"
    if known is None:
        raise Hl7Error("103", "the acknowledgement code is unknown", msa.at(1))
    err = found.get("ERR")
    condition = err.value(3) if err else ""
    said = ((msa, 3), (err, 8), (found.get("NTE"), 3))
    texts = [one.value(position) for one, position in said if one]
    return Answer(
        code=known,
        control_id=msa.value(2),
        order_control=orc.value(1).upper() if orc else "",
        placer=identity(orc, 2, origin) if orc else None,
        filler=identity(orc, 3, origin) if orc else None,
        text=" ".join(text for text in texts if text),
        committed=code in COMMIT_CODES,
        error=next((text for code, text in CONDITIONS.items() if code == condition), ""),
    )


def is_about(said: Answer, asked: bytes, origin: Origin) -> bool:
    """Whether an answer is about the order of the message it answers: a number that both give agrees, or it gives none."""
    orc = next(iter(segments(lines_of(decode(asked)), frozenset({"ORC"}))), None)
    ours = (identity(orc, 2, origin), identity(orc, 3, origin)) if orc else (None, None)
    both = [(our.value, their.value) for our, their in zip(ours, (said.placer, said.filler), strict=True) if our and their]
    return not both or any(our == their for our, their in both)


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


def _error(to: Interface, error: Hl7Error, severity: Literal["E", "W"]) -> str:
    """ERR: since 2.5 location, code and severity (table 0516) have fields of their own; before, one field held them."""
    where = error.at
    field = str(where.field) if where.field else ""
    condition = components(error.code, CONDITIONS[error.code], "HL70357")
    if _rates_errors(to):
        place = components(where.segment, str(where.occurrence), field)
        return segment("ERR", {2: place, 3: condition, 4: severity, 8: escape(error.reason)})
    coded = condition.replace("^", "&")
    return segment("ERR", {1: f"{where.segment}^{where.occurrence}^{field}^{coded}"})


def _rates_errors(to: Interface) -> bool:
    """Whether this version's ERR says how severe an error is."""
    return bool(to.version) and tuple(int(n) for n in to.version.split(".") if n.isdigit()) >= FIRST_WITH_TQ1
