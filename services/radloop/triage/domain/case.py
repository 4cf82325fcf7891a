"""A case as triage knows it: facts from every topic, and the place that follows from them, whatever came first."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import log2

import numpy as np

from radloop.events.prediction import FindingScore, Prediction
from radloop.triage.domain.policy import Policy

CLINICIANS = ("stat", "asap", "routine")
RAISED = "asap"
"""The clinicians' class that the RIS shows for a lifted order, and so the one that an echo of a lift says."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the model said, as far as the place depends on it."""

    prediction_id: str
    model: str
    version: int
    revision: int
    made_at: datetime
    scores: tuple[FindingScore, ...]
    out_of_distribution: bool
    embedding: str = ""


@dataclass(frozen=True, kw_only=True)
class Hastened:
    """The first order message that made a routine order ASAP, and the one before it; `again` once another came after it."""

    at: datetime
    after: datetime | None
    order_revision: int
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a case stands and why; two equal places need not be said twice."""

    urgency: str
    read_by: datetime
    reasons: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    conformal: tuple[str, ...] = ()
    uncertainty: float | None = None
    lifted: bool = False
    abstained: bool = False
    undone: bool = False
    priority: str = "routine"
    prediction_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything triage holds of one case. `order_revision` and `revision` say which facts are newest."""

    case_id: str
    site: str = ""
    priority: str = "routine"
    order_revision: int = 0
    told_at: datetime | None = None
    cancelled: bool = False
    arrived_at: datetime | None = None
    revision: int = 0
    opened_at: datetime | None = None
    signed_at: datetime | None = None
    reading: Reading | None = None
    lift_id: str = ""
    lift_made_at: datetime | None = None
    failed_revision: int = 0
    failure: str = ""
    late: bool = False
    undone_at_order: int | None = None
    hastened: Hastened | None = None
    purpose: str = ""
    said: Place | None = field(default=None, metadata={"counter": True})
    said_code: str = field(default="", metadata={"counter": True})
    triage_revision: int = field(default=0, metadata={"counter": True})

    @property
    def closed(self) -> bool:
        """Opened, signed or cancelled: nothing moves it any more."""
        return self.opened_at is not None or self.signed_at is not None or self.cancelled

    @property
    def echoed(self) -> bool:
        """Whether the order's ASAP is taken for the RIS's echo of our own lift: the first word on the order since, while it stood.

        Nothing in a message tells an echo from a clinician who raises the same order to the same class. So the case keeps at
        least that class's place while it is lifted, and whatever is said of the order next is the clinician's own word.
        """
        first = self.hastened
        made = self.lift_made_at
        if first is None or first.again or made is None or first.at <= made or not self._in_time:
            return False
        if first.after is not None and first.after > made:
            return False
        return self.undone_at_order is None or self.undone_at_order >= first.order_revision

    @property
    def own_priority(self) -> str:
        """The clinician's own priority: the order's, but for an echo of our lift."""
        return "routine" if self.echoed else self.priority

    @property
    def undone(self) -> bool:
        """A reader undid the lift, and no clinician has given the order another priority."""
        return self.undone_at_order is not None and self.own_priority == "routine"

    @property
    def lifted(self) -> bool:
        """A confident reading made in time lifted it. A reader's undo is for good: a case is lifted once."""
        return self._in_time and self.own_priority == "routine" and not self.undone

    @property
    def _in_time(self) -> bool:
        """Whether the reading that lifts was made before anybody opened or signed the case."""
        made = self.lift_made_at
        return made is not None and all(end is None or made < end for end in (self.opened_at, self.signed_at))

    def prioritised(self, priority: str, order_revision: int, said_at: datetime | None = None) -> "Case":
        """Take the order's priority; `said_at` is when a later order message said so, None for the one that brought it."""
        hastened = self.hastened
        if said_at is not None and hastened is not None:
            hastened = replace(hastened, again=True)
        elif said_at is not None and self.order_revision and (self.priority, priority) == ("routine", RAISED):
            hastened = Hastened(at=said_at, after=self.told_at, order_revision=order_revision)
        told_at = said_at or self.told_at
        return replace(self, priority=priority, order_revision=order_revision, told_at=told_at, hastened=hastened)

    def read(self, reading: Reading, policy: Policy) -> "Case":
        """Take what the model said; the first confident finding is remembered as the lift, for good."""
        if self.reading is not None and self.reading.revision > reading.revision:
            return self
        lifts = not self.lift_id and not doubts(reading, policy) and bool(findings_to_lift(reading, policy))
        if not lifts:
            return replace(self, reading=reading)
        return replace(self, reading=reading, lift_id=reading.prediction_id, lift_made_at=reading.made_at)

    def place(self, policy: Policy) -> Place | None:
        """Return the place that follows from the facts, None while the images are not all here."""
        if self.arrived_at is None or not self.revision:
            return None
        own = self.own_priority if self.own_priority in CLINICIANS else "routine"
        lifted = self.lifted
        urgency = "raised" if lifted else own
        allowance = policy.allowance_minutes.of(urgency)
        if lifted and self.echoed:
            allowance = min(allowance, policy.allowance_minutes.of(RAISED))
        reading = self.reading if self.reading is not None and self.reading.revision == self.revision else None
        held = doubts(reading, policy) if reading else ()
        return Place(
            urgency=urgency, priority=own, read_by=self.arrived_at + timedelta(minutes=allowance),
            reasons=self._reasons(policy, reading, lifted=lifted, held=held), guards=held,
            conformal=tuple(sorted({one for score in reading.scores for one in score.conformal})) if reading else (),
            uncertainty=label_value(reading) if reading else None, lifted=lifted,
            abstained=bool(held) and not lifted, undone=self.undone, prediction_id=reading.prediction_id if reading else "",
        )

    def _reasons(self, policy: Policy, reading: Reading | None, *, lifted: bool, held: tuple[str, ...]) -> tuple[str, ...]:
        if self.undone and self.lift_id:
            return ("its own place again: a reader undid the lift",)
        if lifted:
            found = findings_to_lift(reading, policy) or reading.scores if reading else ()
            why = tuple(f"lifted: {score.code.display.lower()} {score.probability:.0%}" for score in found)
            echo = (f"the order says {self.priority} since: taken for the RIS's echo of the lift",) if self.echoed else ()
            return (*(why or ("lifted: by the reading of an earlier revision",)), *echo)
        if held:
            return tuple(f"kept its place: {guard}" for guard in held)
        if reading and self.own_priority != "routine" and findings_to_lift(reading, policy):
            return (f"the clinician's own priority stands: {self.own_priority}",)
        if reading:
            return ("kept its place: no finding above the policy's threshold",)
        if self.failed_revision == self.revision and self.failure:
            return (f"not read by a model: {self.failure}",)
        if self.late:
            return ("no prediction in time: first in, first out",)
        return ("waiting for its reading: first in, first out",)


