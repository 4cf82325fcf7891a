"""Images to tensors and back: how a package's images are asked about, and what of the answer are its outputs."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radloop.inference.domain.answer import Outputs
from radloop.kit.errors import Permanent
from radloop.standards.package import Package

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
    asked = (tensors.members, tensors.embedding, tensors.evidence)
    said = infer(package.model, package.version, {tensors.input: np.asarray(images, np.float32)}, asked, within)
    if any(len(said[name]) != len(images) for name in asked):
        raise Permanent(f"{package.model} {package.version} did not answer for each image")
    return Outputs(*(np.asarray(said[name], np.float32) for name in asked))
