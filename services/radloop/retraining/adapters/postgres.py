"""Where retraining keeps its cases, its book and which cases a snapshot holds."""

import json
from typing import Any

from psycopg.sql import SQL

from radloop.kit.codec import adapter
from radloop.kit.store import Store
from radloop.kit.tables import Repository, Table
from radloop.retraining.domain.book import Book
from radloop.retraining.domain.case import POOLED, CaseFile, Said, SnapshotEntry

CASES = Table(CaseFile, "case_file", "case_id")
BOOKS = Table(Book, "book", "model")
SNAPSHOTS = Table(SnapshotEntry, "dataset_snapshot", "snapshot")
REPOSITORIES: dict[type, Repository[Any]] = {CaseFile: CASES, Book: BOOKS, SnapshotEntry: SNAPSHOTS}


class StoredShelf:
    """Looks into the room's own tables; only ever reads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def usable(self) -> int:
        """Count the labels that may train."""
        with self._store.connection() as connection:
            row = connection.execute("select coalesce(sum(teaches), 0) from case_file where teaches > 0").fetchone()
        return int(row[0]) if row else 0

    def holding(self, case_id: str) -> tuple[str, ...]:
        """Name the dataset snapshots that hold a case's label."""
        with self._store.connection() as connection:
            rows = connection.execute(
                "select snapshot from dataset_snapshot where case_ids @> %s::jsonb order by snapshot",
                (json.dumps([case_id]),),
            ).fetchall()
        return tuple(row[0] for row in rows)

    def book(self, model: str) -> Book | None:
        """Return a model's book."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return BOOKS.load(cursor, (model,))

    def books(self) -> list[Book]:
        """Return the books of all models, in order of their names."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return BOOKS.select(cursor, SQL("order by model"))

    def cases(self) -> list[CaseFile]:
        """Return every case that has an embedding, in order of its id."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return CASES.select(cursor, SQL("where embedding <> '' order by case_id"))

    def said(self, model: str, version: int, most: int) -> tuple[int, tuple[Said, ...]]:
        """Return how many live cases a version read, and what it said of the first and of the latest, in order of reading."""
        with self._store.connection() as connection:
            rows = connection.execute(
                "select total, one from (select one, row_number() over (order by (one ->> 'read_at')::timestamptz, case_id) as place,"
                " count(*) over () as total from case_file, jsonb_array_elements(said) one"
                " where one ->> 'model' = %s and (one ->> 'version')::integer = %s and one ->> 'stage' <> %s) reading"
                " where place <= %s or place > total - %s order by place",
                (model, version, POOLED, most, most),
            ).fetchall()
        return int(rows[0][0]) if rows else 0, tuple(adapter(Said).validate_python([row[1] for row in rows]))

    def counted(self) -> dict[str, int]:
        """Count labels by what they are for: `training` may train; the others by purpose, whether or not they have an embedding."""
        with self._store.connection() as connection:
            rows = connection.execute(
                "select label ->> 'purpose', count(*) from case_file, jsonb_array_elements(labels) label"
                " where label ->> 'value' in ('present', 'absent') group by 1",
            ).fetchall()
        return {str(purpose): int(count) for purpose, count in rows} | {"training": self.usable()}

    def withdrawn(self) -> dict[str, int]:
        """Count, for each snapshot, the cases whose label was withdrawn after it was taken."""
        with self._store.connection() as connection:
            rows = connection.execute(
                "select held, count(*) from case_file, jsonb_array_elements_text(withdrawn_from) held"
                " where withdrawn_from <> '[]'::jsonb group by 1",
            ).fetchall()
        return {str(snapshot): int(count) for snapshot, count in rows}
