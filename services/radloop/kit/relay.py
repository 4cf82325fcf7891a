"""Events out: what is not marked sent, in order per key, woken at once when there is something; one relay per room.

After the broker was away, topics are verified first, then what may have been lost is sent again, and only then anything
new. Hearers recognise a repeat by its id.
"""

import logging
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from radloop.kit import telemetry
from radloop.kit.errors import Transient
from radloop.kit.kafka import Broker
from radloop.kit.leader import Leader
from radloop.kit.store import Store
from radloop.kit.worker import Worker

log = logging.getLogger(__name__)

BATCH = 500
IDLE_S = 0.25


class Relay:
    """Sends a room's outbox to Kafka, as long as it holds the room's advisory lock."""

    def __init__(self, store: Store, broker: Broker, resend_window_s: float = 5.0) -> None:
        self._store, self._broker, self._resend_window_s = store, broker, resend_window_s
        self._producer: KafkaProducer | None = None
        self._leader = Leader(store, "relay")
        self._was_away = True
        self.worker = Worker("relay", self._turn)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """Finish the batch in hand and give the lock back."""
        self.worker.stop(timeout=10)
        self._let_go()

    def _turn(self) -> float:
        if not self._leader.holds():
            return 1.0
        try:
            if self._producer is None:
                self._producer = self._broker.producer()
            if self._was_away:
                self._broker.ensure_topics()
                self._send_again()
                self._was_away = False
            return 0.0 if self._send_batch() == BATCH else IDLE_S
        except Transient:
            self._broker_lost()
            raise

    def _let_go(self) -> None:
        self._leader.let_go()
        if self._producer is not None:
            self._producer.close(timeout=2)
            self._producer = None

    def _broker_lost(self) -> None:
        self._was_away = True
        if self._producer is not None:
            self._producer.close(timeout=0)
            self._producer = None

    def _send_batch(self) -> int:
        with self._store.connection() as connection:
            rows = connection.execute(
                "select id, topic, key, headers, value from outbox where sent_at is null order by id limit %s", (BATCH,),
            ).fetchall()
        if rows:
            self._send(rows)
        return len(rows)

    def _send_again(self) -> None:
        """Send again what the broker acknowledged shortly before it went away; it may have lost it."""
        with self._store.connection() as connection:
            rows = connection.execute(
                "select id, topic, key, headers, value from outbox where sent_at >"
                " (select max(sent_at) from outbox) - make_interval(secs => %s) order by id limit 10000",
                (self._resend_window_s,),
            ).fetchall()
        if rows:
            log.info("sent again what may have been lost", extra={"count": len(rows)})
            self._send(rows)

    def _send(self, rows: list[Any]) -> None:
        """Send rows and mark those the broker took: of each key only up to the first that failed, to keep their order."""
        assert self._producer is not None
        try:
            sent = [
                (row_id, topic, key, self._producer.send(
                    topic, value=bytes(value), key=key.encode(), headers=[(name, text.encode()) for name, text in headers.items()],
                ))
                for row_id, topic, key, headers, value in rows
            ]
            self._producer.flush(timeout=20)
        except KafkaError as away:
            raise Transient(f"kafka is away: {type(away).__name__}") from away
        taken: list[int] = []
        stopped: set[tuple[str, str]] = set()
        for row_id, topic, key, future in sent:
            if future.succeeded() and (topic, key) not in stopped:
                taken.append(row_id)
                telemetry.count("radloop_events_sent_total", topic=topic)
            else:
                stopped.add((topic, key))
        with self._store.connection() as connection:
            connection.execute("update outbox set sent_at = clock_timestamp() where id = any(%s)", (taken,))
        if stopped:
            raise Transient("kafka did not take every event")
