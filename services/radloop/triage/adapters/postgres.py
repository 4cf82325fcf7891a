"""Where triage keeps its cases, and the pool as candidates with their embeddings."""

from typing import Any

import numpy as np
from psycopg.sql import SQL

from radloop.kit.blobs import Blobs
from radloop.kit.errors import Permanent
from radloop.kit.store import Store
from radloop.kit.tables import Repository, Table
from radloop.triage.domain.case import Case
from radloop.triage.domain.selection import Asked, Candidate, candidate

CASES = Table(Case, "case_file", "case_id")
ASKED = Table(Asked, "asked", "pool")
REPOSITORIES: dict[type, Repository[Any]] = {Case: CASES, Asked: ASKED}


class StoredPool:
    """What can be asked about, from our own cases and the embeddings that their predictions name."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store, self._blobs = store, blobs

    def candidates(self, site: str) -> tuple[Candidate, ...]:
        """Return the pool's cases with a prediction whose embedding can be read."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            cases = CASES.select(cursor, SQL("where purpose = 'pool' and site = %s and signed_at is null order by case_id"), (site,))
        found = []
        for case in cases:
            if case.reading is None:
                continue
            try:
                embedding = np.frombuffer(self._blobs.get(case.reading.embedding), dtype="<f4")
            except Permanent:
                continue
            one = candidate(case.case_id, case.reading, tuple(embedding.tolist()))
            if one is not None:
                found.append(one)
        return tuple(found)

    def case(self, case_id: str) -> Case | None:
        """Return a case as it is known now."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return CASES.load(cursor, (case_id,))
