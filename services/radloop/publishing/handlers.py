"""Publishing, told as a story: facts arrive in any order; what EHR and RIS should hold follows, and is sent when it changes."""

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from math import isfinite

from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.prediction import PredictionMade
from radloop.events.publishing import ResultPublished
from radloop.events.reading import CaseOpened, VerdictRecorded
from radloop.events.report import ReportSigned
from radloop.events.study import StudyCompleted
from radloop.events.triage import CaseTriaged
from radloop.kit.flow import Decision, Deliver, DeliveryAnswered, Event, Input, Record, Reject, Route, Skip, caused_by, on
from radloop.publishing.domain import priority, report
from radloop.publishing.domain.case import SERVING, Case, Images, Triage, Verdict
from radloop.publishing.domain.said import Raised
from radloop.standards.fhir.lookup import Lookup
from radloop.standards.fhir.results import CONTENT_TYPE, transaction
from radloop.standards.hl7.write import Interface, control_id

EHR, RIS = "ehr", "ris"
LOOK_UP, REPORT, CORRECTION, PRIORITY, PRIORITY_UNDO = "look-up", "report", "correction", "priority", "priority-undo"
ALIKE = (frozenset({REPORT, CORRECTION}), frozenset({PRIORITY, PRIORITY_UNDO}))
"""What replaces one another at the receiver: both kinds of a group write the same resource, or the same order's priority."""
ER7 = "x-application/hl7-v2+er7"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a site decides: identifier systems by issuer, and between whom HL7 v2 messages go."""

    systems: dict[str, str]
    ris: Interface


def take_order(event: OrderRecorded, case: Case | None, policy: Policy) -> Decision[Case]:
    """The newest word on the order holds; a cancel withdraws what was published."""
    case = case or Case(case_id=event.subject)
    if event.order_revision <= case.order_revision:
        return Skip("superseded by a newer order")
    order = replace(event.order, status="cancelled") if event.change == "cancelled" else event.order
    return settle(event, case.ordered(order, event.other_orders, event.patient, event.order_revision), policy)


def join(event: CaseJoined, case: Case | None, policy: Policy) -> Decision[Case]:
    """A study found its order, and may be published; or lost a wrong one, and what was published is withdrawn."""
    case = case or Case(case_id=event.subject)
    if event.order_revision <= case.join_revision:
        return Skip("superseded by a newer join")
    of_study = event.subject == event.study_case
    has_order = of_study != event.undone
    if has_order:
        known = case.ordered(event.order, event.other_orders, event.patient, event.order_revision)
    else:
        known = case.ordered(None, (), None, event.order_revision)
    joined = has_order if of_study else case.joined
    return settle(event, replace(known, joined=joined, join_revision=event.order_revision), policy)


def take_study(event: StudyCompleted, case: Case | None, policy: Policy) -> Decision[Case]:
    """The images are all here: what a report says of its study is known."""
    case = case or Case(case_id=event.subject)
    if case.images and event.revision <= case.images.revision:
        return Skip("superseded by a newer revision")
    part = next((one.body_part for one in event.study.instances if one.acquired and one.body_part), "")
    images = Images(
        study_uid=event.study.study_uid, study_date=_day(event.study.study_date), body_part=part, revision=event.revision,
        matched=event.matched,
    )
    return settle(event, replace(case, images=images), policy)


def take_prediction(event: PredictionMade, case: Case | None, policy: Policy) -> Decision[Case]:
    """A serving version's prediction is published; a shadow version's never leaves the house."""
    if event.prediction.stage not in SERVING:
        return Skip("only a serving version's prediction leaves the house")
    if not all(isfinite(score.probability) for score in event.prediction.findings):
        return Reject("a probability is not finite")
    case = case or Case(case_id=event.subject)
    return settle(event, case.read(event.prediction, event.id), policy)


def take_place(event: CaseTriaged, case: Case | None, policy: Policy) -> Decision[Case]:
    """A lift is asked of the RIS, its undoing gives back the clinician's own priority; an abstention shows in the report."""
    case = case or Case(case_id=event.subject)
    if case.triage and event.triage_revision <= case.triage.revision:
        return Skip("superseded by a newer place")
    code = event.priority_code or (case.triage.priority_code if case.triage and event.lifted else "")
    triage = Triage(
        revision=event.triage_revision, lifted=event.lifted and not event.undone, abstained=event.abstained,
        prediction_id=event.prediction_id, priority=event.priority, priority_code=code, reasons=event.reasons,
        guards=event.guards,
    )
    return settle(event, replace(case, triage=triage), policy)


