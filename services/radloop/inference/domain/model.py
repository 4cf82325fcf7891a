"""The released versions of a model, and which of them reads a case."""

from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid5

from radloop.events.model import ModelReleased
from radloop.inference.domain.case import Case

_CANARY = UUID("0f1c8f7e-15b5-5a59-8d0c-3d8a52bb1a20")
NEED: Final = ("production", "canary", "shadow", "retired")
"""Stages by how soon a version of them is needed: patients wait for the first two."""
_READING: Final = NEED[:3]

KEPT_SUPERSEDED: Final = 2
"""Each costs the memory of one model."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version as it was last released."""

    version: int
    stage: str
    previous_stage: str
    share: float
    release: int
    weights_sha256: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model and the stages of its versions; of each version the highest release holds."""

    model: str
    versions: tuple[Version, ...] = ()

    def released(self, event: ModelReleased) -> "Model | None":
        """Return the model after a stage change, None where a newer one is known of this version."""
        known = {one.version: one for one in self.versions}
        before = known.get(event.version)
        if before is not None and event.release <= before.release:
            return None
        known[event.version] = Version(
            version=event.version, stage=event.stage, previous_stage=event.previous_stage, share=event.canary_share,
            release=event.release, weights_sha256=event.weights_sha256,
        )
        return replace(self, versions=tuple(known[number] for number in sorted(known)))

    @property
    def production(self) -> Version | None:
        """The version that serves; of two in production the one released last."""
        return _last(self._in("production"))

    @property
    def canary(self) -> Version | None:
        """The version that serves a share of the cases."""
        return _last(self._in("canary"))

    @property
    def shadows(self) -> tuple[Version, ...]:
        """The versions that read along."""
        return self._in("shadow")

    def serving(self, case: Case) -> Version | None:
        """Return the version that answers for a case: the one that read it first unless withdrawn, else by stage."""
        kept = {one.version: one for one in self.to_load()}
        if case.pinned is not None and case.pinned.model == self.model and case.pinned.version in kept:
            return kept[case.pinned.version]
        canary = self.canary
        return canary if canary is not None and lot(case.case_id) < canary.share else self.production

    def pooling(self) -> Version | None:
        """Return the version that reads earlier studies: the serving one; before the first release, the shadow."""
        return self.production or self.canary or _last(self.shadows)

    def to_load(self) -> tuple[Version, ...]:
        """Return the versions that Triton should hold: those that read, and the last ones that were superseded.

        A superseded version still reads the later revisions of its cases, and a roll-back finds it loaded; a version
        that was rolled back (a lower one serves again) reads nothing more.
        """
        serving = self.production
        superseded = sorted(
            (one for one in self._in("retired") if serving is not None and one.version < serving.version),
            key=lambda one: one.release,
        )
        reading = [one for one in self.versions if one.stage in _READING]
        return tuple(sorted((*reading, *superseded[-KEPT_SUPERSEDED:]), key=lambda one: one.version))

    def _in(self, stage: str) -> tuple[Version, ...]:
        return tuple(one for one in self.versions if one.stage == stage)


def lot(case_id: str) -> float:
    """Return a number from 0 to 1 that depends on the case alone: a case stays in the canary's share or out of it."""
    return uuid5(_CANARY, case_id).int / 2**128


def _last(versions: tuple[Version, ...]) -> Version | None:
    return max(versions, key=lambda one: one.release, default=None)
