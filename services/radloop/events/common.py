"""Nouns that several events share."""

from dataclasses import dataclass
from datetime import datetime

from radloop.kit.blobs import Blob
from radloop.kit.errors import Permanent
from radloop.kit.flow import Actor

__all__ = ["Actor", "Blob", "Code", "Identity", "Instance", "Order", "Patient", "Study", "actor_named"]

LONGEST_NAME = 64


def actor_named(kind: str, name: str) -> Actor:
    """Return who asks; raise Permanent for what is no name: it is kept with every act, shown on lists and printed in traces."""
    told = name.strip()
    if not told:
        raise Permanent("say who you are first")
    if max(len(kind), len(told)) > LONGEST_NAME or not (kind + told).isprintable():
        raise Permanent(f"a name has at most {LONGEST_NAME} characters, all of them printable")
    return Actor(kind=kind, id=told)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An identifier that means something only with its site and issuer."""

    site: str
    issuer: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Code:
    """A coded concept: system is a URI."""

    system: str
    value: str
    display: str = ""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """The person as the hospital's systems name them (PHI); `key` is pseudonymous and safe elsewhere."""

    id: Identity
    family: str = ""
    given: str = ""
    birth_date: str = ""
    sex: str = ""
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for: priority (stat, asap, routine) is the clinician's own; status is active, completed or cancelled."""

    patient: Identity
    placer: Identity | None = None
    filler: Identity | None = None
    accession: Identity | None = None
    priority: str = "routine"
    procedure: Code | None = None
    modality: str = ""
    indication: str = ""
    placed_at: datetime | None = None
    study_uid: str = ""
    status: str = "active"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One DICOM object of a study; `acquired` ones start something, others are only kept."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    blob: Blob
    modality: str = ""
    body_part: str = ""
    view: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    acquired: bool = True


@dataclass(frozen=True, kw_only=True)
class Study:
    """The study as its images describe it; patient is None where the images name nobody."""

    study_uid: str
    instances: tuple[Instance, ...]
    arrived_at: datetime
    patient: Patient | None = None
    accession: Identity | None = None
    study_date: str = ""
    age_years: float | None = None
    description: str = ""
