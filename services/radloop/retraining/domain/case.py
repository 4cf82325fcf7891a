"""What retraining knows of a case: its embedding, its label, its patient; facts of each topic kept apart, in any order."""

from dataclasses import dataclass, replace
from datetime import datetime

from radloop.events.prediction import ImageQuality, Prediction

TEACHING = ("live", "pool")
ANSWERS = ("present", "absent")
POOLED = "pooled"
"""In the place of a stage: an earlier study was read, which is no traffic of these days."""
MOST_SAID = 8
"""Versions of a model whose words are kept of one case, the newest; the older ones serve nobody any more."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """What feedback settled for one finding; `value` is empty where it was withdrawn."""

    finding: str
    label_id: str
    value: str
    weight: float
    source: str
    drawn: str
    purpose: str
    revision: int


@dataclass(frozen=True, kw_only=True)
class FindingSaid:
    """What a version said of one finding: calibrated probability, and whether it reached the operating point."""

    finding: str
    probability: float
    positive: bool


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one version said of a case, kept so that drift can be told; `stage` is the one it read in, or `pooled`."""

    model: str
    version: int
    stage: str
    revision: int
    read_at: datetime
    embedding: str
    findings: tuple[FindingSaid, ...]
    out_of_distribution: bool
    ood_ratio: float | None = None
    quality: ImageQuality | None = None

    @property
    def place(self) -> tuple[object, ...]:
        """Order what one version said of one case: live over earlier, the newer revision, and a tie by content alone."""
        content = repr((self.findings, self.out_of_distribution, self.ood_ratio, self.quality))
        return (self.stage != POOLED, self.revision, self.read_at, self.embedding, self.stage, content)


def said_of(prediction: Prediction, *, pooled: bool) -> Said:
    """Return what is kept of a prediction."""
    return Said(
        model=prediction.model, version=prediction.version, stage=POOLED if pooled else prediction.stage,
        revision=prediction.revision, read_at=prediction.read_at, embedding=prediction.embedding.sha256,
        findings=tuple(
            FindingSaid(finding=one.code.value, probability=one.probability, positive=one.positive) for one in prediction.findings
        ),
        out_of_distribution=prediction.out_of_distribution, ood_ratio=prediction.ood_ratio, quality=prediction.quality,
    )


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    """One case. Patient keys are pseudonymous; the order's own holds over the label's, and that over the prediction's."""

    case_id: str
    site: str = ""
    embedding: str = ""
    embedding_revision: int = 0
    embedding_version: int = 0
    unread_revision: int = 0
    pooled_as: str = ""
    read_patient: str = ""
    label_patient: str = ""
    order_patient: str = ""
    order_revision: int = 0
    cancelled: bool = False
    labels: tuple[Label, ...] = ()
    teaches: int = 0
    withdrawn_from: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()

    @property
    def patient(self) -> str:
        """Return the patient's key, empty where nobody named one."""
        return self.order_patient or self.label_patient or self.read_patient

    @property
    def readable(self) -> bool:
        """Say whether there is an embedding of the newest revision."""
        return bool(self.embedding) and self.embedding_revision >= self.unread_revision

    def label(self, finding: str) -> Label | None:
        """Return what was settled for a finding."""
        return next((label for label in self.labels if label.finding == finding), None)

    def labelled(self, label: Label) -> "CaseFile":
        """Return the case with this label in the place of an older one."""
        others = tuple(one for one in self.labels if one.finding != label.finding)
        return replace(self, labels=tuple(sorted((*others, label), key=lambda one: one.finding)))

    def heard(self, said: Said) -> "CaseFile":
        """Return the case with what a version said, the newest of each; of a model's versions the newest are kept."""
        known = {(one.model, one.version): one for one in self.said}
        key = (said.model, said.version)
        known[key] = max(said, known.get(key, said), key=lambda one: one.place)
        newest = sorted(version for model, version in known if model == said.model)[-MOST_SAID:]
        return replace(self, said=tuple(
            known[model, version] for model, version in sorted(known) if model != said.model or version in newest
        ))

    def weighed(self) -> "CaseFile":
        """Return the case with its count of labels that may train: an answer, an embedding, a patient, no cancelled order."""
        usable = self.readable and bool(self.patient) and not self.cancelled
        return replace(self, teaches=sum(
            usable and label.value in ANSWERS and label.purpose in TEACHING for label in self.labels
        ))


@dataclass(frozen=True, kw_only=True)
class SnapshotEntry:
    """Which cases a stored dataset snapshot holds, so that a label that is withdrawn later can be found in it."""

    snapshot: str
    model: str
    version: int
    case_ids: tuple[str, ...]
