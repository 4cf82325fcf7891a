"""The gate: a candidate passes on the lower bound of a paired bootstrap over patients, never on a point estimate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats, Truths, finite
from radloop.retraining.domain.plan import GatePlan

_AT_ONCE = 250


@dataclass(frozen=True)
class Criterion:
    """One line of the evidence: the estimate, its one-sided lower bound, and the least it had to be."""

    name: str
    estimate: float
    lower_bound: float
    needed: float
    passed: bool

    def sentence(self) -> str:
        """Return the line as people read it."""
        verdict = "passed" if self.passed else "failed"
        return f"{self.name}: {self.estimate:+.4f}, lower bound {self.lower_bound:+.4f}, needed {self.needed:+.4f}: {verdict}"


@dataclass(frozen=True)
class GateResult:
    """What the gate found. Without criteria it could not be held, and `reason` says why."""

    positives: int
    negatives: int
    patients: int
    criteria: tuple[Criterion, ...] = ()
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Say whether the gate was held and every criterion met."""
        return bool(self.criteria) and all(criterion.passed for criterion in self.criteria)

    def sentences(self) -> tuple[str, ...]:
        """Return the evidence, one sentence per line, the size of the gate set first."""
        size = f"gate set: {self.positives} positives and {self.negatives} negatives of {self.patients} patients"
        return (size, *((self.reason,) if self.reason else ()), *(criterion.sentence() for criterion in self.criteria))


@dataclass(frozen=True)
class Scored:
    """One version on the gate set: scores [N] in any monotone scale, and which of them reach its operating point [N]."""

    scores: Floats
    called: Truths


def resamples(patients: Sequence[str], replicates: int, seed: int) -> Floats:
    """Return how often each case counts in each replicate [B, N]: patients drawn with replacement, all their cases with them."""
    _, of_case = np.unique(np.asarray(patients), return_inverse=True)
    people = int(of_case.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=replicates)
    return drawn[:, of_case].astype(np.float64)


def aucs(scores: Floats, labels: Truths, counts: Floats) -> Floats:
    """Return the weighted area under the ROC curve of each row of counts [B, N] (ties count half)."""
    order = np.argsort(scores, kind="stable")
    first = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    found = np.empty(len(counts))
    for start in range(0, len(counts), _AT_ONCE):
        rows = counts[start : start + _AT_ONCE, order]
        positive = np.add.reduceat(rows * labels[order], first, axis=1)
        negative = np.add.reduceat(rows * ~labels[order], first, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        with np.errstate(invalid="ignore"):
            found[start : start + _AT_ONCE] = (positive * below).sum(axis=1) / (
                positive.sum(axis=1) * negative.sum(axis=1)
            )
    return found


def sensitivities(called: Truths, labels: Truths, counts: Floats) -> Floats:
    """Return the share of positives called positive in each row of counts [B, N]."""
    with np.errstate(invalid="ignore"):
        return (counts @ (called & labels)) / (counts @ labels)


def criterion(name: str, estimate: float, replicates: Floats, needed: float, confidence: float) -> Criterion:
    """Return one line of the evidence: passed where the lower bound of the replicates [B] reaches what is needed."""
    bound = float(np.quantile(finite(replicates, "a bootstrap replicate"), 1 - confidence))
    return Criterion(name, estimate, bound, needed, passed=bound >= needed)


def hold_gate(
    candidate: Scored, predecessor: Scored | None, labels: Truths, patients: Sequence[str], plan: GatePlan, seed: int = 0,
) -> GateResult:
    """Hold the gate on cases [N] that neither trained nor calibrated either version.

    With a predecessor both are resampled together (paired) and must not be worse by more than the plan's margins; without
    one the lower bound of the AUC itself must reach the plan's floor. A gate set that is too small holds no gate.
    """
    for scored in (candidate, predecessor):
        if scored is not None:
            finite(scored.scores, "a gate score")
    if any(not patient for patient in patients):
        msg = "a gate case without patient: patients could cross"
        raise Permanent(msg)
    positives = int(labels.sum())
    negatives, people = len(labels) - positives, len(set(patients))
    if positives < plan.positives_at_least or negatives < plan.negatives_at_least:
        return GateResult(positives, negatives, people, reason=(
            f"the gate set is too small: at least {plan.positives_at_least} positives"
            f" and {plan.negatives_at_least} negatives are needed"
        ))
    counts = resamples(patients, plan.replicates, seed)
    once = np.ones((1, len(labels)))

    def auc(version: Scored, rows: Floats) -> Floats:
        return aucs(version.scores, labels, rows)

    def sensitivity(version: Scored, rows: Floats) -> Floats:
        return sensitivities(version.called, labels, rows)

    if predecessor is None:
        criteria: tuple[Criterion, ...] = (criterion(
            "AUC, with nothing in production to compare with", float(auc(candidate, once)[0]), auc(candidate, counts),
            plan.auc_at_least_without_predecessor, plan.confidence,
        ),)
    else:
        criteria = tuple(
            criterion(
                f"{name}, candidate minus predecessor",
                float(measure(candidate, once)[0] - measure(predecessor, once)[0]),
                measure(candidate, counts) - measure(predecessor, counts), -margin, plan.confidence,
            )
            for name, measure, margin in (
                ("AUC", auc, plan.auc_not_worse_by),
                ("sensitivity at the operating point", sensitivity, plan.sensitivity_not_worse_by),
            )
        )
    return GateResult(positives, negatives, people, criteria)
