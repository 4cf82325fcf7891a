"""Ingestion, told as a story: a message or an object comes to the door, becomes part of a chart, and is answered.

What cannot be taken is answered with its reason and kept in quarantine; it never stands in the way of the next.
"""

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from radloop.events.report import ReportSigned
from radloop.ingestion.domain import keys, ordering, patients, reporting, storing
from radloop.ingestion.domain.chart import Chart
from radloop.ingestion.domain.files import Heard
from radloop.ingestion.domain.joining import part, settle
from radloop.ingestion.domain.people import pseudonym
from radloop.ingestion.domain.rules import Rules
from radloop.ingestion.domain.telling import Told, tell
from radloop.kit.flow import At, Command, Decision, Due, Record, Reject, Route, Skip, caused_by, on, on_timer
from radloop.standards.dicom.header import InstanceFacts
from radloop.standards.hl7 import model as hl7
from radloop.standards.hl7.answer import acknowledge
from radloop.standards.hl7.errors import Hl7Error, Location
from radloop.standards.hl7.read import read, read_header
from radloop.standards.hl7.write import control_id

SUCCESS = 0x0000
EMPTY = Chart(salt="")

UNDEFINED = "the priority is neither in HL7 table 0485 nor among this site's own: the order is taken as ASAP at least"

understood = lru_cache(maxsize=16)(read)
"""A message is read for its keys and again for its handler; reading is pure, so the second time costs nothing.

Twice as many as are worked on at once, and no more: a message may have megabytes.
"""


@dataclass(frozen=True, kw_only=True)
class TakeMessage(Command):
    """An HL7 v2 message as it came. Its id is made of MSH-3, MSH-4, MSH-10 and a digest of its bytes."""

    raw: bytes


@dataclass(frozen=True, kw_only=True)
class RefuseMessage(Command):
    """Bytes at the HL7 door that never became a message."""

    raw: bytes
    reason: str


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """The answer to a message, byte for byte; `flagged` where its control id came with other content before.

    `undefined` are the places of priorities that nobody defined.
    """

    message: bytes
    flagged: bool = False
    undefined: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StoreObject(Command):
    """A DICOM object whose file lies in the blobs; `purpose` is set for an earlier study.

    Its id is made of SOP Instance UID and the SHA-256 of the dataset.
    """

    facts: InstanceFacts
    file: storing.File
    purpose: str = ""


@dataclass(frozen=True, kw_only=True)
class RefuseObject(Command):
    """Bytes at the DICOM door that are no object; they lie in the blobs."""

    sha256: str
    size: int
    status: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The answer to an object: the DICOM status, the case it is part of, and the reason where it was refused."""

    status: int
    case_id: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class UndoJoin(Command):
    """A human says that the orders of this case are not its study's; `subject` is the case."""


@dataclass(frozen=True, kw_only=True)
class Undone:
    """The answer to UndoJoin: 'undone', or why there was nothing to undo."""

    outcome: str


def take_message(command: TakeMessage, chart: Chart | None, rules: Rules) -> Decision[Chart]:
    """AA and all that follows from the message, or AE or AR with the reason and nothing else."""
    header = read_header(command.raw, rules.origin)
    try:
        message = _ours(command.raw, rules)
        chart, flagged = _heard(command, chart or EMPTY, message.header)
        told = _follow(command, chart, message, rules)
    except Hl7Error as error:
        return _refused(command, header, error)
    warnings = tuple(Hl7Error("103", UNDEFINED, place) for place in _undefined(message))
    answer = acknowledge(header, "AA", control_id(command.id), command.at, warnings=warnings)
    undefined = tuple(str(one.at) for one in warnings)
    return Record(told.chart, emit=told.events, answer=Acknowledged(message=answer, flagged=flagged, undefined=undefined))


def refuse_message(command: RefuseMessage, chart: Chart | None, rules: Rules) -> Decision[Chart]:  # noqa: ARG001 - a route's shape
    """What never became a message is answered as well as can be."""
    header = read_header(command.raw, rules.origin)
    return _refused(command, header, Hl7Error("207", f"the message is {command.reason}"))


