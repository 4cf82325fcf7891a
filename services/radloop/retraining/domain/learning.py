"""One cycle's computing, start to end: train on what may train, calibrate on what may calibrate, judge on what may measure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats, Singles, Truths
from radloop.retraining.domain.calibration import Platt, fit_platt
from radloop.retraining.domain.conformal import Conformal, fit_conformal
from radloop.retraining.domain.distribution import Distribution, fit_distribution
from radloop.retraining.domain.division import Labelled
from radloop.retraining.domain.gate import GateResult, Scored, hold_gate
from radloop.retraining.domain.heads import Heads, Recipe, stack, train
from radloop.retraining.domain.operating import operating_point
from radloop.retraining.domain.plan import CalibrationPlan, Plan
from radloop.retraining.domain.snapshot import Snapshot


@dataclass(frozen=True)
class Reading:
    """How one finding's score becomes an answer at this site."""

    finding: str
    platt: Platt
    conformal: Conformal
    operating_point: float
    calibrated_on: int


@dataclass(frozen=True)
class Learned:
    """A trained version before it is packaged: heads, one reading per finding in their order, the known distribution."""

    heads: Heads
    readings: tuple[Reading, ...]
    distribution: Distribution


def train_heads(snapshot: Snapshot, findings: Sequence[str], recipe: Recipe) -> Heads:
    """Train the ensemble for each finding on the snapshot's rows."""
    return stack([train(*snapshot.of(finding), recipe) for finding in findings])


def columns(labels: Sequence[Labelled], finding: str) -> tuple[Singles, Truths, tuple[str, ...]]:
    """Return embeddings [N, D], labels [N] and patient keys [N] of one finding's labels."""
    mine = [one for one in labels if one.row.finding == finding]
    if not mine:
        return np.empty((0, 0), dtype=np.float32), np.empty(0, dtype=np.bool_), ()
    return (
        np.stack([one.embedding for one in mine]), np.array([one.row.present for one in mine], dtype=np.bool_),
        tuple(one.row.patient_key for one in mine),
    )


def uncalibrated(finding: str) -> Reading:
    """Return the reading of a version that no acceptance set has seen: raw scores, and a set that rules nothing out."""
    return Reading(
        finding, Platt(slope=1.0, offset=0.0, prevalence=0.5, cases=0),
        Conformal(present_from=0.0, absent_to=1.0, coverage=1.0), operating_point=0.5, calibrated_on=0,
    )


def calibrate(
    scores: Floats, labels: Truths, finding: str, plan: CalibrationPlan, prevalence: float | None = None,
) -> Reading:
    """Fit one finding's reading on the site's acceptance set, and move it to the site's prevalence where that is another.

    Raise Permanent where the set is too small. What a conformal set promises, and the sensitivity at the operating point, hold within
    each class and at any prevalence; their thresholds are of the moved probabilities.
    """
    least = int(min(labels.sum(), (~labels).sum())) if len(labels) else 0
    if least < plan.each_class_at_least:
        msg = f"the acceptance set has {least} cases of its smaller class, {plan.each_class_at_least} are needed"
        raise Permanent(msg)
    platt = fit_platt(scores, labels)
    if prevalence is not None:
        platt = platt.at(prevalence)
    probabilities = platt.probability(scores)
    return Reading(
        finding, platt, fit_conformal(probabilities, labels, plan.coverage),
        operating_point(probabilities, labels, plan.sensitivity), len(labels),
    )


def learn(
    snapshot: Snapshot, acceptance: Sequence[Labelled], unlabelled: Singles, findings: Sequence[str], plan: Plan,
) -> Learned:
    """Train heads on the snapshot, calibrate them on the acceptance set, and describe the embeddings they know.

    `unlabelled` are the pool's embeddings [M, D]: they say what images look like here, never what is on them.
    """
    if unknown := set(plan.prevalence) - set(findings):
        raise Permanent(f"the change-control plan tells the prevalence of {', '.join(sorted(unknown))}, which the model does not find")
    recipe = Recipe(plan.training.members, plan.training.penalty, plan.training.seed)
    heads = train_heads(snapshot, findings, recipe)
    readings = []
    for place, finding in enumerate(findings):
        embeddings, labels, _ = columns(acceptance, finding)
        scores = heads.mean(embeddings)[:, place] if len(labels) else np.empty(0)
        readings.append(calibrate(scores, labels, finding, plan.calibration, plan.prevalence.get(finding)))
    known = np.concatenate([snapshot.embeddings, unlabelled]) if len(unlabelled) else snapshot.embeddings
    held_out = np.stack([one.embedding for one in acceptance])
    return Learned(heads, tuple(readings), fit_distribution(known, plan.calibration.distribution_quantile, held_out))


def scored(heads: Heads, reading: Reading, place: int, embeddings: Singles) -> Scored:
    """Return one version's scores on the gate set and which cases it would call positive."""
    scores = heads.mean(embeddings)[:, place]
    return Scored(scores, reading.platt.probability(scores) >= reading.operating_point)


def judge(
    candidate: Learned, predecessor: tuple[Heads, tuple[Reading, ...]] | None, measuring: Sequence[Labelled], plan: Plan,
) -> tuple[tuple[str, GateResult], ...]:
    """Hold the gate for every finding; the version passes only where all of them do.

    A finding that the predecessor does not know is held to the absolute gate.
    """
    results = []
    for place, reading in enumerate(candidate.readings):
        embeddings, labels, patients = columns(measuring, reading.finding)
        mine = scored(candidate.heads, reading, place, embeddings) if len(labels) else Scored(np.empty(0), labels)
        before = None
        if predecessor is not None and len(labels):
            known = {old.finding: index for index, old in enumerate(predecessor[1])}
            if reading.finding in known:
                index = known[reading.finding]
                before = scored(predecessor[0], predecessor[1][index], index, embeddings)
        results.append((reading.finding, hold_gate(mine, before, labels, patients, plan.gate, plan.training.seed)))
    return tuple(results)
