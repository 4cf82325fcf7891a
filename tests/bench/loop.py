"""How long a study waits for its place, beside the bare work; and what a backfill does to a STAT.

From the instant at which the quiet timer is due to the case-triaged that names the prediction, as a Kafka client sees it,
one study at a time, on DX objects of 2,000 x 2,500, 12 bits, uncompressed; beside it, alternating in the same run, the
preparation of the same file and a bare tritonclient call. Then STATs on an idle system, and during a backfill of 2,000.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import tritonclient.grpc as triton
from figures import finish, p, say
from kafka import KafkaConsumer
from PIL import Image
from pydicom.dataset import FileDataset

from radloop.events.study import StudyCompleted
from radloop.events.triage import CaseTriaged
from radloop.events.wire import Wire
from radloop.kit.bell import Bell
from radloop.kit.clock import SystemClock
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import IMAGENET
from radloop.workbench.demo import DATA
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.stack import Stack
from radloop.workbench.grpc import Rooms
from radloop.workbench.hospital.backfill import Archive
from radloop.workbench.hospital.books import Books, enrol
from radloop.workbench.hospital.cohort import Cohort, draw, sizes
from radloop.workbench.hospital.ehr import Server
from radloop.workbench.hospital.messages import Envelope, order_message
from radloop.workbench.hospital.objects import EARLIER, dx, file_bytes
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.readers import Radiologist
from radloop.workbench.hospital.reading_room import Desk, ReadingRoom
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.sources import Source, open_source
from radloop.workbench.play.loop import Doors, Loop
from radloop.workbench.telling import Teller
from radloop.workbench.workshop import MODEL

ROWS, COLUMNS = 2000, 2500
SEED = 11
# Where a study's time goes, from the rooms' own tables: when each hop's transaction began, or its event was taken by the broker.
HOPS = ("completed_sent", "heard_by_inference", "read", "prediction_sent", "heard_by_triage", "placed", "place_sent")
STAMPS = """
    select completed.sent_at, heard.settled_at, made.created_at, made.sent_at, weighed.settled_at, placed.created_at, placed.sent_at,
        timestamptz 'epoch' + make_interval(secs => %(due)s)
    from ingestion.outbox completed
    join inference.inbox heard on heard.route = 'take_study' and heard.input_id = completed.event_id
    join inference.outbox made on made.topic = 'prediction-made' and made.key = completed.key
    join triage.inbox weighed on weighed.route = 'take_prediction' and weighed.input_id = made.event_id
    join triage.outbox placed on placed.topic = 'case-triaged' and placed.key = completed.key
    where completed.topic = 'study-completed' and completed.key = %(case)s
    order by placed.id desc limit 1
"""


class Ear:
    """Hears study-completed and case-triaged as any Kafka client would, and notes when."""

    def __init__(self, bootstrap: str, bells: Path) -> None:
        # The embedded broker does not hold an empty fetch: who polls it all the time takes a processor from what is measured. So
        # this one is rung as a room is, one that hears both topics.
        self._bell = Bell(str(bells), "worklist", "bench")
        self._consumer = KafkaConsumer(
            "study-completed", "case-triaged", bootstrap_servers=bootstrap, auto_offset_reset="latest", fetch_max_wait_ms=20,
        )
        self._consumer.poll(timeout_ms=2000)
        self._heard = threading.Condition()
        self._due: dict[str, tuple[str, datetime]] = {}
        self._triaged: dict[str, datetime] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        wire = Wire()
        while True:
            rung = self._bell.wait(0.2)
            for records in self._consumer.poll(timeout_ms=20 if rung else 2).values():
                now = datetime.now(UTC)
                for record in records:
                    event = wire.decode({name: value.decode() for name, value in record.headers}, record.value)
                    with self._heard:
                        if isinstance(event, StudyCompleted):
                            self._due[event.study.study_uid] = (event.subject, event.at)
                        elif isinstance(event, CaseTriaged) and event.prediction_id:
                            self._triaged.setdefault(event.subject, now)
                        self._heard.notify_all()

    def seconds(self, study_uid: str, patience: float = 120.0) -> float:
        """Wait for a study's place by its prediction; return the seconds since its quiet timer was due."""
        deadline = time.monotonic() + patience
        with self._heard:
            while True:
                case, due = self._due.get(study_uid, ("", datetime.now(UTC)))
                if case in self._triaged:
                    return (self._triaged[case] - due).total_seconds()
                left = deadline - time.monotonic()
                if left <= 0:
                    raise SystemExit(f"no case-triaged with a prediction within {patience:.0f} s")
                self._heard.wait(left)

    def due(self, study_uid: str) -> tuple[str, datetime]:
        """Return the case of a study that was heard, and when its quiet timer was due."""
        with self._heard:
            return self._due[study_uid]


