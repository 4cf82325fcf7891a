"""What triage asks of the world outside."""

from typing import Protocol

from radloop.triage.domain.case import Case
from radloop.triage.domain.selection import Candidate


class Pool(Protocol):
    """What could be asked about. Each raises Transient where a store is away."""

    def candidates(self, site: str) -> tuple[Candidate, ...]:
        """Return the earlier studies with a prediction and an embedding."""
        ...

    def case(self, case_id: str) -> Case | None:
        """Return a case as it is known now, None where nothing is."""
        ...
