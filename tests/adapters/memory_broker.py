"""A broker in memory: the twin of `kit.kafka.Broker` and of the clients it opens.

For tests that try thousands of courses of events. Time is the test's: a fetch that finds nothing moves it. What was appended
or committed less than `SYNC_S` ago is not safe yet: `lose_tail` takes records, offsets and producers' sequences back together,
as a power cut does, and an idempotent producer that has lost something in a partition cannot go on in it.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kafka import TopicPartition
from kafka.errors import CommitFailedError, OutOfOrderSequenceNumberError, RebalanceInProgressError
from kafka.structs import OffsetAndMetadata, OffsetAndTimestamp

from radloop.kit.clock import ManualClock
from radloop.kit.errors import Transient

SYNC_S = 1.0
PARTITIONS = 2


@dataclass(frozen=True)
class Record:
    """A record, as a consumer of kafka-python gets it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass
class Kept:
    """What the broker has: records and ends by partition, offsets by group and partition, sequences by producer and partition."""

    logs: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    offsets: dict[tuple[str, TopicPartition], OffsetAndMetadata] = field(default_factory=dict)
    sequences: dict[tuple[int, TopicPartition], int] = field(default_factory=dict)

    def heard_to(self, group: str, partition: TopicPartition) -> int:
        """Return the offset that a group has committed, 0 where it has none."""
        told = self.offsets.get((group, partition))
        return told.offset if told else 0

    def copy(self) -> "Kept":
        """Return a snapshot."""
        logs = {one: list(records) for one, records in self.logs.items()}
        return Kept(logs, dict(self.ends), dict(self.offsets), dict(self.sequences))


class MemoryBroker:
    """One broker; `taken` is every record that it ever acknowledged, what it lost included."""

    bootstrap, bells = "memory:9092", ""

    def __init__(self, clock: ManualClock, at: Callable[[str], None] = lambda _: None) -> None:
        """`at` is told each point at which something may happen to a process or to the broker."""
        self.clock, self.at = clock, at
        self.kept, self._safe, self._safe_at = Kept(), Kept(), clock.monotonic()
        self._changed_at = clock.monotonic()
        self.taken: list[Record] = []
        self.members: dict[str, MemoryConsumer] = {}
        self.down, self.cuts, self.refuses, self.commits = False, 0, 0, 0
        self.joining = False
        """Whether a group shares its partitions out anew and this member keeps its own: kafka-python polls and commits nothing then."""
        self._producers = 0

    def sync(self) -> None:
        """Make all of it safe."""
        self._safe, self._safe_at = self.kept.copy(), self.clock.monotonic()

    def look(self) -> None:
        """Let what is old enough be safe; raise Transient where it is down."""
        if self.clock.monotonic() - self._safe_at >= SYNC_S:
            self.sync()
        if self.down:
            raise Transient("kafka is away: it is down")

    def change(self) -> Kept:
        """Return what it has, to be changed now."""
        self._changed_at = self.clock.monotonic()
        return self.kept

    def lose_tail(self) -> None:
        """Lose what was not safe; every line to it is cut."""
        if self.clock.monotonic() - self._changed_at >= SYNC_S:
            self.sync()
        self.kept, self.cuts = self._safe.copy(), self.cuts + 1

    def forget_before(self, instant: datetime) -> None:
        """Drop records older than that, as the retention of topics does."""
        oldest = int(instant.timestamp() * 1000)
        for partition, records in self.kept.logs.items():
            self.kept.logs[partition] = [record for record in records if record.timestamp >= oldest]
        self.sync()

    def rebalance(self) -> None:
        """Take every partition away and give it back: its member begins at the committed offset."""
        for member in self.members.values():
            member.positions.clear()

    def partitions(self, names: Iterable[str]) -> set[TopicPartition]:
        """Return the partitions of some topics."""
        return {TopicPartition(name, number) for name in names for number in range(PARTITIONS)}

    def ensure_topics(self) -> None:
        self.look()

    def producer(self) -> "MemoryProducer":
        self.look()
        self._producers += 1
        return MemoryProducer(self, self._producers)

    def consumer(self, group: str, instance: str, names: tuple[str, ...], listener: Any = None) -> "MemoryConsumer":
        self.look()
        if listener is not None:
            listener.on_partitions_assigned(self.partitions(names))
        self.members[group] = MemoryConsumer(self, group, names)  # the same static member again: the one before is fenced
        return self.members[group]

    def take_back(self, group: str, instance: str) -> None:
        """Forget a member."""
        self.look()
        self.members.pop(group, None)

    def line(self, addresses: object, clock: object = None) -> "MemoryLine":
        """Lay the twin of a `Line`."""
        return MemoryLine(self)


