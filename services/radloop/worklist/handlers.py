"""The worklist, told as a story: each topic has its own part of a case, the newest word of each holds."""

from dataclasses import dataclass, replace

from radloop.events.model import ModelReleased, ModelTrained
from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.prediction import PredictionFailed, PredictionMade, PredictionPooled
from radloop.events.publishing import ResultPublished
from radloop.events.reading import CaseOpened, VerdictRecorded
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled, StudyCompleted
from radloop.events.triage import CaseTriaged, ReviewRequested
from radloop.kit.flow import Command, Decision, Input, Record, Reject, Route, Skip, caused_by, on
from radloop.worklist.domain.case import (
    Case, Imaged, Join, Opened, Ordered, Place, Read, Request, Result, Unread, Verdict, kept, placed,
)
from radloop.worklist.domain.serving import Model


@dataclass(frozen=True, kw_only=True)
class OpenCase(Command):
    """A reader has this case on the screen, with this revision, prediction, and the AI shown or not."""

    revision: int
    prediction_id: str = ""
    ai_shown: bool = False


@dataclass(frozen=True, kw_only=True)
class OpenedCase:
    """The answer to OpenCase."""

    opened: bool
    reason: str = ""


def take_order(event: OrderRecorded, case: Case | None) -> Decision[Case]:
    """An order was placed, changed, cancelled, or its patient updated: the newest word holds."""
    case = _known(event, case)
    if case.ordered and event.order_revision <= case.ordered.order_revision:
        return Skip("superseded by a newer order")
    ordered = Ordered(order=event.order, patient=event.patient, order_revision=event.order_revision)
    return _keep(replace(case, ordered=ordered))


def join(event: CaseJoined, case: Case | None) -> Decision[Case]:
    """A study found its order, or a wrong join was undone: the order is here, or gone."""
    case = _known(event, case)
    newer = case.join is None or event.order_revision > case.join.order_revision
    if event.subject == event.study_case and newer:
        case = replace(case, join=Join(joined=event.has_order, order_revision=event.order_revision))
    if case.ordered is None or event.order_revision > case.ordered.order_revision:
        ordered = Ordered(
            order=event.order, patient=event.patient, order_revision=event.order_revision, present=event.has_order,
        )
        case = replace(case, ordered=ordered)
    return _keep(case)


def take_study(event: StudyCompleted, case: Case | None) -> Decision[Case]:
    """The images are all here: the case can be looked at."""
    case = _known(event, case)
    if event.revision <= case.revision:
        return Skip("superseded by a newer revision")
    imaged = Imaged(study=event.study, revision=event.revision, matched=event.matched, unmatched_reason=event.unmatched_reason)
    return _keep(replace(case, imaged=imaged))


def take_earlier_study(event: StudyBackfilled, case: Case | None) -> Decision[Case]:
    """An earlier study is never on the reading list; it can be asked about."""
    case = _known(event, case)
    if event.revision <= case.revision:
        return Skip("superseded by a newer revision")
    return _keep(replace(case, imaged=Imaged(study=event.study, revision=event.revision, matched=False, purpose=event.purpose)))


def take_prediction(event: PredictionMade | PredictionPooled, case: Case | None) -> Decision[Case]:
    """What a model said; of one revision the latest reading holds."""
    case, said = _known(event, case), event.prediction
    if case.read:
        before = case.read.prediction
        if (said.revision, said.read_at, event.id) <= (before.revision, before.read_at, case.read.prediction_id):
            return Skip("superseded by a newer prediction")
        case = replace(case, replaced=(*case.replaced, case.read.prediction_id))
    return _keep(replace(case, read=Read(prediction_id=event.id, prediction=said)))


def take_failure(event: PredictionFailed, case: Case | None) -> Decision[Case]:
    """No model read it: the list says so, with the reason."""
    case = _known(event, case)
    if case.unread and (event.revision, event.at, event.id) <= (case.unread.revision, case.unread.at, case.unread.id):
        return Skip("superseded by a newer revision")
    unread = Unread(revision=event.revision, reason=event.reason, refused=event.refused, at=event.at, id=event.id)
    return _keep(replace(case, unread=unread))


def take_place(event: CaseTriaged, case: Case | None) -> Decision[Case]:
    """Triage decides where a case stands; the page only sorts. A lift on the list tells what the model said."""
    case = _known(event, case)
    if case.place and event.triage_revision <= case.place.triage_revision:
        return Skip("superseded by a newer place")
    return _keep(replace(case, ai_seen=case.ai_seen or event.lifted, place=Place(
        triage_revision=event.triage_revision, urgency=event.urgency, priority=event.priority, arrived_at=event.arrived_at,
        read_by=event.read_by, reasons=event.reasons, guards=event.guards, lifted=event.lifted, abstained=event.abstained,
        undone=event.undone, prediction_id=event.prediction_id,
    )))


