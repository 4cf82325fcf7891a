"""What is kept: an order, a study, its objects, the case they belong to, and which messages were heard."""

from dataclasses import dataclass
from datetime import datetime

from radloop.events.common import Blob, Code, Identity, Instance, Order, Study
from radloop.ingestion.domain.people import Person, as_event

URGENCY = {"stat": 0, "asap": 1, "routine": 2}


@dataclass(frozen=True, kw_only=True)
class OrderFile:
    """An order as its sender last told it. `own_case` is the case it had before a study's took it in.

    `apart` names studies that a human said it does not belong to; `told` is when each sender last spoke
    of the order, by its own clock.
    """

    order_id: str
    case_id: str
    site: str
    person: Person
    recorded_at: datetime
    placer: Identity | None = None
    filler: Identity | None = None
    accession: Identity | None = None
    study_uid: str = ""
    priority: str = "routine"
    procedure: Code | None = None
    modality: str = ""
    indication: str = ""
    placed_at: datetime | None = None
    status: str = "active"
    own_case: str = ""
    apart: tuple[str, ...] = ()
    told: tuple[tuple[str, datetime], ...] = ()

    def as_event(self) -> Order:
        """The order as events carry it."""
        return Order(
            patient=self.person.id, placer=self.placer, filler=self.filler, accession=self.accession,
            priority=self.priority, procedure=self.procedure, modality=self.modality, indication=self.indication,
            placed_at=self.placed_at, study_uid=self.study_uid, status=self.status,
        )

    @property
    def rank(self) -> tuple[bool, int, datetime]:
        """Which of a case's orders speaks for it: one that is not cancelled, the most urgent, the earliest."""
        return self.status == "cancelled", URGENCY.get(self.priority, len(URGENCY)), self.recorded_at


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """A study as its first image describes it. `revision` counts how often it was said to be complete.

    `said_images` is the number of acquired images said last; `purpose` is empty for live work.
    """

    study_uid: str
    case_id: str
    site: str
    arrived_at: datetime
    person: Person | None = None
    accession: Identity | None = None
    study_date: str = ""
    age_years: float | None = None
    description: str = ""
    purpose: str = ""
    revision: int = 0
    said_images: int = 0

    def as_event(self, instances: tuple[Instance, ...], salt: str) -> Study:
        """The study with these of its instances as events carry it."""
        return Study(
            study_uid=self.study_uid, instances=instances, arrived_at=self.arrived_at,
            patient=as_event(self.person, salt) if self.person else None, accession=self.accession,
            study_date=self.study_date, age_years=self.age_years, description=self.description,
        )

    def as_order(self, who: Person) -> Order:
        """What is known of the order of a study that has none here, so that news of its patient can be told."""
        status = "completed" if self.purpose else "active"
        return Order(patient=who.id, accession=self.accession, study_uid=self.study_uid, status=status)


@dataclass(frozen=True, kw_only=True)
class ObjectFile:
    """One DICOM object that was stored, by its reference; `content` is the SHA-256 of its dataset alone.

    File meta information names who sent it: the same object from another sender is the same object.
    """

    sop_instance_uid: str
    object_key: str
    study_uid: str
    sha256: str
    content: str
    size: int
    sop_class_uid: str
    series_uid: str
    modality: str
    body_part: str
    view: str
    rows: int
    columns: int
    frames: int
    not_acquired: str
    arrived_at: datetime

    def as_event(self) -> Instance:
        """The object as events carry it."""
        return Instance(
            sop_instance_uid=self.sop_instance_uid, sop_class_uid=self.sop_class_uid, series_uid=self.series_uid,
            blob=Blob(self.sha256, self.size), modality=self.modality, body_part=self.body_part, view=self.view,
            rows=self.rows, columns=self.columns, frames=self.frames, acquired=not self.not_acquired,
        )


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    """A case: how often its order was spoken of, and whether its report is signed."""

    case_id: str
    site: str
    order_revision: int = 0
    signed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A message that was heard: whose counter, what content; `flagged` where the counter came with other content before."""

    control: str
    digest: str
    flagged: bool
    at: datetime
