"""The one place where an input meets its handler: settled already? observe, then lock, claim, load, decide, keep.

A handler chooses Record, Skip or Reject. Transient is tried again as long as it lasts; Permanent is a Reject; any other
exception is an attempt, and after five the input is quarantined.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from radloop.kit import codec, telemetry
from radloop.kit.clock import Clock
from radloop.kit.codec import EventCodec
from radloop.kit.courtesy import Courtesy
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Arrived, Command, Due, Event, Input, Kept, Outcome, Record, Reject, Route, Skip, what_it_keeps
from radloop.kit.fuse import Fuse
from radloop.kit.store import Store, Unit, Work
from radloop.kit.worker import places

log = logging.getLogger(__name__)

ATTEMPTS = 5
IDENTITY_LENGTH = 512
EVENT_BYTES = 900_000  # brokers refuse 1 MB unless told otherwise, and a relay that is refused stands still
_MEANWHILE = Outcome(kind="skipped", reason="somebody else has settled it meanwhile", repeated=True)


class Parked(Exception):  # noqa: N818 - not an error: an earlier input of the same key waits, so this one does too
    """Something of the same key is parked before it."""


class Runner:
    """Settles inputs for one room."""

    def __init__(
        self, store: Store, routes: Sequence[Route[Any]], events: EventCodec, clock: Clock, horizon: timedelta = timedelta.max,
    ) -> None:
        """`horizon` is how far back the inbox remembers (`kit.retention`)."""
        self.store, self.routes, self._events, self._clock, self._horizon = store, tuple(routes), events, clock, horizon
        self.fuse, self.courtesy = Fuse(clock), Courtesy(clock)
        self.caught_up = threading.Event()  # set once the room has heard what waited for it when it came up
        self._kinds: Mapping[str, type[Input]] = {route.hears.__name__: route.hears for route in routes}
        self._after_commit: list[tuple[Kept, Callable[[], None]]] = []

    def after_commit(self, kept: Kept, wake: Callable[[], None]) -> None:
        """Have something woken whenever a decision was kept that has such a thing for it."""
        self._after_commit.append((kept, wake))

    @property
    def remembers_since(self) -> datetime:
        """How far back the inbox remembers; hearers have the same retention."""
        now = self._clock.now()
        return now - min(self._horizon, now - datetime.min.replace(tzinfo=UTC))

    def hears(self) -> tuple[type[Event], ...]:
        """Return the event types this room has routes for."""
        kinds = dict.fromkeys(route.hears for route in self.routes)
        return tuple(kind for kind in kinds if issubclass(kind, Event))

    def wake(self, *kept: Kept) -> None:
        """Wake whoever waits for such things."""
        for what, wake in self._after_commit:
            if what in kept:
                wake()

    def submit(self, command: Command, along: Callable[[Work], bool] | None = None) -> Outcome:
        """Settle a command at once and return its outcome; raise Transient where a dependency is away.

        What the handler does not foresee is tried up to five times, then quarantined, and the door is told so.
        """
        arrived = Arrived(
            seen=command, payload=codec.encode(command), source=f"door:{command.actor.kind}",
            type_name=type(command).__name__, headers={"traceparent": telemetry.traceparent()}, along=along,
        )
        flaw = _flaw(command)
        if flaw:
            self.quarantine_unread(arrived.source, {**arrived.headers, "ce_type": arrived.type_name}, arrived.payload, flaw)
            return Outcome(kind="rejected", reason=flaw)
        return self.settle_stubbornly(arrived)

    def due(self, timer: Due, trace: str, *, revocable: bool = False) -> Outcome:
        """Settle a timer that is due; a revocable one only if it is still set to this instant once its key is locked."""
        return self.settle_stubbornly(Arrived(
            seen=timer, payload=codec.encode(timer), source="timer", type_name="Due", headers={"traceparent": trace},
            revocable=revocable,
        ))

    def read(self, type_name: str, source: str, headers: dict[str, str], payload: bytes) -> Arrived:
        """Read a stored or received input again; raise Permanent where it is none that this room knows."""
        if source.startswith("topic:"):
            seen: Input = self._events.decode(headers, payload)
        elif type_name in self._kinds:
            seen = codec.decode(self._kinds[type_name], payload)
        else:
            raise Permanent(f"this room has no route for {type_name}")
        flaw = _flaw(seen) or (self._too_old(headers, seen) if isinstance(seen, Event) else "")
        if flaw:
            raise Permanent(flaw)
        return Arrived(seen=seen, payload=payload, source=source, type_name=type_name, headers=headers)

    def _too_old(self, headers: Mapping[str, str], event: Input) -> str:
        """Say that an event was said before what the inbox remembers, empty where it was not: it may have been settled, and forgotten."""
        told = headers.get("ce_recordedtime", "")
        try:
            said = datetime.fromisoformat(told) if told else event.at
            if self._clock.now() - said <= self._horizon:
                return ""
        except (ValueError, TypeError):
            return "its ce_recordedtime is no instant with an offset"
        return f"it was said more than {self._horizon.days} days ago: whether it was settled then is no longer known"

    def settle_stubbornly(self, arrived: Arrived) -> Outcome:
        """Settle an input, trying unforeseen errors again until they are settled or quarantined."""
        while True:
            outcome = self.settle_once(arrived)
            if outcome is not None:
                return outcome

    def settle_once(self, arrived: Arrived) -> Outcome | None:
        """Settle an input; return None after an unforeseen error, which is counted, logged and quarantined the fifth time."""
        try:
            return self.settle(arrived)
        except (Transient, Parked):
            raise
        except Exception:  # noqa: BLE001 - see settle
            return None

    def settle(self, arrived: Arrived) -> Outcome:
        """Settle an input for each of its routes; return the last outcome (a command has one route).

        Raise Transient where a dependency is away, Parked where it must wait its turn, anything else for an attempt.
        """
        outcome = Outcome(kind="skipped", reason="no route hears it")
        trouble: Exception | None = None
        for route in self.routes:
            if route.hears_this(arrived.seen) and arrived.route in {"", route.name}:
                try:
                    outcome = self._settle(route, arrived)
                except Exception as failed:  # noqa: BLE001 - raised below: the input's other routes do not wait for this one
                    trouble = trouble or failed
        if trouble is not None:
            raise trouble
        return outcome

    def _settle(self, route: Route[Any], arrived: Arrived) -> Outcome:
        # Asked beforehand only where a repeat would cost something; else the claim tells, in the one transaction.
        if (route.observe or arrived.careful or self.fuse.open) and arrived.along is None:
            with self.store.begin() as work:
                before = work.settled(route, arrived.seen.id)
                if before is not None and arrived.careful:
                    work.forget_attempts((route.name, arrived.seen.id))
            if before is not None:
                return before
        self.fuse.hold()
        attempts = self.store.attempt(route.name, arrived.seen.id, "started") if arrived.careful else 0
        if attempts > ATTEMPTS:
            return self._bury(route, arrived, "its process died while handling it, again and again", attempts)
        started = self._clock.monotonic()
        name = f"{self.store.room} · {route.name}"
        kept: frozenset[Kept] = frozenset()
        with telemetry.span(name, arrived.headers.get("traceparent", ""), input=arrived.seen.id) as span:
            try:
                outcome, kept = self._settle_unit(route, arrived)
            except Permanent as never:
                outcome = self._bury(route, arrived, never.reason, attempts)
            except (Transient, Parked):
                if arrived.careful:  # it waits and did not fail: the attempt counted beforehand is taken back
                    self.store.uncount(route.name, arrived.seen.id)
                raise
            except Exception as surprise:
                reason = f"{type(surprise).__name__} in {route.name}"
                self.fuse.blow(arrived.seen.subject, reason)
                attempts = attempts or self.store.attempt(route.name, arrived.seen.id, reason)
                log.error(  # noqa: TRY400 - a traceback repeats the message, which may repeat a patient's data
                    "unforeseen", extra={
                        "route": route.name, "input": arrived.seen.id, "attempt": attempts, "error": type(surprise).__name__,
                        "where": places(surprise),
                    },
                )
                if attempts < ATTEMPTS:
                    raise
                outcome = self._bury(route, arrived, reason, attempts)
            span.set_attribute("outcome", outcome.kind)
            span.set_attribute("reason", outcome.reason)
        if outcome.repeated:
            return outcome
        self._tell(route, outcome, started)
        self.wake(*kept)
        return outcome

    def _tell(self, route: Route[Any], outcome: Outcome, started: float) -> None:
        if outcome.kind != "quarantined":
            self.fuse.mend()
        if outcome.kind == "rejected":
            telemetry.count("radloop_quarantined_total", route=route.name)
        telemetry.count("radloop_inputs_total", route=route.name, outcome=outcome.kind)
        telemetry.observe("radloop_settle_seconds", self._clock.monotonic() - started, route=route.name)

    def submit_together(
        self, commands: Sequence[tuple[Command, str]], look: Callable[[], Mapping[str, object]] = dict,
    ) -> dict[str, Outcome]:
        """Settle commands of different subjects, each with its traceparent, in one transaction; return their outcomes by their ids.

        `look` looks at the world for all of them at once, before the transaction, and returns by their ids what the handlers will see;
        what it leaves out is observed as its route says. Fewer outcomes where one was settled before, and none at all where they could
        not be settled together, whyever: those are to be submitted alone.
        """
        arrived = [
            Arrived(
                seen=command, payload=codec.encode(command), source=f"door:{command.actor.kind}", type_name=type(command).__name__,
                headers={"traceparent": trace},
            )
            for command, trace in commands
        ]
        settled = self._settled_together(arrived, look) if not any(_flaw(one.seen) for one in arrived) else None
        return {unit.arrived.seen.id: outcome for unit, outcome, _ in settled or ()}

    def settle_together(self, inputs: Sequence[Arrived]) -> bool:
        """Settle inputs of different subjects in one transaction, each for all of its routes: fewer round trips for the same promise.

        False where one of them failed, must wait, or may be what ended a process before: then nothing was kept, and each is settled
        alone.
        """
        return self._settled_together(inputs) is not None

    def _settled_together(
        self, inputs: Sequence[Arrived], look: Callable[[], Mapping[str, object]] = dict,
    ) -> list[tuple[Unit, Outcome, frozenset[Kept]]] | None:
        if self.fuse.open:
            return None
        started = self._clock.monotonic()
        counted: list[Unit] = []
        try:
            seen = look()
            units = [
                Unit(route, one, seen.get(one.seen.id) or (route.observe(one.seen) if route.observe else one.seen), route.keys(one.seen))
                for one in inputs for route in self.routes if route.hears_this(one.seen)
            ]
            careful = [unit for unit in units if unit.arrived.careful]
            if careful and not self.store.attempt_first(careful):
                return None
            counted = careful
            with self.store.begin() as work:
                settled = self._settle_units(work, units)
        except Exception as failed:  # noqa: BLE001 - whatever it was: the one that failed will fail alone, and is counted then
            if not isinstance(failed, (Transient, Parked, Permanent)):
                log.info("a batch failed together", extra={"error": type(failed).__name__, "where": places(failed)})
            if counted:
                self.store.uncount_first(counted)
            return None
        kept: set[Kept] = set()
        for unit, outcome, has in settled:
            kept |= has
            self._tell(unit.route, outcome, started)
        self.wake(*kept)
        return settled

    def _settle_units(self, work: Work, units: Sequence[Unit]) -> list[tuple[Unit, Outcome, frozenset[Kept]]]:
        work.lock(tuple(sorted({key for unit in units for key in unit.keys})))
        claimed = work.claim_all(units)
        if counted := [(unit.route.name, unit.arrived.seen.id) for unit in units if unit.arrived.careful]:
            work.forget_attempts(*counted)
        work.read_ahead(claimed)
        settled = []
        with work.without_waiting():
            for unit in claimed:
                trace = unit.arrived.headers.get("traceparent", "")
                with telemetry.span(f"{self.store.room} · {unit.route.name}", trace, input=unit.arrived.seen.id) as span:
                    outcome, kept = self._decide_and_keep(work, unit)
                    span.set_attribute("outcome", outcome.kind)
                    span.set_attribute("reason", outcome.reason)
                settled.append((unit, outcome, kept))
        return settled

    def _settle_unit(self, route: Route[Any], arrived: Arrived) -> tuple[Outcome, frozenset[Kept]]:
        seen = route.observe(arrived.seen) if route.observe else arrived.seen
        unit = Unit(route, arrived, seen, route.keys(arrived.seen))
        with self.store.begin() as work:
            work.lock(unit.keys)
            if arrived.revocable and not work.is_set(arrived.seen):
                return Outcome(kind="skipped", reason="the timer was set anew or cancelled", repeated=True), frozenset()
            if arrived.along is not None and not arrived.along(work):
                return _MEANWHILE, frozenset()
            if not work.claim(route.name, arrived, unit.keys):
                before = work.settled(route, arrived.seen.id)
                if before is None:
                    raise Parked
                return before, frozenset()
            if arrived.careful:
                work.forget_attempts((route.name, arrived.seen.id))
            return self._decide_and_keep(work, unit)

    def _decide_and_keep(self, work: Work, unit: Unit) -> tuple[Outcome, frozenset[Kept]]:
        route, arrived = unit.route, unit.arrived
        decision = route.decide(unit.seen, work.load(route.keeps, unit.keys))
        outcome = self._keep(work, route, unit.keys, arrived, decision)
        work.settle(route.name, arrived.seen.id, outcome)
        return outcome, what_it_keeps(decision)

    def _keep(
        self, work: Work, route: Route[Any], keys: tuple[str, ...], arrived: Arrived, decision: Record[Any] | Skip | Reject,
    ) -> Outcome:
        match decision:
            case Record():
                if decision.state is not None:
                    work.save(route.keeps, keys, decision.state)
                self._enqueue(work, decision.emit)
                for message in decision.deliver:
                    work.deliver(route.name, message)
                for timer in decision.timers:
                    work.set_timer(keys[0], arrived.seen.site, timer)
                for job in decision.jobs:
                    work.start_job(arrived.seen.subject, arrived.seen.site, job)
                return Outcome(kind="recorded", answer=decision.answer)
            case Skip():
                return Outcome(kind="skipped", reason=decision.reason, answer=decision.answer)
            case Reject():
                self._enqueue(work, decision.emit)
                work.bury(route.name, arrived, decision.reason)
                return Outcome(kind="rejected", reason=decision.reason, answer=decision.answer)

    def _enqueue(self, work: Work, events: Iterable[Event]) -> None:
        said: set[str] = set()
        for event in events:
            if event.id in said:
                raise ValueError(f"two alike in one decision: {type(event).__name__}")
            said.add(event.id)
            message = self._events.encode(event, self.store.room)
            if len(message.value) > EVENT_BYTES:
                raise Permanent(f"{type(event).__name__} is too big for a topic; what is big travels as a blob")
            work.enqueue(event.id, message)

    def _bury(self, route: Route[Any], arrived: Arrived, reason: str, attempts: int) -> Outcome:
        outcome = Outcome(kind="quarantined", reason=reason)
        try:
            keys = route.keys(arrived.seen)
        except Exception:  # noqa: BLE001 - it may be the key that cannot be told; then it is kept under its subject
            keys = (arrived.seen.subject,)
        with self.store.begin() as work:
            work.lock(keys)
            if arrived.along is not None and not arrived.along(work):
                return _MEANWHILE
            if not work.take(route.name, arrived, keys[0]):
                return work.settled(route, arrived.seen.id) or outcome
            work.bury(route.name, arrived, reason, attempts)
            work.settle(route.name, arrived.seen.id, outcome)
            work.forget_attempts((route.name, arrived.seen.id))
        telemetry.count("radloop_quarantined_total", route=route.name)
        return outcome

    def quarantine_unread(self, source: str, headers: dict[str, str], payload: bytes, reason: str) -> None:
        """Keep bytes that are no input this room can read, for the upgrade or the repair; the same bytes are kept once."""
        digest = hashlib.sha256(b"\0".join((source.encode(), codec.encode(headers), payload))).hexdigest()
        unread = Input(
            id=digest, subject=headers.get("ce_subject", "")[:IDENTITY_LENGTH], site=headers.get("ce_site", ""), at=self._clock.now(),
        )
        arrived = Arrived(
            seen=unread, payload=payload, source=source, type_name=headers.get("ce_type", "unknown"), headers=headers,
        )
        with self.store.begin() as work:
            if work.take("unread", arrived, unread.subject):
                told = headers.get("ce_id", "")[:IDENTITY_LENGTH] or digest
                work.bury("unread", replace(arrived, seen=replace(unread, id=told)), reason)
                work.settle("unread", digest, Outcome(kind="quarantined", reason=reason))
        telemetry.count("radloop_quarantined_total", route="unread")

    def retry(self, item: UUID, route: str, arrived: Arrived) -> Outcome:
        """Run the handler again on a quarantined input, after repair.

        Its claim is given back, the handler runs and the item is closed in one transaction: neither a kill nor somebody else
        who retries it makes it happen twice, or not at all. What has succeeded meanwhile keeps its claim.
        """
        hearing = [one.name for one in self.routes if one.hears_this(arrived.seen)]
        if not hearing:
            raise Permanent("no route of this room hears it")
        with self.store.connection() as connection:
            connection.execute("delete from attempt where route = any(%s) and input_id = %s", (hearing, arrived.seen.id))
        if route in hearing:
            return self.settle_stubbornly(
                replace(arrived, route=route, along=lambda work: work.reopen(item, route, arrived.seen.id)))
        # It could not be read, or an upgrade gave the route another name: every route that hears it, each by its own claim.
        outcome = self.settle_stubbornly(arrived)
        with self.store.begin() as work:
            work.reopen(item, route, arrived.seen.id)
        return outcome


def _flaw(seen: Input) -> str:
    """Say why an input cannot be told from others, empty where it can: ids and keys are what everything is kept under."""
    if not seen.id or (isinstance(seen, Event) and not seen.subject):
        return "it has no identity: id or subject is empty"
    if max(len(seen.id), len(seen.subject)) > IDENTITY_LENGTH:
        return f"its id or subject is longer than {IDENTITY_LENGTH} characters"
    return "its id or subject holds a NUL character" if "\0" in seen.id + seen.subject + seen.site else ""