def take_request(event: ReviewRequested, case: Case | None) -> Decision[Case]:
    """An answer is asked for; an audit hides what the model said until it is given."""
    case = _known(event, case)
    request = Request(
        request_id=event.request_id, finding=event.finding, drawn=event.drawn, expires_at=event.expires_at,
        ai_hidden=event.ai_hidden, pooled=event.pooled,
    )
    return _keep(replace(case, requests=kept(case.requests, request, lambda one: (one.request_id,))))


def take_verdict(event: VerdictRecorded, case: Case | None) -> Decision[Case]:
    """A reader answered, or took an answer back."""
    case = _known(event, case)
    verdict = Verdict(
        verdict_id=event.verdict_id, reader=event.reader.id, kind=event.kind, answers=event.answers, revision=event.revision,
        at=event.recorded_at, prediction_id=event.prediction_id, request_id=event.request_id,
        takes_back=event.takes_back,
    )
    return _keep(replace(case, verdicts=kept(case.verdicts, verdict, lambda one: (one.verdict_id,))))


def sign(event: ReportSigned, case: Case | None) -> Decision[Case]:
    """The radiologist's report is final: the case is done."""
    case = _known(event, case)
    if case.signed_at is not None and case.signed_at <= event.signed_at:
        return Skip("already signed")
    return _keep(replace(case, signed_at=event.signed_at))


def take_result(event: ResultPublished, case: Case | None) -> Decision[Case]:
    """What the RIS and the EHR made of what was sent: accepted or refused, it is on the row."""
    case = _known(event, case)
    result = Result(
        delivery_id=event.delivery_id, receiver=event.receiver, kind=event.kind, outcome=event.outcome, at=event.published_at,
        reason=event.reason, priority_code=event.priority_code,
    )
    before = next((one for one in case.results if one.delivery_id == event.delivery_id), None)
    if before and (result.at, result.outcome) <= (before.at, before.outcome):
        return Skip("superseded by a newer answer")
    return _keep(replace(case, results=kept(case.results, result, lambda one: (one.delivery_id,))))


def take_trained(event: ModelTrained, model: Model | None) -> Decision[Model]:
    """A candidate and its evidence."""
    model = model or Model(model=event.subject)
    version = replace(
        model.version(event.version), labels=event.labels, gate_passed=event.gate_passed, evidence=event.evidence,
    )
    return Record(model.with_version(version))


def take_release(event: ModelReleased, model: Model | None) -> Decision[Model]:
    """A version came to another stage; the higher release holds."""
    model = model or Model(model=event.subject)
    version = model.version(event.version)
    if event.release <= version.release:
        return Skip("superseded by a newer release")
    return Record(model.with_version(replace(
        version, stage=event.stage, release=event.release, since=event.released_at, canary_share=event.canary_share,
    )))


def open_case(command: OpenCase, case: Case | None) -> Decision[Case]:
    """Somebody looks at a case: from now on nothing moves it. Each look is said, with what was shown."""
    if case is None or case.imaged is None:
        return Reject("no such case", answer=OpenedCase(opened=False, reason="this case is not on the list"))
    if unknown := case.unknown(command.revision, command.prediction_id):
        return Reject(unknown, answer=OpenedCase(opened=False, reason=unknown))
    first = case.opened or Opened(reader=command.actor.id, at=command.at)
    event = CaseOpened(
        id=caused_by(command, "case-opened"), subject=case.case_id, site=case.site, at=command.at, reader=command.actor,
        opened_at=command.at, revision=command.revision, prediction_id=command.prediction_id, ai_shown=command.ai_shown,
    )
    seen = case.ai_seen or command.ai_shown
    return Record(placed(replace(case, opened=first, ai_seen=seen)), emit=(event,), answer=OpenedCase(opened=True))


def _known(event: Input, case: Case | None) -> Case:
    return case or Case(case_id=event.subject, site=event.site)


def _keep(case: Case) -> Decision[Case]:
    return Record(placed(case))


def routes() -> tuple[Route[Case] | Route[Model], ...]:
    """Return the worklist's contents page."""
    return (
        on(OrderRecorded, take_order, keeps=Case),
        on(CaseJoined, join, keeps=Case),
        on(StudyCompleted, take_study, keeps=Case),
        on(StudyBackfilled, take_earlier_study, keeps=Case),
        on(PredictionMade, take_prediction, keeps=Case),
        on(PredictionPooled, take_prediction, keeps=Case, name="take_pooled_prediction"),
        on(PredictionFailed, take_failure, keeps=Case),
        on(CaseTriaged, take_place, keeps=Case),
        on(ReviewRequested, take_request, keeps=Case),
        on(VerdictRecorded, take_verdict, keeps=Case),
        on(ReportSigned, sign, keeps=Case),
        on(ResultPublished, take_result, keeps=Case),
        on(ModelTrained, take_trained, keeps=Model),
        on(ModelReleased, take_release, keeps=Model),
        on(OpenCase, open_case, keeps=Case, answers=OpenedCase),
    )
