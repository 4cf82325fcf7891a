"""What is ordered, when, how urgently, and when the images follow.

The schedule is drawn by seed and never sees the truth: priorities, intervals and indications mean nothing for the label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from radloop.workbench.hospital.patients import Child

_INDICATIONS = (
    "Fever and cough for three days",
    "Persistent cough",
    "Fast breathing",
    "Reduced air entry on the right",
    "Wheeze, first episode",
    "Fever without a focus",
    "Follow-up after discharge",
    "Chest pain on coughing",
    "Low oxygen saturation at triage",
    "Before anaesthesia",
)
_STAT_SHARE = 0.06
PROCEDURE = ("XRCHEST1V", "XR CHEST 1 VIEW")


@dataclass(frozen=True)
class Order:
    """One order as the RIS keeps it; `priority` is the HL7 code of the clinician's own choice."""

    patient: Child
    accession: str
    placer: str
    filler: str
    study_uid: str
    priority: str
    indication: str
    placed: datetime


def uid(rng: np.random.Generator) -> str:
    """Return a DICOM UID of 128 drawn bits under 2.25 (PS3.5 B.2): nothing can be read from it."""
    return f"2.25.{UUID(bytes=rng.bytes(16), version=4).int}"


def book(
    seed: int, patients: Sequence[Child], first_number: int, begin: datetime, every: timedelta, prefix: str = "A"
) -> tuple[Order, ...]:
    """Place one order per patient, numbered in the order they come; STAT is a small random share."""
    rng = np.random.default_rng([seed, 0xC2, first_number])
    orders: list[Order] = []
    for serial, child in enumerate(patients, start=first_number):
        orders.append(
            Order(
                patient=child,
                accession=f"{prefix}{serial:07d}",
                placer=f"P{serial:07d}",
                filler=f"F{serial:07d}",
                study_uid=uid(rng),
                priority="S" if rng.random() < _STAT_SHARE else "R",
                indication=_INDICATIONS[int(rng.integers(len(_INDICATIONS)))],
                placed=begin + every * (serial - first_number),
            ),
        )
    return tuple(orders)
