"""What the drill's accounts are held on: facts as the far ends, the hospital and the rooms' tables have them. Data alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Said:
    """One event in a room's outbox, in the room's own order; `facts` are what the accounts need of its content."""

    room: str
    topic: str
    key: str
    event_id: str
    number: int
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Settled:
    """How one route of a room settled one input."""

    room: str
    route: str
    input_id: str
    outcome: str
    at: datetime


@dataclass(frozen=True)
class Delivery:
    """One outward message in a room's books, in the order of its making; `control` is the MSH-10 that it bears at the RIS.

    `issued` is what a report says of when it was issued.
    """

    room: str
    key: str
    receiver: str
    case: str
    kind: str
    state: str
    tries: int
    control: str
    issued: str = ""


@dataclass(frozen=True)
class Buried:
    """One input in a room's quarantine; of an HL7 message also the digest of its bytes."""

    room: str
    subject: str
    input_id: str
    reason: str
    digest: str = ""


@dataclass(frozen=True)
class Listed:
    """A case as the reading list has it: its standing, its order's priority, its patient's given name, the place it was given last."""

    standing: str
    priority: str
    given: str
    place: int


@dataclass(frozen=True)
class Report:
    """One report as the EHR has it: whose it is, how many versions it went through, and when the one that stands was issued."""

    case: str
    id: str
    status: str
    versions: int
    issued: str = ""


@dataclass(frozen=True)
class Change:
    """One change of priority as the RIS logged it; `changed` where it heard other bytes under the same control id."""

    control: str
    placer: str
    priority: str
    answer: str
    changed: bool = False


@dataclass(frozen=True)
class Ledger:
    """All of it, once everything has come to rest.

    `cases` maps Study Instance UIDs to cases; `messages` maps the digest of each HL7 message that ingestion settled to its outcome;
    `objects` are the SOP Instance UIDs it keeps; `listed` has the reading list by case; `waiting` says in words what still waits;
    `hears` maps a topic to the rooms that must hear it.
    """

    cases: Mapping[str, str]
    messages: Mapping[str, str]
    objects: frozenset[str]
    said: tuple[Said, ...]
    settled: tuple[Settled, ...]
    deliveries: tuple[Delivery, ...]
    buried: tuple[Buried, ...]
    listed: Mapping[str, Listed]
    waiting: tuple[str, ...]
    reports: tuple[Report, ...]
    changes: tuple[Change, ...]
    repeats: int
    hears: Mapping[str, tuple[str, ...]]
