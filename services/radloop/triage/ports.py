"""What triage asks of the world outside."""

from typing import Protocol

from radloop.triage.domain.selection import Candidate


class Pool(Protocol):
    """The earlier studies that could be asked about."""

    def candidates(self, site: str) -> tuple[Candidate, ...]:
        """Return those with a prediction and an embedding; raise Transient where a store is away."""
        ...
