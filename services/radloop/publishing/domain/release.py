"""Which version of a model serves, as it was released."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Release:
    """The newest stage change of a model."""

    model: str
    version: int
    stage: str
    release: int
    released_at: datetime
