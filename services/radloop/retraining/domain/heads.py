"""Heads: small logistic models on the frozen embedding, an ensemble by bootstrap over patients.

An embedding has 1,280 numbers and a site has some hundred labels, so the fit is done exactly (Newton's method in the span
of the samples) and takes milliseconds; no learning rate, no early stopping, and the same seed gives the same weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats, Singles, Truths, Whole, finite, sigmoid

_CONVERGED = 1e-10
_STEPS = 100
# No feature counts as moving less than this share of what the middle one moves.
_STILLEST = 0.1


@dataclass(frozen=True)
class Recipe:
    """How heads are trained: members of the ensemble, L2 penalty per unit of weight, seed of the resampling."""

    members: int
    penalty: float
    seed: int


@dataclass(frozen=True)
class Heads:
    """K members by F findings by D numbers of embedding: weight [K, F, D] and bias [K, F], for the raw embedding."""

    weight: Floats
    bias: Floats

    def members(self, embeddings: Singles | Floats) -> Floats:
        """Return the member logits [N, K, F] of embeddings [N, D]."""
        return np.asarray(np.einsum("nd,kfd->nkf", finite(embeddings, "an embedding"), self.weight) + self.bias)

    def mean(self, embeddings: Singles | Floats) -> Floats:
        """Return the mean member logit [N, F]: the score that is calibrated, ranked and gated."""
        return np.asarray(self.members(embeddings).mean(axis=1))


def fit_logistic(samples: Floats, labels: Truths, weights: Floats, penalty: float) -> tuple[Floats, float]:
    """Return (weight [D], bias) that minimise the weighted log loss plus penalty / 2 * |weight|^2; the bias goes free.

    The optimum lies in the span of the samples [N, D], so Newton's method runs in at most N dimensions. The objective is
    scikit-learn's LogisticRegression with C = 1 / penalty.
    """
    if penalty <= 0:
        msg = "the L2 penalty must be positive: separable labels have no other optimum"
        raise Permanent(msg)
    left, scale, right = np.linalg.svd(samples, full_matrices=False)
    design = np.hstack([left * scale, np.ones((len(samples), 1))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 0.0
    found = np.zeros(design.shape[1])

    def loss(point: Floats) -> float:
        signed = np.where(labels, 1.0, -1.0) * (design @ point)
        return float(weights @ np.logaddexp(0.0, -signed) + 0.5 * ridge @ point**2)

    for _ in range(_STEPS):
        chance = sigmoid(design @ found)
        slope = design.T @ (weights * (chance - labels)) + ridge * found
        curve = (design.T * (weights * chance * (1.0 - chance))) @ design + np.diag(ridge)
        step = np.linalg.lstsq(curve, slope, rcond=None)[0]
        if float(slope @ step) < _CONVERGED:
            break
        size, before = 1.0, loss(found)
        while size > _CONVERGED and loss(found - size * step) > before:
            size /= 2.0
        found = found - size * step
    return right.T @ found[:-1], float(found[-1])


def by_patient(patients: Sequence[str], labels: Truths, seed: int) -> Whole:
    """Return how often each case [N] is drawn when patients are drawn with replacement, within each class.

    A patient counts as positive if any of its cases is, and keeps all its cases together.
    """
    dice = np.random.default_rng(seed)
    counts = np.zeros(len(labels), dtype=np.int64)
    names = np.asarray(patients)
    positive = set(names[labels].tolist())
    for group in (sorted(positive), sorted(set(names.tolist()) - positive)):
        for drawn in dice.choice(group, size=len(group)) if group else ():
            counts += names == drawn
    return counts


def balanced(labels: Truths, weights: Floats) -> Floats:
    """Return the weights [N] scaled so that both classes weigh the same and the total is kept."""
    positive, negative = float(weights[labels].sum()), float(weights[~labels].sum())
    if positive <= 0 or negative <= 0:
        msg = "both classes must be labelled before a head can be trained"
        raise Permanent(msg)
    share = (positive + negative) / 2.0
    return np.where(labels, weights * share / positive, weights * share / negative)


def train(
    embeddings: Singles, labels: Truths, weights: Floats, patients: Sequence[str], recipe: Recipe,
) -> tuple[Floats, Floats]:
    """Return (weight [K, D], bias [K]) for one finding from embeddings [N, D], labels, label weights and patient keys [N].

    Features are standardised on the labelled cases and the scaling is folded back, so the heads take raw embeddings.
    """
    values = finite(embeddings, "an embedding")
    centre, spread = values.mean(axis=0), values.std(axis=0)
    # A feature that hardly moves on the labelled cases would be blown up by its own stillness: another case, on which it
    # moves as others do, would score some hundred logits.
    moving = spread[spread > 0]
    spread = np.maximum(spread, _STILLEST * float(np.median(moving)) if len(moving) else 1.0)
    samples = (values - centre) / spread
    weight, bias = [], []
    for member in range(recipe.members):
        counts = by_patient(patients, labels, recipe.seed * 1_000 + member)
        taken = counts > 0
        slope, offset = fit_logistic(
            samples[taken], labels[taken], balanced(labels[taken], (weights * counts)[taken]), recipe.penalty,
        )
        weight.append(slope / spread)
        bias.append(offset - float(centre @ (slope / spread)))
    return np.array(weight), np.array(bias)


def stack(findings: Sequence[tuple[Floats, Floats]]) -> Heads:
    """Put the members trained finding by finding (weight [K, D], bias [K]) into one set of heads."""
    return Heads(
        weight=np.stack([weight for weight, _ in findings], axis=1), bias=np.stack([bias for _, bias in findings], axis=1),
    )
