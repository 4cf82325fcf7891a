"""What ingestion asks of the world outside, beyond what the kit keeps for it."""

from typing import Protocol


class Cases(Protocol):
    """The cases as they are kept."""

    def with_accession(self, accession: str, issuer: str) -> tuple[str, ...]:
        """Return the cases of an accession number, of any issuer where that is empty; raise Transient."""
        ...
