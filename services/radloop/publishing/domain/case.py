"""One case as publishing knows it: the facts it heard, in whatever order they came, and what it has said outside."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from radloop.events.common import Order, Patient
from radloop.events.prediction import FindingScore, Prediction
from radloop.events.reading import FindingAnswer
from radloop.publishing.domain.said import Raised, Said
from radloop.standards.fhir.lookup import Lookup

SERVING = frozenset({"canary", "production"})
"""The stages whose predictions may leave the house; a shadow version's never does."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """What a report says of the study it rests on; `matched` is what ingestion knew when the images were complete."""

    study_uid: str
    study_date: str
    body_part: str
    revision: int
    matched: bool


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A serving version's prediction; `id` is that of its event."""

    id: str
    model: str
    version: int
    revision: int
    findings: tuple[FindingScore, ...]
    out_of_distribution: bool
    read_at: datetime


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One reader's answer; the latest one holds unless it was taken back."""

    id: str
    kind: str
    reader: str
    answers: tuple[FindingAnswer, ...]
    revision: int
    prediction_id: str
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class Triage:
    """What triage said last: whether the case is lifted, by which code, and whether the model abstained."""

    revision: int
    lifted: bool
    abstained: bool
    prediction_id: str
    priority: str
    priority_code: str
    reasons: tuple[str, ...]
    guards: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """The facts first; below them what was said outside, which depends on when they came.

    `order` speaks for the case, whose priority the RIS may be asked to change; `other_orders` are the rest it answers.
    `said` is the report as last decided, `standing` as the EHR last took it; `withheld` names the reading whose report was
    not sent any more; `stands` says whether anything of ours may be at the EHR; `references` is what the EHR answered when
    it was last asked, `looked_for` the report it was asked for, `looking` whether it is being asked now.
    """

    case_id: str
    site: str = ""
    order: Order | None = None
    other_orders: tuple[Order, ...] = ()
    patient: Patient | None = None
    order_revision: int = -1
    joined: bool | None = None
    join_revision: int = -1
    images: Images | None = None
    reading: Reading | None = None
    verdict: Verdict | None = None
    taken_back: tuple[str, ...] = ()
    triage: Triage | None = None
    opened: bool = False
    signed: bool = False

    number: int = field(default=0, metadata={"counter": True})
    said: Said | None = field(default=None, metadata={"counter": True})
    standing: Said | None = field(default=None, metadata={"counter": True})
    withheld: str = field(default="", metadata={"counter": True})
    stands: bool = field(default=False, metadata={"counter": True})
    references: Lookup | None = field(default=None, metadata={"counter": True})
    looked_for: int = field(default=0, metadata={"counter": True})
    looking: bool = field(default=False, metadata={"counter": True})
    raised: Raised | None = field(default=None, metadata={"counter": True})
    changes: int = field(default=0, metadata={"counter": True})

    @property
    def cancelled(self) -> bool:
        """Whether its order was cancelled."""
        return self.order is not None and self.order.status == "cancelled"

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders that a report answers: those not cancelled, in the order of their numbers, whichever speaks for the case."""
        known = (self.order, *self.other_orders) if self.order else ()
        return tuple(sorted((one for one in known if one.status != "cancelled"), key=_number))

    @property
    def matched(self) -> bool:
        """Whether study and order belong together, as a join or its undoing said last, else the study's completion."""
        if self.joined is not None:
            return self.joined
        return self.images is not None and self.images.matched

    @property
    def answer(self) -> Verdict | None:
        """The verdict that holds for the present reading, None where there is none."""
        verdict, reading = self.verdict, self.reading
        if verdict is None or reading is None or verdict.id in self.taken_back:
            return None
        about = verdict.prediction_id == reading.id if verdict.prediction_id else verdict.revision == reading.revision
        return verdict if about else None

    @property
    def rejected(self) -> bool:
        """Whether a reader says that the present reading is wrong."""
        return self.answer is not None and self.answer.kind == "reject"

    def ordered(
        self, order: Order | None, others: tuple[Order, ...], patient: Patient | None, order_revision: int,
    ) -> Self:
        """Take what is said of the orders, unless something later is known."""
        if order_revision <= self.order_revision:
            return self
        return replace(self, order=order, other_orders=others, patient=patient, order_revision=order_revision)

    def read(self, prediction: Prediction, identity: str) -> Self:
        """Take a prediction, unless a later one is known."""
        reading = Reading(
            id=identity, model=prediction.model, version=prediction.version, revision=prediction.revision,
            findings=prediction.findings, out_of_distribution=prediction.out_of_distribution, read_at=prediction.read_at,
        )
        known = self.reading
        if known and (known.revision, known.read_at, known.id) > (reading.revision, reading.read_at, reading.id):
            return self
        return replace(self, reading=reading)

    def judged(self, verdict: Verdict) -> Self:
        """Take a verdict, unless a later one is known."""
        known = self.verdict
        if known and (known.recorded_at, known.id) > (verdict.recorded_at, verdict.id):
            return self
        return replace(self, verdict=verdict)

    def withdrawn(self, verdict_id: str) -> Self:
        """Take a verdict back, should it even be still on its way."""
        return replace(self, taken_back=tuple(sorted({*self.taken_back, verdict_id})))


def _number(order: Order) -> tuple[str, ...]:
    """By what orders of one case are sorted: it never changes, as their priorities do."""
    named = (order.filler, order.placer, order.accession)
    return tuple(part for one in named for part in ((one.issuer, one.value) if one else ("", "")))
