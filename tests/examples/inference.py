"""A plausible history for inference, covering every route, with a model that answers without Triton."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from tests.examples.shared import CASE, PATIENT, SITE, at, completed, envelope, order, ordered, study
from tests.dicom_making import file_of, radiograph

from radloop.events.common import Blob
from radloop.events.model import ModelReleased
from radloop.events.order import CaseJoined
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled
from radloop.events.wire import Wire
from radloop.inference import main
from radloop.inference.adapters.postgres import REPOSITORIES, StoredDesk
from radloop.inference.config import Settings
from radloop.inference.domain.answer import Home, Outputs
from radloop.inference.domain.case import reading_id
from radloop.inference.domain.reading import SYSTEM, AbandonReading, ReadStudy
from radloop.inference.handlers import Lens, routes
from radloop.inference.ports import Described
from radloop.kit.room import Room
from radloop.kit.store import Store
from radloop.standards.codes import PNEUMONIA
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import (
    IMAGENET, Ages, Applicability, Calibration, Conformal, Finding, OutOfDistribution, Package, Preparation,
)

SETTINGS = {"triton": "127.0.0.1:1", "model_repository": "nowhere"}
IGNORED_COLUMNS = {"trace"}
WIDTH = 4


def package(version: int = 1, **changes: Any) -> Package:
    """Build a package of the chest model with two members."""
    known: dict[str, Any] = {
        "model": "chest", "version": version, "intended_use": "Pneumonia in children", "members": 2,
        "applicability": Applicability(("DX", "CR"), ("CHEST",), ("AP", "PA"), Ages(0, 18), orientations=("L\\F",)),
        "preparation": IMAGENET,
        "findings": (Finding(PNEUMONIA, 0.31, Calibration(1.0, 0.0, SITE, 0.2, 200), Conformal(0.2, 0.4, 0.9, 200)),),
        "ood": OutOfDistribution(10.0, "a" * 64), "weights_sha256": "b" * 64, "snapshot_sha256": "c" * 64,
    }
    return Package(**{**known, **changes})


class Packages:
    """Every version has the same package, unless it was given another."""

    def __init__(self) -> None:
        self.special: dict[int, Package] = {}

    def describe(self, model: str, version: int, weights_sha256: str) -> Described:
        return Described(self.special.get(version, package(version)), Home(np.zeros(WIDTH), np.eye(WIDTH), 10.0))


class Files:
    """Blobs: the example's image is always there, what is put can be got."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {"a" * 64: file_of(radiograph())}

    def get(self, sha256: str) -> bytes:
        return self.kept[sha256]

    def put(self, data: bytes) -> Blob:
        name = hashlib.sha256(data).hexdigest()
        self.kept[name] = data
        return Blob(name, len(data))


class Preparer:
    """Prepares in the caller's thread."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def prepare(self, sha256: str, preparation: Preparation, orientations: tuple[str, ...] = (), frame: int = 1) -> np.ndarray:
        return prepare_file(self.files.get(sha256), frame, preparation, orientations)


class Reader:
    """A model that says 2 and 3 (logits) of everything, or what it is told to say."""

    def __init__(self) -> None:
        self.logits = [[2.0], [3.0]]
        self.asked: list[tuple[int, int]] = []

    def read(self, package: Package, images: np.ndarray) -> Outputs:
        self.asked.append((package.version, len(images)))
        count = len(images)
        return Outputs(
            np.tile(np.array(self.logits, np.float32), (count, 1, 1)), np.zeros((count, WIDTH), np.float32),
            np.ones((count, 1, 7, 7), np.float32),
        )


class Encoder:
    """Encodes nothing, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_ahead(self, case_id: str) -> None:
        self.asked.append(case_id)


def build(settings: Settings) -> Room:
    """Put the room together as main does, with doubles for Triton, its repository and the images."""
    store = Store(settings.postgres.get_secret_value(), "inference", {}, connections=2)
    store.open()
    files = Files()
    lens = Lens(StoredDesk(store), files, Packages(), Reader(), Preparer(files), Encoder())
    return Room(
        name="inference", settings=settings, routes=routes(lens), repositories=REPOSITORIES, events=Wire(),
        migrations=Path(main.__file__).parent / "migrations",
    )


def released(version: int = 1, stage: str = "production", release: int = 1, **changes: Any) -> ModelReleased:
    """Build a stage change of the chest model."""
    known: dict[str, Any] = {
        "model": "chest", "version": version, "stage": stage, "previous_stage": "shadow", "canary_share": 1.0, "change_record": "",
        "weights_sha256": "b" * 64, "release": release, "released_at": at(0),
    }
    return ModelReleased(**envelope(f"released-{version}-{stage}-{release}", 0, "chest"), **{**known, **changes})


def read(role: Any = "serving", revision: int = 1, seconds: float = 66) -> ReadStudy:
    """Build the command of a reading."""
    return ReadStudy(
        id=reading_id(CASE, role, revision), subject=CASE, site=SITE, at=at(seconds), actor=SYSTEM, role=role, revision=revision,
    )


INPUTS = (
    released(), released(2, "shadow", 2),
    ordered(),
    CaseJoined(**envelope("joined", 1), study_case=CASE, order_case=CASE, order=order(), patient=PATIENT, order_revision=2),
    completed(),
    StudyBackfilled(**envelope("backfilled", 70), study=study(), revision=1, purpose="pool"),
    ReportSigned(**envelope("signed", 120), signed_at=at(120), signer="reader-1", findings=()),
    read(), read("shadow"), read("pooled"),
    AbandonReading(
        id="abandoned", subject=CASE, site=SITE, at=at(70), actor=SYSTEM, role="serving", revision=1, reason="again and again",
    ),
)
