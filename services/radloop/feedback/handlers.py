"""Feedback, told as a story: a verdict is recorded with what was shown, and what the verdicts amount to is settled."""

from dataclasses import dataclass, replace
from functools import partial

from radloop.events.order import OrderRecorded
from radloop.events.prediction import PredictionMade, PredictionPooled
from radloop.events.reading import LabelSettled, VerdictRecorded
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled, StudyCompleted
from radloop.events.triage import ReviewRequested
from radloop.feedback.domain import CaseFile, Label, Request, Rule, Verdict, wrong
from radloop.kit.flow import Command, Decision, Event, Input, Record, Reject, Route, Skip, caused_by, on


@dataclass(frozen=True, kw_only=True)
class RecordVerdict(Command):
    """Record one reader's verdict; its id is the verdict's, made by the page."""

    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class TakeBackVerdict(Command):
    """Take a verdict back: its label is withdrawn."""

    verdict_id: str


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the reader is told."""

    done: bool
    reason: str = ""


def record(command: RecordVerdict, case: CaseFile | None, rule: Rule) -> Decision[CaseFile]:
    """Keep an absolute answer per finding, unless what the reader saw has been replaced meanwhile."""
    verdict = replace(command.verdict, recorded_at=command.at)
    said = wrong(verdict)
    if said or case is None:
        reason = said or "no such case"
        return Reject(reason, answer=Answered(done=False, reason=reason))
    if replaced := case.replaced(verdict):
        return Skip(replaced, answer=Answered(done=False, reason=replaced))
    event = _recorded(command, verdict, verdict.kind)
    return settle(command, replace(case, verdicts=(*case.verdicts, verdict)), rule, emit=(event,), answer=Answered(done=True))


def take_back(command: TakeBackVerdict, case: CaseFile | None, rule: Rule) -> Decision[CaseFile]:
    """A verdict taken back counts no more; it stays on record."""
    found = next((one for one in case.verdicts if one.verdict_id == command.verdict_id), None) if case else None
    if case is None or found is None:
        return Reject("no such verdict", answer=Answered(done=False, reason="no such verdict"))
    if found.taken_back:
        return Skip("already taken back", answer=Answered(done=True))
    verdicts = tuple(replace(one, taken_back=True) if one is found else one for one in case.verdicts)
    event = _recorded(command, found, "taken-back")
    return settle(command, replace(case, verdicts=verdicts), rule, emit=(event,), answer=Answered(done=True))


def take_study(event: StudyCompleted, case: CaseFile | None, rule: Rule) -> Decision[CaseFile]:
    """A live study: its newest revision is what a verdict must name."""
    case = case or CaseFile(case_id=event.subject)
    if event.revision <= case.revision:
        return Skip("superseded by a newer revision")
    key = case.patient_key or (event.study.patient.key if event.study.patient else "")
    return settle(event, replace(
        case, site=event.site, purpose=case.purpose or "live", revision=event.revision, patient_key=key,
    ), rule)


def take_backfilled(event: StudyBackfilled, case: CaseFile | None, rule: Rule) -> Decision[CaseFile]:
    """An earlier study, for the pool or one of the sets that measure."""
    case = case or CaseFile(case_id=event.subject)
    key = case.patient_key or (event.study.patient.key if event.study.patient else "")
    revision = max(case.revision, event.revision)
    return settle(event, replace(case, site=event.site, purpose=event.purpose, revision=revision, patient_key=key), rule)


def take_order(event: OrderRecorded, case: CaseFile | None, rule: Rule) -> Decision[CaseFile]:
    """The order names the patient for good, also after a merge."""
    case = case or CaseFile(case_id=event.subject)
    if event.order_revision <= case.order_revision:
        return Skip("superseded by a newer order")
    return settle(event, replace(
        case, site=event.site, order_revision=event.order_revision, patient_key=event.patient.key or case.patient_key,
    ), rule)


def take_report(event: ReportSigned, case: CaseFile | None, rule: Rule) -> Decision[CaseFile]:
    """The signed report settles the label of a case that measures; the newest one holds."""
    case = case or CaseFile(case_id=event.subject)
    if case.reported_at is not None and event.signed_at < case.reported_at:
        return Skip("superseded by a newer report")
    return settle(event, replace(
        case, site=event.site, report=event.findings, reported_at=event.signed_at, patient_key=case.patient_key or event.patient_key,
    ), rule)


def take_prediction(event: PredictionMade | PredictionPooled, case: CaseFile | None, rule: Rule) -> Decision[CaseFile]:
    """The newest prediction is what a verdict must have been shown."""
    case, made = case or CaseFile(case_id=event.subject), event.prediction
    if (made.revision, made.read_at) <= (case.prediction_revision, case.predicted_at or made.read_at) and case.prediction_id:
        return Skip("superseded by a newer prediction")
    return settle(event, replace(
        case, site=event.site, prediction_id=event.id, prediction_revision=made.revision, predicted_at=made.read_at,
        patient_key=case.patient_key or made.patient_key,
    ), rule)


def take_request(event: ReviewRequested, case: CaseFile | None, rule: Rule) -> Decision[CaseFile]:
    """How a case was drawn goes with its answer for good."""
    case = case or CaseFile(case_id=event.subject)
    request = Request(
        request_id=event.request_id, drawn=event.drawn, probability=event.drawn_probability, asked_at=event.at,
    )
    return settle(event, replace(case, site=event.site, requests=(*case.requests, request)), rule)


def settle(
    cause: Input, case: CaseFile, rule: Rule, *, emit: tuple[Event, ...] = (), answer: object = None,
) -> Decision[CaseFile]:
    """Say the label that follows from the facts, if it is another than was said."""
    label = case.label(rule)
    if label == case.said:
        return Record(case, emit=emit, answer=answer)
    said = replace(case, said=label, label_revision=case.label_revision + 1)
    return Record(said, emit=(*emit, _settled(cause, said, label or case.said)), answer=answer)


def _settled(cause: Input, case: CaseFile, label: Label | None) -> LabelSettled:
    assert label is not None  # two labels that differ are not both None
    withdrawn = case.said is None
    return LabelSettled(
        id=caused_by(cause, "label-settled", case.case_id), subject=case.case_id, site=case.site, at=cause.at,
        label_id=f"{case.case_id}/{label.code.value}", code=label.code, value="" if withdrawn else label.value,
        source=label.source, weight=label.weight, drawn=label.drawn, drawn_probability=label.drawn_probability,
        ai_shown=label.ai_shown, patient_key=label.patient_key, purpose=label.purpose, label_revision=case.label_revision,
        withdrawn=withdrawn,
    )


def _recorded(command: Command, verdict: Verdict, kind: str) -> VerdictRecorded:
    return VerdictRecorded(
        id=caused_by(command, "verdict-recorded"), subject=command.subject, site=command.site, at=command.at,
        verdict_id=verdict.verdict_id if kind != "taken-back" else command.id, reader=verdict.reader, kind=kind,
        answers=verdict.answers, revision=verdict.revision, seconds_spent=verdict.seconds_spent, ai_shown=verdict.ai_shown,
        recorded_at=command.at, prediction_id=verdict.prediction_id, request_id=verdict.request_id,
        takes_back=verdict.verdict_id if kind == "taken-back" else "",
    )


def routes(rule: Rule) -> tuple[Route[CaseFile], ...]:
    """The contents page of feedback."""
    return (
        on(RecordVerdict, partial(record, rule=rule), keeps=CaseFile, answers=Answered),
        on(TakeBackVerdict, partial(take_back, rule=rule), keeps=CaseFile, answers=Answered),
        on(StudyCompleted, partial(take_study, rule=rule), keeps=CaseFile),
        on(StudyBackfilled, partial(take_backfilled, rule=rule), keeps=CaseFile),
        on(OrderRecorded, partial(take_order, rule=rule), keeps=CaseFile),
        on(ReportSigned, partial(take_report, rule=rule), keeps=CaseFile),
        on(PredictionMade, partial(take_prediction, rule=rule), keeps=CaseFile),
        on(PredictionPooled, partial(take_prediction, rule=rule), keeps=CaseFile, name="take_pooled"),
        on(ReviewRequested, partial(take_request, rule=rule), keeps=CaseFile),
    )
