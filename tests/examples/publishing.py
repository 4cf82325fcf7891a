"""A plausible history for publishing, covering every route: published, lifted, refined, signed."""

from dataclasses import replace

from examples.shared import CASE, PATIENT, PNEUMONIA, READER, SITE, at, completed, envelope, order, ordered, predicted

from radloop.events.common import Actor, Identity
from radloop.events.order import CaseJoined
from radloop.events.reading import CaseOpened, FindingAnswer, VerdictRecorded
from radloop.events.report import ReportSigned
from radloop.events.triage import CaseTriaged
from radloop.kit.flow import Deliver, DeliveryAnswered
from radloop.standards.fhir.lookup import Lookup
from radloop.standards.fhir.values import Identifier, Named, study_identifier

OTHER = "9a1d0a52-8b0b-5f6e-9d57-4b1f6f9b7c02"
FOUND = Lookup(
    patient=Named("Patient", (Identifier("urn:radloop:issuer:HOSP", "EX-0001", "MR"),), "p-1"),
    orders=(Named("ServiceRequest", (
        Identifier("urn:radloop:issuer:RIS", "ACC-EX-1", "ACSN"), Identifier("urn:radloop:issuer:EHR", "PL-1", "PLAC"),
        Identifier("urn:radloop:issuer:RIS", "FL-1", "FILL"),
    ), "s-1"),),
    study=Named("ImagingStudy", (study_identifier("2.25.1003"), Identifier("urn:radloop:issuer:RIS", "ACC-EX-1", "ACSN")), "i-1"),
)


def triaged(revision: int = 1, *, lifted: bool = True, code: str = "A", seconds: float = 67, **changes: object) -> CaseTriaged:
    """Build a case-triaged event."""
    known = CaseTriaged(
        **envelope(f"triaged-{revision}", seconds), triage_revision=revision, revision=1, urgency="raised" if lifted else "routine",
        priority="routine", arrived_at=at(0), read_by=at(1800), reasons=("Pneumonia 0.93",), lifted=lifted,
        prediction_id="example-predicted", model="chest", version=2, policy="1", priority_code=code,
    )
    return replace(known, **changes)


def verdict(kind: str = "refine", value: str = "absent", name: str = "verdict", seconds: float = 99, **changes: object) -> VerdictRecorded:
    """Build a verdict on the example's prediction."""
    known = VerdictRecorded(
        **envelope(name, seconds), verdict_id=name, reader=READER, kind=kind,
        answers=(FindingAnswer(code=PNEUMONIA, value=value),) if kind != "taken-back" else (), revision=1, seconds_spent=9.0,
        ai_shown=True, recorded_at=at(seconds), prediction_id="example-predicted",
    )
    return replace(known, **changes)


def signed(seconds: float = 120, purpose: str = "") -> ReportSigned:
    """Build a report-signed event."""
    return ReportSigned(**envelope("signed", seconds), signed_at=at(seconds), signer="reader-1", findings=(), purpose=purpose)


def joined(*, undone: bool = False, revision: int = 2, study: str = CASE, order_case: str = OTHER, subject: str = CASE) -> CaseJoined:
    """Build a case-joined event."""
    return CaseJoined(
        **envelope(f"joined-{subject}-{revision}", revision, subject), study_case=study, order_case=order_case, order=order(),
        patient=PATIENT, order_revision=revision, undone=undone,
    )


def answered(delivery: Deliver, outcome: str = "delivered", answer: bytes = b"", reason: str = "") -> DeliveryAnswered:
    """Build the answer to a delivery."""
    return DeliveryAnswered(
        id=f"answered-{delivery.key}", subject=delivery.subject, site=SITE, at=at(70), actor=Actor(kind="system", id=delivery.receiver),
        delivery=delivery, outcome=outcome, reason=reason, answer=answer,
    )


INPUTS = (
    ordered(),
    replace(joined(), other_orders=(replace(order(), placer=None, filler=Identity(site=SITE, issuer="RIS", value="FL-2")),)),
    completed(),
    predicted(),
    triaged(),
    answered(
        Deliver(key=f"{CASE}:look-up", receiver="ehr", subject=CASE, kind="look-up", body=b"", content_type="", revision=1),
        answer=FOUND.write(),
    ),
    CaseOpened(**envelope("opened", 90), reader=READER, opened_at=at(90), revision=1),
    verdict(),
    signed(),
)