def reading_of(prediction: Prediction, prediction_id: str) -> Reading:
    """Return what triage keeps of a prediction."""
    return Reading(
        prediction_id=prediction_id, model=prediction.model, version=prediction.version, revision=prediction.revision,
        made_at=prediction.read_at, scores=prediction.findings, out_of_distribution=prediction.out_of_distribution,
        embedding=prediction.embedding.sha256,
    )


def doubts(reading: Reading, policy: Policy) -> tuple[str, ...]:
    """Return why the model is unsure of this reading; any reason makes triage abstain."""
    said: list[str] = []
    if reading.out_of_distribution:
        said.append("unlike the images the model was trained on")
    for score in reading.scores:
        if len(score.conformal) != 1:
            said.append(f"both answers possible for {score.code.display.lower()}" if score.conformal else
                        f"no answer fits for {score.code.display.lower()}")
        if float(np.std(score.members)) > policy.guards.disagreement:
            said.append(f"the ensemble disagrees on {score.code.display.lower()}")
    return tuple(said)


def findings_to_lift(reading: Reading, policy: Policy) -> tuple[FindingScore, ...]:
    """Return the findings that the policy finds urgent, with conformal set {present}."""
    lift_at = {(one.system, one.value): one.lift_at for one in policy.findings}
    return tuple(
        score for score in reading.scores
        if score.conformal == ("present",)
        and score.probability >= lift_at.get((score.code.system, score.code.value), float("inf"))
    )


def most_telling(reading: Reading) -> FindingScore | None:
    """Return the finding whose answer would teach most, the most uncertain one; None where the model said of none."""
    return max(reading.scores, key=lambda score: entropy(score.probability), default=None)


def label_value(reading: Reading) -> float:
    """Return how much an answer would teach: the entropy of the most telling finding, in bits (0 to 1)."""
    telling = most_telling(reading)
    return entropy(telling.probability) if telling else 0.0


def entropy(probability: float) -> float:
    """Return the entropy of a yes-or-no answer in bits (Shannon 1948): 0 when certain, 1 at one half."""
    return -sum(p * log2(p) for p in (probability, 1 - probability) if p > 0)
