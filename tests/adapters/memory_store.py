"""A room's schema in memory: the twin of `kit.store`, `kit.outbox`, `kit.leader` and the rows of `kit.parking`.

For tests that try thousands of courses of events. One transaction at a time has the store to itself, works on a copy of its
tables and puts that in their place at its end; so ids are committed in their order, and what the database cannot hold is not
refused. `tests/integration/kit/test_store_contract.py` holds twin and Postgres to the same expectations.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from radloop.kit import codec, outbox
from radloop.kit.clock import Clock
from radloop.kit.codec import Message
from radloop.kit.errors import Transient
from radloop.kit.flow import Arrived, At, Deliver, Due, Input, Outcome, Route, StartJob
from radloop.kit.outbox import Said
from radloop.kit.parking import Parking
from radloop.kit.store import Unit


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A row of the inbox."""

    settled_at: datetime
    outcome: str = "recorded"
    reason: str = ""
    answer: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A row of the outbox."""

    event_id: str
    message: Message
    created_at: datetime
    sent_at: datetime | None = None
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A row of what is parked."""

    route: str
    keys: tuple[str, ...]
    arrived: Arrived
    reason: str
    not_before: datetime
    tries: int = 0


@dataclass(frozen=True, kw_only=True)
class Buried:
    """A row of the quarantine."""

    route: str
    arrived: Arrived
    reason: str
    attempts: int
    state: str = "waiting"


@dataclass
class Tables:
    """All tables of one room; rows are frozen, so a copy of the tables is a snapshot."""

    inbox: dict[tuple[str, str], Settled] = field(default_factory=dict)
    outbox: dict[int, Spoken] = field(default_factory=dict)
    attempt: dict[tuple[str, str], int] = field(default_factory=dict)
    parked: dict[int, Waiting] = field(default_factory=dict)
    quarantine: dict[UUID, Buried] = field(default_factory=dict)
    delivery: dict[str, Deliver] = field(default_factory=dict)
    timer: dict[tuple[str, str], At] = field(default_factory=dict)
    job: dict[str, StartJob] = field(default_factory=dict)
    states: dict[tuple[type, str], Any] = field(default_factory=dict)

    def copy(self) -> "Tables":
        """Return a snapshot."""
        return Tables(**{one.name: dict(getattr(self, one.name)) for one in fields(self)})


class MemoryWork:
    """The twin of `Work`: one transaction."""

    def __init__(self, tables: Tables, clock: Clock, ids: Iterator[int]) -> None:
        self.tables, self._clock, self._ids = tables, clock, ids

    def lock(self, keys: tuple[str, ...]) -> None:
        """Nothing: whoever is in a transaction has the store to himself."""

    def claim(self, route: str, arrived: Arrived, keys: tuple[str, ...]) -> bool:
        parked = {row_id: row for row_id, row in self.tables.parked.items() if row.route == route}
        own = next((row_id for row_id, row in parked.items() if row.arrived.seen.id == arrived.seen.id), None)
        if any(set(row.keys) & set(keys) and (own is None or row_id < own) for row_id, row in parked.items()):
            return False
        return self.take(route, arrived, keys[0])

    def claim_all(self, units: Sequence[Unit]) -> list[Unit]:
        keys = {key for unit in units for key in unit.keys}
        if any(keys & set(row.keys) for row in self.tables.parked.values()):
            raise Transient("something of the same key is parked")
        return [unit for unit in units if self.take(unit.route.name, unit.arrived, unit.keys[0])]

    def take(self, route: str, arrived: Arrived, key: str) -> bool:
        if (route, arrived.seen.id) in self.tables.inbox:
            return False
        self.tables.inbox[route, arrived.seen.id] = Settled(settled_at=self._clock.now())
        return True

    def settled(self, route: Route[Any], input_id: str) -> Outcome | None:
        row = self.tables.inbox.get((route.name, input_id))
        if row is None:
            return None
        answer = None if row.answer is None or route.answers is None else codec.decode(route.answers, row.answer)
        return Outcome(kind=row.outcome, reason=row.reason, answer=answer, repeated=True)

    def is_set(self, timer: Input) -> bool:
        assert isinstance(timer, Due)
        found = self.tables.timer.get((timer.subject, timer.name))
        return found is not None and found.when == timer.at

    def load(self, kind: type, keys: tuple[str, ...]) -> Any:
        return self.tables.states.get((kind, keys[0]))

    def read_ahead(self, units: Sequence[Unit]) -> None:
        """Nothing: there are no round trips."""

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        yield

    def save(self, kind: type, keys: tuple[str, ...], state: object) -> None:
        self.tables.states[kind, keys[0]] = state

    def enqueue(self, event_id: str, message: Message) -> None:
        if all(row.event_id != event_id for row in self.tables.outbox.values()):
            self.tables.outbox[next(self._ids)] = Spoken(event_id=event_id, message=message, created_at=self._clock.now())

    def finish(self) -> None:
        """Nothing: what is enqueued is in the outbox at once."""

    def deliver(self, route: str, what: Deliver) -> None:
        self.tables.delivery.setdefault(what.key, what)

    def set_timer(self, key: str, site: str, timer: At) -> None:
        if timer.when is None:
            self.tables.timer.pop((timer.key or key, timer.name), None)
        else:
            self.tables.timer[timer.key or key, timer.name] = timer

    def start_job(self, subject: str, site: str, job: StartJob) -> None:
        self.tables.job.setdefault(job.job_id, job)

    def forget_attempts(self, *settled: tuple[str, str]) -> None:
        for named in settled:
            self.tables.attempt.pop(named, None)

    def settle(self, route: str, input_id: str, outcome: Outcome) -> None:
        if outcome.kind != "recorded" or outcome.reason or outcome.answer is not None:
            answer = None if outcome.answer is None else codec.encode(outcome.answer)
            self.tables.inbox[route, input_id] = replace(
                self.tables.inbox[route, input_id], outcome=outcome.kind, reason=outcome.reason, answer=answer)

    def bury(self, route: str, arrived: Arrived, reason: str, attempts: int = 0) -> None:
        self.tables.quarantine[uuid4()] = Buried(route=route, arrived=arrived, reason=reason, attempts=attempts)

    def reopen(self, item: UUID, route: str, input_id: str) -> bool:
        row = self.tables.quarantine.get(item)
        if row is None or row.state != "waiting":
            return False
        self.tables.quarantine[item] = replace(row, state="retried")
        claim = self.tables.inbox.get((route, input_id))
        if claim is not None and claim.outcome in {"rejected", "quarantined"}:
            del self.tables.inbox[route, input_id]
        return True


