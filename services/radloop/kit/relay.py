"""Events out: what is not marked sent, in order per key and topic, then bulk topics, then what is to be repeated; one relay per room.

After the broker was away, topics are verified first, then what may have been lost is sent again, and only then anything
new. Hearers recognise a repeat by its id.
"""

import logging
from collections import defaultdict, deque
from collections.abc import Sequence

from kafka import KafkaProducer
from kafka.errors import KafkaError

from radloop.kit import telemetry
from radloop.kit.bell import ring
from radloop.kit.errors import Transient
from radloop.kit.kafka import Broker, addresses, group, topics, translated
from radloop.kit.leader import Leader
from radloop.kit.line import Line
from radloop.kit.outbox import BATCH, Outbox, Said
from radloop.kit.store import Store
from radloop.kit.worker import Worker

log = logging.getLogger(__name__)

IDLE_S = 0.25
FLUSH_S = 25  # longer than the producer's own limit for one delivery (20 s), so that it says what failed
# Counted back from the last event marked sent, which may be one that the producer held while the broker was away: what the
# broker lost lies before that absence, so the window is the longest one (FLUSH_S) and some more. Hearers skip repeats.
RESEND_WINDOW_S = 60.0


class Relay:
    """Sends a room's outbox to Kafka, as long as it holds the room's advisory lock."""

    def __init__(self, store: Store, broker: Broker, resend_window_s: float = RESEND_WINDOW_S) -> None:
        self._broker, self._resend_window_s = broker, resend_window_s
        self._producer: KafkaProducer | None = None
        self._leader, self._line = Leader(store, "relay"), Line(addresses(broker.bootstrap))
        self._outbox = Outbox(store)
        self._bulk = [name for name, topic in topics().items() if topic.bulk]
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
            sent = self._send(self._outbox.waiting(self._bulk, bulk=False))
            if sent < BATCH:  # else there is more of it, which goes before all others
                bulk, again = self._outbox.look(self._bulk)
                sent += self._send(self._outbox.waiting(self._bulk, bulk=True)) if bulk else 0
                sent += self._send(self._outbox.to_repeat()) if again else 0
            return 0.0 if sent else IDLE_S
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

    def _send_again(self) -> None:
        """Send again what the broker acknowledged shortly before it went away; it may have lost it.

        Marked at the end, all of it: each mark moves the window, and who dies half-way would leave the other half behind it.
        """
        ids = self._outbox.sent_lately(self._resend_window_s)
        left = ids
        while left:
            events = self._outbox.read(left[:BATCH])
            self._send(events, mark=False)
            read_to = events[-1].id if events else left[:BATCH][-1]
            left = [one for one in left if one > read_to]
        if ids:
            self._outbox.mark_sent(ids)
            log.info("sent again what may have been lost", extra={"count": len(ids)})

    def _send(self, events: Sequence[Said], *, mark: bool = True) -> int:
        """Send events and mark those the broker took, unless told not to; return how many these were.

        One event of each key at a time: had two been under way, the second might be taken and the first lost with its batch.
        """
        queues: defaultdict[tuple[str, str], deque[Said]] = defaultdict(deque)
        for event in events:
            queues[event.topic, event.key].append(event)
        failed = False
        while queues and not failed:
            taken = self._send_wave([queue.popleft() for queue in queues.values()])
            if self._broker.bells:
                said = [topics()[topic] for topic, _ in queues]
                ring(self._broker.bells, {group(room, bulk=topic.bulk) for topic in said for room in topic.heard_by})
            failed = len(taken) < len(queues)
            queues = defaultdict(deque, {key: queue for key, queue in queues.items() if queue})
            if mark:
                self._outbox.mark_sent(taken)
        if failed:
            raise Transient("kafka did not take every event")
        return len(events)

    def _send_wave(self, events: Sequence[Said]) -> list[int]:
        """Send events of different keys at once and return the ids of those the broker took."""
        assert self._producer is not None
        try:
            sent = [
                (event, self._producer.send(
                    event.topic, value=event.value, key=event.key.encode(),
                    headers=[(name, text.encode()) for name, text in event.headers.items()],
                ))
                for event in events
            ]
            self._producer.flush(timeout=FLUSH_S)
        except KafkaError as away:
            raise translated(away) from away
        taken: list[int] = []
        for event, future in sent:
            if future.succeeded():
                taken.append(event.id)
                telemetry.count("radloop_events_sent_total", topic=event.topic)
        return taken
