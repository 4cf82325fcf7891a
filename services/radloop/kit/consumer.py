"""Events in: polled, settled by a bounded pool in order per key, parked where they hold others up; then the offset moves.

A case never holds a partition: what has not succeeded within ten seconds waits in the room's schema, and later inputs of
its key behind it. When the store itself is away the consumer pauses, keeps its membership, and tries the same records again.

A room hears its bulk topics as another group, in one lane that yields to the first: what nobody waits for may come by the
thousand, and stands in front of no STAT.
"""

import logging
import math
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata
from kafka.errors import KafkaError

from radloop.kit.bell import Bell
from radloop.kit.clock import Clock
from radloop.kit.codec import EventCodec
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Arrived
from radloop.kit.kafka import MOST, Broker, addresses, group, topics, translated
from radloop.kit.lanes import Lanes
from radloop.kit.line import Line
from radloop.kit.parking import Parking
from radloop.kit.runner import Runner
from radloop.kit.worker import Worker

log = logging.getLogger(__name__)

JOIN_S = 15.0
HELD_MS = 250
"""How long a broker may hold an empty fetch."""
UNHELD_MS, RUNG_MS = 2, 10
"""For a broker that does not, while the group is settled: members that look so shortly while they join never get through."""
IDLE_S, SOON_S, SOON_LOOKS = 0.5, 0.05, 5
"""How long a look waits for the bell: soon where a member is joining, and some times after it was rung and found nothing yet."""
COMMIT_MS, CLOSE_MS = 10_000, 2_000
COMMIT_AFTER_S = 0.25
"""What was settled is committed after so long, or once nothing more comes: a commit takes longer than most handlers."""
IDLE_MS = 10
BACK = timedelta(seconds=60)
"""How far to read back what one is given: longer than any broker waits with what it keeps, and hearers skip repeats."""
UNCOMMITTED_S = 15.0
"""A member whose commits have failed for so long will not settle by itself: its client may have lost the answer to its join."""
UNSETTLED_S = 15.0
"""A join that is not answered for so long never will be: longer than any broker waits for members that have died."""


class _Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Whether the group is just sharing its partitions out, this member's among them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.settling = True
        self._asked_at: float | None = clock.monotonic()

    def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002 - kafka-python's shape
        self.settling, self._asked_at = True, self._clock.monotonic()

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.settling, self._asked_at = not assigned, None

    @property
    def answered(self) -> bool:
        """Whether it was told its share, which may be nothing."""
        return self._asked_at is None

    @property
    def unanswered_s(self) -> float:
        """For how long it has asked for its share and got no answer; a share of nothing is one."""
        return 0.0 if self._asked_at is None else self._clock.monotonic() - self._asked_at