class MemoryStore:
    """The twin of `Store`; `tables` is what is committed."""

    def __init__(self, room: str, clock: Clock) -> None:
        self.room, self.clock = room, clock
        self.tables = Tables()
        self.leaders: dict[str, object] = {}
        self._ids = itertools.count(1)
        self._alone = threading.Lock()

    def open(self) -> None:
        """Nothing: it is there."""

    def close(self) -> None:
        """Nothing: it stays."""

    @contextmanager
    def connection(self) -> Iterator[Tables]:
        """Lend the tables for one transaction, kept at its end unless an exception ends it."""
        with self._alone:
            draft = self.tables.copy()
            yield draft
            self.tables = draft

    @contextmanager
    def begin(self) -> Iterator[MemoryWork]:
        with self.connection() as draft:
            yield MemoryWork(draft, self.clock, self._ids)

    def settled(self, route: Route[Any], input_id: str) -> Outcome | None:
        with self.begin() as work:
            return work.settled(route, input_id)

    def attempt(self, route: str, input_id: str, reason: str) -> int:
        with self.connection() as draft:
            draft.attempt[route, input_id] = draft.attempt.get((route, input_id), 0) + 1
            return draft.attempt[route, input_id]

    def attempt_first(self, units: Sequence[Unit]) -> bool:
        with self.connection() as draft:
            names = [(unit.route.name, unit.arrived.seen.id) for unit in units]
            if any(name in draft.attempt for name in names):
                return False
            draft.attempt |= dict.fromkeys(names, 1)
            return True

    def uncount_first(self, units: Sequence[Unit]) -> None:
        with self.connection() as draft:
            for unit in units:
                name = (unit.route.name, unit.arrived.seen.id)
                if draft.attempt.get(name) == 1:
                    del draft.attempt[name]

    def uncount(self, route: str, input_id: str) -> None:
        with self.connection() as draft:
            if (route, input_id) in draft.attempt:
                draft.attempt[route, input_id] -= 1

    def park(self, route: str, keys: tuple[str, ...], arrived: Arrived, reason: str) -> None:
        with self.connection() as draft:
            if all((row.route, row.arrived.seen.id) != (route, arrived.seen.id) for row in draft.parked.values()):
                draft.parked[next(self._ids)] = Waiting(
                    route=route, keys=keys, arrived=arrived, reason=reason, not_before=self.clock.now())

    def backlog(self) -> dict[str, int]:
        with self.connection() as draft:
            return {
                "outbox": sum(row.sent_at is None for row in draft.outbox.values()), "parked": len(draft.parked),
                "quarantine": sum(row.state == "waiting" for row in draft.quarantine.values()),
                "delivery": len(draft.delivery), "timer": len(draft.timer), "job": len(draft.job),
                "repeat": sum(row.again for row in draft.outbox.values()),
            }


