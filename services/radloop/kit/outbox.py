"""What a room has said: sent in order per key, kept to be sent again, pruned by age."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.sql import SQL, Composed

from radloop.kit.store import Store

BATCH, BULK_BATCH = 500, 50
BATCH_BYTES = 8_000_000
"""Of one batch in memory: five hundred events of the largest kind would be half a gigabyte."""
PRUNED_AT_ONCE, MARKED_AT_ONCE = 1_000, 5_000
_COLUMNS = SQL("id, topic, key, headers || jsonb_build_object('ce_recordedtime', to_char(created_at at time zone 'utc',"
               " 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')), value")


@dataclass(frozen=True)
class Said:
    """One event as it is sent, however often: the same bytes. `ce_recordedtime` is CloudEvents' extension: when it was said."""

    id: int
    topic: str
    key: str
    headers: dict[str, str]
    value: bytes


class Outbox:
    """The outbox of one room."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def look(self, bulk_topics: Sequence[str]) -> tuple[bool, bool]:
        """Say whether there is something new on bulk topics, and something to be sent again."""
        with self._store.connection() as connection:
            bulk, again = connection.execute(
                "select exists (select from outbox where sent_at is null and topic = any(%s)), exists (select from outbox where again)",
                (list(bulk_topics),),
            ).fetchone() or (False, False)
        return bulk, again

    def waiting(self, bulk_topics: Sequence[str], *, bulk: bool) -> tuple[Said, ...]:
        """Return what was never sent, oldest first: bulk topics' events or all others', none whose key has something to be sent again.

        Never `id > last`: a smaller id may be committed later.
        """
        where = SQL(
            "sent_at is null and (topic = any({})) = {} and not exists (select from outbox before where before.again"
            " and before.key = outbox.key)",
        ).format(list(bulk_topics), bulk)
        return self._first(where, BULK_BATCH if bulk else BATCH)

    def to_repeat(self) -> tuple[Said, ...]:
        """Return what was asked to be sent again, oldest first; keys that have something new, which waits for it, before all others."""
        awaited = self._first(SQL("again and key in (select key from outbox where sent_at is null)"), BULK_BATCH)
        return awaited or self._first(SQL("again"), BULK_BATCH)

    def _first(self, where: SQL | Composed, most: int) -> tuple[Said, ...]:
        query = SQL(
            "with batch as (select id, sum(octet_length(value)) over (order by id) as bytes, row_number() over (order by id) as place"
            " from (select id, value from outbox where {} order by id limit {}) as first)"
            " select {} from outbox where id in (select id from batch where bytes <= {} or place = 1) order by id",
        ).format(where, most, _COLUMNS, BATCH_BYTES)
        with self._store.connection() as connection:
            return tuple(Said(*row) for row in connection.execute(query))

    def sent_lately(self, seconds: float) -> list[int]:
        """Return the ids of what was marked sent in the last so many seconds before the latest mark, in order."""
        with self._store.connection() as connection:
            return [row[0] for row in connection.execute(
                "select id from outbox where sent_at > least((select max(sent_at) from outbox), clock_timestamp())"
                " - make_interval(secs => %s) order by id",
                (seconds,),
            )]

    def read(self, ids: Sequence[int]) -> tuple[Said, ...]:
        """Return the first of these events, in order: as many as a batch holds, one at least where there is one."""
        return self._first(SQL("id = any({})").format(list(ids)), BATCH)

    def mark_sent(self, ids: Sequence[int]) -> None:
        """Note what the broker took."""
        with self._store.connection() as connection:
            connection.execute("set local synchronous_commit = off")  # a lost mark only means a repeat, which is absorbed
            connection.execute("update outbox set sent_at = clock_timestamp(), again = false where id = any(%s)", (list(ids),))

    def repeat(self, since: datetime, case: str = "", topic: str = "") -> int:
        """Have sent events sent again that were said since then, of one case or on one topic where it is named; return how many."""
        count = last = 0
        while True:
            with self._store.connection() as connection:
                marked = connection.execute(
                    "update outbox set again = true where id in (select id from outbox where id > %(last)s and created_at >= %(since)s"
                    " and sent_at is not null and (%(case)s = '' or key = %(case)s) and (%(topic)s = '' or topic = %(topic)s)"
                    " order by id limit %(most)s) returning id",
                    {"last": last, "since": since, "case": case, "topic": topic, "most": MARKED_AT_ONCE},
                ).fetchall()
            if not marked:
                return count
            count, last = count + len(marked), max(row[0] for row in marked)

    def prune(self, before: datetime) -> int:
        """Delete some of what was said before then, a bounded batch; return how many. What is to be sent stays, however old it is."""
        return _prune(self._store, "delete from outbox where id in (select id from outbox where created_at < %s and sent_at is not null"
                                   " and not again order by created_at limit %s)", before)


def prune_inbox(store: Store, before: datetime) -> int:
    """Delete some of what was settled before then, a bounded batch; return how many."""
    return _prune(store, "delete from inbox where (route, input_id) in (select route, input_id from inbox where settled_at < %s"
                         " order by settled_at limit %s)", before)


def _prune(store: Store, statement: Any, before: datetime) -> int:
    with store.connection() as connection:
        return connection.execute(statement, (before, PRUNED_AT_ONCE)).rowcount
