"""Images to tensors and back: how a package's images are asked about, and what of the answer are its outputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radloop.inference.domain.answer import Outputs
from radloop.kit.errors import Permanent
from radloop.standards.package import Package

Tensors = Mapping[str, NDArray[Any]]
Infer = Callable[[str, int, Tensors, Sequence[str]], dict[str, NDArray[Any]]]
"""Model, version, tensors by name, names of the outputs that are wanted; returns those."""


def read_through(infer: Infer, package: Package, images: NDArray[np.float32]) -> Outputs:
    """Return the outputs for images [N, C, H, W]; see `ports.Reader`."""
    tensors = package.tensors
    asked = (tensors.members, tensors.embedding, tensors.evidence)
    said = infer(package.model, package.version, {tensors.input: np.asarray(images, np.float32)}, asked)
    if any(len(said[name]) != len(images) for name in asked):
        raise Permanent(f"{package.model} {package.version} did not answer for each image")
    return Outputs(*(np.asarray(said[name], np.float32) for name in asked))
