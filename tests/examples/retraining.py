"""A plausible history for retraining, covering every route."""

import json
from dataclasses import asdict, replace

from examples.shared import CASE, PNEUMONIA, READER, SITE, at, envelope, ordered, pooled, predicted, prediction

from radloop.events.common import Actor
from radloop.events.prediction import ImageQuality, PredictionFailed, PredictionShadowed
from radloop.events.reading import LabelSettled
from radloop.kit.flow import Deliver, DeliveryAnswered, Due, JobEnded, caused_by
from radloop.kit.room import Room
from radloop.kit.store import Store
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.adapters.postgres import StoredShelf
from radloop.retraining.config import Settings
from radloop.retraining.domain.commands import Adapt, AddModel, Learnt, Promote, Rollback, StartCycle
from radloop.retraining.domain.record import signer
from radloop.retraining.handlers import routes
from radloop.retraining.main import build as build_room
from radloop.retraining.ports import Offered

OTHER = "9a1d0a52-8b0b-5f6e-9d57-4b1f6f9b7c02"
SYSTEM = Actor(kind="system", id="model-repository")
SETTINGS = {"model_repository": "models"}


class Offers:
    """A package that is in order, without its megabytes."""

    def look(self, package: str) -> Offered:
        """Return what it says of itself."""
        return Offered(model="chest", weights=package, snapshot="2" * 64, labels=20, case_ids=("seed-0001",))


def build(settings: Settings) -> Room:
    """Put the room together with packages and key of its own."""
    look = Store(settings.postgres.get_secret_value(), "retraining", {}, connections=1)
    look.open()
    return replace(build_room(settings), routes=routes(load_plan(), StoredShelf(look), Offers(), signer(b"key" * 11)))


def label(name: str = "label", revision: int = 1, value: str = "present", **changes: object) -> LabelSettled:
    """Build a label-settled event."""
    known: dict[str, object] = {
        "label_id": "label-1", "code": PNEUMONIA, "value": value, "source": "reader", "weight": 1.0, "drawn": "chosen",
        "drawn_probability": 1.0, "ai_shown": True, "patient_key": "p-3f9a", "purpose": "pool", "label_revision": revision,
    }
    return LabelSettled(**envelope(name, 100 + revision), **{**known, **changes})  # type: ignore[arg-type]


def answered(version: int, outcome: str = "delivered") -> DeliveryAnswered:
    """Build the model repository's answer."""
    return DeliveryAnswered(
        id=f"published-{version}", subject="chest", site=SITE, at=at(300 + version), actor=SYSTEM, outcome=outcome,
        delivery=Deliver(
            key=f"publish:{version}", receiver="model-repository", subject="chest", kind="publish", body=b"{}",
            content_type="application/json", revision=version,
        ),
    )


def ended(start: StartCycle, version: int = 2, *, passed: bool = True, content: str = "") -> JobEnded:
    """Build the end of the cycle that a command started."""
    learnt = Learnt(
        package="3" * 64, weights=f"{version:064d}", snapshot=f"{version + 100:064d}", snapshot_size=9, version=version,
        case_ids=(CASE,), gate_passed=passed, evidence=("AUC: +0.9500, lower bound +0.9300, needed +0.8500",), content=content,
    )
    return JobEnded(
        id=f"job:{start.id}", subject="chest", site=SITE, at=at(250), actor=SYSTEM, job_id=caused_by(start, "cycle"),
        name="cycle", succeeded=True, result=json.dumps(asdict(learnt)),
    )


def asked(name: str) -> dict[str, object]:
    """Return the fields every command to the model has."""
    return {"id": name, "subject": "chest", "site": SITE, "at": at(200), "actor": READER}


START = StartCycle(**asked("start-cycle"))  # type: ignore[arg-type]

INPUTS = (
    ordered(),
    predicted(),
    PredictionShadowed(**envelope("shadowed", 67), prediction=prediction(
        version=3, stage="shadow", ood_ratio=0.65, quality=ImageQuality(mean=0.47, contrast=0.21, at_ends=0.02))),
    predicted(0.4, "predicted-by-canary", version=3, stage="canary"),
    predicted(0.5, "predicted-again", 90, revision=2),
    pooled(0.7, "pooled-before"),
    PredictionFailed(**envelope("failed", 68, OTHER), revision=1, reason="not a chest", refused=True),
    pooled(subject=OTHER),
    label(),
    label("label-withdrawn", 2, "", withdrawn=True),
    AddModel(**asked("add"), package="1" * 64),  # type: ignore[arg-type]
    answered(1),
    START,
    ended(START),
    answered(2),
    Promote(**asked("promote"), version=1, stage="production"),  # type: ignore[arg-type]
    Rollback(**asked("roll-back")),  # type: ignore[arg-type]
    Adapt(**{**asked("adapt"), "subject": "lungs"}, masks="4" * 64, images=90),  # type: ignore[arg-type]
    Due(id="due-quiet", subject="chest", site=SITE, at=at(400), name="quiet"),
)
