"""What inference asks of the world outside."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from radloop.events.common import Blob
from radloop.inference.domain.answer import Home, Outputs
from radloop.inference.domain.case import Case
from radloop.inference.domain.model import Model
from radloop.standards.package import Encoder as EncoderPackage
from radloop.standards.package import Package, Preparation, Segmenter


@dataclass(frozen=True)
class Described:
    """A version's package and the embeddings it knows."""

    package: Package
    home: Home


Known = Described | Segmenter | EncoderPackage
"""A version as its `radloop.yaml` describes it."""


class Files(Protocol):
    """Images, embeddings and maps, named by their SHA-256."""

    def get(self, sha256: str) -> bytes:
        """Return the bytes; raise Permanent where there are none, Transient where storage is away."""
        ...

    def put(self, data: bytes) -> Blob:
        """Keep bytes for good before returning."""
        ...


class Preparer(Protocol):
    """Images as a model wants them."""

    def prepare(
        self, sha256: str, preparation: Preparation, orientations: Collection[str] = (), frame: int = 1,
    ) -> NDArray[np.float32]:
        """Return a frame (from 1) of an image as a model takes it, [C, H, W].

        Raise DicomError, naming the attribute, where it cannot be read (Unfit: by this model), and Transient where the
        bytes or the decoder are away.
        """
        ...


class Packages(Protocol):
    """The model packages in the repository."""

    def describe(self, model: str, version: int, weights_sha256: str) -> Known:
        """Return what a version is; raise Permanent where its package is missing, wrong, or not of the released weights."""
        ...


class Reader(Protocol):
    """The models themselves."""

    def read(self, package: Package, images: NDArray[np.float32]) -> Outputs:
        """Return the outputs for images [N, C, H, W]; raise Transient where the version is not (yet) served."""
        ...


class Encoder(Protocol):
    """What outlines will start from."""

    def encode_ahead(self, case_id: str) -> None:
        """Encode the images of a case's newest study and keep the embeddings; raise Transient where the encoder is away."""
        ...


class Desk(Protocol):
    """What is known of cases and models, looked up before a reading."""

    def case(self, case_id: str) -> Case | None:
        """Return a case as it is now."""
        ...

    def cases(self, case_ids: Collection[str]) -> Mapping[str, Case]:
        """Return those of some cases that are known, as they are now."""
        ...

    def models(self) -> tuple[Model, ...]:
        """Return all models that were ever released, in the order of their names."""
        ...
