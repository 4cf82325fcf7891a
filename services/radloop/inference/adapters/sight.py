"""Images to tensors and back: how a package's images are asked about, and what of the answer are its outputs."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radloop.inference.domain.answer import Outputs, require_shapes
from radloop.inference.ports import Described, Known
from radloop.kit.errors import Permanent
from radloop.standards.package import Encoder, Package, Preparation

_LEAST = 1e-12
Tensors = Mapping[str, NDArray[Any]]


class Infer(Protocol):
    """One question to a version of a model."""

    def __call__(
        self, model: str, version: int, tensors: Tensors, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the named outputs for these tensors within so many seconds, by default the setting's."""
        ...


def read_through(
    infer: Infer, package: Package, images: NDArray[np.float32], within: float | None = None,
) -> Outputs:
    """Return the outputs for images [N, C, H, W]; see `ports.Reader`."""
    prepared, tensors = package.preparation, package.tensors
    wanted = (prepared.channels, prepared.rows, prepared.columns)
    if images.ndim != 1 + len(wanted) or images.shape[1:] != wanted:
        raise Permanent(f"{package.model} {package.version} reads images of {wanted}, not {images.shape[1:]}")
    asked = tuple(name for name in (tensors.members, tensors.embedding, tensors.evidence) if name)
    said = infer(package.model, package.version, {tensors.input: np.asarray(images, np.float32)}, asked, within)
    if any(len(said[name]) != len(images) for name in asked):
        raise Permanent(f"{package.model} {package.version} did not answer for each image")
    members = logits(said[tensors.members], package)
    evidence = np.asarray(said[tensors.evidence], np.float32) if tensors.evidence else members.mean(axis=1)[:, :, None, None]
    return Outputs(members, np.asarray(said[tensors.embedding], np.float32), evidence)


def logits(members: NDArray[Any], package: Package) -> NDArray[np.float32]:
    """Return member logits [N, K, F] of what a model calls its members' scores; of one member it may leave out K."""
    scores = np.asarray(members, np.float64)
    if scores.ndim == 2 and package.members == 1:
        scores = scores[:, None, :]
    if package.tensors.scores == "probabilities":
        if ((scores < 0) | (scores > 1)).any():  # what is no number at all is refused later, of logits and probabilities alike
            raise Permanent(f"{package.model} {package.version} promises probabilities, and one is not between 0 and 1")
        # A probability of 0 or 1 says more than single precision can hold.
        scores = np.clip(scores, _LEAST, 1 - _LEAST)
        scores = np.log(scores) - np.log1p(-scores)
    return scores.astype(np.float32)


def probe(infer: Infer, described: Known, within: float) -> None:
    """Have a version answer for a blank image; raise what a real one would."""
    if isinstance(described, Described):
        outputs = read_through(infer, described.package, _blank(described.package.preparation), within)
        require_shapes(outputs, described.package, described.home)
    elif isinstance(described, Encoder):
        infer(described.model, described.version, {"IMAGE": _blank(described.preparation)}, ("IMAGE_EMBEDDING",), within)
    else:
        side = described.preparation.rows
        infer(described.model, described.version, {
            "EMBEDDING": np.zeros((1, 256, side // 4, side // 4), np.float16), "PLACES": np.zeros((1, 2, 2), np.float32),
            "LABELS": np.array([[1, -1]], np.float32), "MASK": np.zeros((1, side, side), np.float32),
            "HAS_MASK": np.zeros(1, np.float32),
        }, ("LOGITS", "QUALITY"), within)


def _blank(prepared: Preparation) -> NDArray[np.float32]:
    return np.zeros((1, prepared.channels, prepared.rows, prepared.columns), np.float32)
