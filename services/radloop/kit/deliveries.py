"""Outward acts: rows written by a decision, sent by a worker, one at a time per receiver and case, in order.

Before the first try a delivery is checked against the case as it is now; what has been overtaken is superseded, not sent.
A resend is byte for byte the same. The answer comes back to the room as a command and is stored there.
"""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from radloop.kit import codec, telemetry
from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Actor, Deliver, DeliveryAnswered, caused_by
from radloop.kit.runner import ATTEMPTS, Parked, Runner
from radloop.kit.worker import Worker, back_off, places

log = logging.getLogger(__name__)

S = TypeVar("S")
LEASE_S = 15
AT_ONCE = 2
STOP_S = 2.0


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
    """How a room holds a delivery against its case before the first try: a reason supersedes it, None lets it go."""

    keeps: type[S]
    superseded: Callable[[Deliver, S | None], str | None]


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
        """Give back what has not begun; what is being sent is finished, or sent again after its lease."""
        self.worker.stop()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        wait([one for rows in self._in_hand.values() for one in rows.values()], timeout=STOP_S)

    def _turn(self) -> float:
        for receiver, rows in self._in_hand.items():
            for row_id in [row_id for row_id, sending in rows.items() if sending.done()]:
                rows.pop(row_id).result()
            for row in self._lease(receiver, AT_ONCE - len(rows)):
                rows[row[0]] = self._pools[receiver].submit(self._send, *row)
                rows[row[0]].add_done_callback(lambda _: self.worker.wake())
        self._renew()
        return 0.5

    def _lease(self, receiver: str, free: int) -> list[Any]:
        """Take the first waiting row of each case, as many as there are free hands."""
        if free < 1:
            return []
        with self._runner.store.connection() as connection:
            return connection.execute(
                "update delivery set leased_until = now() + make_interval(secs => %s) where id in ("
                " select d.id from delivery d where d.receiver = %s and d.state = 'waiting' and d.not_before <= now()"
                "  and (d.leased_until is null or d.leased_until < now()) and not exists ("
                "   select from delivery before where before.receiver = d.receiver and before.subject = d.subject"
                "   and before.state = 'waiting' and before.id < d.id)"
                " order by d.id limit %s for update skip locked)"
                " returning id, input, first_tried_at, tries, trace", (LEASE_S, receiver, free),
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

    def _send(self, row_id: int, stored: Any, first_tried_at: object, tries: int, trace: str) -> None:
        delivery = codec.decode(Deliver, codec.encode(stored))
        try:
            if first_tried_at is None:
                overtaken = self._first_try(row_id, delivery)
                if overtaken:
                    self._answered(row_id, delivery, Answer("superseded", overtaken), trace)
                    return
            with telemetry.span(f"{self._runner.store.room} · deliver · {delivery.receiver}", trace, kind=delivery.kind):
                answer = self._receivers[delivery.receiver].send(delivery)
        except Transient as away:
            self._again(row_id, away, tries)
            return
        except Permanent as never:
            answer = Answer("quarantined", never.reason)
        except Exception as surprise:  # noqa: BLE001 # house: blind-except - a bug in one receiver must not silence the others
            reason = f"{type(surprise).__name__} in the receiver"
            attempts = self._runner.store.attempt("delivery", delivery.key, reason)
            log.error(  # noqa: TRY400 - a traceback repeats the message, which may repeat a patient's data
                "unforeseen", extra={"delivery": row_id, "attempt": attempts, "where": places(surprise)},
            )
            if attempts < ATTEMPTS:
                self._again(row_id, Transient(reason), tries)
                return
            answer = Answer("quarantined", reason)
        self._answered(row_id, delivery, answer, trace)

    def _first_try(self, row_id: int, delivery: Deliver) -> str | None:
        """Check against the case as it is now, under its lock; mark the first try, or return why it is superseded."""
        with self._runner.store.begin() as work:
            work.lock((delivery.subject,))
            reason = None if delivery.always else self._check.superseded(delivery, work.load(self._check.keeps, (delivery.subject,)))
            if reason is None:
                work.cursor.execute("update delivery set first_tried_at = clock_timestamp() where id = %s", (row_id,))
            return reason

    def _again(self, row_id: int, away: Transient, tries: int) -> None:
        pause = away.after if away.after is not None else back_off(tries)
        log.info("delivery waits", extra={"delivery": row_id, "reason": away.reason})
        with self._runner.store.connection() as connection:
            connection.execute(
                "update delivery set tries = tries + 1, leased_until = null, reason = %s,"
                " not_before = now() + make_interval(secs => %s) where id = %s", (away.reason, pause, row_id),
            )

    def _answered(self, row_id: int, delivery: Deliver, answer: Answer, trace: str) -> None:
        """Give the answer to the room as a command, then end the row; killed in between, the same command is skipped."""
        identity = Actor(kind="system", id=delivery.receiver)
        command = DeliveryAnswered(
            id="", subject=delivery.subject, site=self._site, at=self._clock.now(), actor=identity, delivery=delivery,
            outcome=answer.outcome, reason=answer.reason, answer=answer.body,
        )
        command = DeliveryAnswered(**{**vars(command), "id": caused_by(command, f"answered|{delivery.key}")})
        try:
            with telemetry.span(f"{self._runner.store.room} · answered", trace):
                self._runner.submit(command)
        except (Transient, Parked):
            return  # the lease runs out, and the receiver is asked again with the same bytes
        with self._runner.store.connection() as connection:
            connection.execute(
                "update delivery set state = case when %s = 'quarantined' then 'quarantined' when %s = 'superseded' then"
                " 'superseded' else 'delivered' end, outcome = %s, reason = %s, answer = %s, ended_at = clock_timestamp(),"
                " tries = tries + 1 where id = %s",
                (answer.outcome, answer.outcome, answer.outcome, answer.reason, answer.body, row_id),
            )
        telemetry.count("radloop_deliveries_total", receiver=delivery.receiver, outcome=answer.outcome)
