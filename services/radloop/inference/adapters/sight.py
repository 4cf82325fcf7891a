"""Images to tensors and back: how a package's images are asked about, and what of the answer are its outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radloop.inference.domain.answer import ANOTHER_SHAPE, Outputs, Singles, require_shapes
from radloop.inference.ports import Described, Known
from radloop.kit.errors import Permanent
from radloop.standards.package import Encoder, Package, Preparation, Segmenter

_LEAST = 1e-12
_NUMBERS = "fiu"
"""The kinds of numpy's that a tensor of numbers may be; Triton also knows words and truth values."""
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
    for name in asked:
        _require_numbers(package.model, package.version, name, said[name])
    if any(said[name].shape[:1] != (len(images),) for name in asked):
        raise Permanent(f"{package.model} {package.version} did not answer for each image")
    members = logits(said[tensors.members], package)
    if members.ndim != 3:
        raise Permanent(ANOTHER_SHAPE)  # there is no mean of members to be taken for evidence
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


@dataclass(frozen=True)
class Drawn:
    """What a segmenter says of an image and all that was drawn on it: logits [side, side] and the IoU it expects."""

    logits: Singles
    quality: float


def encode_through(
    infer: Infer, model: str, version: int, prepared: Preparation, image: NDArray[np.float32], within: float | None = None,
) -> NDArray[np.float16]:
    """Return the embedding [1, 256, rows / 4, columns / 4] of an image [C, rows, columns].

    Permanent where it has another shape, or is not finite: a decoder may turn that into an outline that looks like one.
    """
    said = infer(model, version, {"IMAGE": image[None]}, ("IMAGE_EMBEDDING",), within)
    _require_shape(model, version, said, "IMAGE_EMBEDDING", (1, 256, prepared.rows // 4, prepared.columns // 4))
    embedding = said["IMAGE_EMBEDDING"].astype(np.float16)
    if not np.isfinite(embedding).all():
        raise Permanent("the image's embedding is not finite")
    return embedding


def outline_through(infer: Infer, segmenter: Segmenter, tensors: Tensors, within: float | None = None) -> Drawn:
    """Return what a segmenter says of these tensors, as its package names them; Permanent where it has another shape."""
    said, side = infer(segmenter.model, segmenter.version, tensors, ("LOGITS", "QUALITY"), within), segmenter.preparation.rows
    _require_shape(segmenter.model, segmenter.version, said, "LOGITS", (1, side, side))
    _require_shape(segmenter.model, segmenter.version, said, "QUALITY", (1,))
    return Drawn(said["LOGITS"][0].astype(np.float32), float(said["QUALITY"][0]))


def probe(infer: Infer, described: Known, within: float) -> None:
    """Have a version answer for a blank image; raise what a real one would."""
    if isinstance(described, Described):
        outputs = read_through(infer, described.package, _blank(described.package.preparation), within)
        require_shapes(outputs, described.package, described.home)
    elif isinstance(described, Encoder):
        encode_through(infer, described.model, described.version, described.preparation, _blank(described.preparation)[0], within)
    else:
        side = described.preparation.rows
        outline_through(infer, described, {
            "EMBEDDING": np.zeros((1, 256, side // 4, side // 4), np.float16), "PLACES": np.zeros((1, 2, 2), np.float32),
            "LABELS": np.array([[1, -1]], np.float32), "MASK": np.zeros((1, side, side), np.float32),
            "HAS_MASK": np.zeros(1, np.float32),
        }, within)


def _blank(prepared: Preparation) -> NDArray[np.float32]:
    return np.zeros((1, prepared.channels, prepared.rows, prepared.columns), np.float32)


def _require_shape(model: str, version: int, said: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> None:
    _require_numbers(model, version, name, said[name])
    if said[name].shape != shape:
        raise Permanent(f"{model} {version} answers {name} in another shape than its package says: {said[name].shape}, not {shape}")


def _require_numbers(model: str, version: int, name: str, values: NDArray[Any]) -> None:
    if values.dtype.kind not in _NUMBERS:
        raise Permanent(f"{model} {version} answers {name} with what are no numbers")
