"""Rooms stand still while the hospital goes on: what everybody's memory does, and whether all of it is made up for.

First orders over several MLLP lines while triage, publishing and worklist are stopped; then small DX studies over C-STORE while
inference is stopped, and after them one STAT. Each time the rooms come back and everything must drain: every event heard by every
hearer, nothing unsent, parked, in quarantine or undelivered, and the STAT read before all others. The version that reads is set to
serve by an event of the benchmark's own: it is the queues that are measured here, and no gate. A room may grow by 200 MB.
"""

import argparse
import itertools
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGTERM

import numpy as np
import psycopg
from figures import finish, say
from kafka import KafkaProducer
from psycopg.sql import SQL, Identifier

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from radloop.workbench.drill.kafkas import Apache
from radloop.events.model import ModelReleased
from radloop.events.wire import Wire
from radloop.kit.errors import Transient
from radloop.kit.kafka import topics
from radloop.workbench.embedded.options import ROOMS, Options
from radloop.workbench.embedded.stack import Stack
from radloop.workbench.grpc import Rooms
from radloop.workbench.hospital.cohort import Sizes, draw
from radloop.workbench.hospital.ehr import Server
from radloop.workbench.hospital.messages import Envelope, order_message
from radloop.workbench.hospital.objects import EARLIER, dx
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import ISSUER, children
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.sources import Phantoms
from radloop.workbench.play.loop import prepared
from radloop.workbench.workshop import MODEL, first_package, package_tar
from tests.adapters.apache_kafka import apache_kafka
from tests.adapters.resident import Watch, resident, with_children

SEED = 17
LINES, ASSOCIATIONS = 8, 4
ALLOWED_MB = 200.0
PATIENCE_S = 3600.0
STALLED_S = 240.0
HELD_FOR_ORDERS = ("triage", "publishing", "worklist")
NAMES = tuple(room.name for room in ROOMS)
_NO_STUDIES = Sizes(seeds=20, acceptance=2, pool=2, gate_positives=2, gate_negatives=2, morning=20, irregular=0, prevalence=0.5)


class Books:
    """The rooms' own tables, read-only: what was said, and what of it is settled."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def count(self, look: str, room: str = "", **values: object) -> int:
        """Return one number."""
        with psycopg.connect(self._dsn) as books:
            row = books.execute(SQL(look).format(Identifier(room)) if room else SQL(look), values).fetchone()
        return int(row[0]) if row else 0

    def said(self, topic: str) -> int:
        """Return how many events are on a topic, by those who say them."""
        query = "select count(*) from {}.outbox where topic = %(topic)s"
        return sum(self.count(query, room, topic=topic) for room in topics()[topic].said_by)

    def unheard(self) -> dict[str, int]:
        """Return how many events of each topic are unsettled at each hearer."""
        look = (
            "select count(*) from {said}.outbox as said where topic = %(topic)s and not exists ("
            " select from {heard}.inbox as heard where heard.input_id = said.event_id)"
        )
        found = {}
        with psycopg.connect(self._dsn) as books:
            for name, topic in topics().items():
                for said, heard in itertools.product(topic.said_by, topic.heard_by):
                    query = SQL(look).format(said=Identifier(said), heard=Identifier(heard))
                    row = books.execute(query, {"topic": name}).fetchone()
                    if row and row[0]:
                        found[f"{name} at {heard}"] = int(row[0])
        return found

    def waiting(self) -> dict[str, int]:
        """Return what waits in every room's tables."""
        looks = {
            "unsent": "select count(*) from {}.outbox where sent_at is null", "parked": "select count(*) from {}.parked",
            "in quarantine": "select count(*) from {}.quarantine where state = 'waiting'",
            "undelivered": "select count(*) from {}.delivery where state = 'waiting'",
            "due": "select count(*) from {}.timer where due <= now()",
        }
        found = {f"{what} at {room}": self.count(look, room) for room in NAMES for what, look in looks.items()}
        found["unread at inference"] = self.count("select count(*) from inference.reading where ended_at is null")
        return {what: number for what, number in found.items() if number}


