"""What inference asks of the world outside."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from radloop.events.common import Blob
from radloop.inference.domain.answer import Home, Outputs
from radloop.inference.domain.case import Case
from radloop.inference.domain.model import Model
from radloop.standards.package import Package


@dataclass(frozen=True)
class Described:
    """A version's package and the embeddings it knows."""

    package: Package
    home: Home


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

    def prepare(self, sha256: str, package: Package) -> NDArray[np.float32]:
        """Return an image's only frame as the package's model takes it, [C, H, W].

        Raise DicomError, naming the attribute, where it cannot be read (Unfit: by this model), and Transient where the
        bytes or the decoder are away.
        """
        ...


class Packages(Protocol):
    """The model packages in the repository."""

    def describe(self, model: str, version: int, weights_sha256: str) -> Described:
        """Return a version's package; raise Permanent where it is missing, wrong, or not of the released weights."""
        ...


class Reader(Protocol):
    """The models themselves."""

    def read(self, package: Package, images: NDArray[np.float32]) -> Outputs:
        """Return the outputs for images [N, C, H, W]; raise Transient where the version is not (yet) served."""
        ...


class Desk(Protocol):
    """What is known of cases and models, looked up before a reading."""

    def case(self, case_id: str) -> Case | None:
        """Return a case as it is now."""
        ...

    def models(self) -> tuple[Model, ...]:
        """Return all models that were ever released, in the order of their names."""
        ...
