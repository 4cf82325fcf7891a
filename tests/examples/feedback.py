"""A plausible history for feedback, covering every route."""

from examples.shared import CASE, PNEUMONIA, READER, SITE, at, completed, envelope, ordered, pooled, predicted, study

from radloop.events.reading import FindingAnswer
from radloop.events.report import CodedObservation, ReportSigned
from radloop.events.study import StudyBackfilled
from radloop.events.triage import ReviewRequested
from radloop.feedback.domain import Verdict
from radloop.feedback.handlers import RecordVerdict, TakeBackVerdict

OTHER = "9a1d0a52-8b0b-5f6e-9d57-4b1f6f9b7c02"


def verdict(identity: str = "verdict-1", **changes: object) -> RecordVerdict:
    """Build a command to record a verdict."""
    told = Verdict(**{  # type: ignore[arg-type]  # the changes are checked by the test that makes them
        "verdict_id": identity, "reader": READER, "kind": "accept", "answers": (FindingAnswer(code=PNEUMONIA, value="present"),),
        "revision": 1, "prediction_id": "example-predicted", "seconds_spent": 9.0, "ai_shown": True, "request_id": "request-1",
        "recorded_at": at(99), **changes,
    })
    return RecordVerdict(id=identity, subject=CASE, site=SITE, at=at(99), actor=READER, verdict=told)


INPUTS = (
    ordered(),
    completed(),
    predicted(),
    ReviewRequested(
        **envelope("requested", 70), request_id="request-1", finding=PNEUMONIA, label_value=0.8, cost_seconds=12,
        expires_at=at(9000), drawn="chosen", drawn_probability=1.0, strategy="cluster-margin", model="chest", version=2,
        ai_hidden=False, pooled=False,
    ),
    verdict(),
    TakeBackVerdict(id="take-back-1", subject=CASE, site=SITE, at=at(110), actor=READER, verdict_id="verdict-1"),
    StudyBackfilled(**envelope("backfilled", 5, OTHER), study=study(study_uid="2.25.7"), revision=1, purpose="acceptance"),
    pooled(subject=OTHER),
    ReportSigned(
        **envelope("signed", 6, OTHER), signed_at=at(6), signer="reader-2",
        findings=(CodedObservation(code=PNEUMONIA, value="absent"),), purpose="acceptance",
    ),
)