class Bench:
    """A stack with a serving version, and the hospital's lines into it."""

    def __init__(self, home: Path, source: Source, closing: ExitStack) -> None:
        self._source, self._closing = source, closing
        server = Server.start(home / "ehr")
        closing.callback(server.stop)
        ris = closing.enter_context(Ris(seed=SEED))
        self.stack = Stack(home / "stack", Options(usual_ports=False, settings={
            "RADLOOP_PUBLISHING_EHR": server.base_url, "RADLOOP_PUBLISHING_RIS": f"127.0.0.1:{ris.port}",
            "RADLOOP_INGESTION_QUIET_SECONDS": "0.5", "RADLOOP_INGESTION_ISSUER": "SIMHOSP",
        }))
        closing.callback(self.stack.stop)
        self.stack.start()
        self.rooms = closing.enter_context(Rooms({
            room: self.stack.address(room) for room in ("ingestion", "inference", "triage", "retraining", "worklist", "publishing")
        }))
        cohort = draw(source, SEED, sizes(12, 100))
        self.books = enrol(SEED, cohort, datetime.now(UTC))
        self.version = self._release(cohort, self.books, home)
        self.hl7 = closing.enter_context(MllpLine(*_split(self.stack.address("ingestion.mllp"))))
        self.modality = closing.enter_context(Modality(*_split(self.stack.address("ingestion.dicom"))))
        self.ear = Ear(self.stack.address("kafka"), self.stack.home / "bells")
        self.orders = self._orders()
        self._triton = triton.InferenceServerClient(self.stack.address("triton"))

    def _release(self, cohort: Cohort, books: Books, home: Path) -> int:
        """Play the loop up to the first release, as the demo does."""
        clock, stack = SystemClock(), self.stack
        doors = Doors.at(stack.address)
        page = self._closing.enter_context(ReadingRoom(doors.page))
        reader = Radiologist("reader-1", SEED, books.truth)
        archive = Archive(self._source, reader, _split(doors.mllp), Envelope(), clock)
        loop = Loop(self.rooms, doors, books, self._source, [Desk(reader, page)], archive, clock, Teller(), SEED)
        first = loop.first_model(cohort.seeds, home / "workshop")
        loop.backfill()
        loop.labelling_round(75)
        loop.cycle("first")
        loop.until(lambda: loop.serving() > first, 120, "a version serves")
        return loop.serving()

    def _orders(self) -> Iterator[Order]:
        now = datetime.now(UTC)
        people = children(SEED + 1, 4000, now.date())
        return iter(book(SEED + 1, people, 1, now, timedelta(seconds=1), prefix="B"))

    def picture(self, order: Order, image: str, *, large: bool = True) -> FileDataset:
        """Return a DX object of 2,000 x 2,500 (or of 224 x 224) with a real radiograph's content."""
        pixels = self._source.pixels(image)
        if not large:
            return dx(order, pixels, datetime.now(UTC), EARLIER)
        return dx(order, np.asarray(Image.fromarray(pixels).resize((COLUMNS, ROWS), Image.Resampling.BICUBIC)), datetime.now(UTC))

    def ours(self, order: Order, image: FileDataset) -> float:
        """Send an order and its image; return the seconds from the due timer to the place by the prediction."""
        self.hl7.must(order_message(order, f"B{order.placer}{order.priority}", datetime.now(UTC), Envelope()))
        self.modality.store(image)
        return self.ear.seconds(order.study_uid)

    def hops(self, studies: list[str]) -> dict[str, float]:
        """Return when studies passed each hop: medians in ms since their quiet timers were due."""
        passed = []
        with psycopg.connect(self.stack.address("postgres")) as rooms:
            for case, due in map(self.ear.due, studies):
                row = rooms.execute(STAMPS, {"case": case, "due": due.timestamp()}).fetchone()
                if row is not None:
                    passed.append([(stamp - row[-1]).total_seconds() for stamp in row[:-1]])
        return {name: p(list(column), 50) for name, column in zip(HOPS, zip(*passed, strict=True), strict=True)}

    def bare(self, image: FileDataset) -> float:
        """Prepare the same file and call Triton; return the seconds."""
        file = file_bytes(image)
        began = time.perf_counter()
        tensor = prepare_file(file, 1, IMAGENET)[None]
        given = triton.InferInput("IMAGE", list(tensor.shape), "FP32")
        given.set_data_from_numpy(np.ascontiguousarray(tensor, dtype=np.float32))
        answer = self._triton.infer(MODEL, [given], model_version=str(self.version))
        if answer.as_numpy("MEMBERS").shape[0] != 1:
            raise SystemExit("Triton answered something else")
        return time.perf_counter() - began


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--stats", type=int, default=20)
    options.add_argument("--backfill", type=int, default=2000)
    args = options.parse_args()
    source = open_source(Path(os.environ.get("RADLOOP_DATA") or DATA), SEED)
    with tempfile.TemporaryDirectory(prefix="radloop-bench-") as folder, ExitStack() as closing:
        bench = Bench(Path(folder), source, closing)
        images = [one.image for one in draw(source, SEED, sizes(60, 100)).morning]
        say(f"version {bench.version} serves; {args.rounds} rounds, one study at a time")
        ours, bare, studies = [], [], []
        for turn in range(args.rounds + 3):
            order = next(bench.orders)
            image = bench.picture(order, images[turn % len(images)])
            took, beside = bench.ours(order, image), bench.bare(image)
            if turn >= 3:  # the first warm caches on both sides
                ours.append(took)
                bare.append(beside)
                studies.append(order.study_uid)
        say(f"ours p50 {p(ours, 50)} ms, bare p50 {p(bare, 50)} ms; passed, in ms since due: {bench.hops(studies)}")
        idle, _ = zip(*(stat(bench, images, turn) for turn in range(args.stats)), strict=True)
        say(f"STAT on an idle system: p95 {p(idle, 95)} ms; now during a backfill of {args.backfill}")
        with backfill(bench, images, args.backfill, Path(folder) / "earlier") as unread:
            at_first = unread()
            busy, studies_busy = zip(*(stat(bench, images, turn) for turn in range(args.stats)), strict=True)
            left = unread() + args.stats
        say(f"STAT during it: p95 {p(busy, 95)} ms, {left} still unread; passed: {bench.hops(list(studies_busy))}")
        if not 0 < left < at_first:
            raise SystemExit("the backfill ended before the last STAT, or stood still: nothing was measured against it")
        hops = bench.hops(studies)
    finish(
        "loop",
        {
            "stored_to_triaged_p50_ms": p(ours, 50), "stored_to_triaged_p95_ms": p(ours, 95),
            "bare_p50_ms": p(bare, 50), "bare_p95_ms": p(bare, 95), "stat_idle_p50_ms": p(idle, 50), "stat_idle_p95_ms": p(idle, 95),
            "stat_backfill_p50_ms": p(busy, 50), "stat_backfill_p95_ms": p(busy, 95), "backfill_left_at_the_end": float(left),
            "rounds": float(len(ours)), "stats": float(len(busy)), "rows": float(ROWS), "columns": float(COLUMNS),
            **{f"hop_{name}_p50_ms": at for name, at in hops.items()},
        },
        {
            "stored_to_triaged_over_bare": p(ours, 50) / p(bare, 50), "stored_to_triaged_over_bare_p95": p(ours, 95) / p(bare, 95),
            "stat_p95_backfill_over_idle": p(busy, 95) / p(idle, 95),
        },
        ("tritonclient", "nvidia-pytriton") if _has("nvidia-pytriton") else ("tritonclient",),
    )


