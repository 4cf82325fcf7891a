"""A case as inference knows it: its images, how soon they must be read, and the readings that follow, whatever came first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid5

from radloop.events.common import Instance, Study

_READINGS = UUID("b7a5c0c9-4a58-5d0e-9b5e-6a1d7d0f2a11")

CLASSES: Final = ("stat", "live", "shadow", "backfill")
"""How soon a reading is taken up, the first first; their places are the ranks."""

URGENT: Final = 2
"""Ranks below this are somebody's patient waiting: stat and live."""

STAT: Final = 1
"""Ranks below this are STATs."""

Role = Literal["serving", "shadow", "pooled", "encode"]
"""For whom a live study is read (the clinic, or the evidence on a version to come), that it is an earlier study, or that its
images are encoded ahead of the first prompt of an outline."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """What is read of one revision of a study: its acquired images and what decides whether a model reads them."""

    revision: int
    instances: tuple[Instance, ...]
    arrived_at: datetime
    age_years: float | None = None
    sex: str = ""
    patient_key: str = ""
    purpose: str = ""
    """Empty for a live study."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A reading that is to be made: one per revision and role."""

    reading_id: str
    case_id: str
    role: Role
    revision: int
    rank: int
    arrived_at: datetime


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """The version that read the first revision; it reads the later ones."""

    model: str
    version: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything inference holds of one case; `order_revision` and the revisions say which facts are newest."""

    case_id: str
    site: str = ""
    priority: str = "routine"
    procedure: str = ""
    patient_key: str = ""
    order_revision: int = 0
    cancelled: bool = False
    signed: bool = False
    live: Images | None = None
    live_priority: str = "routine"
    """What study-completed said of the order, until the order itself is heard of."""
    earlier: Images | None = None
    encode_revision: int = 0
    """The revision that is encoded ahead, since a segmenter served when it was read; 0 where none is."""
    pinned: Pinned | None = None

    def images(self, role: str) -> Images | None:
        """Return the images that a role reads."""
        return self.earlier if role == "pooled" else self.live

    @property
    def rank(self) -> int:
        """How soon its live study is read: nobody waits for a case that is signed or cancelled."""
        if self.signed or self.cancelled:
            return CLASSES.index("backfill")
        priority = self.priority if self.order_revision else self.live_priority
        return CLASSES.index("stat" if priority == "stat" else "live")

    def wanted(self) -> tuple[Wanted, ...]:
        """Return the readings that follow from the facts; said again they are the same."""
        roles: tuple[tuple[Role, Images | None, int], ...] = (
            ("serving", self.live, self.rank),
            ("shadow", self.live, max(self.rank, CLASSES.index("shadow"))),
            ("encode", self.live if self.live and self.live.revision == self.encode_revision else None,
             max(self.rank, CLASSES.index("shadow"))),
            ("pooled", self.earlier, CLASSES.index("backfill")),
        )
        return tuple(
            Wanted(
                reading_id=reading_id(self.case_id, role, images.revision), case_id=self.case_id, role=role,
                revision=images.revision, rank=rank, arrived_at=images.arrived_at,
            )
            for role, images, rank in roles if images is not None
        )


def reading_id(case_id: str, role: str, revision: int) -> str:
    """Name a reading by what it reads and for whom."""
    return str(uuid5(_READINGS, f"{case_id}|{role}|{revision}"))


def images_of(study: Study, revision: int, purpose: str = "") -> Images:
    """Return what is read of a study: objects that are no acquired images are only kept."""
    return Images(
        revision=revision, instances=tuple(one for one in study.instances if one.acquired), arrived_at=study.arrived_at,
        age_years=study.age_years, sex=study.patient.sex if study.patient else "",
        patient_key=study.patient.key if study.patient else "", purpose=purpose,
    )
