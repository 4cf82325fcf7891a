"""A room's own schema in Postgres: one transaction keeps state, inbox, outbox, deliveries, timers, jobs and answer."""

import re
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection, Cursor
from psycopg.sql import SQL, Identifier
from psycopg_pool import ConnectionPool, PoolTimeout

from radloop.kit import codec, telemetry
from radloop.kit.codec import Message
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Arrived, At, Deliver, Due, Input, Outcome, Route, StartJob
from radloop.kit.tables import LoadsMany, Repository, Table

# The store is away or asks to be asked again (deadlock, shutdown, a standby that only reads); anything else is an error of ours.
_AWAY = (
    psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
# No waiting and no other code makes these fit: NUL in a text, a number out of range, too big for an index or a row. It is the
# input's own fault, and five such inputs must not look like broken code, or one bad sender would blow the fuse for everybody.
_NEVER_FITS = (
    psycopg.errors.UntranslatableCharacter, psycopg.errors.CharacterNotInRepertoire, psycopg.errors.NumericValueOutOfRange,
    psycopg.errors.ProgramLimitExceeded,
)


@dataclass(frozen=True)
class Unit:
    """One input on its way to one of its handlers: what the handler will see, under the keys that are locked for it."""

    route: Route[Any]
    arrived: Arrived
    seen: Any
    keys: tuple[str, ...]


class Work:
    """One transaction; all of it is kept, or none."""

    def __init__(self, cursor: Cursor[Any], room: str, repositories: Mapping[type, Repository[Any]]) -> None:
        self.cursor = cursor
        self._room = room
        self._repositories = repositories
        self._read_ahead: dict[tuple[type, tuple[str, ...]], Any] = {}
        self._later: dict[Table[Any], dict[tuple[str, ...], Any]] = {}
        self._said: list[tuple[str, Message]] = []

    def lock(self, keys: tuple[str, ...]) -> None:
        """Wait for the keys, in their order, held until the transaction ends (a row that does not exist yet cannot be locked)."""
        self.cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended(key, 0)) from unnest(%s::text[]) as key",
            ([f"{self._room}|{key}" for key in keys],),
        )

    def claim(self, route: str, arrived: Arrived, keys: tuple[str, ...]) -> bool:
        """Take the inbox row; False where it is settled already, or something of its keys is parked before it."""
        return self._insert(
            SQL("where not exists (select from parked where route = %s and keys && %s::text[] and id < coalesce("
                "(select id from parked where route = %s and input_id = %s), 9223372036854775807))"),
            route, arrived, keys[0], (route, list(keys), route, arrived.seen.id),
        )

    def claim_all(self, units: Sequence[Unit]) -> list[Unit]:
        """Take the inbox rows and return the units that have theirs now; the others were settled before.

        Raise Transient where anything of any of their keys is parked: then each must be looked at alone.
        """
        keys = sorted({key for unit in units for key in unit.keys})
        self.cursor.execute("select from parked where keys && %s::text[] limit 1", (keys,))
        if self.cursor.fetchone() is not None:
            raise Transient("something of the same key is parked")
        self.cursor.execute(
            "insert into inbox (route, input_id, key, type, outcome, trace)"
            " select route, input_id, key, type, 'recorded', trace"
            " from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) as heard (route, input_id, key, type, trace)"
            " on conflict do nothing returning route, input_id",
            (
                [unit.route.name for unit in units], [unit.arrived.seen.id for unit in units], [unit.keys[0] for unit in units],
                [unit.arrived.type_name for unit in units], [unit.arrived.headers.get("traceparent", "") for unit in units],
            ),
        )
        taken = set(self.cursor.fetchall())
        return [unit for unit in units if (unit.route.name, unit.arrived.seen.id) in taken]

    def take(self, route: str, arrived: Arrived, key: str) -> bool:
        """Take the inbox row whatever is parked; False where this route has already settled this input."""
        return self._insert(SQL(""), route, arrived, key, ())

    def _insert(self, where: SQL, route: str, arrived: Arrived, key: str, values: tuple[object, ...]) -> bool:
        self.cursor.execute(
            SQL("insert into inbox (route, input_id, key, type, outcome, trace) select %s, %s, %s, %s, 'recorded', %s {}"
                " on conflict do nothing returning true").format(where),
            (route, arrived.seen.id, key, arrived.type_name, telemetry.traceparent(), *values),
        )
        return self.cursor.fetchone() is not None

    def settled(self, route: Route[Any], input_id: str) -> Outcome | None:
        """Return how this route settled this input before, None where it has not."""
        self.cursor.execute("select outcome, reason, answer from inbox where route = %s and input_id = %s", (route.name, input_id))
        row = self.cursor.fetchone()
        if row is None:
            return None
        answer = None if row[2] is None or route.answers is None else codec.decode(route.answers, bytes(row[2]))
        return Outcome(kind=row[0], reason=row[1], answer=answer, repeated=True)

    def is_set(self, timer: Input) -> bool:
        """Say whether a timer is still set to the instant it was read with, and keep it so until the transaction ends."""
        assert isinstance(timer, Due)
        self.cursor.execute(
            "select true from timer where key = %s and name = %s and due = %s for update", (timer.subject, timer.name, timer.at),
        )
        return self.cursor.fetchone() is not None

    def load(self, kind: type, keys: tuple[str, ...]) -> Any:
        """Return the state kept under the keys, None where there is none."""
        if (kind, keys) in self._read_ahead:
            return self._read_ahead[kind, keys]
        self._save_now()  # this repository may read what another keeps
        return self._repositories[kind].load(self.cursor, keys)

    def read_ahead(self, units: Sequence[Unit]) -> None:
        """Load what these units will ask for, one round trip a table; what is saved meanwhile is what is loaded then."""
        for kind in {unit.route.keeps for unit in units}:
            repository = self._repositories[kind]
            if isinstance(repository, LoadsMany):
                keys = [unit.keys for unit in units if unit.route.keeps is kind]
                self._read_ahead |= {(kind, key): state for key, state in repository.load_all(self.cursor, keys).items()}

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Send what is written in this block without waiting for each answer; what fails is raised at its end."""
        with self.cursor.connection.pipeline():
            yield

    def save(self, kind: type, keys: tuple[str, ...], state: object) -> None:
        """Keep the state: at once, or with the others of its table where it was read ahead."""
        repository = self._repositories[kind]
        ahead = (kind, keys) in self._read_ahead
        if ahead:
            self._read_ahead[kind, keys] = state
        if ahead and isinstance(repository, Table):
            self._later.setdefault(repository, {})[keys] = state
        else:
            repository.save(self.cursor, keys, state)

    def _save_now(self) -> None:
        later, self._later = self._later, {}
        for table, states in later.items():
            table.save_all(self.cursor, list(states.values()))

    def enqueue(self, event_id: str, message: Message) -> None:
        """Put one event into the outbox, at the end of the transaction; the same event again is the same row."""
        self._said.append((event_id, message))

    def finish(self) -> None:
        """Write what is left to the end: the states, and by one statement what was enqueued, in its order."""
        self._save_now()
        if self._said:
            said, self._said = self._said, []
            self.cursor.execute(
                "insert into outbox (event_id, topic, key, headers, value) select event_id, topic, key, headers::jsonb, value"
                " from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %b::bytea[]) with ordinality"
                "  as said (event_id, topic, key, headers, value, place) order by place on conflict (event_id) do nothing",
                (
                    [event_id for event_id, _ in said], [message.topic for _, message in said], [message.key for _, message in said],
                    [codec.encode(message.headers).decode() for _, message in said], [message.value for _, message in said],
                ),
            )

    def deliver(self, route: str, what: Deliver) -> None:
        """Put one outward message into the room's deliveries; the same key again is the same message."""
        self.cursor.execute(
            "insert into delivery (key, receiver, subject, kind, route, input, trace)"
            " values (%s, %s, %s, %s, %s, %s::jsonb, %s) on conflict (key) do nothing",
            (what.key, what.receiver, what.subject, what.kind, route, codec.encode(what).decode(), telemetry.traceparent()),
        )

    def set_timer(self, key: str, site: str, timer: At) -> None:
        """Set, replace or (with None) cancel a timer."""
        if timer.when is None:
            self.cursor.execute("delete from timer where key = %s and name = %s", (timer.key or key, timer.name))
            return
        self.cursor.execute(
            "insert into timer (key, name, due, site, trace, bulk) values (%s, %s, %s, %s, %s, %s)"
            " on conflict (key, name) do update"
            " set due = excluded.due, site = excluded.site, trace = excluded.trace, bulk = excluded.bulk, not_before = null",
            (timer.key or key, timer.name, timer.when, site, telemetry.traceparent(), timer.bulk),
        )

    def start_job(self, subject: str, site: str, job: StartJob) -> None:
        """Put one job into the room's jobs."""
        self.cursor.execute(
            "insert into job (job_id, name, subject, site, spec, trace) values (%s, %s, %s, %s, %s, %s)"
            " on conflict do nothing",
            (job.job_id, job.name, subject, site, job.spec, telemetry.traceparent()),
        )

    def forget_attempts(self, *settled: tuple[str, str]) -> None:
        """Forget the attempts of what is settled with this transaction, each named by its route and the input's id."""
        self.cursor.execute(
            "delete from attempt using unnest(%s::text[], %s::text[]) as unit (route, input_id)"
            " where attempt.route = unit.route and attempt.input_id = unit.input_id",
            ([route for route, _ in settled], [input_id for _, input_id in settled]),
        )

    def settle(self, route: str, input_id: str, outcome: Outcome) -> None:
        """Write how the claimed input was settled."""
        if outcome.kind != "recorded" or outcome.reason or outcome.answer is not None:
            answer = None if outcome.answer is None else codec.encode(outcome.answer)
            self.cursor.execute(
                "update inbox set outcome = %s, reason = %s, answer = %s where route = %s and input_id = %s",
                (outcome.kind, outcome.reason.replace("\0", ""), answer, route, input_id),
            )

    def bury(self, route: str, arrived: Arrived, reason: str, attempts: int = 0) -> None:
        """Keep an input that can never succeed as it is."""
        self.cursor.execute(
            "insert into quarantine (source, route, input_id, type, subject, headers, payload, reason, attempts, trace)"
            " values (%s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s)",
            (
                arrived.source, route, arrived.seen.id, arrived.type_name, arrived.seen.subject,
                codec.encode(arrived.headers).decode(), arrived.payload, reason.replace("\0", ""), attempts, telemetry.traceparent(),
            ),
        )

    def reopen(self, item: UUID, route: str, input_id: str) -> bool:
        """Take an item out of quarantine and give its claim back; False where it was retried or discarded meanwhile."""
        self.cursor.execute(
            "update quarantine set state = 'retried', ended_at = clock_timestamp() where id = %s and state = 'waiting'"
            " returning true", (item,),
        )
        if self.cursor.fetchone() is None:
            return False
        self.cursor.execute(
            "delete from inbox where route = %s and input_id = %s and outcome in ('rejected', 'quarantined')", (route, input_id),
        )
        return True