def stat(bench: Bench, images: list[str], turn: int) -> tuple[float, str]:
    """Send one STAT; return its seconds, and which study it was."""
    order = replace(next(bench.orders), priority="S")
    return bench.ours(order, bench.picture(order, images[turn % len(images)])), order.study_uid


@contextmanager
def backfill(bench: Bench, images: list[str], studies: int, folder: Path) -> Iterator[Callable[[], int]]:
    """Have `radloop backfill` hand earlier studies over, as an AI lead would; yields how many are not read yet."""
    before, now = bench.rooms.readings().done, datetime.now(UTC)
    folder.mkdir()
    for turn, order in enumerate(book(SEED + 2, children(SEED + 2, studies, now.date()), 1, now, timedelta(seconds=1), prefix="C")):
        (folder / f"{turn:05}.dcm").write_bytes(file_bytes(bench.picture(order, images[turn % len(images)], large=False)))
    command = [sys.executable, "-m", "radloop.cli.main", "backfill", str(folder), "--purpose", "pool"]
    with subprocess.Popen(command, env={**os.environ, "RADLOOP_HOME": str(bench.stack.home)}, stdout=subprocess.DEVNULL) as handing:
        try:
            deadline = time.monotonic() + 60
            while bench.rooms.readings().waiting < min(50, studies // 4):
                if time.monotonic() > deadline or handing.poll() is not None:
                    raise SystemExit("the backfill did not begin")
                time.sleep(0.1)
            yield lambda: studies - (bench.rooms.readings().done - before)
            if handing.poll():
                raise SystemExit("the backfill ended with an error")
        finally:
            handing.terminate()


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _has(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
