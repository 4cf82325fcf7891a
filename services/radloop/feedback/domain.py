"""Verdicts and the label they settle to: facts from every topic, and one pure rule."""

from dataclasses import dataclass, field
from datetime import datetime

from radloop.events.common import Actor, Code
from radloop.events.reading import FindingAnswer
from radloop.events.report import CodedObservation

KINDS = ("accept", "reject", "refine", "cannot-say")
VALUES = ("present", "absent", "cannot-say")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How much an answer weighs in training, by how its case was drawn."""

    audit: float
    chosen: float
    volunteered: float

    def of(self, drawn: str) -> float:
        """Return the weight of one way of drawing."""
        return float(getattr(self, drawn))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How verdicts settle to a label, as data."""

    version: str
    readers_needed: int
    weights: Weights
    report_purposes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A review that was asked for, and how the case was drawn."""

    request_id: str
    drawn: str
    probability: float
    asked_at: datetime


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One reader's answer, with what was on the screen."""

    verdict_id: str
    reader: Actor
    kind: str
    answers: tuple[FindingAnswer, ...]
    revision: int
    prediction_id: str
    seconds_spent: float
    ai_shown: bool
    request_id: str
    recorded_at: datetime
    taken_back: bool = False


@dataclass(frozen=True, kw_only=True)
class Label:
    """What the answers amount to for one finding, and to whose learning they count."""

    code: Code
    value: str
    source: str
    weight: float
    drawn: str
    drawn_probability: float | None
    ai_shown: bool
    patient_key: str
    purpose: str


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    """Everything feedback holds of one case; purpose is live, pool, acceptance or gate once a study told it."""

    case_id: str
    site: str = ""
    purpose: str = ""
    patient_key: str = ""
    order_revision: int = 0
    revision: int = 0
    prediction_id: str = ""
    prediction_revision: int = 0
    predicted_at: datetime | None = None
    requests: tuple[Request, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    report: tuple[CodedObservation, ...] = ()
    reported_at: datetime | None = None
    said: Label | None = None
    label_revision: int = field(default=0, metadata={"counter": True})

    def label(self, rule: Rule) -> Label | None:
        """Return what the facts amount to, None where nothing settles it: nobody answered, or nobody could say."""
        if not self.purpose or not self.patient_key:
            return None
        if self.purpose in rule.report_purposes:
            return self._from_report()
        standing = [one for one in self.verdicts if not one.taken_back]
        if len({one.reader.id for one in standing}) < rule.readers_needed:
            return None
        newest = max(standing, key=lambda one: (one.recorded_at, one.verdict_id))
        said = next((one for one in newest.answers if one.value != "cannot-say"), None)
        if said is None:
            return None
        request = self.request_of(newest.request_id)
        drawn = request.drawn if request else "volunteered"
        return Label(
            code=said.code, value=said.value, source="reader", weight=rule.weights.of(drawn), drawn=drawn,
            drawn_probability=request.probability if request else None, ai_shown=newest.ai_shown,
            patient_key=self.patient_key, purpose=self.purpose,
        )

    def _from_report(self) -> Label | None:
        said = next((one for one in self.report if one.value != "cannot-say"), None)
        if said is None:
            return None
        return Label(
            code=said.code, value=said.value, source="report", weight=1.0, drawn="", drawn_probability=None, ai_shown=False,
            patient_key=self.patient_key, purpose=self.purpose,
        )

    def request_of(self, request_id: str) -> Request | None:
        """Return the request of that id, None where the answer was volunteered."""
        return next((one for one in self.requests if one.request_id == request_id), None)

    def replaced(self, verdict: Verdict) -> str:
        """Say why the verdict answers something that has been replaced meanwhile, empty where it does not."""
        if verdict.revision < self.revision:
            return "new images arrived: look again, then answer"
        shown_before = verdict.ai_shown and verdict.prediction_id and self.prediction_id
        if shown_before and verdict.prediction_id != self.prediction_id and verdict.revision <= self.prediction_revision:
            return "a newer prediction replaced the one you saw: look again, then answer"
        return ""


def wrong(verdict: Verdict) -> str:
    """Say what is wrong with a verdict in itself, empty where nothing is."""
    if verdict.kind not in KINDS:
        return f"kind must be one of {', '.join(KINDS)}"
    if not verdict.answers:
        return "a verdict answers at least one finding"
    if any(one.value not in VALUES for one in verdict.answers):
        return f"an answer must be one of {', '.join(VALUES)}"
    if len({(one.code.system, one.code.value) for one in verdict.answers}) < len(verdict.answers):
        return "a verdict answers each finding once"
    if not verdict.reader.id:
        return "a verdict names its reader"
    if not 0 <= verdict.seconds_spent < 24 * 3600:
        return "seconds_spent must be from 0 to a day"
    return ""
