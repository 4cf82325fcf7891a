"""Triage, told as a story: facts arrive in any order, the place follows from them, and is said when it changes."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.prediction import PredictionFailed, PredictionMade, PredictionPooled
from radloop.events.reading import CaseOpened, VerdictRecorded
from radloop.events.report import ReportSigned
from radloop.events.study import StudyCompleted
from radloop.events.triage import CaseTriaged, ReviewRequested
from radloop.kit.flow import At, Command, Decision, Due, Event, Input, Record, Route, Skip, caused_by, on, on_timer
from radloop.triage.domain.case import Case, Place, reading_of
from radloop.triage.domain.policy import Policy
from radloop.triage.domain.selection import Asked, Candidate, Draw, candidate, draw
from radloop.triage.ports import Pool

REMEMBERED_VALUES = 200
NO_WORD_SINCE = ("new", "patient-updated", "patient-merged")
"""What an order event says that is no later word on the order: that it came, or news of its patient."""


@dataclass(frozen=True, kw_only=True)
class UndoReordering(Command):
    """Give the case its own place back."""


@dataclass(frozen=True, kw_only=True)
class RequestReviews(Command):
    """Ask for `count` answers from the pool; the seed makes the draw repeatable."""

    count: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Requested:
    """The answer to RequestReviews."""

    request_ids: tuple[str, ...]
    case_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Undone:
    """The answer to UndoReordering: 'undone', or why there was nothing to undo."""

    outcome: str


def take_order(event: OrderRecorded, case: Case | None, policy: Policy) -> Decision[Case]:
    """The clinician's own priority stands: the newest one holds; a cancel closes the case."""
    case = case or Case(case_id=event.subject)
    if event.order_revision <= case.order_revision:
        return Skip("superseded by a newer order")
    cancelled = event.change == "cancelled" or event.order.status == "cancelled"
    said_at = None if event.change in NO_WORD_SINCE else event.at
    known = case.prioritised(event.order.priority, event.order_revision, said_at)
    return settle(event, replace(known, site=event.site, cancelled=cancelled), policy)


def join(event: CaseJoined, case: Case | None, policy: Policy) -> Decision[Case]:
    """A study found its order (or lost a wrong one): it takes that order's priority; the other case is closed."""
    case = case or Case(case_id=event.subject)
    if event.order_revision <= case.order_revision:
        return Skip("superseded by a newer order")
    priority = event.order.priority if event.has_order else "routine"
    known = replace(case, hastened=None).prioritised(priority, event.order_revision)
    cancelled = event.moved_away or (event.has_order and event.order.status == "cancelled")
    return settle(event, replace(known, site=event.site, cancelled=cancelled), policy)


def take_study(event: StudyCompleted, case: Case | None, policy: Policy) -> Decision[Case]:
    """The images are all here: the case gets its place, and waits so long for a prediction."""
    case = case or Case(case_id=event.subject)
    if event.revision <= case.revision:
        return Skip("superseded by a newer revision")
    arrived = case.arrived_at or event.study.arrived_at
    priority = case.priority if case.order_revision else event.priority
    deadline = At(event.completed_at + timedelta(seconds=policy.prediction_deadline_seconds), "deadline")
    known = replace(case, site=event.site, arrived_at=arrived, revision=event.revision, priority=priority, late=False)
    return settle(event, known, policy, timers=() if _answered(known) else (deadline,))


def take_prediction(event: PredictionMade, case: Case | None, policy: Policy) -> Decision[Case]:
    """A confident finding lifts a routine case once; an unsure one keeps its place."""
    case = case or Case(case_id=event.subject)
    reading = reading_of(event.prediction, event.id)
    known = replace(case, site=event.site).read(reading, policy)
    # A reading of an earlier revision may still be the lift; the deadline is for the present one.
    timers = () if reading.revision < case.revision else (At(None, "deadline"),)
    return settle(event, known, policy, timers=timers)


def take_failure(event: PredictionFailed, case: Case | None, policy: Policy) -> Decision[Case]:
    """No model read it: no change, and the list says so."""
    case = case or Case(case_id=event.subject)
    if event.revision < max(case.revision, case.failed_revision):
        return Skip("superseded by a newer revision")
    failed = replace(case, site=event.site, failed_revision=event.revision, failure=event.reason)
    return settle(event, failed, policy, timers=(At(None, "deadline"),))


def take_pooled(event: PredictionPooled, case: Case | None) -> Decision[Case]:
    """An earlier study was read: it may be asked about, and is never ordered."""
    case = case or Case(case_id=event.subject)
    return Record(replace(case, site=event.site, purpose=event.purpose, reading=reading_of(event.prediction, event.id)))


