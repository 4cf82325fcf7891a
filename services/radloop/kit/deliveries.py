"""Outward acts: rows written by a decision, sent by a worker, one at a time per receiver and case, in order.

Before the first try a delivery is checked against the case as it is now; what has been overtaken is superseded, not sent.
A resend is byte for byte the same. The answer comes back to the room as a command, and is stored there in the transaction
that ends the row. What a receiver refuses for good waits in quarantine; given back, it is checked as if never tried.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from radloop.kit import codec, telemetry
from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Actor, Arrived, Deliver, DeliveryAnswered, Input, Outcome, caused_by
from radloop.kit.runner import ATTEMPTS, Parked, Runner
from radloop.kit.store import Work
from radloop.kit.worker import Worker, back_off, places

log = logging.getLogger(__name__)

S = TypeVar("S")
LEASE_S = 15
AT_ONCE = 2
STOP_S = 2.0
SOURCE, ROUTE = "delivery:", "delivery"
"""How a delivery is named in quarantine: the source is this and its receiver, the route this alone."""


@dataclass(frozen=True)
class Answer:
    """What a receiver said: outcome is delivered, refused, or unconfirmed where it took it and did not say what it did."""

    outcome: str
    reason: str = ""
    body: bytes = b""


class Receiver(Protocol):
    """One outside system."""

    def send(self, delivery: Deliver) -> Answer:
        """Send ready-made bytes and return the answer; raise Transient to be asked again, Permanent for quarantine."""
        ...


@dataclass(frozen=True)
class Check(Generic[S]):
    """How a room holds a delivery against its case before the first try: a reason supersedes it, None lets it go.

    `alike` are groups of kinds that replace one another at the receiver: nothing older of a group is sent after a newer one.
    A kind that is in none replaces its own kind alone.
    """

    keeps: type[S]
    superseded: Callable[[Deliver, S | None], str | None]
    alike: Sequence[frozenset[str]] = ()


@dataclass(frozen=True)
class Owed:
    """A row in hand; `round` counts how often it came back from quarantine."""

    id: int
    delivery: Deliver
    tries: int
    trace: str
    round: int


class Deliveries:
    """Sends what the room owes to outside receivers."""

    def __init__(
        self, runner: Runner, receivers: Mapping[str, Receiver], check: Check[Any], clock: Clock, site: str,
    ) -> None:
        self._runner, self._receivers, self._check, self._clock, self._site = runner, receivers, check, clock, site
        # A pool for each receiver: one that is slow or hangs holds up nobody else.
        self._pools = {name: ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"to-{name}") for name in receivers}
        self._in_hand: dict[str, dict[int, Future[None]]] = {name: {} for name in receivers}
        self._renew_at = 0.0
        self.worker = Worker("deliveries", self._turn)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """Begin nothing more; what is being sent is finished, or sent again after its lease."""
        self.worker.stop()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        wait([one for rows in self._in_hand.values() for one in rows.values()], timeout=STOP_S)

    def _turn(self) -> float:
        self._renew()
        for receiver, rows in self._in_hand.items():
            for row_id in [row_id for row_id, sending in rows.items() if sending.done()]:
                rows.pop(row_id).result()
            for row in self._lease(receiver, list(rows)):
                rows[row[0]] = self._pools[receiver].submit(self._send, *row)
                rows[row[0]].add_done_callback(lambda _: self.worker.wake())
        return 0.5

    def _lease(self, receiver: str, in_hand: Sequence[int] = ()) -> list[Any]:
        """Take the first waiting row of each case, as many as there are free hands.

        Never one that is in hand: its lease may have run out while the store was away, and it is still being sent.
        """
        free = AT_ONCE - len(in_hand)
        if free < 1:
            return []
        with self._runner.store.connection() as connection:
            return connection.execute(
                "update delivery set leased_until = now() + make_interval(secs => %s) where id in ("
                " select d.id from delivery d where d.receiver = %s and d.state = 'waiting' and d.not_before <= now()"
                "  and (d.leased_until is null or d.leased_until < now()) and d.id <> all(%s::bigint[]) and not exists ("
                "   select from delivery before where before.receiver = d.receiver and before.subject = d.subject"
                "   and before.state = 'waiting' and before.id < d.id)"
                " order by d.id limit %s for update skip locked)"
                " returning id, input, first_tried_at, tries, trace, round", (LEASE_S, receiver, list(in_hand), free),
            ).fetchall()

    def _renew(self) -> None:
        """Keep what is being sent, so that no other instance sends it too while a receiver is slow."""
        sending = [row_id for rows in self._in_hand.values() for row_id in rows]
        if not sending or self._clock.monotonic() < self._renew_at:
            return
        with self._runner.store.connection() as connection:
            connection.execute(
                "update delivery set leased_until = now() + make_interval(secs => %s) where id = any(%s) and state = 'waiting'"
                " and leased_until is not null", (LEASE_S, sending),
            )
        self._renew_at = self._clock.monotonic() + LEASE_S / 3

    def _send(self, row_id: int, stored: Any, first_tried_at: object, tries: int, trace: str, times: int) -> None:
        delivery = codec.decode(Deliver, codec.encode(stored))
        row = Owed(row_id, delivery, tries, trace, times)
        try:
            if first_tried_at is None:
                overtaken = self._first_try(row)
                if overtaken:
                    self._answered(row, Answer("superseded", overtaken))
                    return
            with telemetry.span(f"{self._runner.store.room} · deliver · {delivery.receiver}", row.trace, kind=delivery.kind):
                answer = self._receivers[delivery.receiver].send(delivery)
        except Transient as away:
            self._again(row, away)
            return
        except Permanent as never:
            answer = Answer("quarantined", never.reason)
        except Exception as surprise:  # noqa: BLE001 # house: blind-except - a bug in one receiver must not silence the others
            reason = f"{type(surprise).__name__} in the receiver"
            attempts = self._runner.store.attempt(ROUTE, delivery.key, reason)
            log.error(  # noqa: TRY400 - a traceback repeats the message, which may repeat a patient's data
                "unforeseen", extra={"delivery": row.id, "attempt": attempts, "where": places(surprise)},
            )
            if attempts < ATTEMPTS:
                self._again(row, Transient(reason))
                return
            answer = Answer("quarantined", reason)
        self._answered(row, answer)

    def _first_try(self, row: Owed) -> str | None:
        """Check against the case as it is now, under its lock; mark the first try, or return why it is superseded."""
        delivery = row.delivery
        with self._runner.store.begin() as work:
            work.lock((delivery.subject,))
            if self._is_behind(work, row):
                raise Transient("an earlier one of its case came back from quarantine", after=0.0)
            reason = self._overtaken(work, row) if row.round else None
            if reason is None and not delivery.always:
                reason = self._check.superseded(delivery, work.load(self._check.keeps, (delivery.subject,)))
            if reason is None:
                work.cursor.execute(
                    "update delivery set first_tried_at = clock_timestamp() where id = %s and state = 'waiting' and round = %s",
                    (row.id, row.round),
                )
                if not work.cursor.rowcount:
                    raise Transient("it was ended meanwhile, or is another's to send")
            return reason

    def _is_behind(self, work: Work, row: Owed) -> bool:
        work.cursor.execute(
            "select from delivery where receiver = %s and subject = %s and state = 'waiting' and id < %s limit 1",
            (row.delivery.receiver, row.delivery.subject, row.id),
        )
        return work.cursor.fetchone() is not None

    def _overtaken(self, work: Work, row: Owed) -> str | None:
        """Say whether a newer one that replaces it has left meanwhile: nothing older may arrive after that."""
        kind = row.delivery.kind
        kinds = next((group for group in self._check.alike if kind in group), frozenset({kind}))
        work.cursor.execute(
            "select from delivery where receiver = %s and subject = %s and kind = any(%s) and id > %s"
            " and (state = 'delivered' or (state = 'waiting' and first_tried_at is not null)) limit 1",
            (row.delivery.receiver, row.delivery.subject, sorted(kinds), row.id),
        )
        return None if work.cursor.fetchone() is None else "overtaken by a newer one while it was in quarantine"

    def _again(self, row: Owed, away: Transient) -> None:
        pause = away.after if away.after is not None else back_off(row.tries)
        log.info("delivery waits", extra={"delivery": row.id, "reason": away.reason})
        with self._runner.store.connection() as connection:
            connection.execute(
                "update delivery set tries = tries + 1, leased_until = null, reason = %s,"
                " not_before = now() + make_interval(secs => %s) where id = %s and state = 'waiting' and round = %s",
                (away.reason, pause, row.id, row.round),
            )

    def _answered(self, row: Owed, answer: Answer) -> None:
        """Give the answer to the room as a command, and end the row with it: both are kept, or neither."""
        delivery = row.delivery
        identity = Actor(kind="system", id=delivery.receiver)
        command = DeliveryAnswered(
            id="", subject=delivery.subject, site=self._site, at=self._clock.now(), actor=identity, delivery=delivery,
            outcome=answer.outcome, reason=answer.reason, answer=answer.body,
        )
        # Each return from quarantine is answered once more, under a name of its own.
        name = f"answered|{delivery.key}" + (f"|{row.round}" if row.round else "")
        command = DeliveryAnswered(**{**vars(command), "id": caused_by(command, name)})
        try:
            with telemetry.span(f"{self._runner.store.room} · answered", row.trace):
                outcome = self._runner.submit(command, along=lambda work: self._end(work, row, answer))
                if outcome.kind != "recorded":  # where no route took it, the row ends all the same
                    with self._runner.store.begin() as work:
                        self._end(work, row, answer)
        except (Transient, Parked):
            return  # the lease runs out, and the receiver is asked again with the same bytes
        telemetry.count("radloop_deliveries_total", receiver=delivery.receiver, outcome=answer.outcome)
        if answer.outcome == "quarantined":
            telemetry.count("radloop_quarantined_total", route=ROUTE)
            log.warning("delivery quarantined", extra={
                "delivery": row.id, "receiver": delivery.receiver, "kind": delivery.kind, "reason": answer.reason})

    def _end(self, work: Work, row: Owed, answer: Answer) -> bool:
        """End the row, and keep in quarantine what was refused for good; False where somebody else has ended it."""
        delivery, reason = row.delivery, answer.reason.replace("\0", "")
        work.cursor.execute(
            "update delivery set state = %s, outcome = %s, reason = %s, answer = %s, ended_at = clock_timestamp(), tries = tries + 1"
            " where id = %s and state = 'waiting' and round = %s returning tries",
            (
                answer.outcome if answer.outcome in {"quarantined", "superseded"} else "delivered", answer.outcome, reason,
                answer.body, row.id, row.round,
            ),
        )
        ended = work.cursor.fetchone()
        if ended is None:
            return False
        work.forget_attempts((ROUTE, delivery.key))
        if answer.outcome == "quarantined":
            seen = Input(id=delivery.key, subject=delivery.subject, site=self._site, at=self._clock.now())
            headers = {"content-type": delivery.content_type}
            arrived = Arrived(
                seen=seen, payload=delivery.body, source=SOURCE + delivery.receiver, type_name=delivery.kind, headers=headers)
            work.bury(ROUTE, arrived, reason, ended[0])
        return True


def give_back(runner: Runner, item: UUID, subject: str) -> Outcome:
    """Let a quarantined delivery be sent again, the same bytes under the same key, unless its case has gone on without it."""
    with runner.store.begin() as work:
        work.lock((subject,))
        work.cursor.execute(
            "update quarantine set state = 'retried', ended_at = clock_timestamp() where id = %s and state = 'waiting'"
            " returning input_id", (item,),
        )
        taken = work.cursor.fetchone()
        if taken is None:
            return Outcome(kind="skipped", reason="somebody else has settled it meanwhile", repeated=True)
        given_back = work.cursor.execute(
            "update delivery set state = 'waiting', round = round + 1, tries = 0, first_tried_at = null, leased_until = null,"
            " not_before = now(), outcome = '', reason = '', answer = null, ended_at = null where key = %s and state = 'quarantined'",
            (taken[0],),
        ).rowcount
    if not given_back:
        return Outcome(kind="skipped", reason="the delivery is not in quarantine any more")
    runner.wake("delivery")
    return Outcome(kind="waiting", reason="it is sent again, unless a newer one has overtaken it")
