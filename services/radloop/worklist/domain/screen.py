"""What is shown of a case: a row of the list, and the case on the screen with or without the AI.

An open audit request hides what the model said, in its row and on the screen, until it is answered: an answer that was
influenced could not measure the model. Once a reader may have seen it (a lift says so on the list) nothing is hidden any more,
and the answer says that the AI was shown.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from radloop.events.common import Code, Patient
from radloop.events.reading import FindingAnswer
from radloop.worklist.domain.case import Case, Place, Read, Request, Verdict
from radloop.worklist.domain.serving import Model

View = Literal["reading", "reviews", "done"]


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who is on the screen; ages are in years at the study date, None where unknown."""

    name: str
    id: str
    issuer: str
    birth_date: str
    age_years: float | None
    sex: str


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the model says of one finding: `answer` present or absent, `unsure` where it cannot rule out either."""

    code: Code
    probability: float
    members: tuple[float, ...]
    answer: str
    unsure: bool


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The verdict that stands last."""

    verdict_id: str
    kind: str
    reader: str
    answers: tuple[FindingAnswer, ...]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of a message to the RIS or the EHR."""

    kind: str
    outcome: str
    reason: str
    code: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a list."""

    case_id: str
    request_id: str
    revision: int
    prediction_id: str
    standing: str
    urgency: str
    priority: str
    arrived_at: datetime
    read_by: datetime | None
    person: Person
    description: str
    said: tuple[Said, ...]
    ai_hidden: bool
    model: str
    version: int | None
    move: str
    reason: str
    unmatched: bool
    unread: str
    opened: bool
    asked: bool
    answer: Answered | None
    ris: Told | None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One frame that can be looked at."""

    sop_instance_uid: str
    frame: int
    view: str
    modality: str
    rows: int
    columns: int


@dataclass(frozen=True, kw_only=True)
class Screen:
    """One case as it is shown: the row's facts, and what stands beside the image."""

    row: Row
    accession: str
    study_date: str
    view: str
    indication: str
    unmatched_reason: str
    pictures: tuple[Picture, ...]
    evidence: Picture | None
    findings: tuple[Code, ...]
    ai_shown: bool
    ehr: Told | None


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Who speaks on the list: mode is production, canary, shadow (the list is first in, first out) or none.

    `since` is when that version came to that stage, None where nobody knows.
    """

    mode: str
    model: str
    version: int | None
    shadow: int | None
    note: str
    since: datetime | None = None


def ordered(cases: list[Case]) -> list[Case]:
    """Return cases in triage's order: a clinician's STAT first, then read_by, then arrival; last those it has yet to place."""
    return sorted(cases, key=_order)


def _order(case: Case) -> tuple[bool, bool, datetime, datetime, str]:
    arrived = _arrived(case)
    return (not case.stat, case.read_by is None, case.read_by or arrived, arrived, case.case_id)


def _arrived(case: Case) -> datetime:
    if case.place:
        return case.place.arrived_at
    if case.imaged is None:
        raise ValueError("a case without images has not arrived")
    return case.imaged.study.arrived_at


def asked_for(case: Case, request_id: str, now: datetime) -> Request | None:
    """Return the open request of this id, or (without one) the audit request that hides the AI of a case."""
    if request_id:
        return next((one for one in case.requests if one.request_id == request_id), None)
    return next((one for one in waiting(case, now) if case.hides(one)), None)


def waiting(case: Case, now: datetime) -> list[Request]:
    """Return the requests that may still be answered, audits first: whoever answers both must not have seen the AI."""
    still = (one for one in case.open_requests if one.expires_at > now)
    return sorted(still, key=lambda one: (not one.ai_hidden, one.expires_at, one.request_id))


def shown(case: Case, request_id: str, now: datetime) -> tuple[Read | None, bool]:
    """Return what of the AI may be on the screen, and whether an audit hides it.

    What a model said of an earlier study is shown only to answer a request.
    """
    request = asked_for(case, request_id, now)
    answered = request is not None and request not in case.open_requests
    if request and case.hides(request) and not answered:
        return None, True
    earlier = case.imaged is not None and bool(case.imaged.purpose)
    return (None if earlier and request is None else case.current), False


def refusal(case: Case | None, request_id: str, revision: int, prediction_id: str, now: datetime) -> str:
    """Say why an answer to what was on the screen cannot be taken, in words for the reader; empty where it can."""
    if case is None or case.imaged is None:
        return "this case is not on the list"
    if revision != case.revision:
        return "new images arrived while this case was open: look again, then answer"
    read, _ = shown(case, request_id, now)
    if prediction_id != (read.prediction_id if read else ""):
        return "the model's reading changed while this case was open: look again, then answer"
    return ""


def row_of(case: Case, now: datetime, request_id: str = "", *, on_screen: bool = False) -> Row:
    """Return a case as a row of the list, or (with a request) of the reviews: these show no class and no place.

    A row of the list shows what a model said together with the place that rests on it: until triage has spoken nobody knows
    whether an audit is to hide it. A case that is on the screen does not wait for that.
    """
    read, hidden = shown(case, request_id, now)
    if not (on_screen or request_id or _weighed(case)):
        read = None
    place = None if request_id else case.place
    study = case.imaged.study if case.imaged else None
    order = case.order
    asked = waiting(case, now)
    return Row(
        case_id=case.case_id,
        request_id=request_id or (asked[0].request_id if asked else ""),
        revision=case.revision,
        prediction_id=read.prediction_id if read else "",
        standing=case.standing,
        urgency="routine" if request_id else case.urgency,
        priority="routine" if request_id else case.priority,
        arrived_at=_arrived(case),
        read_by=place.read_by if place else None,
        person=_person(case.patient, study.age_years if study else None),
        description=(order.procedure.display if order and order.procedure else "") or (study.description if study else ""),
        said=tuple(
            Said(
                code=one.code, probability=one.probability, members=one.members,
                answer="present" if one.positive else "absent", unsure=len(one.conformal) != 1,
            )
            for one in (read.prediction.findings if read else ())
        ),
        ai_hidden=hidden,
        model=read.prediction.model if read else "",
        version=read.prediction.version if read else None,
        move="" if hidden or place is None else _move(place),
        reason="" if hidden or place is None else "; ".join(place.reasons or place.guards),
        unmatched=case.imaged is not None and not case.matched and not case.imaged.purpose,
        unread="" if hidden else case.why_unread,
        opened=case.opened is not None,
        asked=bool(asked),
        answer=_answered(case.answers[-1]) if case.answers else None,
        ris=_told(case, "ris"),
    )


def _person(patient: Patient | None, age: float | None) -> Person:
    if patient is None:
        return Person(name="", id="", issuer="", birth_date="", age_years=age, sex="")
    name = ", ".join(part for part in (patient.family, patient.given) if part)
    return Person(
        name=name, id=patient.id.value, issuer=patient.id.issuer, birth_date=patient.birth_date, age_years=age,
        sex=patient.sex,
    )


def _answered(verdict: Verdict) -> Answered:
    return Answered(
        verdict_id=verdict.verdict_id, kind=verdict.kind, reader=verdict.reader, answers=verdict.answers, at=verdict.at,
    )


def _weighed(case: Case) -> bool:
    """Whether triage has had its say on what a model said, or will not have one: nothing moves a case that was opened."""
    if case.read is None or case.standing != "waiting" or case.opened is not None:
        return True
    return case.place is not None and case.place.prediction_id == case.read.prediction_id


def _move(place: Place) -> str:
    if place.undone:
        return "undone"
    if place.lifted:
        return "lifted"
    return "kept" if place.abstained else ""


def _told(case: Case, receiver: str) -> Told | None:
    """Return the last that became of anything sent to one receiver, other than what a newer one overtook."""
    sent = [one for one in case.results if one.receiver == receiver and one.outcome != "superseded"]
    last = max(sent, key=lambda one: (one.at, one.delivery_id), default=None)
    if last is None:
        return None
    return Told(kind=last.kind, outcome=last.outcome, reason=last.reason, code=last.priority_code, at=last.at)


def screen_of(case: Case, now: datetime, findings: tuple[Code, ...], request_id: str = "") -> Screen:
    """Return a case as it is shown. `findings` are those a reader may answer where no model said anything."""
    if case.imaged is None:
        raise ValueError("a case without images cannot be shown")
    read, _ = shown(case, request_id, now)
    study, order, accession = case.imaged.study, case.order, case.accession_number
    pictures = tuple(
        Picture(
            sop_instance_uid=one.sop_instance_uid, frame=frame, view=one.view, modality=one.modality, rows=one.rows,
            columns=one.columns,
        )
        for one in study.instances if one.acquired for frame in range(1, one.frames + 1)
    )
    named = None
    if read:
        said = read.prediction
        named = next(
            (one for one in pictures if (one.sop_instance_uid, one.frame) == (said.sop_instance_uid, said.frame)), None,
        )
    told = {one.code: None for one in read.prediction.findings} if read else {}
    request = asked_for(case, request_id, now)
    return Screen(
        row=row_of(case, now, request_id, on_screen=True),
        accession=accession.value if accession else "",
        study_date=study.study_date,
        view=" · ".join(dict.fromkeys(one.view for one in pictures if one.view)),
        indication=order.indication if order and case.matched else "",
        unmatched_reason="" if case.matched else case.imaged.unmatched_reason,
        pictures=pictures,
        evidence=named,
        findings=tuple(told) or ((request.finding,) if request else findings),
        ai_shown=read is not None,
        ehr=_told(case, "ehr"),
    )


def serving_of(models: list[Model]) -> Serving:
    """Say which version speaks on the list, in words a reader understands."""
    for model in models:
        live, canary, shadow = model.latest("production"), model.latest("canary"), model.latest("shadow")
        if live is not None:
            note = f"version {canary.version} is tried on {canary.canary_share:.0%} of cases" if canary else ""
            return Serving(
                mode="production", model=model.model, version=live.version, shadow=shadow.version if shadow else None, note=note,
                since=live.since,
            )
        if canary is not None:
            return Serving(
                mode="canary", model=model.model, version=canary.version, shadow=shadow.version if shadow else None,
                note=f"speaks on {canary.canary_share:.0%} of cases", since=canary.since,
            )
        if shadow is not None:
            return Serving(
                mode="shadow", model=model.model, version=None, shadow=shadow.version, note="model in shadow: first in, first out",
                since=shadow.since,
            )
    return Serving(mode="none", model="", version=None, shadow=None, note="no model yet: first in, first out")
