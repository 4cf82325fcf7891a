"""Confirmed masks: who teaches a segmenter and who judges it, and the gate that its outlines must pass. Pure."""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats
from radloop.retraining.domain.gate import Criterion, GateResult, criterion, resamples
from radloop.retraining.domain.plan import GatePlan, OutlinePlan

SIDE, CELLS, WIDTH = 256, 64, 256
"""Pixels of the prepared image and of the low-resolution mask, cells and channels of the image embedding."""


def divide(patients: Sequence[str], most: int, seed: int) -> tuple[list[int], list[int]]:
    """Return the places of the images that teach (at most `most`) and of those that judge: no patient is on both sides.

    A hash of seed and patient is drawn for each: about half teach, and what they have beyond `most` images, in the order of
    the hash, is left out. So a patient stays on one side however the set grows, and who judges a version taught none before it.
    """
    if any(not patient for patient in patients):
        raise Permanent("an image without patient: patients could cross")
    drawn = {one: sha256(f"{seed}:{one}".encode()).digest() for one in set(patients)}
    teach = sorted((at for at, one in enumerate(patients) if _teaches(drawn[one])), key=lambda at: (drawn[patients[at]], at))
    return teach[:most], [at for at, one in enumerate(patients) if not _teaches(drawn[one])]


def _teaches(drawn: bytes) -> bool:
    return drawn[0] % 2 == 0


def hold_gate(
    candidate: Floats, predecessor: Floats | None, patients: Sequence[str], plan: OutlinePlan, gate: GatePlan,
) -> GateResult:
    """Hold the gate on Dice coefficients [N] of structures of patients who did not teach.

    The mean's lower bound (paired bootstrap over patients) must reach the plan's floor, and with a predecessor the mean
    must not be worse by more than the plan's margin. Too few patients hold no gate.
    """
    people = len(set(patients))
    if people < plan.gate_patients_at_least:
        return GateResult(
            len(candidate), 0, people, reason=f"the gate set is too small: at least {plan.gate_patients_at_least} patients are needed",
        )
    counts = resamples(patients, gate.replicates, 0)

    def means(values: Floats) -> Floats:
        return np.asarray(counts @ values / counts.sum(axis=1))

    criteria: tuple[Criterion, ...] = (criterion(
        f"Dice after {plan.clicks} clicks", float(candidate.mean()), means(candidate), plan.dice_at_least, gate.confidence,
    ),)
    if predecessor is not None:
        gained = candidate - predecessor
        criteria = (*criteria, criterion(
            f"Dice after {plan.clicks} clicks, candidate minus predecessor", float(gained.mean()), means(gained),
            -plan.dice_not_worse_by, gate.confidence,
        ))
    return GateResult(len(candidate), 0, people, criteria)


def sentences(result: GateResult) -> tuple[str, ...]:
    """Return the evidence of such a gate, one sentence per line, the size of the gate set first."""
    size = f"gate set: {result.positives} structures of {result.patients} patients"
    return (size, *((result.reason,) if result.reason else ()), *(one.sentence() for one in result.criteria))