class MemoryLine:
    """The twin of `Line`: tells once that the broker was away, and goes on telling while it is."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._cuts: int | None = None

    def was_cut(self) -> bool:
        before, self._cuts = self._cuts, self._broker.cuts
        return self._broker.down or before not in {None, self._cuts}

    def close(self) -> None:
        self._cuts = None


class Taken:
    """The future of one record."""

    def __init__(self) -> None:
        self.value: Record | None = None
        self.exception: Exception | None = None

    def succeeded(self) -> bool:
        return self.value is not None


class MemoryProducer:
    """The twin of an idempotent producer."""

    def __init__(self, broker: MemoryBroker, number: int) -> None:
        self._broker, self._number = broker, number
        self._sequences: dict[TopicPartition, int] = {}
        self._held: list[tuple[Taken, TopicPartition, bytes, bytes, Sequence[tuple[str, bytes]]]] = []

    def send(self, topic: str, value: bytes, key: bytes, headers: Sequence[tuple[str, bytes]]) -> Taken:
        future = Taken()
        self._held.append((future, TopicPartition(topic, zlib.crc32(key) % PARTITIONS), value, key, tuple(headers)))
        return future

    def flush(self, timeout: float) -> None:
        held, self._held = self._held, []
        for one in held:
            self._broker.at("before the broker takes a record")
            self._append(*one)
        self._broker.at("after the broker took a wave")

    def _append(
        self, future: Taken, partition: TopicPartition, value: bytes, key: bytes, headers: Sequence[tuple[str, bytes]],
    ) -> None:
        broker = self._broker
        try:
            broker.look()
        except Transient as away:
            future.exception = away
            return
        if broker.refuses:
            broker.refuses -= 1
            future.exception = OutOfOrderSequenceNumberError()
            return
        kept, sequence = broker.change(), self._sequences.get(partition, 0)
        if kept.sequences.get((self._number, partition), 0) != sequence:
            future.exception = OutOfOrderSequenceNumberError()
            return
        self._sequences[partition] = kept.sequences[self._number, partition] = sequence + 1
        offset = kept.ends.get(partition, 0)
        record = Record(
            partition.topic, partition.partition, offset, int(broker.clock.now().timestamp() * 1000), key, value, tuple(headers))
        kept.logs.setdefault(partition, []).append(record)
        kept.ends[partition] = offset + 1
        broker.taken.append(record)
        future.value = record

    def close(self, timeout: float) -> None:
        self._held = []


class MemoryConsumer:
    """The twin of a consumer that has all partitions of its topics, as long as it is its group's latest."""

    def __init__(self, broker: MemoryBroker, group: str, names: tuple[str, ...]) -> None:
        self._broker, self._group = broker, group
        self._partitions = broker.partitions(names)
        self._paused: set[TopicPartition] = set()
        self.positions: dict[TopicPartition, int] = {}

    def assignment(self) -> set[TopicPartition]:
        return set(self._partitions) if self._broker.members.get(self._group) is self else set()

    def poll(self, timeout_ms: int, max_records: int = 500) -> dict[TopicPartition, list[Record]]:
        try:
            self._broker.look()
        except Transient:  # kafka-python waits, and says nothing
            self._broker.clock.advance(timeout_ms / 1000)
            return {}
        if self._broker.joining:
            self._broker.clock.advance(timeout_ms / 1000)
            return {}
        found: dict[TopicPartition, list[Record]] = {}
        for partition in sorted(self.assignment() - self._paused):
            start = self.position(partition)
            records = [one for one in self._broker.kept.logs.get(partition, ()) if one.offset >= start][:max_records]
            if records:
                found[partition] = records
                self.positions[partition] = records[-1].offset + 1
                max_records -= len(records)
        if not found:
            self._broker.clock.advance(timeout_ms / 1000)
        return found

    def position(self, partition: TopicPartition) -> int:
        kept = self._broker.kept
        at = self.positions.get(partition, kept.heard_to(self._group, partition))
        if at > kept.ends.get(partition, 0):  # auto_offset_reset=earliest
            at = 0
        self.positions[partition] = at
        return at

    def committed(self, partition: TopicPartition, metadata: bool, timeout_ms: int) -> OffsetAndMetadata | None:
        self._broker.look()
        return self._broker.kept.offsets.get((self._group, partition))

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def commit(self, offsets: Mapping[TopicPartition, Any], timeout_ms: int) -> None:
        self._broker.at("before the broker takes offsets")
        if self._broker.down or self._broker.members.get(self._group) is not self:
            raise CommitFailedError
        if self._broker.joining:
            raise RebalanceInProgressError
        self._broker.look()
        for partition, told in offsets.items():
            self._broker.change().offsets[self._group, partition] = told
        self._broker.commits += 1
        self._broker.at("after the broker took offsets")

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {one: self._broker.kept.ends.get(one, 0) for one in partitions}

    def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        found: dict[TopicPartition, OffsetAndTimestamp | None] = {}
        for partition, since in times.items():
            records = [one for one in self._broker.kept.logs.get(partition, ()) if one.timestamp >= since]
            found[partition] = OffsetAndTimestamp(records[0].offset, records[0].timestamp, -1) if records else None
        return found

    def pause(self, *partitions: TopicPartition) -> None:
        self._paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self._paused -= set(partitions)

    def paused(self) -> set[TopicPartition]:
        return set(self._paused)

    def close(self, timeout_ms: int) -> None:
        if self._broker.members.get(self._group) is self:
            del self._broker.members[self._group]
