"""What a model version is worth, asked of Triton itself: the test split through the served weights, and what was served."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from radloop.kit.errors import Transient
from radloop.retraining.domain.gate import aucs, resamples

_BATCH = 16
_REPLICATES = 2000
_TAILS = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval: percentile bootstrap over patients (Efron & Tibshirani 1993, ch. 13)."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Heard:
    """What one version said of N images: mean member logit [N] of the first finding, and the embedding [N, D]."""

    logits: NDArray[np.float64]
    embeddings: NDArray[np.float32]


def area(scores: Sequence[NDArray[np.float64]], truth: NDArray[np.bool_], patients: Sequence[str], seed: int) -> Interval:
    """Return the area under the ROC curve with its interval; of several versions their mean, over the same resampled patients."""
    counts = resamples(patients, _REPLICATES, seed)
    return _interval(_mean_auc(scores, truth), _replicates(scores, truth, counts))


def gain(
    before: Sequence[NDArray[np.float64]], after: NDArray[np.float64], truth: NDArray[np.bool_], patients: Sequence[str], seed: int,
) -> Interval:
    """Return by how much the area of `after` exceeds that of `before` (of several: their mean), with the interval of the difference.

    It is paired: both sides are measured on the same resampled patients.
    """
    counts = resamples(patients, _REPLICATES, seed)
    drawn = aucs(after, truth, counts) - _replicates(before, truth, counts)
    return _interval(auc(after, truth) - _mean_auc(before, truth), drawn)


def _mean_auc(scores: Sequence[NDArray[np.float64]], truth: NDArray[np.bool_]) -> float:
    return float(np.mean([auc(one, truth) for one in scores]))


def _replicates(scores: Sequence[NDArray[np.float64]], truth: NDArray[np.bool_], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.mean([aucs(one, truth, counts) for one in scores], axis=0))


def _interval(estimate: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = (float(bound) for bound in np.nanquantile(drawn, _TAILS))
    return Interval(estimate, low, high)


def auc(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve by ranks, ties counted half (Mann-Whitney); NaN where a class is missing."""
    positives, negatives = scores[truth], scores[~truth]
    if not len(positives) or not len(negatives):
        return float("nan")
    order = np.sort(negatives)
    below = np.searchsorted(order, positives, "left") + np.searchsorted(order, positives, "right")
    return float(below.sum() / (2 * len(positives) * len(negatives)))


def through_triton(
    address: str, model: str, version: int, images: NDArray[np.float32], tell: Callable[[int], object] = lambda _: None,
) -> Heard:
    """Return what a version says of prepared images [N, 3, 224, 224]; raise Transient.

    `tell` hears how many are done before each batch.
    """
    client = triton.InferenceServerClient(address)
    said: list[tuple[NDArray[np.float64], NDArray[np.float32]]] = []
    try:
        for at in range(0, len(images), _BATCH):
            tell(at)
            said.append(_batch(client, model, version, images[at : at + _BATCH]))
    except InferenceServerException as failed:
        raise Transient(f"Triton does not score version {version}: {failed.status()}") from failed
    finally:
        client.close()
    return Heard(np.concatenate([logits for logits, _ in said]), np.concatenate([numbers for _, numbers in said]))


def served(http_address: str, model: str) -> dict[int, int]:
    """Return how many inferences Triton counts for each loaded version (KServe statistics extension)."""
    try:
        answer = httpx.get(f"http://{http_address}/v2/models/{model}/stats", timeout=10).raise_for_status().json()
    except httpx.HTTPError as failed:
        raise Transient("Triton does not give its statistics") from failed
    stats: Sequence[dict[str, object]] = answer["model_stats"]
    return {int(str(one["version"])): int(str(one.get("inference_count", 0))) for one in stats}


def _batch(
    client: triton.InferenceServerClient, model: str, version: int, images: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    wanted = triton.InferInput("IMAGE", list(images.shape), "FP32")
    wanted.set_data_from_numpy(np.ascontiguousarray(images))
    outputs = [triton.InferRequestedOutput(name) for name in ("MEMBERS", "EMBEDDING")]
    answer = client.infer(model, [wanted], model_version=str(version), outputs=outputs)
    members = np.asarray(answer.as_numpy("MEMBERS"), dtype=np.float64)
    return members[:, :, 0].mean(axis=1), np.asarray(answer.as_numpy("EMBEDDING"), dtype=np.float32)
