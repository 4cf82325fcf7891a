"""Events out: what is not marked sent, in order per key and topic, bulk topics last, woken at once; one relay per room.

After the broker was away, topics are verified first, then what may have been lost is sent again, and only then anything
new. Hearers recognise a repeat by its id.
"""

import logging
from collections import defaultdict, deque
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from radloop.kit import telemetry
from radloop.kit.bell import ring
from radloop.kit.errors import Transient
from radloop.kit.kafka import Broker, addresses, group, topics, translated
from radloop.kit.leader import Leader
from radloop.kit.line import Line
from radloop.kit.store import Store
from radloop.kit.worker import Worker

log = logging.getLogger(__name__)

BATCH, BULK_BATCH = 500, 50
IDLE_S = 0.25
FLUSH_S = 25  # longer than the producer's own limit for one delivery (20 s), so that it says what failed
# Counted back from the last event marked sent, which may be one that the producer held while the broker was away: what the
# broker lost lies before that absence, so the window is the longest one (FLUSH_S) and some more. Hearers skip repeats.
RESEND_WINDOW_S = 60.0


class Relay:
    """Sends a room's outbox to Kafka, as long as it holds the room's advisory lock."""

    def __init__(self, store: Store, broker: Broker, resend_window_s: float = RESEND_WINDOW_S) -> None:
        self._store, self._broker, self._resend_window_s = store, broker, resend_window_s
        self._producer: KafkaProducer | None = None
        self._leader, self._line = Leader(store, "relay"), Line(addresses(broker.bootstrap))
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
            if self._line.was_cut():
                self._was_away = True
            if self._producer is None:
                self._producer = self._broker.producer()
            if self._was_away:
                self._broker.ensure_topics()
                self._send_again()
                self._was_away = False
            if self._send_batch(bulk=False, most=BATCH) == BATCH:
                return 0.0
            return 0.0 if self._send_batch(bulk=True, most=BULK_BATCH) == BULK_BATCH else IDLE_S
        except Transient:
            self._broker_lost()
            raise

    def _let_go(self) -> None:
        self._leader.let_go()
        self._line.close()
        self._end_producer(timeout=2)

    def _broker_lost(self) -> None:
        self._was_away = True
        self._end_producer(timeout=0)

    def _end_producer(self, timeout: float) -> None:
        """Close the producer; what it could not send is not marked, and the next one sends it."""
        if self._producer is not None:
            try:
                self._producer.close(timeout=timeout)
            except KafkaError as unsent:
                log.info("closed the producer with events in hand", extra={"reason": type(unsent).__name__})
            self._producer = None

    def _send_batch(self, *, bulk: bool, most: int) -> int:
        with self._store.connection() as connection:
            rows = connection.execute(
                "select id, topic, key, headers, value from outbox where sent_at is null and (topic = any(%s)) = %s order by id limit %s",
                ([name for name, topic in topics().items() if topic.bulk], bulk, most),
            ).fetchall()
        if rows:
            self._send(rows)
        return len(rows)

    def _send_again(self) -> None:
        """Send again what the broker acknowledged shortly before it went away; it may have lost it."""
        with self._store.connection() as connection:
            # Read once: what is sent again is marked anew, and would move the window.
            ids = [row[0] for row in connection.execute(
                "select id from outbox where sent_at > (select max(sent_at) from outbox) - make_interval(secs => %s) order by id",
                (self._resend_window_s,),
            )]
        for start in range(0, len(ids), BATCH):
            with self._store.connection() as connection:
                rows = connection.execute(
                    "select id, topic, key, headers, value from outbox where id = any(%s) order by id", (ids[start:start + BATCH],),
                ).fetchall()
            self._send(rows)
        if ids:
            log.info("sent again what may have been lost", extra={"count": len(ids)})

    def _send(self, rows: list[Any]) -> None:
        """Send rows and mark those the broker took.

        One event of each key at a time: had two been under way, the second might be taken and the first lost with its batch.
        """
        queues: defaultdict[tuple[str, str], deque[Any]] = defaultdict(deque)
        for row in rows:
            queues[row[1], row[2]].append(row)
        failed = False
        while queues and not failed:
            taken = self._send_wave([queue.popleft() for queue in queues.values()])
            if self._broker.bells:
                said = [topics()[topic] for topic, _ in queues]
                ring(self._broker.bells, {group(room, bulk=topic.bulk) for topic in said for room in topic.heard_by})
            failed = len(taken) < len(queues)
            queues = defaultdict(deque, {key: queue for key, queue in queues.items() if queue})
            with self._store.connection() as connection:
                connection.execute("set local synchronous_commit = off")  # a lost mark only means a repeat, which is absorbed
                connection.execute("update outbox set sent_at = clock_timestamp() where id = any(%s)", (taken,))
        if failed:
            raise Transient("kafka did not take every event")

    def _send_wave(self, rows: list[Any]) -> list[int]:
        """Send rows of different keys at once and return the ids of those the broker took."""
        assert self._producer is not None
        try:
            sent = [
                (row_id, topic, self._producer.send(
                    topic, value=bytes(value), key=key.encode(), headers=[(name, text.encode()) for name, text in headers.items()],
                ))
                for row_id, topic, key, headers, value in rows
            ]
            self._producer.flush(timeout=FLUSH_S)
        except KafkaError as away:
            raise translated(away) from away
        taken: list[int] = []
        for row_id, topic, future in sent:
            if future.succeeded():
                taken.append(row_id)
                telemetry.count("radloop_events_sent_total", topic=topic)
        return taken