class Bench:
    """A stack with a version that serves, the hospital around it, and an eye on everybody's memory."""

    def __init__(self, home: Path, kafka: str, closing: ExitStack) -> None:
        source = Phantoms(SEED)
        cohort = draw(source, SEED, _NO_STUDIES)
        say("the first model is made (a minute)")
        labels = np.array([one.positive for one in cohort.seeds])
        people = [f"seed-{place}" for place in range(len(labels))]
        package = first_package(prepared(source, cohort.seeds), labels, people, SEED, home / "workshop")
        self._pixels = [source.pixels(one.image) for one in cohort.morning]
        ehr = Server.start(home / "ehr")
        closing.callback(ehr.stop)
        ris = closing.enter_context(Ris(seed=SEED, refuses=0.0))
        apache = closing.enter_context(apache_kafka()) if kafka == "apache" else None
        self.stack = Stack(home / "stack", Options(usual_ports=False, kafka=apache.bootstrap if apache else "", settings={
            "RADLOOP_PUBLISHING_EHR": ehr.base_url, "RADLOOP_PUBLISHING_RIS": f"127.0.0.1:{ris.port}",
            "RADLOOP_INGESTION_QUIET_SECONDS": "0.5", "RADLOOP_INGESTION_ISSUER": ISSUER,
        }))
        closing.callback(self.stack.stop)
        self.stack.start()
        self.books = Books(self.stack.address("postgres"))
        self.rooms = closing.enter_context(Rooms({room: self.stack.address(room) for room in ("inference", "retraining")}))
        self._serve(package)
        self.watch = Watch(self._looks(apache))

    def _looks(self, apache: Apache | None) -> dict[str, Callable[[], float]]:
        looks: dict[str, Callable[[], float]] = {room: lambda room=room: resident(self.stack.pid(room) or 0) for room in NAMES}
        for part in ("postgres", "triton", *(() if apache else ("kafka",))):
            looks[part] = lambda part=part: with_children(self.stack.pid(part) or 0)
        if apache:
            pids = apache.pids()
            looks["kafka"] = lambda: sum(map(resident, pids))
        return looks

    def _serve(self, package: Path) -> None:
        """Hand the model over, and say in retraining's place that it serves."""
        number = self.rooms.add_model(MODEL, package_tar(package), "backpressure")
        self._until(lambda: any(one[0] == number and one[2] for one in self.rooms.loaded()), 180, "the model loads")
        event = ModelReleased(
            id="backpressure-serves", subject=MODEL, site="site-1", at=datetime.now(UTC), model=MODEL, version=number,
            stage="production", previous_stage="shadow", canary_share=0.0, change_record="", weights_sha256="", release=1_000,
            released_at=datetime.now(UTC),
        )
        message = Wire().encode(event, "retraining")
        producer = KafkaProducer(bootstrap_servers=self.stack.address("kafka").split(","), acks="all")
        headers = [(name, text.encode()) for name, text in message.headers.items()]
        producer.send(message.topic, value=message.value, key=message.key.encode(), headers=headers)
        producer.flush()
        producer.close()
        self._until(lambda: any(one[1:] == ("production", True) for one in self.rooms.loaded()), 60, "the model serves")

    def _until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with suppress(Transient):
                if condition():
                    return
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {seconds:.0f} s: {what}")
            time.sleep(0.2)

    @contextmanager
    def held(self, *rooms: str) -> Iterator[None]:
        """Have rooms stopped, in good order, while the block runs; they come back at its end."""
        for room in rooms:
            self.stack.hold(room)
            self.stack.kill(room, SIGTERM)
        self._until(lambda: not any(self.stack.pid(room) for room in rooms), 60, "the rooms stop")
        say(f"stopped: {', '.join(rooms)}")
        try:
            yield
        finally:
            for room in rooms:
                self.stack.release(room)

    def send_orders(self, orders: Sequence[Order]) -> float:
        """Send orders over several lines at once, each answered AA; return the seconds."""
        host, port = _split(self.stack.address("ingestion.mllp"))

        def line(part: int) -> None:
            with MllpLine(host, port, timeout=120) as mllp:
                for order in orders[part::LINES]:
                    mllp.must(order_message(order, f"O{order.placer}", datetime.now(UTC), Envelope()))

        return self._together(LINES, line, lambda: f"{self.books.said('order-recorded')} of {len(orders)} orders")

    def send_studies(self, orders: Sequence[Order]) -> float:
        """Send one small image of each over several associations at once, each answered 0x0000; return the seconds."""
        host, port = _split(self.stack.address("ingestion.dicom"))

        def association(part: int) -> None:
            with Modality(host, port, calling=f"SIMDX{part}") as modality:
                for place, order in list(enumerate(orders))[part::ASSOCIATIONS]:
                    modality.store(dx(order, self._pixels[place % len(self._pixels)], datetime.now(UTC), EARLIER))

        return self._together(ASSOCIATIONS, association, lambda: f"{self.books.said('study-completed')} of {len(orders)} studies")

    def _together(self, hands: int, work: Callable[[int], None], told: Callable[[], str]) -> float:
        began, over = time.monotonic(), threading.Event()

        def tell() -> None:
            while not over.wait(20):
                say(f"  {time.monotonic() - began:.0f} s: {told()}; {self.memory()}")

        with ThreadPoolExecutor(hands + 1) as pool:
            telling = pool.submit(tell)
            try:
                for done in [pool.submit(work, part) for part in range(hands)]:
                    done.result()
                return time.monotonic() - began
            finally:
                over.set()
                telling.result()

    def memory(self) -> str:
        """Say who has grown most."""
        grown = {part: self.watch.now()[part] - began for part, began in self.watch.start.items()}
        most = sorted(grown.items(), key=lambda one: -one[1])[:3]
        return ", ".join(f"{part} {more:+.0f} MB" for part, more in most)

    def completed(self, studies: int) -> None:
        """Wait until so many studies are said to be complete, and inference could hear of each."""
        self._until(lambda: self.books.said("study-completed") >= studies, 600, "the studies are complete")
        self._until(lambda: not self.books.count("select count(*) from ingestion.outbox where sent_at is null"), 600, "they are sent")

    def drain(self) -> float:
        """Wait until everything is heard and nothing waits; return the seconds. Stops with what is left where nothing moves."""
        began = moved = time.monotonic()
        left: Mapping[str, int] = {"everything": 1}
        told = began
        while left:
            now = self.books.unheard() | self.books.waiting()
            moved = moved if now == left else time.monotonic()
            left = now
            if time.monotonic() - told > 20:
                told = time.monotonic()
                say(f"  {told - began:.0f} s: {left}; {self.memory()}")
            if time.monotonic() - moved > STALLED_S or time.monotonic() - began > PATIENCE_S:
                raise SystemExit(f"it does not drain: {left}")
            time.sleep(0.5)
        return time.monotonic() - began

    def place_of(self, study_uid: str) -> int:
        """Return as which of all the readings after the halt a study was read, from 1."""
        return self.books.count(
            "select count(*) from inference.reading as other, inference.reading as mine, ingestion.imaging_study as study"
            " where study.study_uid = %(uid)s and mine.case_id = study.case_id::text and mine.role = 'serving'"
            " and other.role = 'serving' and other.ended_at <= mine.ended_at", uid=study_uid,
        )


