"""The loop, step by step, as its people would drive it: the workshop, the archive, the readers, the AI lead, the morning.

Each step waits for what the platform does with it; nothing here reaches past the doors that a hospital has too.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent, Transient
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import IMAGENET
from radloop.workbench.grpc import Cycle, Rooms
from radloop.workbench.hospital.backfill import Archive, hand_over
from radloop.workbench.hospital.books import Books
from radloop.workbench.hospital.ehr import Chart
from radloop.workbench.hospital.messages import Envelope, report_message
from radloop.workbench.hospital.morning import Lines, Morning, Step
from radloop.workbench.hospital.objects import EARLIER, dx, file_bytes
from radloop.workbench.hospital.orders import Order, book, schedule
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.reading_room import Desk, Given, ReadingRoom
from radloop.workbench.hospital.scores import auc, through_triton
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.sources import Candidate, Source
from radloop.workbench.hospital.watch import Watch
from radloop.workbench.settled import behind
from radloop.workbench.telling import Teller
from radloop.workbench.workshop import MODEL, first_package, package_tar

SERVING = frozenset({"production", "canary"})
_ENDED = frozenset({"released", "gated-out", "failed"})
_POLL = 0.25
# Longer than the change-control plan waits after the last answer before a cycle begins by itself.
_CALM = 7.0


@dataclass(frozen=True)
class Doors:
    """Where the platform listens: host:port each; `triton` is its gRPC address, `kafka` the bootstrap servers."""

    mllp: str
    dicom: str
    page: str
    triton: str
    kafka: str


@dataclass(frozen=True)
class Pace:
    """How fast the morning goes, in real seconds: between arrivals, and how long a reader looks at a case."""

    gap: float = 1.0
    look: float = 0.8


class Loop:
    """One run of the loop against one platform."""

    def __init__(
        self, rooms: Rooms, doors: Doors, books: Books, source: Source, desk: Desk, archive: Archive, clock: Clock,
        teller: Teller, seed: int,
    ) -> None:
        """Everything the steps need; nothing is asked yet."""
        self._rooms, self._doors, self._books, self._source = rooms, doors, books, source
        self.desk, self._archive, self._clock, self._teller, self._seed = desk, archive, clock, teller, seed
        self._rounds = 0

    def first_model(self, seeds: Sequence[Candidate], folder: Path) -> int:
        """Train the first model on the seed labels, hand it over for shadow, wait until it is loaded; return its version."""
        images = prepared(self._source, seeds)
        labels = np.array([one.positive for one in seeds])
        made = first_package(
            images, labels, [f"seed-{place}" for place in range(len(seeds))], self._seed, folder,
            trained_at=self._clock.now().isoformat(), tell=lambda part: self._teller.part(f"the first model: {part}"),
        )
        self._teller.part("the first model: Triton loads it")
        version = self._rooms.add_model(MODEL, package_tar(made), self._id("first model"))
        self.until(lambda: any(one[0] == version and one[2] for one in self._rooms.loaded()), 120, "the first model loads")
        return version

    def backfill(self) -> dict[str, str]:
        """Hand over the earlier studies, wait until they are read and everybody heard; return cases by accession."""
        entries = self._books.earlier
        total = len(entries)
        cases = hand_over(
            entries, self._archive, self._rooms, lambda done: self._teller.now(f"earlier studies handed over: {done} of {total}"),
        )

        def read() -> bool:
            now = self._rooms.readings()
            self._teller.now(f"earlier studies read: {min(now.done, total)} of {total}")
            return now.waiting == now.running == 0 and now.done >= total

        self.until(read, 900, "the earlier studies are read")
        self.until(self.heard, 120, "every room has heard of them")
        return cases

    def heard(self) -> bool:
        """Say whether the rooms that learn have settled everything that was said."""
        return all(behind(self._doors.kafka, room) == 0 for room in ("inference", "triage", "feedback", "retraining", "worklist"))

    def labelling_round(self, count: int) -> tuple[Given, ...]:
        """Have triage ask for so many answers from the pool, and answer them through the page's own API."""
        self._rounds += 1
        asked = self._rooms.request_reviews(count, self._seed + self._rounds, self._id(f"round {self._rounds}"))
        given = []
        for done, one in enumerate(asked, start=1):
            given.append(self.desk.answer(one.case_id, one.request_id))
            self._teller.now(f"answers given: {done} of {len(asked)}")
        self.until(self.heard, 60, "retraining has heard of the answers")
        return tuple(given)

    def cycle(self, name: str) -> Cycle:
        """Have a cycle run over the answers and wait for its end; one that began by itself counts, if it saw them all."""
        started, reason = "", "not asked"
        deadline = time.monotonic() + 600
        while reason and time.monotonic() < deadline:
            self.until(lambda: self._rooms.cycle().state in _ENDED | {"none"}, 600, "the cycle before ends")
            started, reason = self._rooms.start_cycle(MODEL, self._id(f"{name} {time.monotonic_ns()}"))
            if reason:
                self._teller.now(f"the cycle waits: {reason}")
                time.sleep(_POLL)
        if reason:
            raise Permanent(f"no cycle could be started: {reason}")
        self.until(lambda: self._rooms.cycle(started).state in _ENDED, 600, "the cycle ends")
        return self._rooms.cycle(started)

    def rest(self) -> None:
        """Wait until no cycle runs and none has begun by itself for a while: answers of the morning may start one more."""
        calm_since: list[float] = []

        def calm() -> bool:
            if self._rooms.cycle().state not in _ENDED | {"none"}:
                calm_since.clear()
                return False
            calm_since.append(time.monotonic())
            return calm_since[-1] - calm_since[0] > _CALM

        self.until(calm, 600, "the last cycle ends")

    def last_cycle(self) -> Cycle:
        """Return how the latest cycle stands or ended."""
        return self._rooms.cycle()

    def serving(self) -> int:
        """Return the version that serves and is loaded, 0 where none is."""
        return next((number for number, stage, ready in self._rooms.loaded() if stage == "production" and ready), 0)

    def morning(self, chart: Chart, watch: Watch, pace: Pace, halfway: Callable[[], object]) -> Morning:
        """Play the morning, read the list from the top, do what is due halfway; return when the list is read."""
        arrivals = schedule(self._seed, [entry.order for entry in self._books.morning], pace.gap)
        images = self._books.images()

        def picture(order: Order, taken: datetime) -> FileDataset:
            return dx(order, self._source.pixels(images[order.accession]), taken)

        def tell(step: Step) -> None:
            self._teller.now(f"the morning: {step.what} of study {1 + place[step.order.accession]} of {len(place)}")

        place = {entry.order.accession: number for number, entry in enumerate(self._books.morning)}
        with MllpLine(*_split(self._doors.mllp)) as hl7, Modality(*_split(self._doors.dicom)) as modality:
            played = Morning(Lines(hl7, modality, chart, Envelope()), picture, self._clock, tell)
            failed: list[Exception] = []
            playing = threading.Thread(target=_caught, args=(lambda: played.play(arrivals), failed), daemon=True)
            reading = threading.Thread(target=_caught, args=(lambda: self._read(len(place), watch, pace), failed), daemon=True)
            playing.start()
            reading.start()
            self.until(lambda: bool(failed) or 2 * len(played.stored) >= len(place), 600, "half the morning is over")
            if not failed:
                halfway()
            while not failed and (playing.is_alive() or reading.is_alive()):
                reading.join(_POLL)
            played.stop()
        if failed:
            raise failed[0]
        return played

    def _read(self, studies: int, watch: Watch, pace: Pace) -> None:
        """Read the list from the top until every study of the morning is signed."""
        orders = {entry.order.accession: entry.order for entry in self._books.morning}
        signed: set[str] = set()
        with ReadingRoom(self._doors.page) as room, MllpLine(*_split(self._doors.mllp)) as hl7:
            desk = Desk(self.desk.reader, room)
            deadline = time.monotonic() + 900
            while len(signed) < studies and time.monotonic() < deadline:
                row = next((one for one in room.rows("reading") if self._ripe(one, pace) and one["case_id"] not in signed), None)
                if row is None:
                    time.sleep(_POLL)
                    continue
                given = desk.answer(row["case_id"], "", lambda _: time.sleep(pace.look))
                self.desk.given.append(given)
                if given.kind == "reject":
                    watch.reject(given.case_id)
                if given.accession in orders:
                    self._sign(hl7, orders[given.accession], given)
                signed.add(row["case_id"])

    def _ripe(self, row: dict[str, object], pace: Pace) -> bool:
        """A reader comes to the list between cases: what has just arrived is seen at the next look."""
        arrived = datetime.fromisoformat(str(row["arrived_at"]))
        return row["standing"] == "waiting" and (self._clock.now() - arrived).total_seconds() >= 4 * pace.look

    def _sign(self, hl7: MllpLine, order: Order, given: Given) -> None:
        present = None if given.opinion == "cannot-say" else given.opinion == "present"
        now = self._clock.now()
        hl7.must(report_message(order, present, self.desk.reader.name, f"S{order.placer}", now, Envelope()))

    def worth(self, version: int, test: Sequence[Candidate], images: NDArray[np.float32]) -> float:
        """Return a version's AUC on the test split, through Triton."""
        def tell(done: int) -> None:
            self._teller.now(f"the test split, to measure version {version}: {done} of {len(test)} images read")

        return auc(through_triton(self._doors.triton, MODEL, version, images, tell), np.array([one.positive for one in test]))

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for a condition; a door that is away meanwhile is asked again. Raises Permanent when the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except Transient:
                pass
            time.sleep(_POLL)
        raise Permanent(f"not within {seconds:.0f} s: {what}")

    def _id(self, what: str) -> str:
        return str(uuid5(NAMESPACE_OID, f"workbench|{self._seed}|{what}"))


def prepared(source: Source, candidates: Sequence[Candidate]) -> NDArray[np.float32]:
    """Return images as the platform would prepare them, [N, 3, 224, 224]: through the same DICOM object as any other."""
    now = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    order = book(0, children(0, 1, now.date()), 1, now, now - now)[0]
    files = (file_bytes(dx(order, source.pixels(one.image), now, EARLIER)) for one in candidates)
    return np.stack([prepare_file(file, 1, IMAGENET) for file in files])


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _caught(what: Callable[[], object], failed: list[Exception]) -> None:
    """Run in a thread and hand an error to whoever waits."""
    try:
        what()
    except (Permanent, Transient, KeyError, ValueError, OSError) as wrong:
        failed.append(wrong)