def open_case(event: CaseOpened, case: Case | None, policy: Policy) -> Decision[Case]:
    """Once opened nothing moves it."""
    return settle(event, replace(case or Case(case_id=event.subject), opened=True), policy)


def sign(event: ReportSigned, case: Case | None, policy: Policy) -> Decision[Case]:
    """Once signed nothing new is published; a correction still goes."""
    if event.purpose:
        return Skip("an earlier study is never published")
    return settle(event, replace(case or Case(case_id=event.subject), signed=True), policy)


def take_verdict(event: VerdictRecorded, case: Case | None, policy: Policy) -> Decision[Case]:
    """A reject withdraws the report, a refinement corrects it, taking it back puts the model's word again."""
    case = case or Case(case_id=event.subject)
    if event.kind == "taken-back":
        return settle(event, case.withdrawn(event.takes_back), policy)
    verdict = Verdict(
        id=event.verdict_id, kind=event.kind, reader=event.reader.id, answers=event.answers, revision=event.revision,
        prediction_id=event.prediction_id, recorded_at=event.recorded_at,
    )
    return settle(event, replace(case.judged(verdict), opened=True), policy)


def settle(cause: Input, case: Case, policy: Policy, emit: tuple[Event, ...] = ()) -> Decision[Case]:
    """Decide what is to be sent, now that the facts are these."""
    case = replace(case, site=cause.site)
    case, to_ehr = tell_ehr(cause, case, policy)
    case, to_ris = tell_ris(cause, case, policy)
    return Record(case, emit=emit, deliver=(*to_ehr, *to_ris))


def tell_ehr(cause: Input, case: Case, policy: Policy) -> tuple[Case, tuple[Deliver, ...]]:
    """Send the report that is wanted if it is another than was said; ask first for what it refers to."""
    number = case.number + 1
    late = report.withheld(case)
    if late is not None:
        body = transaction(report.result(case, late, report.question(late, policy.systems), cause.at))
        case = replace(case, withheld=late.reading_id, number=number)
        return case, (_deliver(case, REPORT, f"report:{number}", body, number),)
    said = report.wanted(case)
    if said is None or said == case.said:
        return case, ()
    question = report.question(said, policy.systems)
    known = case.references if case.references and case.references.bare == question else question
    kind = CORRECTION if said.withdrawn or report.edits(case.said, said) else REPORT
    if kind == REPORT and not known.complete and case.looked_for != number:
        if case.looking:
            return case, ()  # one request per case in flight: its answer decides anew
        asking = _deliver(case, LOOK_UP, f"look-up:{number}:{cause.id}", question.write(), number)
        return replace(case, looking=True), (asking,)
    body = transaction(report.result(case, said, known, cause.at))
    return replace(case, said=said, number=number), (_deliver(case, kind, f"report:{number}", body, number),)


def tell_ris(cause: Input, case: Case, policy: Policy) -> tuple[Case, tuple[Deliver, ...]]:
    """Ask for a lift once, and for the clinician's own priority when the lift is taken back."""
    number = case.changes + 1
    if case.raised and priority.to_give_back(case):
        own = priority.own_priority(case)
        given_back = replace(case, raised=replace(case.raised, given_back=True), changes=number)
        said = _change(cause, case, case.raised, PRIORITY_UNDO, own, ("the lift was taken back",), policy)
        return given_back, (said,)
    raised = priority.lift(case)
    if raised is None or case.triage is None:
        return case, ()
    said = _change(cause, case, raised, PRIORITY, raised.code, case.triage.reasons, policy)
    return replace(case, raised=raised, changes=number), (said,)


