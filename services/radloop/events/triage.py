"""What triage says."""

from dataclasses import dataclass
from datetime import datetime

from radloop.events.common import Code
from radloop.kit.flow import Event


@dataclass(frozen=True, kw_only=True)
class CaseTriaged(Event):
    """Where a case stands in the reading list, and why: urgency is stat, raised or routine.

    `priority` is the clinician's own (stat, asap, routine); `uncertainty` the entropy of the mean probability in bits;
    `guards` the rules that kept it in its place; `priority_code` the HL7 code the RIS should now show, empty for no change.
    """

    triage_revision: int
    revision: int
    urgency: str
    priority: str
    arrived_at: datetime
    read_by: datetime
    reasons: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    conformal: tuple[str, ...] = ()
    uncertainty: float | None = None
    lifted: bool = False
    abstained: bool = False
    undone: bool = False
    prediction_id: str = ""
    model: str = ""
    version: int = 0
    policy: str = ""
    priority_code: str = ""


@dataclass(frozen=True, kw_only=True)
class ReviewRequested(Event):
    """This case is worth an answer; drawn is audit or chosen.

    `drawn_probability` is that of an audit's lot; what a rule chose is certain, 1. `ai_hidden` asks that the model's word be
    hidden until the answer; whether it was is told by the verdict.
    """

    request_id: str
    finding: Code
    label_value: float
    cost_seconds: float
    expires_at: datetime
    drawn: str
    drawn_probability: float
    strategy: str
    model: str
    version: int
    ai_hidden: bool
    pooled: bool
