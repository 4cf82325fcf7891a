"""What retraining asks of the world outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from radloop.retraining.domain.book import Book


@dataclass(frozen=True, kw_only=True)
class Offered:
    """What a model package that somebody offers says of itself; `reason` says why it cannot be taken."""

    model: str = ""
    weights: str = ""
    snapshot: str = ""
    labels: int = 0
    case_ids: tuple[str, ...] = ()
    says: Mapping[str, object] = field(default_factory=dict)
    """The fields of its `radloop.yaml`, without its number and where it comes from."""
    untrainable: str = ""
    """Why no cycle could start from it, empty where one could."""
    reason: str = ""


class Packages(Protocol):
    """The model packages that were handed over."""

    def look(self, package: str) -> Offered:
        """Open a stored package and check it against its own hashes; raise Transient where the store is away."""
        ...


class Shelf(Protocol):
    """What is kept of cases and snapshots."""

    def usable(self) -> int:
        """Count the labels that may train; raise Transient where the store is away."""
        ...

    def holding(self, case_id: str) -> tuple[str, ...]:
        """Name the dataset snapshots that hold a case's label; raise Transient where the store is away."""
        ...

    def book(self, model: str) -> Book | None:
        """Return a model's book, None where there is none; raise Transient where the store is away."""
        ...
