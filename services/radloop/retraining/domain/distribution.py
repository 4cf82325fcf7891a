"""Not my kind of image: squared Mahalanobis distance of an embedding to those the model knows.

Measured on adult, inverted and photographic images, this told strangers apart best (AUROC .92 to .99).
"""

from dataclasses import dataclass

import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats, Singles, finite

_FOLDS = 10
_FEWEST = 10
_SPREADS = 3.0


@dataclass(frozen=True)
class Distribution:
    """Mean [D] and precision [D, D] of known embeddings; farther than `threshold` is out of distribution."""

    mean: Floats
    precision: Floats
    threshold: float

    def distance(self, embeddings: Singles | Floats) -> Floats:
        """Return squared Mahalanobis distances [N] of embeddings [N, D]."""
        away = finite(embeddings, "an embedding") - self.mean
        return np.asarray(np.einsum("nd,nd->n", away @ self.precision, away))


def shape(values: Floats) -> tuple[Floats, Floats]:
    """Return mean and precision with the covariance shrunk to a multiple of one (oracle approximating, Chen et al. 2010)."""
    count, width = values.shape
    mean = values.mean(axis=0)
    spread = np.cov(values, rowvar=False, bias=True)
    level = float(np.trace(spread)) / width
    squares = float((spread**2).mean())
    share = min(1.0, (squares + level**2) / ((count + 1.0) * (squares - level**2 / width)))
    shrunk = (1.0 - share) * spread
    shrunk[np.diag_indices(width)] += share * level
    return mean, np.linalg.inv(shrunk)


def fit_distribution(known: Singles | Floats, quantile: float, held_out: Singles | Floats | None = None) -> Distribution:
    """Fit mean and precision to known embeddings [N, D] and put the threshold at a quantile of distances not fitted on.

    Distances of the fitted cases themselves are far too small in 1,280 dimensions, so the threshold comes from held-out
    embeddings, or, where there are none, from cross-fitting in ten folds. A quantile of few distances is little more than
    their largest, so three standard deviations above their mean are the least then.
    """
    values = finite(known, "an embedding")
    if len(values) < _FEWEST:
        msg = f"a distribution needs at least {_FEWEST} embeddings"
        raise Permanent(msg)
    mean, precision = shape(values)
    whole = Distribution(mean, precision, threshold=float("inf"))
    if held_out is not None and len(held_out):
        return Distribution(mean, precision, float(np.quantile(whole.distance(held_out), quantile)))
    folds = np.arange(len(values)) % _FOLDS
    distances = np.concatenate([
        Distribution(*shape(values[folds != fold]), threshold=0.0).distance(values[folds == fold])
        for fold in range(_FOLDS)
    ])
    least = float(distances.mean() + _SPREADS * distances.std())
    return Distribution(mean, precision, max(least, float(np.quantile(distances, quantile))))
