"""What retraining knows of a case: its embedding, its label, its patient; facts of each topic kept apart, in any order."""

from dataclasses import dataclass, replace

TEACHING = ("live", "pool")
ANSWERS = ("present", "absent")


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