def store_object(command: StoreObject, chart: Chart | None, rules: Rules) -> Decision[Chart]:
    """An object becomes part of its study; an acquired image starts the study's quiet period anew."""
    before = chart or EMPTY
    facts = command.facts
    refusal = storing.why_refused(before, facts, command.file.content, rules)
    if refusal:
        return Reject(refusal.reason, answer=Stored(status=refusal.status, reason=refusal.reason))
    known = before.study(facts.study_uid)
    if any(one.sop_instance_uid == facts.sop_instance_uid for one in before.objects) and known:
        return Skip("this object is stored already", answer=Stored(status=SUCCESS, case_id=known.case_id))
    after = storing.stored(before, facts, command.file, command.purpose, command.at, rules)
    after, joins = settle(after, partial(_mint, command))
    told = tell(command, before, after, (), joins, "changed")
    study = told.chart.study(facts.study_uid)
    quiet = At(command.at + rules.quiet, "quiet", keys.of_study(facts.study_uid), bulk=bool(study and study.purpose))
    return Record(
        told.chart, emit=told.events, timers=(quiet,) if facts.is_acquired_image else (),
        answer=Stored(status=SUCCESS, case_id=study.case_id if study else ""),
    )


def refuse_object(command: RefuseObject, chart: Chart | None) -> Decision[Chart]:  # noqa: ARG001 - a route's shape
    """What is no object is kept by its reference, with its reason."""
    return Reject(command.reason, answer=Stored(status=command.status, reason=command.reason))


def complete(timer: Due, chart: Chart | None) -> Decision[Chart]:
    """The study has been quiet for long enough: its images are all here, unless nothing came since it was said last."""
    chart = chart or EMPTY
    study = next((one for one in chart.studies if keys.of_study(one.study_uid) == timer.subject), None)
    said = storing.completed(timer, chart, study) if study else None
    if said is None:
        return Skip("no acquired image since it was said last")
    now, event = said
    return Record(chart.with_study(now), emit=(event,))


def undo_join(command: UndoJoin, chart: Chart | None) -> Decision[Chart]:
    """The orders get a case of their own again, and never join this study by themselves."""
    before = chart or EMPTY
    study, orders = before.study_of(command.subject), before.orders_of(command.subject)
    if study is None or not orders:
        return Skip("nothing to undo", answer=Undone(outcome="this case has no order joined to a study"))
    apart = tuple(replace(one, apart=(*one.apart, study.study_uid)) for one in orders)
    after = before
    for order in apart:
        after = after.with_order(order)
    after, join = part(after, study, apart, partial(_mint, command))
    told = tell(command, before, after, (), (join,), "changed")
    return Record(told.chart, emit=told.events, answer=Undone(outcome="undone"))


def _ours(raw: bytes, rules: Rules) -> hl7.Message:
    """The message, if it can be read and is meant for this site; raise Hl7Error where not."""
    message = understood(raw, rules.origin)
    if message.header.processing_id != rules.processing_id:
        raise Hl7Error("202", "this processing id is not this site's", Location("MSH", 1, 11))
    if len(keys.of_message(message)) > keys.MOST:
        raise Hl7Error("207", f"the message names more than {keys.MOST} patients, orders and studies: send it in parts")
    return message


def _undefined(message: hl7.Message) -> tuple[Location, ...]:
    """Where a priority stands that nobody defined: an order is never lost for that, and it is never passed over in silence."""
    orders = message.orders if isinstance(message, hl7.OrderMessage) else ()
    return tuple(one.undefined for one in orders if one.undefined)


def _follow(command: TakeMessage, chart: Chart, message: hl7.Message, rules: Rules) -> Told:
    """What follows from a message of each kind; raise Hl7Error where it cannot be taken."""
    match message:
        case hl7.OrderMessage():
            after, touched = ordering.take(chart, message, command.at, partial(_mint, command), rules.own_names)
            after, joins = settle(after, partial(_mint, command))
            return tell(command, chart, after, _cases(after, touched), joins, "changed")
        case hl7.PatientMessage():
            after, touched = patients.take(chart, message)
            open_ones = {one.order_id for one in after.orders if one.order_id in touched and _open(after, one.case_id)}
            after, joins = settle(after, partial(_mint, command))
            merged = any(update.retired for update in message.updates)
            concerned = _cases(after, open_ones) | patients.renamed(chart, after)
            return tell(command, chart, after, concerned, joins, "patient-merged" if merged else "patient-updated")
        case hl7.ReportMessage():
            return _sign(command, chart, reporting.signed(chart, message))