def open_case(event: CaseOpened, case: Case | None) -> Decision[Case]:
    """Once opened nothing moves it; the first opening counts."""
    case = case or Case(case_id=event.subject)
    if case.opened_at is not None and case.opened_at <= event.opened_at:
        return Skip("already opened")
    return Record(replace(case, site=event.site, opened_at=event.opened_at))


def hear_verdict(event: VerdictRecorded, case: Case | None) -> Decision[Case]:
    """A verdict means that the case has been opened, should the opening itself still be on its way."""
    case = case or Case(case_id=event.subject)
    if case.opened_at is not None and case.opened_at <= event.recorded_at:
        return Skip("already opened")
    return Record(replace(case, site=event.site, opened_at=event.recorded_at))


def sign(event: ReportSigned, case: Case | None) -> Decision[Case]:
    """Once signed nothing moves it."""
    case = case or Case(case_id=event.subject)
    if case.signed_at is not None and case.signed_at <= event.signed_at:
        return Skip("already signed")
    return Record(replace(case, site=event.site, signed_at=event.signed_at), timers=(At(None, "deadline"),))


def miss_deadline(timer: Due, case: Case | None, policy: Policy) -> Decision[Case]:
    """No prediction in time, no change: the list says first in, first out."""
    if case is None or _answered(case):
        return Skip("its reading has come meanwhile")
    return settle(timer, replace(case, late=True), policy)


def undo(command: UndoReordering, case: Case | None, policy: Policy) -> Decision[Case]:
    """The reader's undo gives the case its own place back, for good: from now on only a clinician gives it another."""
    if case is None or not case.lifted:
        return Skip("nothing to undo", answer=Undone(outcome="this case was not lifted"))
    return settle(
        command, replace(case, undone_at_order=case.order_revision), policy, answer=Undone(outcome="undone"), by_human=True,
    )


def settle(
    cause: Input, case: Case, policy: Policy, *, timers: tuple[At, ...] = (), answer: object = None, by_human: bool = False,
) -> Decision[Case]:
    """Say the place that follows from the facts, if it is another than was said and the case is still to be read."""
    place = case.place(policy)
    if place is None or place == case.said or (case.closed and not by_human):
        return Record(case, timers=timers, answer=answer)
    said = replace(case, said=place, said_code=_code(case, place, policy), triage_revision=case.triage_revision + 1)
    return Record(said, emit=(_triaged(cause, said, place, case.said_code, policy),), timers=timers, answer=answer)


def _code(case: Case, place: Place, policy: Policy) -> str:
    """Return the code the RIS should show: raised by a lift, the clinician's own after an undo, else nothing of ours."""
    if place.lifted:
        return policy.priority_codes.raised
    return policy.priority_codes.of(place.priority) if case.said_code else ""


def _triaged(cause: Input, case: Case, place: Place, code_before: str, policy: Policy) -> Event:
    assert case.arrived_at is not None  # a place needs an arrival
    reading = case.reading if place.prediction_id else None
    return CaseTriaged(
        id=caused_by(cause, "case-triaged", case.case_id), subject=case.case_id, site=case.site, at=cause.at,
        triage_revision=case.triage_revision, revision=case.revision, urgency=place.urgency, priority=place.priority,
        arrived_at=case.arrived_at, read_by=place.read_by, reasons=place.reasons, guards=place.guards,
        conformal=place.conformal, uncertainty=place.uncertainty, lifted=place.lifted, abstained=place.abstained,
        undone=place.undone, prediction_id=place.prediction_id, model=reading.model if reading else "",
        version=reading.version if reading else 0, policy=policy.version,
        priority_code=case.said_code if case.said_code != code_before else "",
    )


def _answered(case: Case) -> bool:
    """Whether inference has answered for the present revision."""
    read = case.reading.revision if case.reading else 0
    return max(read, case.failed_revision) >= case.revision > 0


def request_reviews(
    seen: tuple[RequestReviews, tuple[Candidate, ...]], asked: Asked | None, policy: Policy,
) -> Decision[Asked]:
    """Ask about earlier studies: the audit share at random with the AI hidden, the rest where an answer teaches most."""
    command, candidates = seen
    asked = asked or Asked(pool=command.subject)
    free = tuple(one for one in candidates if one.case_id not in set(asked.case_ids))
    if not free:
        return Skip("the pool is empty", answer=Requested(request_ids=(), case_ids=()))
    drawn = draw(free, command.count, policy.reviews.audit_share, command.seed)
    events = tuple(_request(command, policy, one, pooled=True, hidden=one.drawn == "audit") for one in drawn)
    return Record(
        replace(asked, case_ids=(*asked.case_ids, *(one.candidate.case_id for one in drawn))), emit=events,
        answer=Requested(
            request_ids=tuple(event.request_id for event in events), case_ids=tuple(event.subject for event in events),
        ),
    )


