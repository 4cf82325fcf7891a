"""Who may train, calibrate and measure: patients never cross, and no case that calibrates also measures.

Precedence is fixed, so that a case cannot drift: a patient who has trained a serving version trains for good; else a gate
patient measures; else an acceptance patient calibrates; only then may a patient train.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from radloop.retraining.domain.arrays import Singles
from radloop.retraining.domain.snapshot import Row

TRAINING = ("live", "pool", "seed")
CHOSEN = "chosen"


@dataclass(frozen=True)
class Labelled:
    """One label with its embedding and purpose: live, pool, seed, acceptance or gate."""

    row: Row
    purpose: str
    embedding: Singles
    cancelled: bool = False


@dataclass(frozen=True)
class Division:
    """The labels by what they may do, and how many were left out for which reason."""

    train: tuple[Labelled, ...]
    calibrate: tuple[Labelled, ...]
    measure: tuple[Labelled, ...]
    left_out: tuple[tuple[str, int], ...]


def divide(labels: Iterable[Labelled], trained: frozenset[str] = frozenset()) -> Division:
    """Divide labels; `trained` are the patients of the snapshots that the predecessor and the seeds were trained on."""
    everything = sorted(labels, key=lambda one: (one.row.case_id, one.row.finding))
    gate = {one.row.patient_key for one in everything if one.purpose == "gate"} - trained
    acceptance = {one.row.patient_key for one in everything if one.purpose == "acceptance"} - trained - gate
    train, calibrate, measure, left_out = [], [], [], Counter[str]()
    for one in everything:
        patient = one.row.patient_key
        if not patient:
            left_out["no patient is known"] += 1
        elif one.cancelled:
            left_out["the order was cancelled"] += 1
        elif one.purpose in TRAINING:
            if patient in gate | acceptance:
                left_out["the patient measures or calibrates"] += 1
            else:
                train.append(one)
        elif one.row.drawn == CHOSEN:
            left_out["chosen by active learning, so it neither calibrates nor measures"] += 1
        elif one.purpose == "gate" and patient in gate:
            measure.append(one)
        elif one.purpose == "acceptance" and patient in acceptance:
            calibrate.append(one)
        else:
            left_out["the patient trains or measures already"] += 1
    return Division(tuple(train), tuple(calibrate), tuple(measure), tuple(sorted(left_out.items())))
