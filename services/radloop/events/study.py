"""What ingestion says of images."""

from dataclasses import dataclass
from datetime import datetime

from radloop.events.common import Study
from radloop.kit.flow import Event


@dataclass(frozen=True, kw_only=True)
class StudyCompleted(Event):
    """The images are all here (revision n; a late acquired image makes n+1). `priority` is the order's own, if any."""

    study: Study
    revision: int
    matched: bool
    completed_at: datetime
    unmatched_reason: str = ""
    priority: str = "routine"


@dataclass(frozen=True, kw_only=True)
class StudyBackfilled(Event):
    """An earlier study; purpose is pool, acceptance or gate. Yields to live work."""

    study: Study
    revision: int
    purpose: str