class Store:
    """The room's schema; the pool of connections is opened by `open` and closed by `close`."""

    def __init__(self, dsn: str, room: str, repositories: Mapping[type, Repository[Any]], connections: int = 8) -> None:
        self.room = room
        self._dsn = dsn
        self._repositories = repositories
        self._pool = ConnectionPool(
            dsn, min_size=1, max_size=connections, open=False, timeout=10, configure=self._configure,
            check=_look, name=room,
        )

    def open(self) -> None:
        """Open the pool; connections are made as they are needed."""
        self._pool.open()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close(timeout=2)

    def _configure(self, connection: Connection[Any]) -> None:
        connection.execute(SQL("set search_path = {}, public").format(Identifier(self.room)))
        connection.commit()

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        """Lend a connection for one transaction; raise Transient where the store is away, Permanent for what it cannot hold."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except _NEVER_FITS as unfit:
            raise Permanent(f"the database cannot hold a value of it: {type(unfit).__name__}") from unfit
        except psycopg.DataError as unfit:
            if unfit.sqlstate is not None:  # what the server says of a statement is a fault of ours
                raise
            raise Permanent("the database cannot hold a character of it") from unfit  # NUL: psycopg does not even send it
        except _AWAY as away:
            raise Transient(f"postgres is away: {type(away).__name__}") from away

    @contextmanager
    def begin(self) -> Iterator[Work]:
        """Open one transaction: kept at the end, or rolled back whole by any exception."""
        with self.connection() as connection, connection.cursor() as cursor:
            work = Work(cursor, self.room, self._repositories)
            yield work
            work.finish()

    def dedicated(self) -> Connection[Any]:
        """Open a connection of its own, for a session's advisory lock; raise Transient where the store is away."""
        try:
            connection = psycopg.connect(self._dsn, autocommit=True)
            connection.execute(SQL("set search_path = {}, public").format(Identifier(self.room)))
        except _AWAY as away:
            raise Transient(f"postgres is away: {type(away).__name__}") from away
        return connection

    def settled(self, route: Route[Any], input_id: str) -> Outcome | None:
        """Return how this route settled this input before, None where it has not."""
        with self.begin() as work:
            return work.settled(route, input_id)

    def attempt(self, route: str, input_id: str, reason: str) -> int:
        """Count one more attempt, in a transaction of its own, and return the count."""
        with self.connection() as connection:
            row = connection.execute(
                "insert into attempt as a (route, input_id, count, reason) values (%s, %s, 1, %s)"
                " on conflict (route, input_id) do update set count = a.count + 1, reason = excluded.reason returning count",
                (route, input_id, reason),
            ).fetchone()
        return int(row[0]) if row else 0

    def attempt_first(self, units: Sequence[Unit]) -> bool:
        """Count the first attempt of each, in a transaction of its own; False, and nothing is counted, where any was tried before."""
        named = ([unit.route.name for unit in units], [unit.arrived.seen.id for unit in units])
        with self.connection() as connection:
            tried = connection.execute(
                "select from attempt join unnest(%s::text[], %s::text[]) as unit (route, input_id) using (route, input_id) limit 1", named,
            ).fetchone()
            if tried is None:
                connection.execute(
                    "insert into attempt (route, input_id, count, reason) select route, input_id, 1, 'started'"
                    " from unnest(%s::text[], %s::text[]) as unit (route, input_id) on conflict do nothing", named,
                )
        return tried is None

    def uncount_first(self, units: Sequence[Unit]) -> None:
        """Take these first attempts back: what failed together did not fail one by one."""
        with self.connection() as connection:
            connection.execute(
                "delete from attempt using unnest(%s::text[], %s::text[]) as unit (route, input_id)"
                " where attempt.route = unit.route and attempt.input_id = unit.input_id and attempt.count = 1",
                ([unit.route.name for unit in units], [unit.arrived.seen.id for unit in units]),
            )

    def uncount(self, route: str, input_id: str) -> None:
        """Take one attempt back."""
        with self.connection() as connection:
            connection.execute("update attempt set count = count - 1 where route = %s and input_id = %s", (route, input_id))

    def park(self, route: str, keys: tuple[str, ...], arrived: Arrived, reason: str) -> None:
        """Keep an input to be tried again, so that its topic and everybody else can move on."""
        with self.connection() as connection:
            connection.execute(
                "insert into parked (route, key, keys, input_id, type, source, headers, payload, reason)"
                " values (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s) on conflict do nothing",
                (
                    route, keys[0], list(keys), arrived.seen.id, arrived.type_name, arrived.source,
                    codec.encode(arrived.headers).decode(), arrived.payload, reason,
                ),
            )

    def migrate(self, *folders: Traversable | Path) -> None:
        """Bring the schema up to date: each numbered .sql file once, in order, kit's own first."""
        kit = Path(__file__).parent / "migrations"
        with self.dedicated() as connection:
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 1))", (self.room,))
            connection.execute(SQL("create schema if not exists {}").format(Identifier(self.room)))
            connection.execute("create table if not exists migration (name text primary key, at timestamptz default now())")
            done = {row[0] for row in connection.execute("select name from migration")}
            for folder in (kit, *folders):
                for file in sorted(folder.iterdir(), key=lambda one: one.name):
                    if not re.fullmatch(r"\d{4}_\w+\.sql", file.name) or file.name in done:
                        continue
                    with connection.transaction():
                        connection.execute(SQL(file.read_text()))
                        connection.execute("insert into migration (name) values (%s)", (file.name,))

    def backlog(self) -> dict[str, int]:
        """Count what waits, by table."""
        with self.connection() as connection:
            row = connection.execute(
                "select (select count(*) from outbox where sent_at is null), (select count(*) from parked),"
                " (select count(*) from quarantine where state = 'waiting'),"
                " (select count(*) from delivery where state = 'waiting'), (select count(*) from timer),"
                " (select count(*) from job where state in ('waiting', 'running')), (select count(*) from outbox where again)",
            ).fetchone()
        names = ("outbox", "parked", "quarantine", "delivery", "timer", "job", "repeat")
        return dict(zip(names, row or (0,) * len(names), strict=True))


def _look(connection: Connection[Any]) -> None:
    """Check a connection before it is lent: at rest the server says nothing, so what can be read is most likely its goodbye."""
    said = select.poll()
    said.register(connection.fileno(), select.POLLIN)
    if said.poll(0):
        ConnectionPool.check_connection(connection)
