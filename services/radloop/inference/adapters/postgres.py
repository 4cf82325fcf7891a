"""Where inference keeps its cases and models, and the readings that its readers take, most urgent first."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Cursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL

from radloop.inference.domain.case import CLASSES, Case, Role, reading_id
from radloop.inference.domain.model import Model
from radloop.inference.domain.reading import AbandonReading
from radloop.kit import telemetry
from radloop.kit.flow import Route
from radloop.kit.store import Store, Work
from radloop.kit.tables import Repository, Table

LEASE_S = 15
_CASES = Table(Case, "case_file", "case_id")
_MODELS = Table(Model, "model", "model")


class CasesWithReadings:
    """Cases, and with each the readings that follow from it: a reading is wanted in the transaction that makes it so."""

    def load(self, cursor: Cursor[Any], keys: tuple[str, ...]) -> Case | None:
        """Return the case."""
        return _CASES.load(cursor, keys)

    def load_all(self, cursor: Cursor[Any], keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], Case | None]:
        """Return many cases in one round trip."""
        return _CASES.load_all(cursor, keys)

    def save(self, cursor: Cursor[Any], keys: tuple[str, ...], state: Case) -> None:
        """Keep the case; a reading known already changes its rank at most, and none once it has ended."""
        _CASES.save(cursor, keys, state)
        for one in state.wanted():
            cursor.execute(
                "insert into reading as r (reading_id, case_id, site, role, revision, rank, arrived_at, trace)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (reading_id) do update set rank = excluded.rank"
                " where r.rank <> excluded.rank and r.ended_at is null",
                (
                    one.reading_id, one.case_id, state.site, one.role, one.revision, one.rank, one.arrived_at,
                    telemetry.traceparent(),
                ),
            )


REPOSITORIES: dict[type, Repository[Any]] = {Case: CasesWithReadings(), Model: _MODELS}


def still_unread(read: Route[Any], command: AbandonReading) -> Callable[[Work], bool]:
    """Return what is asked in the transaction that says of a reading that it failed: has it no answer yet? The case is locked then.

    Whoever was stuck with it may have come through; what was quarantined is no answer.
    """
    reading = reading_id(command.subject, command.role, command.revision)

    def asked(work: Work) -> bool:
        ended = work.settled(read, reading)
        return ended is None or ended.kind == "quarantined"

    return asked


def unhurried(dsn: str) -> str:
    """Return the DSN of a desk, whose commits need not reach the disk: a lost lease or end is only taken again.

    What a reading says is kept by the runner, durably; taken again, the reading finds itself settled.
    """
    options = conninfo_to_dict(dsn).get("options") or ""
    return make_conninfo(dsn, options=f"{options} -c synchronous_commit=off".strip())


@dataclass(frozen=True)
class Taken:
    """A reading in somebody's hands."""

    reading_id: str
    case_id: str
    site: str
    role: Role
    revision: int
    rank: int
    trace: str
    takes: int
    delays: int
    turn: int = 0
    """Which take it is of all there ever were."""


