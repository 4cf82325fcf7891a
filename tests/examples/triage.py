"""A plausible history for triage, covering every route."""

from examples.shared import CASE, PATIENT, READER, SITE, at, completed, envelope, order, ordered, pooled, predicted

from radloop.events.order import CaseJoined
from radloop.events.prediction import PredictionFailed
from radloop.events.reading import CaseOpened, VerdictRecorded
from radloop.events.report import ReportSigned
from radloop.kit.flow import Due
from radloop.triage.handlers import RequestReviews, UndoReordering

OTHER = "9a1d0a52-8b0b-5f6e-9d57-4b1f6f9b7c02"

INPUTS = (
    ordered(),
    CaseJoined(**envelope("joined", 1), study_case=CASE, order_case=CASE, order=order(), patient=PATIENT, order_revision=2),
    completed(),
    predicted(),
    ordered("echo", 75, change="changed", revision=3, priority="asap"),
    PredictionFailed(**envelope("failed", 67, OTHER), revision=1, reason="PatientAge is outside 0 to 18 years", refused=True),
    pooled(subject=OTHER),
    CaseOpened(**envelope("opened", 90), reader=READER, opened_at=at(90), revision=1),
    VerdictRecorded(
        **envelope("verdict", 99), verdict_id="v", reader=READER, kind="accept", answers=(), revision=1, seconds_spent=9,
        ai_shown=True, recorded_at=at(99),
    ),
    ReportSigned(**envelope("signed", 120), signed_at=at(120), signer="reader-1", findings=()),
    Due(id="due", subject=CASE, site=SITE, at=at(200), name="deadline"),
    UndoReordering(id="undo", subject=CASE, site=SITE, at=at(80), actor=READER),
    RequestReviews(id="ask", subject="pool", site=SITE, at=at(10), actor=READER, count=1, seed=1),
)
