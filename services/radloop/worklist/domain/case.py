"""A case as the reading room keeps it: one row, a part for each thing that was said of it.

Each part holds the newest that was said, by the sayer's own count, and no part depends on another: so the topics may
arrive in any order. What follows from several parts together (matched, shown, listed) is worked out when it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from radloop.events.common import Code, Identity, Order, Patient, Study
from radloop.events.prediction import Prediction
from radloop.events.reading import FindingAnswer

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Imaged:
    """The study at its newest revision; `purpose` is empty for live work, else pool, acceptance or gate."""

    study: Study
    revision: int
    matched: bool
    unmatched_reason: str = ""
    purpose: str = ""


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """The order as ingestion last told it; `present` is false where the order went to another case (a join, or its undoing)."""

    order: Order
    patient: Patient
    order_revision: int
    present: bool = True


@dataclass(frozen=True, kw_only=True)
class Join:
    """The last word on whether this study and its order belong together: a join, or its undoing."""

    joined: bool
    order_revision: int


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a model said of a revision, under the id of the event that said so."""

    prediction_id: str
    prediction: Prediction


@dataclass(frozen=True, kw_only=True)
class Unread:
    """Why no model read a revision."""

    revision: int
    reason: str
    refused: bool
    at: datetime
    id: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where triage put the case, and why."""

    triage_revision: int
    urgency: str
    priority: str
    arrived_at: datetime
    read_by: datetime
    reasons: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    lifted: bool = False
    abstained: bool = False
    undone: bool = False
    prediction_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Who opened the case first, and when."""

    reader: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One reader's answer, or (kind taken-back) the end of one."""

    verdict_id: str
    reader: str
    kind: str
    answers: tuple[FindingAnswer, ...]
    revision: int
    at: datetime
    prediction_id: str = ""
    request_id: str = ""
    takes_back: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The last thing that became of one kind of message to one receiver."""

    delivery_id: str
    receiver: str
    kind: str
    outcome: str
    at: datetime
    reason: str = ""
    priority_code: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A wish for an answer; `ai_hidden` marks the audit slice."""

    request_id: str
    finding: Code
    drawn: str
    expires_at: datetime
    ai_hidden: bool
    pooled: bool


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row of the reading room. The last five fields are worked out from the others by `placed`, for the list's queries.

    `ai_seen` once a reader may know what a model said: the list showed its lift, or the case was opened with it on the screen.
    `replaced` are the readings that a newer one took the place of, which may still be on somebody's screen.
    """

    case_id: str
    site: str
    ordered: Ordered | None = None
    join: Join | None = None
    imaged: Imaged | None = None
    read: Read | None = None
    unread: Unread | None = None
    place: Place | None = None
    opened: Opened | None = None
    signed_at: datetime | None = None
    verdicts: tuple[Verdict, ...] = ()
    results: tuple[Result, ...] = ()
    requests: tuple[Request, ...] = ()
    ai_seen: bool = False
    replaced: tuple[str, ...] = field(default=(), metadata={"counter": True})
    standing: str = "expected"
    stat: bool = False
    read_by: datetime | None = None
    accession: str = ""
    asked_until: datetime | None = None

    @property
    def order(self) -> Order | None:
        """The order this case answers, None where it has none (any more)."""
        return self.ordered.order if self.ordered and self.ordered.present else None

    @property
    def matched(self) -> bool:
        """Whether order and study belong together; the last word on a join overrules what the study said of itself."""
        if self.imaged is None:
            return False
        return self.join.joined if self.join else self.imaged.matched

    @property
    def patient(self) -> Patient | None:
        """Who this is: as the order names them where it is matched, else as the images do."""
        images = self.imaged.study.patient if self.imaged else None
        orders = self.ordered.patient if self.ordered and self.ordered.present else None
        return (orders or images) if self.imaged is None or self.matched else images

    @property
    def accession_number(self) -> Identity | None:
        """The accession number, from the order, else from the images."""
        told = self.order.accession if self.order and (self.matched or self.imaged is None) else None
        return told or (self.imaged.study.accession if self.imaged else None)

    @property
    def revision(self) -> int:
        """The study's revision, 0 while there are no images."""
        return self.imaged.revision if self.imaged else 0

    @property
    def current(self) -> Read | None:
        """What a model said of the study as it is now, None where nobody has (yet)."""
        return self.read if self.read and self.read.prediction.revision == self.revision else None

    @property
    def why_unread(self) -> str:
        """Why no model read the study as it is now; empty where one did, or may still."""
        failed = self.unread
        return failed.reason if failed and failed.revision == self.revision and self.current is None else ""

    @property
    def answers(self) -> tuple[Verdict, ...]:
        """The verdicts that stand, oldest first."""
        ended = {one.takes_back for one in self.verdicts if one.kind == "taken-back"}
        standing = (one for one in self.verdicts if one.kind != "taken-back" and one.verdict_id not in ended)
        return tuple(sorted(standing, key=lambda one: (one.at, one.verdict_id)))

    @property
    def priority(self) -> str:
        """The clinician's own priority: as triage last told it, until then as the order says."""
        if self.place:
            return self.place.priority
        return self.order.priority if self.order and self.matched else "routine"

    @property
    def urgency(self) -> str:
        """The class that orders the list; a clinician's STAT does not wait for triage to say so."""
        if self.place:
            return self.place.urgency
        return "stat" if self.priority == "stat" else "routine"

    @property
    def open_requests(self) -> tuple[Request, ...]:
        """The review requests that nobody has answered.

        One that hid the AI is not open again when its answer is taken back: the reader has seen by then what the model said.
        """
        answered = {one.request_id for one in self.answers}
        ever = {one.request_id for one in self.verdicts}
        return tuple(one for one in self.requests if one.request_id not in (ever if one.ai_hidden else answered))

    def hides(self, request: Request) -> bool:
        """Whether a request hides what a model said: an answer is never called blind whose reader may have seen it."""
        return request.ai_hidden and not self.ai_seen

    def unknown(self, revision: int, prediction_id: str) -> str:
        """Say why this cannot have been on a screen, empty where it can: also what has been replaced since was shown once."""
        if not 1 <= revision <= self.revision:
            return "this case has no such revision of its images"
        known = {"", *self.replaced, *([self.read.prediction_id] if self.read else [])}
        return "" if prediction_id in known else "no such reading of this case is known"


def placed(case: Case) -> Case:
    """Return the case with the columns worked out by which the list is asked for."""
    accession = case.accession_number
    place = case.place
    return replace(
        case,
        standing=_standing(case),
        stat=case.urgency == "stat",
        read_by=place.read_by if place else None,
        accession=accession.value if accession else "",
        asked_until=max((one.expires_at for one in case.open_requests), default=None),
    )


def kept(parts: tuple[T, ...], part: T, name: Callable[[T], tuple[object, ...]]) -> tuple[T, ...]:
    """Return the parts with one more, in an order that does not depend on which came first; `name` tells parts apart."""
    others = tuple(one for one in parts if name(one) != name(part))
    return tuple(sorted((*others, part), key=lambda one: tuple(map(str, name(one)))))


def _standing(case: Case) -> str:
    """Say where a case stands: expected (no images yet), earlier (backfilled), cancelled, signed, or waiting."""
    if case.imaged is None:
        return "expected"
    if case.imaged.purpose:
        return "earlier"
    if case.signed_at is not None:
        return "signed"
    if case.matched and case.order and case.order.status == "cancelled":
        return "cancelled"
    return "waiting"