class StoredDesk:
    """Cases, models and the queue of readings, looked up in transactions of their own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def case(self, case_id: str) -> Case | None:
        """Return a case as it is now."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return _CASES.load(cursor, (case_id,))

    def cases(self, case_ids: Collection[str]) -> dict[str, Case]:
        """Return those of some cases that are known, as they are now."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            found = _CASES.load_all(cursor, [(one,) for one in case_ids])
        return {key: case for (key,), case in found.items() if case is not None}

    def models(self) -> tuple[Model, ...]:
        """Return all models that were ever released."""
        with self._store.connection() as connection, connection.cursor() as cursor:
            return tuple(_MODELS.select(cursor, SQL("order by model")))

    def take(self, below_rank: int, held: Collection[str] = ()) -> Taken | None:
        """Lease the most urgent reading of a rank below this, the one that arrived first among equals; None where none waits.

        Never one that is held: its lease may have run out while the store was away, and it is still being read.
        """
        with self._store.connection() as connection:
            row = connection.execute(
                "update reading set leased_until = now() + make_interval(secs => %s), takes = takes + 1, turn = turn + 1"
                " where reading_id = (select reading_id from reading where ended_at is null and rank < %s"
                " and (not_before is null or not_before <= now()) and (leased_until is null or leased_until < now())"
                " and reading_id <> all(%s)"
                " order by rank, arrived_at, reading_id limit 1 for update skip locked)"
                " returning reading_id, case_id, site, role, revision, rank, trace, takes, delays, turn",
                (LEASE_S, below_rank, list(held)),
            ).fetchone()
        return Taken(*row) if row is not None else None

    def take_beside(self, taken: Taken, most: int, held: Collection[str] = ()) -> tuple[Taken, ...]:
        """Lease up to so many more of the same role and rank, those that arrived first, to be read together with one that was taken.

        Only what nobody has begun or put back before: a reading that ended its process, or waits for something of its own, is read
        alone, or it would take others with it.
        """
        with self._store.connection() as connection:
            rows = connection.execute(
                "update reading set leased_until = now() + make_interval(secs => %s), takes = takes + 1, turn = turn + 1"
                # An array is made once; the planner may run a plain subquery again for each row, and each time lease others.
                " where reading_id = any(array(select reading_id from reading where ended_at is null and rank = %s and role = %s"
                " and takes = 0 and delays = 0 and (leased_until is null or leased_until < now())"
                " and reading_id <> all(%s) order by rank, arrived_at, reading_id limit %s for update skip locked))"
                " returning reading_id, case_id, site, role, revision, rank, trace, takes, delays, turn",
                (LEASE_S, taken.rank, taken.role, list(held), most),
            ).fetchall()
        return tuple(Taken(*row) for row in rows)

    def renew(self, reading_ids: Collection[str]) -> None:
        """Lease these for as long again: their readers are still at it."""
        with self._store.connection() as connection:
            connection.execute(
                "update reading set leased_until = now() + make_interval(secs => %s) where reading_id = any(%s)"
                " and leased_until is not null", (LEASE_S, list(reading_ids)),
            )

    def give_back(self, taken: Taken, after_seconds: float) -> None:
        """Put a reading back for a while: something it needs is away, which is no attempt of its own."""
        with self._store.connection() as connection:
            connection.execute(
                "update reading set leased_until = null, takes = takes - 1, delays = delays + 1,"
                " not_before = now() + make_interval(secs => %s) where reading_id = %s and ended_at is null"
                # Told late, it may be in other hands; told twice, in nobody's.
                " and leased_until is not null and turn = %s",
                (after_seconds, taken.reading_id, taken.turn),
            )

    def hurry(self) -> None:
        """Let every reading that was put back be taken at once: what it waited for is here."""
        with self._store.connection() as connection:
            connection.execute(
                "update reading set not_before = null, delays = 0 where ended_at is null and not_before > now()",
            )

    def end(self, taken: Taken, outcome: str) -> None:
        """End a reading for good."""
        with self._store.connection() as connection:
            connection.execute(
                "update reading set leased_until = null, ended_at = now(), outcome = %s where reading_id = %s",
                (outcome, taken.reading_id),
            )

    def end_all(self, ended: Collection[tuple[Taken, str]]) -> None:
        """End readings for good, each with its outcome."""
        if not ended:
            return
        with self._store.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "update reading set leased_until = null, ended_at = now(), outcome = %s where reading_id = %s",
                [(outcome, taken.reading_id) for taken, outcome in ended],
            )

    def find(self, image_sha256: str, frame: int, method_sha256: str) -> str:
        """Return the SHA-256 of an image's embedding by an encoder, empty where it was not made yet."""
        with self._store.connection() as connection:
            row = connection.execute(
                "select embedding_sha256 from image_encoding where image_sha256 = %s and frame = %s and method_sha256 = %s",
                (image_sha256, frame, method_sha256),
            ).fetchone()
        return str(row[0]) if row is not None else ""

    def keep(self, image_sha256: str, frame: int, method_sha256: str, embedding_sha256: str) -> None:
        """Keep where an image's embedding by an encoder lies."""
        with self._store.connection() as connection:
            connection.execute(
                "insert into image_encoding (image_sha256, frame, method_sha256, embedding_sha256) values (%s, %s, %s, %s)"
                " on conflict (image_sha256, frame, method_sha256) do update set embedding_sha256 = excluded.embedding_sha256",
                (image_sha256, frame, method_sha256, embedding_sha256),
            )

    def counts(self) -> dict[str, dict[str, int]]:
        """Count readings by what becomes of them (waiting, running, done) and class."""
        found: dict[str, dict[str, int]] = {state: dict.fromkeys(CLASSES, 0) for state in ("waiting", "running", "done")}
        with self._store.connection() as connection:
            for state, rank, count in connection.execute(
                "select case when ended_at is not null then 'done' when leased_until > now() then 'running' else 'waiting' end,"
                " rank, count(*) from reading group by 1, 2",
            ):
                found[state][CLASSES[rank]] = count
        return found