class Consumer:
    """Feeds one room from Kafka."""

    def __init__(
        self, runner: Runner, events: EventCodec, broker: Broker, instance: str, parking: Parking, clock: Clock,
        *, bulk: bool = False,
    ) -> None:
        """Hear the room's bulk topics, or all its others."""
        self._runner, self._broker, self._instance, self._clock = runner, broker, instance, clock
        self._bulk = bulk
        self._group = group(runner.store.room, bulk=bulk)
        said = {events.topic(kind) for kind in runner.hears()}
        self._topics = tuple(sorted(name for name in said if topics()[name].bulk is bulk))
        self._line = Line(addresses(broker.bootstrap), clock)
        self._bell = Bell(broker.bells, self._group, instance) if broker.bells else None
        self._kafka: KafkaConsumer | None = None
        self._membership = _Membership(clock)
        self._careful_to: dict[Any, int] = {}
        self._opened_at = clock.now()
        self._gone_back: set[Any] = set()
        self._ends: dict[Any, int] = {}
        self._more = self._joined = self._gave_up = False
        self._soon = 0
        self._join_by = 0.0
        self._settled: dict[Any, int] = {}
        self._settled_count, self._commit_by = 0, math.inf
        self._uncommitted_since: float | None = None
        self.worker = Worker("consumer-bulk" if bulk else "consumer", self._turn)
        self._lanes = Lanes(runner, parking, clock, self.worker, bulk=bulk)

    def start(self) -> None:
        """Begin to poll."""
        if self._topics:
            self.worker.start()
        elif not self._bulk:
            self._runner.caught_up.set()

    def stop(self) -> None:
        """Settle the inputs in hand and leave; what else was polled is read again, by whoever comes next."""
        self.worker.stop(timeout=15)
        self._lanes.stop()
        if self._kafka is not None and self._settled:
            with suppress(Transient):
                self._commit(self._kafka, CLOSE_MS)
        self._close()
        self._line.close()
        if self._bell:
            self._bell.close()

    @property
    def ready(self) -> str:
        """Say why it is not ready, empty where it is: it has its partitions, or another member has them."""
        if not self._topics:
            return ""
        if self.worker.away:
            return self.worker.away
        return "" if self._joined else "joining its consumer group"

    def _turn(self) -> float:
        settled = False
        try:
            if self._kafka is None:
                self._line.was_cut()  # from here on it must hold
                self._opened_at, self._gone_back = self._clock.now(), set()
                self._membership = _Membership(self._clock)
                if self._gave_up:
                    self._gave_up = False
                    self._broker.take_back(self._group, self._instance)
                self._kafka = self._broker.consumer(self._group, self._instance, self._topics, self._membership)
                self._join_by = self._clock.monotonic() + JOIN_S
            polled = self._poll(self._kafka)
            self._heed_the_line()  # what a broker that lost something now has at our offsets may come before what is sent again
            polled = self._go_back(self._kafka, polled)
            if self.worker.stopping:
                polled = {}  # read again by whoever comes next
            # A member without partitions (more members than partitions) counts as joined after a while.
            self._joined = self._joined or bool(self._kafka.assignment()) or self._clock.monotonic() > self._join_by
            if polled:
                self._settle_all(self._kafka, polled)
                self._note_settled(polled)
            if self._settled and (not polled or self._is_due()):
                self._heed_the_line()
                self._commit(self._kafka)
            if self._membership.unanswered_s > UNSETTLED_S:
                self._gave_up = True
                raise Transient("the group does not answer: joining it anew")
            self._look_how_far(self._kafka)
            settled = True
        except KafkaError as away:
            raise translated(away) from away
        finally:
            if not settled:
                self._close()  # whatever it was: what was read and not settled is read again
        return 0.0

    def _heed_the_line(self) -> None:
        if self._line.was_cut():
            raise Transient("kafka was away: reading again what it may have lost")

    def _poll(self, kafka: KafkaConsumer) -> dict[Any, list[Any]]:
        """Return what is new, waiting a little for it: at the broker where it holds a fetch, else for the bell."""
        # What a process may die with lies within MOST of what was committed, unless the group takes no offsets for a while.
        most = max(1, MOST - self._settled_count)
        if self._bell is None:
            return dict(kafka.poll(timeout_ms=HELD_MS, max_records=most))
        # After something there may be more, whose ring was heard with it.
        settling = self._membership.settling
        rung = not self._more and self._bell.wait(SOON_S if self._soon or settling else IDLE_S)
        polled = dict(kafka.poll(timeout_ms=HELD_MS if settling else RUNG_MS if rung else UNHELD_MS, max_records=most))
        self._more = bool(polled)
        self._soon = 0 if polled else SOON_LOOKS if rung else max(0, self._soon - 1)
        return polled

    def _go_back(self, kafka: KafkaConsumer, polled: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
        """Read each partition from a minute before its last commit, and return what of `polled` is not read again.

        A broker that lost its last records takes new ones at their offsets, and a commit that was under way when it died may reach it
        when it is back: then the committed offset lies beyond what was sent again, and nobody would read that. Whoever has just been
        given a partition cannot know whether that happened.
        """
        self._gone_back &= kafka.assignment()
        fresh = kafka.assignment() - self._gone_back
        if not fresh:
            return polled
        before = {one: int((self._last_commit(kafka, one) - BACK).timestamp() * 1000) for one in fresh}
        ends = kafka.end_offsets(list(fresh))
        for partition, found in kafka.offsets_for_times(before).items():
            at = polled[partition][0].offset if partition in polled else kafka.position(partition)
            # What was in hand when a process last died: no more than it could hold, and nothing that came later.
            self._careful_to[partition] = min(at + MOST, ends[partition])
            if found is not None and found.offset < at:
                kafka.seek(partition, found.offset)
                polled = {one: records for one, records in polled.items() if one != partition}
        self._gone_back |= fresh
        return polled

    def _last_commit(self, kafka: KafkaConsumer, partition: Any) -> datetime:
        """Return when a partition's offset was committed, by its metadata; where it does not say, now is the nearest guess."""
        told = kafka.committed(partition, metadata=True, timeout_ms=COMMIT_MS)
        try:
            return min(datetime.fromisoformat(told.metadata), self._opened_at) if told else self._opened_at
        except (ValueError, TypeError):
            return self._opened_at

    def _look_how_far(self, kafka: KafkaConsumer) -> None:
        """Note when all has been read that waited when this room came up: only then is it known what is urgent."""
        if self._bulk or self._runner.caught_up.is_set() or not self._membership.answered:
            return
        if not self._ends:
            self._ends = dict(kafka.end_offsets(list(kafka.assignment())))
        behind = any(kafka.position(one) < end for one, end in self._ends.items() if one in kafka.assignment())
        if not behind:
            self._runner.caught_up.set()

    def _note_settled(self, polled: dict[Any, list[Any]]) -> None:
        if not self._settled:
            self._commit_by = self._clock.monotonic() + COMMIT_AFTER_S
        self._settled |= {partition: records[-1].offset + 1 for partition, records in polled.items()}
        self._settled_count += sum(len(records) for records in polled.values())

    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._commit_by or self._settled_count > MOST // 2

    def _commit(self, kafka: KafkaConsumer, timeout_ms: int = COMMIT_MS) -> None:
        """Commit what was settled, and that alone: partitions may have come and gone meanwhile.

        What the group does not take now, as it is just sharing its partitions out, is committed at the next look: a partition that is kept
        goes on where it was, and nothing else would tell that it was settled so far.
        """
        held = kafka.assignment()
        at = self._clock.now().isoformat()
        offsets = {one: OffsetAndMetadata(offset, at, -1) for one, offset in self._settled.items() if one in held}
        self._settled = {one: offset for one, offset in self._settled.items() if one in held}
        try:
            kafka.commit(offsets, timeout_ms=timeout_ms)
        except KafkaError as lost:
            log.info("offsets not committed yet", extra={"reason": type(lost).__name__})
            now = self._clock.monotonic()
            self._uncommitted_since = now if self._uncommitted_since is None else self._uncommitted_since
            if now - self._uncommitted_since > UNCOMMITTED_S:
                self._gave_up = True
                raise Transient("the group takes no offsets: joining it anew") from lost
        else:
            self._uncommitted_since = None
            self._settled, self._settled_count = {}, 0

    def _close(self) -> None:
        if self._kafka is not None:
            try:
                self._kafka.close(timeout_ms=CLOSE_MS)
            except KafkaError as lost:
                log.info("left the group without a word", extra={"reason": type(lost).__name__})
            self._kafka, self._joined, self._uncommitted_since = None, False, None
            self._settled, self._settled_count = {}, 0

    def _settle_all(self, kafka: KafkaConsumer, polled: dict[Any, list[Any]]) -> None:
        """Settle a batch; keep polling (paused) as long as it takes."""
        inputs: list[Arrived] = []
        for partition, records in polled.items():
            for record in records:
                arrived = self._read(record)
                if arrived is not None:
                    inputs.append(replace(arrived, careful=record.offset < self._careful_to[partition]))
        self._lanes.settle(inputs, lambda: self._idle(kafka, polled))
        kafka.resume(*kafka.paused())

    def _idle(self, kafka: KafkaConsumer, polled: dict[Any, list[Any]]) -> None:
        """Keep membership without taking more; what a rebalance brings meanwhile is given back, to be read later."""
        kafka.pause(*kafka.assignment())
        for partition, records in kafka.poll(timeout_ms=IDLE_MS).items():
            if partition in polled:  # taken away and given again: what is in hand comes again
                kafka.seek(partition, polled[partition][-1].offset + 1)
            else:
                kafka.seek(partition, records[0].offset)

    def _read(self, record: Any) -> Arrived | None:
        """Read a record; what cannot be read is kept in quarantine."""
        # Postgres keeps no NUL in text; a header without a value is an empty one.
        headers = {name: (value or b"").decode(errors="replace").replace("\0", "\ufffd") for name, value in record.headers}
        source, payload = f"topic:{record.topic}", record.value or b""
        try:
            return self._runner.read(headers.get("ce_type", ""), source, headers, payload)
        except Permanent as unreadable:
            while not self.worker.stopping:
                try:
                    self._runner.quarantine_unread(source, headers, payload, unreadable.reason)
                    return None
                except Transient as away:
                    self.worker.away = away.reason
                    self.worker.pause(1.0)
            raise Transient("stopped while a dependency was away") from unreadable
