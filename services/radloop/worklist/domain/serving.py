"""Which model versions there are, and which of them speaks to readers."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a model; `release` counts its model's stage changes, the higher holds, and was made at `since`."""

    version: int
    stage: str = "candidate"
    release: int = 0
    since: datetime | None = None
    canary_share: float = 0.0
    labels: int | None = None
    gate_passed: bool | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model with its versions, in the order of their numbers."""

    model: str
    versions: tuple[Version, ...] = ()

    def version(self, number: int) -> Version:
        """Return what is known of a version, a bare candidate where nothing is."""
        return next((one for one in self.versions if one.version == number), Version(version=number))

    def with_version(self, changed: Version) -> "Model":
        """Return the model with one version's facts replaced."""
        others = tuple(one for one in self.versions if one.version != changed.version)
        return Model(model=self.model, versions=tuple(sorted((*others, changed), key=lambda one: one.version)))

    def latest(self, stage: str) -> Version | None:
        """Return the version that came to a stage last and is still there, None where there is none."""
        return max((one for one in self.versions if one.stage == stage), key=lambda one: one.release, default=None)
