"""A plausible history at ingestion's doors: an order, its images, a late one, a correction, a join undone, a signature."""

from datetime import timedelta

from examples.shared import READER, SITE, START, at
from radloop.ingestion.domain import keys
from radloop.ingestion.domain.storing import File
from radloop.ingestion.handlers import RefuseMessage, RefuseObject, StoreObject, TakeMessage, UndoJoin
from radloop.kit.flow import Actor, Due, Input, caused_by, timer_id
from radloop.standards.dicom.header import InstanceFacts
from radloop.standards.hl7.hospital import patient_merge, patient_update, report_message
from radloop.standards.hl7.model import Code, CodedObservation, Identity, Order, Patient, Report
from radloop.standards.hl7.write import Interface, order_message

IGNORED_COLUMNS = {"salt"}
"""Drawn at random by the database, so that nobody outside can make the pseudonyms."""

ENGINE = Actor(kind="system", id="hl7")
TO = Interface("SIMRIS", "GEN", "RADLOOP", "GEN")
STUDY = "2.25.1003"
CHILD = Patient((Identity(SITE, "HOSP", "EX-0001"),), "Example", "Erin", "2019-05-04", "F")
ORDER = Order(
    control="new", control_code="NW", placer=Identity(SITE, "EHR", "PL-1"), filler=Identity(SITE, "RIS", "FL-1"),
    accession=Identity(SITE, "", "ACC-EX-1"), priority="routine",
    procedure=Code("urn:example:procedures", "XRCHEST", "Chest radiograph"), modality="DX", indication="cough",
    status="active", study_uid=STUDY, placed_at=START,
)
REPORT = Report(
    placer=ORDER.placer, filler=ORDER.filler, accession=ORDER.accession, study_uid=STUDY, procedure=ORDER.procedure,
    status="F", signed_at=at(600), signer="reader-1",
    observations=(CodedObservation(Code("http://snomed.info/sct", "233604007", "Pneumonia"), "present"),),
)


def heard(raw: bytes, seconds: float) -> TakeMessage:
    """Build the command that a message becomes."""
    name = keys.digest(raw.decode())
    return TakeMessage(id=name, subject=name, site=SITE, at=at(seconds), actor=ENGINE, raw=raw)


def facts(uid: str = "2.25.1001", **changes: object) -> InstanceFacts:
    """Build the facts of a chest radiograph."""
    known: dict[str, object] = {
        "sop_instance_uid": uid, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.1", "series_uid": "2.25.1002",
        "study_uid": STUDY, "transfer_syntax": "1.2.840.10008.1.2.1", "modality": "DX", "body_part": "CHEST", "view": "AP",
        "laterality": "", "image_type": ("ORIGINAL", "PRIMARY"), "presentation_intent": "FOR PRESENTATION", "rows": 2000,
        "columns": 2500, "frames": 1, "patient_id": "EX-0001", "patient_issuer": "HOSP", "family": "Example",
        "given": "Erin", "birth_date": "2019-05-04", "sex": "F", "age_years": 6.8, "accession": "ACC-EX-1",
        "accession_issuer": "RIS", "study_date": "2026-03-02", "procedure_code": "XRCHEST",
        "study_description": "Chest AP", "not_acquired": "",
    }
    return InstanceFacts(**{**known, **changes})  # type: ignore[arg-type]


def stored(seconds: float, content: str = "c" * 64, purpose: str = "", **changes: object) -> StoreObject:
    """Build the command that an object becomes."""
    told = facts(**changes)  # type: ignore[arg-type]
    return StoreObject(
        id=keys.digest(told.sop_instance_uid, content), subject=keys.digest(told.study_uid), site=SITE, at=at(seconds),
        actor=Actor(kind="system", id="dicom"), facts=told, file=File(sha256="a" * 64, size=50176, content=content),
        purpose=purpose,
    )


def quiet(last: float, study: str = STUDY) -> Due:
    """Build the end of a study's quiet period: five seconds after its last acquired image."""
    key, when = keys.of_study(study), at(last) + timedelta(seconds=5)
    return Due(id=timer_id("ingestion", key, "quiet", when), subject=key, site=SITE, at=when, name="quiet")


PLACED = heard(order_message(TO, "M1", at(0), CHILD, ORDER), 0)
CASE = caused_by(PLACED, "mint", f"order {caused_by(PLACED, 'mint', 'number 0')}")

INPUTS: tuple[Input, ...] = (
    PLACED,
    stored(60),
    quiet(60),
    stored(70, uid="2.25.1004", not_acquired="a derived image"),
    stored(80, uid="2.25.1005"),
    quiet(80),
    heard(patient_update(TO, "M2", at(90), CHILD), 90),
    heard(patient_merge(TO, "M3", at(100), CHILD, Identity(SITE, "HOSP", "EX-OLD")), 100),
    heard(b"MSH|^~\\&|SIMRIS|GEN|||2026||ORM^O01|M4|P|2.5.1\rPID|||1\r", 110),
    RefuseMessage(id="broken", subject="broken", site=SITE, at=at(120), actor=ENGINE, raw=b"MSH|", reason="truncated"),
    RefuseObject(
        id="refused", subject="refused", site=SITE, at=at(130), actor=Actor(kind="system", id="dicom"),
        sha256="b" * 64, size=3, status=0xC000, reason="no DICOM file",
    ),
    heard(report_message(TO, "M5", at(600), CHILD, REPORT), 600),
    UndoJoin(id="undo", subject=CASE, site=SITE, at=at(700), actor=READER),
    stored(800, purpose="pool", uid="2.25.2001", study_uid="2.25.2003", accession="ACC-OLD"),
    quiet(800, "2.25.2003"),
)
