"""What a model version is worth, asked of Triton itself: the test split through the served weights, and what was served."""

from collections.abc import Callable, Sequence

import httpx
import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from radloop.kit.errors import Transient

_BATCH = 16


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
) -> NDArray[np.float64]:
    """Return the mean member logit of the first finding for prepared images [N, 3, 224, 224]; raise Transient.

    `tell` hears how many are done before each batch.
    """
    client = triton.InferenceServerClient(address)
    said = []
    try:
        for at in range(0, len(images), _BATCH):
            tell(at)
            said.append(_batch(client, model, version, images[at : at + _BATCH]))
    except InferenceServerException as failed:
        raise Transient(f"Triton does not score version {version}: {failed.status()}") from failed
    finally:
        client.close()
    return np.concatenate(said)


def served(http_address: str, model: str) -> dict[int, int]:
    """Return how many inferences Triton counts for each loaded version (KServe statistics extension)."""
    try:
        answer = httpx.get(f"http://{http_address}/v2/models/{model}/stats", timeout=10).raise_for_status().json()
    except httpx.HTTPError as failed:
        raise Transient("Triton does not give its statistics") from failed
    stats: Sequence[dict[str, object]] = answer["model_stats"]
    return {int(str(one["version"])): int(str(one.get("inference_count", 0))) for one in stats}


def _batch(
    client: triton.InferenceServerClient, model: str, version: int, images: NDArray[np.float32]
) -> NDArray[np.float64]:
    wanted = triton.InferInput("IMAGE", list(images.shape), "FP32")
    wanted.set_data_from_numpy(np.ascontiguousarray(images))
    answer = client.infer(
        model, [wanted], model_version=str(version), outputs=[triton.InferRequestedOutput("MEMBERS")]
    )
    members = answer.as_numpy("MEMBERS")
    first: NDArray[np.float64] = np.asarray(members, dtype=np.float64)[:, :, 0].mean(axis=1)
    return first
