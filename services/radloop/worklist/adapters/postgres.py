"""The worklist's rows: kept, listed, and told of when a change to them was committed."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import Connection, Cursor
from psycopg.sql import SQL

from radloop.kit.errors import Transient
from radloop.kit.store import Store
from radloop.kit.tables import Repository, Table
from radloop.kit.worker import back_off
from radloop.worklist.domain.case import Case
from radloop.worklist.domain.screen import View, ordered
from radloop.worklist.domain.serving import Model

log = logging.getLogger(__name__)

CHANNEL: Final = "worklist_changed"
LONGEST: Final = 500
_WHERE: Final[Mapping[str, SQL]] = {
    "reading": SQL("where site = %s and standing = 'waiting' order by stat desc, read_by nulls last, case_id limit %s"),
    "done": SQL("where site = %s and standing in ('signed', 'cancelled') order by signed_at desc nulls last, case_id limit %s"),
}


class Listed(Table[Case]):
    """Cases; a change that a page could show is told to all who listen, in the transaction that makes it."""

    def save(self, cursor: Cursor[Any], keys: tuple[str, ...], state: Case) -> None:
        """Keep the case, and have the change told at commit."""
        super().save(cursor, keys, state)
        if state.standing in {"waiting", "signed", "cancelled"} or state.requests:
            cursor.execute("select pg_notify(%s, %s)", (CHANNEL, state.case_id))


class Versions(Table[Model]):
    """Models; a page shows which version speaks."""

    def save(self, cursor: Cursor[Any], keys: tuple[str, ...], state: Model) -> None:
        """Keep the model, and have the change told at commit."""
        super().save(cursor, keys, state)
        cursor.execute("select pg_notify(%s, '')", (CHANNEL,))


CASES: Final = Listed(Case, "listed_case", "case_id")
MODELS: Final = Versions(Model, "model", "model")
REPOSITORIES: Final[Mapping[type, Repository[Any]]] = {Case: CASES, Model: MODELS}


class Lists:
    """Reads the rows, outside of any decision."""

    def __init__(self, store: Store, site: str) -> None:
        self._store, self._site = store, site

    def case(self, case_id: str) -> Case | None:
        """Return one case, None where there is none."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return CASES.load(cursor, (case_id,))

    def cases(self, view: View, limit: int = LONGEST) -> list[Case]:
        """Return the cases that wait in triage's order, or those done, the last first."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            found = CASES.select(cursor, _WHERE[view], (self._site, limit))
        return ordered(found) if view == "reading" else found

    def asked(self, now: datetime) -> list[Case]:
        """Return the cases that an answer is asked of."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return CASES.select(cursor, SQL("where site = %s and asked_until > %s limit %s"), (self._site, now, LONGEST))

    def named(self, accession: str) -> list[Case]:
        """Return the cases with images that an accession number names, the latest first."""
        if not accession:
            return []
        with self._store.connection() as connection, connection.cursor() as cursor:
            found = CASES.select(
                cursor, SQL("where site = %s and accession = %s and standing <> 'expected' limit %s"), (self._site, accession, LONGEST),
            )
        return sorted(found, key=lambda one: (one.read_by is None, one.case_id))

    def models(self) -> list[Model]:
        """Return the models, by name."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return MODELS.select(cursor, SQL("order by model"))


class Changes:
    """Hears of committed changes, of this process and of others, and passes them on. A part of the room."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: list[Callable[[Sequence[str]], None]] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)

    def listen(self, tell: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Have `tell` called with the cases of each change, with none where anything may have changed."""
        with self._lock:
            self._told.append(tell)

        def end() -> None:
            with self._lock:
                self._told.remove(tell)

        return end

    def _run(self) -> None:
        tries = 0
        while not self._stop.is_set():
            try:
                with self._store.dedicated() as connection:
                    connection.execute(f"listen {CHANNEL}")
                    self._tell([])  # what was said while nobody listened
                    tries = 0
                    self._hear(connection)
            except (Transient, psycopg.Error) as away:
                log.warning("changes of the list cannot be heard", extra={"reason": type(away).__name__})
                self._stop.wait(back_off(tries))
                tries += 1

    def _hear(self, connection: Connection[Any]) -> None:
        while not self._stop.is_set():
            heard = [notice.payload for notice in connection.notifies(timeout=0.5, stop_after=1)]
            if heard:
                self._tell([] if "" in heard else heard)

    def _tell(self, cases: Sequence[str]) -> None:
        with self._lock:
            told = list(self._told)
        for tell in told:
            tell(cases)
