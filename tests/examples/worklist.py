"""A plausible history for the worklist, covering every route."""

from datetime import timedelta

from examples.shared import CASE, PATIENT, PNEUMONIA, READER, SITE, START, at, completed, envelope, order, ordered, pooled, predicted, study

from radloop.events.common import Blob
from radloop.events.model import ModelReleased, ModelTrained
from radloop.events.order import CaseJoined
from radloop.events.prediction import PredictionFailed
from radloop.events.publishing import ResultPublished
from radloop.events.reading import FindingAnswer, VerdictRecorded
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled
from radloop.events.triage import CaseTriaged, ReviewRequested
from radloop.worklist.handlers import OpenCase

EARLIER = "9a1d0a52-8b0b-5f6e-9d57-4b1f6f9b7c02"


def triaged(revision: int = 1, seconds: float = 67, **changes: object) -> CaseTriaged:
    """Build a place in the list."""
    known = {
        "triage_revision": revision, "revision": 1, "urgency": "routine", "priority": "routine", "arrived_at": START,
        "read_by": START + timedelta(hours=4),
    }
    return CaseTriaged(**envelope(f"triaged-{revision}", seconds), **{**known, **changes})


def lifted(revision: int = 2) -> CaseTriaged:
    """Build a lift."""
    return triaged(
        revision, 68, urgency="raised", read_by=START + timedelta(hours=1), lifted=True, reasons=("lifted: pneumonia 93%",),
        prediction_id="example-predicted",
    )


def requested(subject: str = CASE, *, ai_hidden: bool = False) -> ReviewRequested:
    """Build a review request."""
    drawn = "audit" if ai_hidden else "chosen"
    return ReviewRequested(
        **envelope(f"requested-{drawn}-{subject}", 70, subject), request_id=f"request-{drawn}-{subject}", finding=PNEUMONIA,
        label_value=0.8, cost_seconds=12, expires_at=START + timedelta(days=1), drawn=drawn, drawn_probability=0.15,
        strategy="cluster-margin", model="chest", version=2, ai_hidden=ai_hidden, pooled=subject != CASE,
    )


def verdict(name: str = "v1", kind: str = "accept", seconds: float = 95, **changes: object) -> VerdictRecorded:
    """Build a verdict."""
    known = {
        "verdict_id": name, "reader": READER, "kind": kind, "answers": (FindingAnswer(code=PNEUMONIA, value="present"),),
        "revision": 1, "seconds_spent": 9, "ai_shown": True, "recorded_at": at(seconds), "prediction_id": "example-predicted",
    }
    return VerdictRecorded(**envelope(f"verdict-{name}", seconds), **{**known, **changes})


def published(outcome: str = "delivered", seconds: float = 72, **changes: object) -> ResultPublished:
    """Build what became of a priority change."""
    known = {
        "delivery_id": "delivery-1", "receiver": "ris", "kind": "priority", "outcome": outcome, "identifiers": (),
        "published_at": at(seconds), "revision": 1, "priority_code": "A",
    }
    return ResultPublished(**envelope(f"published-{outcome}", seconds), **{**known, **changes})


INPUTS = (
    ordered(),
    completed(),
    completed("completed-2", 66, revision=2),
    CaseJoined(**envelope("joined", 30), study_case=CASE, order_case=CASE, order=order(), patient=PATIENT, order_revision=2),
    ordered("changed", 40, change="changed", revision=3, priority="asap"),
    predicted(),
    PredictionFailed(**envelope("failed", 67), revision=2, reason="view LL is not one it reads", refused=True),
    triaged(),
    lifted(),
    requested(),
    requested(ai_hidden=True),
    verdict(),
    verdict("v2", "taken-back", 97, takes_back="v1"),
    published(),
    StudyBackfilled(**envelope("backfilled", 5, EARLIER), study=study(), revision=1, purpose="pool"),
    pooled(subject=EARLIER),
    requested(EARLIER),
    ModelTrained(
        **envelope("trained", 3, "chest"), model="chest", version=2, snapshot=Blob("d" * 64, 1000), labels=95, gate_passed=True,
        evidence=("AUC .95, lower bound .93",), trained_at=at(3),
    ),
    ModelReleased(
        **envelope("released", 4, "chest"), model="chest", version=2, stage="production", previous_stage="candidate",
        canary_share=1.0, change_record="r", weights_sha256="e" * 64, release=2, released_at=at(4),
    ),
    ReportSigned(**envelope("signed", 120), signed_at=at(120), signer="reader-1", findings=()),
    OpenCase(id="open", subject=CASE, site=SITE, at=at(90), actor=READER, revision=2),
)