def orders_of(count: int, routine: int) -> tuple[Order, ...]:
    """Return orders of as many patients, the first ones routine, and one STAT as the last."""
    now = datetime.now(UTC)
    drawn = book(SEED, children(SEED, count + 1, now.date()), 1, now, timedelta(milliseconds=20), prefix="B")
    first = [replace(one, priority="R") for one in drawn[:routine]]
    return (*first, *drawn[routine:-1], replace(drawn[-1], priority="S"))


def main() -> int:
    """Run the benchmark; 1 where a room grew too far or the STAT was not read first."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--orders", type=int, default=50_000, help="orders while triage, publishing, worklist are stopped (%(default)s)")
    options.add_argument("--studies", type=int, default=2_000, help="studies while inference is stopped (%(default)s)")
    options.add_argument("--kafka", choices=("apache", "embedded"), default="apache", help="which broker (%(default)s)")
    options.add_argument("--keep-logs", default="", help="a folder to copy the parts' logs to")
    args = options.parse_args()
    *orders, stat = orders_of(max(args.orders, args.studies), args.studies)
    with tempfile.TemporaryDirectory(prefix="radloop-bench-", ignore_cleanup_errors=True) as folder, ExitStack() as closing:
        if args.keep_logs:
            closing.callback(shutil.copytree, Path(folder) / "stack" / "logs", args.keep_logs, dirs_exist_ok=True)
        bench = Bench(Path(folder), args.kafka, closing)
        closing.enter_context(bench.watch)
        say(f"ready: {', '.join(f'{part} {held:.0f} MB' for part, held in bench.watch.start.items())}")
        figures = measure(bench, orders, orders[: args.studies], stat)
        growth = bench.watch.growth()
        rooms = {room: growth[room] for room in NAMES}
        figures |= {f"{part}_start_mb": round(held, 1) for part, held in bench.watch.start.items()}
        figures |= {f"{part}_growth_mb": round(more, 1) for part, more in growth.items()}
        figures["most_growth_mb"] = round(max(rooms.values()), 1)
    finish(
        "backpressure", {"orders": float(len(orders)), "studies": float(args.studies), **figures},
        {"most_growth_over_allowed": max(rooms.values()) / ALLOWED_MB},
        ("kafka-python", *(() if args.kafka == "apache" else ("noida-db",))),
    )
    return int(max(rooms.values()) > ALLOWED_MB or figures["stat_read_as"] != 1)


def measure(bench: Bench, orders: Sequence[Order], with_images: Sequence[Order], stat: Order) -> dict[str, float]:
    """Hold rooms, send, let them come back, and see that all of it drains."""
    figures: dict[str, float] = {}
    bench.watch.phase("orders")
    with bench.held(*HELD_FOR_ORDERS):
        took = bench.send_orders(orders)
        figures |= {"orders_s": round(took, 1), "orders_per_s": round(len(orders) / took, 1)}
        say(f"{len(orders)} orders taken in {took:.0f} s; {bench.memory()}")
    said = bench.books.said("order-recorded")
    if said != len(orders):
        raise SystemExit(f"{said} orders were said of {len(orders)} that were taken")
    bench.watch.phase("orders drain")
    took = bench.drain()
    figures |= {"orders_drain_s": round(took, 1), "orders_drain_events_per_s": round(len(HELD_FOR_ORDERS) * said / took, 1)}
    say(f"drained in {took:.0f} s; {bench.memory()}")
    bench.watch.phase("studies")
    with bench.held("inference"):
        took = bench.send_studies(with_images)
        figures |= {"studies_s": round(took, 1), "studies_per_s": round(len(with_images) / took, 1)}
        bench.completed(len(with_images))
        bench.send_orders([stat])
        bench.send_studies([stat])
        bench.completed(len(with_images) + 1)
        say(f"{len(with_images)} studies and a STAT taken in {took:.0f} s; {bench.memory()}")
    bench.watch.phase("studies drain")
    took = bench.drain()
    figures |= {"studies_drain_s": round(took, 1), "readings_per_s": round(len(with_images) / took, 1)}
    figures["stat_read_as"] = float(bench.place_of(stat.study_uid))
    say(f"drained in {took:.0f} s; the STAT was read as number {figures['stat_read_as']:.0f}; {bench.memory()}")
    return figures


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    raise SystemExit(main())