def hear_answer(command: DeliveryAnswered, case: Case | None, policy: Policy) -> Decision[Case]:
    """Keep what became of a delivery, say it, and go on from there."""
    case = case or Case(case_id=command.subject)
    delivery = command.delivery
    if delivery.kind == LOOK_UP:
        return settle(command, _looked_up(command, case), policy)
    if delivery.receiver == RIS:
        if case.raised and delivery.kind == PRIORITY and delivery.revision == case.raised.number:
            state = "confirmed" if command.outcome == "delivered" else command.outcome
            case = replace(case, raised=replace(case.raised, state=state))
    else:
        case = _reported(command, case)
    return settle(command, case, policy, emit=(_published(command, case),))


def superseded(delivery: Deliver, case: Case | None) -> str | None:
    """Hold a delivery against the case as it is now, before its first try."""
    if delivery.receiver == RIS:
        return priority.superseded(case, back=delivery.kind == PRIORITY_UNDO)
    return report.superseded(case, delivery.revision, correction=delivery.kind == CORRECTION)


def _looked_up(command: DeliveryAnswered, case: Case) -> Case:
    """Keep what the EHR found; where it could not answer, what it has is named by identifier."""
    done = replace(case, looking=False, looked_for=command.delivery.revision)
    if command.outcome == "superseded":
        return replace(case, looking=False)
    return replace(done, references=Lookup.read(command.answer)) if command.outcome == "delivered" else done


def _reported(command: DeliveryAnswered, case: Case) -> Case:
    """Keep what stands at the EHR; what was superseded was never said."""
    newest = command.delivery.revision == case.number
    if command.outcome == "superseded":
        withheld = case.said.reading_id if case.said else case.withheld
        return replace(case, said=case.standing, withheld=withheld) if newest else case
    standing = case.said if newest and command.outcome == "delivered" else case.standing
    return replace(case, stands=True, standing=standing)


def _published(command: DeliveryAnswered, case: Case) -> ResultPublished:
    delivery = command.delivery
    change = delivery.receiver == RIS
    sent = (control_id(delivery.key),) if change else _resources(command.answer)
    code = ""
    if change and case.raised:
        code = case.raised.code if delivery.kind == PRIORITY else priority.own_code(case)
    return ResultPublished(
        id=caused_by(command, "result-published"), subject=command.subject, site=command.site, at=command.at,
        delivery_id=delivery.key, receiver=delivery.receiver, kind=delivery.kind, outcome=command.outcome,
        identifiers=sent, published_at=command.at, revision=case.images.revision if case.images else 0,
        reason=command.reason, priority_code=code,
    )


def _day(text: str) -> str:
    """Return a date as FHIR has it, empty for what is none."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _resources(answer: bytes) -> tuple[str, ...]:
    return tuple(str(name) for name in json.loads(answer)) if answer else ()


def _deliver(case: Case, kind: str, name: str, body: bytes, number: int) -> Deliver:
    return Deliver(
        key=f"{case.case_id}:{name}", receiver=EHR, subject=case.case_id, kind=kind, body=body,
        content_type=CONTENT_TYPE, revision=number,
    )


def _change(
    cause: Input, case: Case, raised: Raised, kind: str, code: str, reasons: tuple[str, ...], policy: Policy,
) -> Deliver:
    number = case.changes + 1
    key = f"{case.case_id}:{kind}:{number}"
    body = priority.message(policy.ris, key, cause.at, raised, code, "; ".join(("radloop triage", *reasons)))
    return Deliver(key=key, receiver=RIS, subject=case.case_id, kind=kind, body=body, content_type=ER7, revision=number)


def routes(policy: Policy) -> tuple[Route[Case], ...]:
    """The contents page of publishing."""
    return (
        on(OrderRecorded, partial(take_order, policy=policy), keeps=Case),
        on(CaseJoined, partial(join, policy=policy), keeps=Case),
        on(StudyCompleted, partial(take_study, policy=policy), keeps=Case),
        on(PredictionMade, partial(take_prediction, policy=policy), keeps=Case),
        on(CaseTriaged, partial(take_place, policy=policy), keeps=Case),
        on(CaseOpened, partial(open_case, policy=policy), keeps=Case),
        on(ReportSigned, partial(sign, policy=policy), keeps=Case),
        on(VerdictRecorded, partial(take_verdict, policy=policy), keeps=Case),
        on(DeliveryAnswered, partial(hear_answer, policy=policy), keeps=Case),
    )
