"""What can be asked of retraining, what it answers, and what a cycle's job hands back."""

import json
from dataclasses import dataclass

from radloop.kit.errors import Permanent
from radloop.kit.flow import Command


@dataclass(frozen=True, kw_only=True)
class StartCycle(Command):
    """Start a cycle of the model (the subject) now, however few the new answers."""


@dataclass(frozen=True, kw_only=True)
class Adapt(Command):
    """Adapt a segmenter (the subject) to confirmed masks; `masks` names their archive among the blobs."""

    masks: str
    images: int


@dataclass(frozen=True, kw_only=True)
class AddModel(Command):
    """Register a package made elsewhere, in shadow; `package` names its bytes among the blobs."""

    package: str


@dataclass(frozen=True, kw_only=True)
class Promote(Command):
    """Move a version to a stage."""

    version: int
    stage: str


@dataclass(frozen=True, kw_only=True)
class Rollback(Command):
    """Go back to the version that served before."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """The answer to StartCycle and Adapt: the cycle, or why there is none."""

    cycle_id: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The answer to AddModel, Promote and Rollback: the version, or (0) why nothing moved."""

    version: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What a cycle's job hands back."""

    package: str
    weights: str
    snapshot: str
    snapshot_size: int
    version: int
    case_ids: tuple[str, ...]
    gate_passed: bool
    evidence: tuple[str, ...]
    model: str = ""
    """Empty from a cycle of the plan's own model."""
    content: str = ""
    """Of all that the package says of itself, but when and by which cycle it was made: versions of one content are one and the same."""


def learnt_from(result: str) -> Learnt:
    """Read a job's result; raise Permanent where it is none."""
    try:
        said = json.loads(result)
        return Learnt(**{**said, "case_ids": tuple(said["case_ids"]), "evidence": tuple(said["evidence"])})
    except (KeyError, TypeError, ValueError) as broken:
        msg = "not the result of a cycle"
        raise Permanent(msg) from broken