def _cases(chart: Chart, order_ids: AbstractSet[str]) -> frozenset[str]:
    """The cases that answer these orders."""
    return frozenset(one.case_id for one in chart.orders if one.order_id in order_ids)


def _sign(command: TakeMessage, chart: Chart, reports: tuple[reporting.Signed, ...]) -> Told:
    """A final report signs its case; one that is not final changes nothing."""
    events = []
    for report in reports:
        signed_at = report.signed_at or command.at
        chart = chart.with_case(replace(chart.case(report.case_id, command.site), signed_at=signed_at))
        events.append(ReportSigned(
            id=caused_by(command, "report-signed", report.case_id), subject=report.case_id, site=command.site,
            at=command.at, signed_at=signed_at, signer=report.signer, findings=report.findings, purpose=report.purpose,
            patient_key=pseudonym(report.who.id, chart.salt),
        ))
    return Told(chart=chart, events=tuple(events))


def _open(chart: Chart, case_id: str) -> bool:
    """Whether a case is still to be read: neither signed nor closed by its orders."""
    wanted = any(order.status != "cancelled" for order in chart.orders_of(case_id))
    return wanted and all(case.signed_at is None for case in chart.cases if case.case_id == case_id)


def _heard(command: TakeMessage, chart: Chart, header: hl7.Header) -> tuple[Chart, bool]:
    """Note the message; senders' counters restart, so an id that comes with other content is taken, and flagged."""
    control = keys.of_control(header)
    flagged = any(one.control == control for one in chart.heard)
    digest = hashlib.sha256(command.raw).hexdigest()
    heard = Heard(control=control, digest=digest, flagged=flagged, at=command.at)
    return replace(chart, heard=(*chart.heard, heard)), flagged


def _refused(command: TakeMessage | RefuseMessage, header: hl7.Header | None, error: Hl7Error) -> Reject:
    answer = acknowledge(header, "AR" if error.rejected or header is None else "AE", control_id(command.id), command.at, error)
    return Reject(f"{error.code} {error}", answer=Acknowledged(message=answer))


def _mint(command: Command, what: str) -> str:
    """A new case (or order) id: opaque, and the same again when the same command is replayed."""
    return caused_by(command, "mint", what)


def _keys_of_message(command: TakeMessage, rules: Rules) -> tuple[str, ...]:
    try:
        return keys.of_message(_ours(command.raw, rules))
    except Hl7Error:
        return (f"message:{command.id}",)


def _keys_of_object(command: StoreObject, rules: Rules) -> tuple[str, ...]:
    who, accession = storing.person_in(command.facts, rules), storing.accession_in(command.facts, rules)
    found = [keys.of_study(command.facts.study_uid), keys.of_object(command.facts.sop_instance_uid)]
    found += [keys.of_accession(accession)] if accession else []
    return (*found, *([keys.of_patient(who.id)] if who else []))


def routes(rules: Rules) -> tuple[Route[Chart], ...]:
    """The contents page of ingestion."""
    return (
        on(TakeMessage, partial(take_message, rules=rules), keeps=Chart, key=partial(_keys_of_message, rules=rules),
           answers=Acknowledged),
        on(RefuseMessage, partial(refuse_message, rules=rules), keeps=Chart, key=lambda it: f"message:{it.id}",
           answers=Acknowledged),
        on(StoreObject, partial(store_object, rules=rules), keeps=Chart, key=partial(_keys_of_object, rules=rules),
           answers=Stored),
        on(RefuseObject, refuse_object, keeps=Chart, key=lambda it: f"object:{it.id}", answers=Stored),
        on(UndoJoin, undo_join, keeps=Chart, key=lambda it: f"case:{it.subject}", answers=Undone),
        on_timer("quiet", complete, keeps=Chart),
    )
