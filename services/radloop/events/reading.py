"""What readers did, said by worklist and feedback."""

from dataclasses import dataclass
from datetime import datetime

from radloop.events.common import Actor, Code
from radloop.kit.flow import Event


@dataclass(frozen=True, kw_only=True)
class CaseOpened(Event):
    """A reader opened a case, with this on the screen; `prediction_id` is empty where no prediction was shown."""

    reader: Actor
    opened_at: datetime
    revision: int
    prediction_id: str = ""
    ai_shown: bool = False


@dataclass(frozen=True, kw_only=True)
class FindingAnswer:
    """One reader's absolute answer on one finding: present, absent or cannot-say."""

    code: Code
    value: str


@dataclass(frozen=True, kw_only=True)
class VerdictRecorded(Event):
    """One reader's verdict: kind is accept, reject, refine, cannot-say or taken-back (then `takes_back` names which)."""

    verdict_id: str
    reader: Actor
    kind: str
    answers: tuple[FindingAnswer, ...]
    revision: int
    seconds_spent: float
    ai_shown: bool
    recorded_at: datetime
    prediction_id: str = ""
    request_id: str = ""
    takes_back: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelSettled(Event):
    """What verdicts (source reader) or a signed report (source report) amount to; value is empty where withdrawn.

    Purpose is live, pool, acceptance or gate; drawn is audit, chosen, volunteered, or empty for reports.
    `label_revision` counts what feedback said of this case's label: the higher holds.
    """

    label_id: str
    code: Code
    value: str
    source: str
    weight: float
    drawn: str
    drawn_probability: float | None = None
    ai_shown: bool
    patient_key: str
    purpose: str
    label_revision: int
    withdrawn: bool = False