class MemoryOutbox:
    """The twin of `Outbox`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def look(self, bulk_topics: Sequence[str]) -> tuple[bool, bool]:
        with self._store.connection() as draft:
            rows = draft.outbox.values()
            return any(row.sent_at is None and row.message.topic in bulk_topics for row in rows), any(row.again for row in rows)

    def waiting(self, bulk_topics: Sequence[str], *, bulk: bool) -> tuple[Said, ...]:
        with self._store.connection() as draft:
            held = {row.message.key for row in draft.outbox.values() if row.again}
            return _first(draft, outbox.BULK_BATCH if bulk else outbox.BATCH, lambda row: (
                row.sent_at is None and (row.message.topic in bulk_topics) is bulk and row.message.key not in held))

    def to_repeat(self) -> tuple[Said, ...]:
        with self._store.connection() as draft:
            new = {row.message.key for row in draft.outbox.values() if row.sent_at is None}
            awaited = _first(draft, outbox.BULK_BATCH, lambda row: row.again and row.message.key in new)
            return awaited or _first(draft, outbox.BULK_BATCH, lambda row: row.again)

    def sent_lately(self, seconds: float) -> list[int]:
        with self._store.connection() as draft:
            last = max((row.sent_at for row in draft.outbox.values() if row.sent_at), default=None)
            return [] if last is None else [
                row_id for row_id, row in sorted(draft.outbox.items()) if row.sent_at and row.sent_at > last - timedelta(seconds=seconds)]

    def read(self, ids: Sequence[int]) -> tuple[Said, ...]:
        with self._store.connection() as draft:
            return tuple(_said(row_id, draft.outbox[row_id]) for row_id in sorted(ids) if row_id in draft.outbox)

    def mark_sent(self, ids: Sequence[int]) -> None:
        with self._store.connection() as draft:
            for row_id in ids:
                if row_id in draft.outbox:
                    draft.outbox[row_id] = replace(draft.outbox[row_id], sent_at=self._store.clock.now(), again=False)

    def repeat(self, since: datetime, case: str = "", topic: str = "") -> int:
        with self._store.connection() as draft:
            found = [
                row_id for row_id, row in draft.outbox.items() if row.created_at >= since and row.sent_at is not None
                and case in {"", row.message.key} and topic in {"", row.message.topic}]
            for row_id in found:
                draft.outbox[row_id] = replace(draft.outbox[row_id], again=True)
            return len(found)

    def prune(self, before: datetime) -> int:
        with self._store.connection() as draft:
            found = [
                row_id for row_id, row in draft.outbox.items()
                if row.created_at < before and row.sent_at is not None and not row.again]
            for row_id in found:
                del draft.outbox[row_id]
            return len(found)


def prune_inbox(store: MemoryStore, before: datetime) -> int:
    """The twin of `kit.outbox.prune_inbox`."""
    with store.connection() as draft:
        found = [name for name, row in draft.inbox.items() if row.settled_at < before]
        for name in found:
            del draft.inbox[name]
        return len(found)


def _first(draft: Tables, most: int, wanted: Callable[[Spoken], bool]) -> tuple[Said, ...]:
    rows = [(row_id, row) for row_id, row in sorted(draft.outbox.items()) if wanted(row)]
    return tuple(_said(row_id, row) for row_id, row in rows[:most])


def _said(row_id: int, row: Spoken) -> Said:
    told = row.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    return Said(row_id, row.message.topic, row.message.key, {**row.message.headers, "ce_recordedtime": told}, row.message.value)


class MemoryLeader:
    """The twin of `Leader`: the first that asks holds the lock until it lets go."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store, self._name = store, name

    def holds(self) -> bool:
        return self._store.leaders.setdefault(self._name, self) is self

    def let_go(self) -> None:
        if self._store.leaders.get(self._name) is self:
            del self._store.leaders[self._name]


class MemoryParking(Parking):
    """`Parking` as it is, over the twin's rows."""

    def _due(self) -> Iterable[Any]:
        store: Any = self._runner.store
        with store.connection() as draft:
            return [
                (row_id, row.arrived.type_name, row.arrived.source, row.arrived.headers, row.arrived.payload, row.tries)
                for row_id, row in sorted(draft.parked.items())
                if row.not_before <= store.clock.now() and not any(
                    before.route == row.route and set(before.keys) & set(row.keys) and before_id < row_id
                    for before_id, before in draft.parked.items())
            ][:100]

    def _let_go(self, parked_id: int) -> None:
        store: Any = self._runner.store
        with store.connection() as draft:
            del draft.parked[parked_id]

    def _put_off(self, parked_id: int, seconds: float) -> None:
        store: Any = self._runner.store
        with store.connection() as draft:
            row = draft.parked[parked_id]
            later = store.clock.now() + timedelta(seconds=seconds)
            draft.parked[parked_id] = replace(row, tries=row.tries + 1, not_before=later)
