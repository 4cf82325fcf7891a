"""One worker per room and kind of work, among all its instances: whoever holds the advisory lock of a session."""

from typing import Any

import psycopg

from radloop.kit.errors import Transient
from radloop.kit.store import Store


class Leader:
    """Holds (or waits for) one named lock on a connection of its own; a death gives it back at once."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, f"{name}|{store.room}"
        self._held: psycopg.Connection[Any] | None = None

    def holds(self) -> bool:
        """Say whether we hold the lock, taking it where it is free; raise Transient where the store is away."""
        try:
            if self._held is None or self._held.closed:
                self._held = self._store.dedicated()
            row = self._held.execute(
                "select exists(select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())"
                " or pg_try_advisory_lock(hashtextextended(%s, 2))", (self._name,),
            ).fetchone()
        except psycopg.Error as away:
            self._held = None
            raise Transient(f"postgres is away: {type(away).__name__}") from away
        return bool(row and row[0])

    def let_go(self) -> None:
        """Give the lock back."""
        if self._held is not None:
            self._held.close()
            self._held = None
