"""What hospitals send beside clean input: each kind once a morning, and how each is documented to end."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "image-before-order", "cancel-after-images", "raised-to-stat", "late-second-image", "lateral-view", "adult", "wrong-patient",
    "update-between", "resent-message", "object-twice", "unreadable-image", "ris-refuses", "ehr-away",
]


@dataclass(frozen=True)
class Irregularity:
    """One kind: what happens, and how it is to end; `study` says whether it is a study of its own."""

    kind: Kind
    happens: str
    ends: str
    study: bool = True


KINDS: Final = (
    Irregularity("image-before-order", "the images come two minutes before their order",
                 "shown as unmatched, then joined to the order: one case, one report"),
    Irregularity("cancel-after-images", "the order is cancelled after the images",
                 "off the list, and no current report"),
    Irregularity("raised-to-stat", "the clinician raises a routine order to STAT",
                 "read before everything that is not STAT"),
    Irregularity("late-second-image", "a second image comes after the study was complete",
                 "a second revision, read again by the same version; one report"),
    Irregularity("lateral-view", "a lateral view, which the model does not read",
                 "no version reads it, the list says why, a radiologist does; no report of ours"),
    Irregularity("adult", "a patient whom the children's model must not read",
                 "no version reads it, the list says why, a radiologist does; no report of ours"),
    Irregularity("wrong-patient", "images under a known accession number, of another patient",
                 "kept apart from the order, shown as unmatched, never published"),
    Irregularity("update-between", "ADT^A08 gives the patient another name between order and images",
                 "the list shows the new name; one report"),
    Irregularity("resent-message", "the order's message is sent again, byte for byte",
                 "the same answer, one case, one report"),
    Irregularity("object-twice", "the image is stored twice",
                 "one revision, one report"),
    Irregularity("unreadable-image", "pixels that nobody can decode",
                 "stored, the list says that no version could read it, a radiologist signs that nothing can be said; no report of ours"),
    Irregularity("ris-refuses", "the RIS answers a priority change with UX",
                 "the list says so; the case keeps its place, the RIS its priority", study=False),
    Irregularity("ehr-away", "the EHR is away for half a minute of real time",
                 "what was due goes out when it is back: nothing lost, nothing twice", study=False),
)
STUDIES: Final[tuple[Kind, ...]] = tuple(one.kind for one in KINDS if one.study)
UNFIT: Final[frozenset[str]] = frozenset({"lateral-view", "adult", "wrong-patient", "unreadable-image", "cancel-after-images"})
"""Studies that a serving version cannot read, that have no order of their own, or that nobody will read any more."""


def named(kind: str) -> Irregularity:
    """Return what is documented of a kind."""
    return next(one for one in KINDS if one.kind == kind)


@dataclass(frozen=True)
class Became:
    """What became of one of them; `played` is false where the run gave no occasion (no lift, so nothing to refuse)."""

    kind: str
    as_expected: bool
    words: str
    accession: str = ""
    played: bool = True