def consider_review(seen: tuple[PredictionMade, Case | None], asked: Asked | None, policy: Policy) -> Decision[Asked]:
    """A live case is considered once, when it is first read: by lot for the audit, else by its label value within the budget.

    The budget never ends the audit: a slice without those who come late in the day would not be of all cases. A case whose
    lift the list shows is drawn like any other, but its answer is not called blind.
    """
    event, known = seen
    case, asked = known or Case(case_id=event.subject), asked or Asked(pool="live")
    reading, reviews, day = reading_of(event.prediction, event.id), policy.reviews, event.at.date().isoformat()
    one = candidate(event.subject, reading)
    if one is None:
        return Skip("the model said of no finding")
    if case.reading is not None and case.reading.prediction_id != event.id:
        return Skip("this case was considered when it was first read")
    spent = asked.spent_today if asked.day == day else 0
    values = (*asked.recent_values, one.label_value)[-REMEMBERED_VALUES:]
    asked = replace(asked, day=day, spent_today=spent, recent_values=values)
    if case.signed_at is not None or case.cancelled:
        return Record(asked)  # nobody will open it any more
    audit_rate = reviews.live_share * reviews.audit_share
    telling = one.label_value > float(np.quantile(values, 1 - (reviews.live_share - audit_rate))) or len(values) == 1
    if _lot(event.subject) < audit_rate:
        drawn = Draw(candidate=one, drawn="audit", probability=audit_rate)
    elif telling and one.label_value > 0 and spent < reviews.live_per_day:
        drawn = Draw(candidate=one, drawn="chosen", probability=1.0)
    else:
        return Record(asked)
    hidden = drawn.drawn == "audit" and not case.read(reading, policy).lifted
    request = _request(event, policy, drawn, pooled=False, hidden=hidden)
    return Record(replace(asked, spent_today=spent + 1), emit=(request,))


def _lot(case_id: str) -> float:
    """Return a number from 0 to 1 that depends on the case's id alone: a draw that a replay repeats."""
    return uuid5(NAMESPACE_OID, f"audit|{case_id}").int / 2**128


def _request(cause: Input, policy: Policy, drawn: Draw, *, pooled: bool, hidden: bool) -> ReviewRequested:
    one = drawn.candidate
    identity = caused_by(cause, "review-requested", one.case_id)
    return ReviewRequested(
        id=identity, request_id=identity, subject=one.case_id, site=cause.site, at=cause.at,
        finding=one.finding, label_value=one.label_value,
        cost_seconds=policy.reviews.cost_seconds, expires_at=cause.at + timedelta(hours=policy.reviews.expires_hours),
        drawn=drawn.drawn, drawn_probability=drawn.probability,
        strategy="random" if drawn.drawn == "audit" else "cluster-margin" if pooled else "entropy",
        model=one.model, version=one.version, ai_hidden=hidden, pooled=pooled,
    )


def routes(policy: Policy, pool: Pool) -> tuple[Route[Case] | Route[Asked], ...]:
    """The contents page of triage."""
    def with_candidates(command: RequestReviews) -> tuple[RequestReviews, tuple[Candidate, ...]]:
        return command, pool.candidates(command.site)

    def with_case(event: PredictionMade) -> tuple[PredictionMade, Case | None]:
        return event, pool.case(event.subject)

    return (
        on(OrderRecorded, partial(take_order, policy=policy), keeps=Case),
        on(CaseJoined, partial(join, policy=policy), keeps=Case),
        on(StudyCompleted, partial(take_study, policy=policy), keeps=Case),
        # Asked before the place is said, so that an audit hides what the model said before a row shows it.
        on(PredictionMade, partial(consider_review, policy=policy), keeps=Asked, observe=with_case, key=lambda _: "live"),
        on(PredictionMade, partial(take_prediction, policy=policy), keeps=Case),
        on(PredictionFailed, partial(take_failure, policy=policy), keeps=Case),
        on(PredictionPooled, take_pooled, keeps=Case),
        on(CaseOpened, open_case, keeps=Case),
        on(VerdictRecorded, hear_verdict, keeps=Case),
        on(ReportSigned, sign, keeps=Case),
        on_timer("deadline", partial(miss_deadline, policy=policy), keeps=Case),
        on(UndoReordering, partial(undo, policy=policy), keeps=Case, answers=Undone),
        on(RequestReviews, partial(request_reviews, policy=policy), keeps=Asked, observe=with_candidates,
           key=lambda _: "pool", answers=Requested),
    )
