"""Values the examples of all rooms are built from: one synthetic child, one chest radiograph, one morning."""

from datetime import UTC, datetime, timedelta
from typing import Any

from radloop.events.common import Actor, Blob, Code, Identity, Instance, Order, Patient, Study
from radloop.events.order import OrderRecorded
from radloop.events.prediction import FindingScore, Prediction, PredictionMade, PredictionPooled
from radloop.events.study import StudyCompleted

CASE = "4b4b2f0e-6a55-5a0c-8a52-0d7b0f3f5a01"
SITE = "site-1"
START = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
PNEUMONIA = Code(system="http://snomed.info/sct", value="233604007", display="Pneumonia")
PATIENT = Patient(
    id=Identity(site=SITE, issuer="HOSP", value="EX-0001"), family="Example", given="Erin", birth_date="2019-05-04", sex="F",
    key="p-3f9a",
)
READER = Actor(kind="reader", id="reader-1")


def at(seconds: float) -> datetime:
    """Return an instant of the morning."""
    return START + timedelta(seconds=seconds)


def envelope(name: str, seconds: float, subject: str = CASE) -> dict[str, Any]:
    """Return the fields every event has."""
    return {"id": f"example-{name}", "subject": subject, "site": SITE, "at": at(seconds)}


def order(priority: str = "routine", status: str = "active") -> Order:
    """Build an order."""
    return Order(
        patient=PATIENT.id, placer=Identity(site=SITE, issuer="EHR", value="PL-1"),
        filler=Identity(site=SITE, issuer="RIS", value="FL-1"), accession=Identity(site=SITE, issuer="RIS", value="ACC-EX-1"),
        priority=priority, modality="DX", indication="cough", placed_at=START, status=status,
        procedure=Code(system="urn:example:procedures", value="XRCHEST", display="Chest radiograph"),
    )


def study(**changes: Any) -> Study:
    """Build a study of one image."""
    instance = Instance(
        sop_instance_uid="2.25.1001", sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1", series_uid="2.25.1002",
        blob=Blob("a" * 64, 50176), modality="DX", body_part="CHEST", view="AP", rows=2000, columns=2500,
    )
    known: dict[str, Any] = {
        "study_uid": "2.25.1003", "instances": (instance,), "arrived_at": START, "patient": PATIENT,
        "accession": order().accession, "study_date": "2026-03-02", "age_years": 6.8, "description": "Chest AP",
    }
    return Study(**{**known, **changes})


def prediction(probability: float = 0.93, **changes: Any) -> Prediction:
    """Build a prediction of one finding; a probability far from one half has one answer in its conformal set."""
    conformal = ("present",) if probability > 0.7 else ("absent",) if probability < 0.3 else ("absent", "present")
    score = FindingScore(
        code=PNEUMONIA, probability=probability, members=(probability,) * 5, conformal=conformal,
        positive=probability >= 0.31, operating_point=0.31,
    )
    known: dict[str, Any] = {
        "model": "chest", "version": 2, "stage": "production", "revision": 1, "findings": (score,), "ood_score": 812.5,
        "out_of_distribution": False, "sop_instance_uid": "2.25.1001", "frame": 1, "rows": 2000, "columns": 2500,
        "embedding": Blob("b" * 64, 5120), "evidence": Blob("c" * 64, 900), "patient_key": "p-3f9a", "read_at": at(66),
    }
    return Prediction(**{**known, **changes})


def ordered(name: str = "ordered", seconds: float = 0, change: str = "new", revision: int = 1, **what: Any) -> OrderRecorded:
    """Build an order event."""
    return OrderRecorded(
        **envelope(name, seconds), change=change, order=order(**what), patient=PATIENT, order_revision=revision,
    )


def completed(name: str = "completed", seconds: float = 65, revision: int = 1, **changes: Any) -> StudyCompleted:
    """Build a study-completed event."""
    return StudyCompleted(
        **envelope(name, seconds), study=study(**changes), revision=revision, matched=True, completed_at=at(seconds),
    )


def predicted(probability: float = 0.93, name: str = "predicted", seconds: float = 66, **changes: Any) -> PredictionMade:
    """Build a prediction-made event."""
    return PredictionMade(**envelope(name, seconds), prediction=prediction(probability, **changes))


def pooled(probability: float = 0.6, name: str = "pooled", seconds: float = 66, subject: str = CASE) -> PredictionPooled:
    """Build a prediction-pooled event."""
    return PredictionPooled(**envelope(name, seconds, subject), prediction=prediction(probability), purpose="pool")
