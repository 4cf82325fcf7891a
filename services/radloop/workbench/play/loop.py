"""The loop, step by step, as its people would drive it: the workshop, the archive, the readers, the AI lead.

Each step waits for what the platform does with it; nothing here reaches past the doors that a hospital has too.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray

from radloop.cli.grpc import Cycle
from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent, Transient
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import IMAGENET
from radloop.workbench.grpc import Asked, Rooms
from radloop.workbench.hospital.backfill import Archive, hand_over
from radloop.workbench.hospital.books import Books
from radloop.workbench.hospital.objects import EARLIER, dx, file_bytes
from radloop.workbench.hospital.orders import book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.reading_room import Desk
from radloop.workbench.hospital.scores import Heard, through_triton
from radloop.workbench.hospital.sources import Candidate, Source
from radloop.workbench.play.settled import behind
from radloop.workbench.telling import Teller
from radloop.workbench.workshop import MODEL, first_package, package_tar

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
    triton_http: str
    kafka: str

    @classmethod
    def at(cls, address: Callable[[str], str]) -> Self:
        """Return the doors of a platform whose addresses are asked for by name, as a stack's are."""
        return cls(
            mllp=address("ingestion.mllp"), dicom=address("ingestion.dicom"), page=address("worklist.http"), triton=address("triton"),
            triton_http=address("triton.http"), kafka=address("kafka"),
        )


class Loop:
    """One run of the loop against one platform."""

    def __init__(
        self, rooms: Rooms, doors: Doors, books: Books, source: Source, desks: Sequence[Desk], archive: Archive, clock: Clock,
        teller: Teller, seed: int, play: int = 0,
    ) -> None:
        """Everything the steps need; nothing is asked yet. `play` tells one play of a seed from another on the same platform."""
        self._rooms, self._doors, self._books, self._source = rooms, doors, books, source
        self.desks, self._archive, self._clock, self._teller = desks, archive, clock, teller
        self._seed, self._play = seed, play
        self._rounds = 0
        self._own: frozenset[str] = frozenset()
        self._cycle_before = ""
        self.interrupt: Callable[[], None] = lambda: None  # looked at while something is waited for; may raise

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

    def backfill(self) -> None:
        """Hand over the earlier studies, wait until they are read and everybody has heard."""
        entries = self._books.earlier
        total, done = len(entries), self._rooms.readings().done
        cases = hand_over(
            entries, self._archive, self._rooms, lambda over: self._teller.now(f"earlier studies handed over: {over} of {total}"),
        )

        def read() -> bool:
            now = self._rooms.readings()
            self._teller.now(f"earlier studies read: {min(now.done - done, total)} of {total}")
            return now.waiting == now.running == 0 and now.done - done >= total

        self.until(read, 900, "the earlier studies are read")
        self.until(self.heard, 120, "every room has heard of them")
        self._own, self._cycle_before = frozenset(cases.values()), self._rooms.cycle().id

    def heard(self) -> bool:
        """Say whether the rooms that learn have settled everything that was said."""
        return all(behind(self._doors.kafka, room) == 0 for room in ("inference", "triage", "feedback", "retraining", "worklist"))

    def ask(self, count: int) -> tuple[Asked, ...]:
        """Have triage ask for so many answers from the pool: of its own studies, where it holds some of an earlier play too."""
        mine: list[Asked] = []
        while len(mine) < count:
            self._rounds += 1
            asked = self._rooms.request_reviews(count - len(mine), self._seed + self._rounds, self._id(f"round {self._rounds}"))
            if not asked:
                break  # the pool is empty
            mine += [one for one in asked if one.case_id in self._own]
        return tuple(mine)

    def labelling_round(self, count: int) -> None:
        """Have triage ask for so many answers, and the readers answer them in turn through the page's own API."""
        asked = self.ask(count)
        for done, one in enumerate(asked, start=1):
            self.desks[done % len(self.desks)].answer(one.case_id, one.request_id)
            self._teller.now(f"answers given: {done} of {len(asked)}")
        self.until(self.heard, 60, "retraining has heard of the answers")

    def cycle(self, name: str) -> Cycle:
        """Have a cycle run over the answers and wait for its end; one that runs already is waited for first."""
        started, reason = "", "not asked"
        deadline = time.monotonic() + 600
        while reason and time.monotonic() < deadline:
            self.until(lambda: not self._rooms.cycle().under_way, 600, "the cycle before ends")
            started, reason = self._rooms.start_cycle(MODEL, self._id(f"{name} {time.monotonic_ns()}"))
            if reason:
                self._teller.now(f"the cycle waits: {reason}")
                time.sleep(_POLL)
        if reason:
            raise Permanent(f"no cycle could be started: {reason}")
        self.until(lambda: self._rooms.cycle(started).ended, 600, "the cycle ends")
        return self._rooms.cycle(started)

    def rest(self) -> None:
        """Wait until no cycle runs and none has begun by itself for a while: answers of the morning may start one more."""
        calm_since: list[float] = []

        def calm() -> bool:
            if self._rooms.cycle().under_way:
                calm_since.clear()
                return False
            calm_since.append(time.monotonic())
            return calm_since[-1] - calm_since[0] > _CALM

        self.until(calm, 600, "the last cycle ends")

    def cycled(self) -> bool:
        """Say whether a cycle has ended since the backfill: one begins by itself once the labelling round is over."""
        latest = self._rooms.cycle()
        return latest.id != self._cycle_before and latest.ended

    def last_cycle(self) -> Cycle:
        """Return how the latest cycle stands or ended."""
        return self._rooms.cycle()

    def serving(self) -> int:
        """Return the version that serves and is loaded, 0 where none is."""
        return next((number for number, stage, ready in self._rooms.loaded() if stage == "production" and ready), 0)

    def says(self, version: int, images: NDArray[np.float32], of: str) -> Heard:
        """Return what a version says of prepared images, through Triton."""
        def tell(done: int) -> None:
            self._teller.now(f"version {version} reads {of}: {done} of {len(images)} images")

        return through_triton(self._doors.triton, MODEL, version, images, tell)

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for a condition; a door that is away meanwhile is asked again. Raises Permanent when the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.interrupt()
            try:
                if condition():
                    return
            except Transient:
                pass
            time.sleep(_POLL)
        raise Permanent(f"not within {seconds:.0f} s: {what}")

    def _id(self, what: str) -> str:
        return str(uuid5(NAMESPACE_OID, f"workbench|{self._seed}|{self._play}|{what}"))


def prepared(source: Source, candidates: Sequence[Candidate]) -> NDArray[np.float32]:
    """Return images as the platform would prepare them, [N, 3, 224, 224]: through the same DICOM object as any other."""
    now = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    order = book(0, children(0, 1, now.date()), 1, now, now - now)[0]
    files = (file_bytes(dx(order, source.pixels(one.image), now, EARLIER)) for one in candidates)
    return np.stack([prepare_file(file, 1, IMAGENET) for file in files])
