"""Watching from outside: what the list shows of each case and since when, which version speaks, how soon the EHR hears of a rejection."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import httpx

from radloop.kit.clock import Clock
from radloop.kit.errors import RadloopError
from radloop.workbench.hospital.figures import WITHDRAWN
from radloop.workbench.hospital.tempo import Day

_EVERY = 0.1
_DONE_EVERY = 5
SPEAKS = frozenset({"production", "canary"})


class Rows(Protocol):
    """The reading list."""

    def rows(self, view: str) -> list[dict[str, Any]]:
        """Return a list in its order."""
        ...

    def serving(self) -> Mapping[str, Any]:
        """Return which version speaks on the list."""
        ...


@dataclass
class Seen:
    """What the list has shown of a case; of what changes the last, but for what is written in the past tense.

    `triaged` is when it first showed what a serving version said (a real instant, and simulated seconds).
    """

    triaged: datetime | None = None
    triaged_after: float = 0.0
    version: int = 0
    answer: str = ""
    unsure: bool = False
    probability: float = 0.0
    lifted: bool = False
    abstained: bool = False
    was_unmatched: bool = False
    unmatched: bool = False
    unread: str = ""
    revision: int = 0
    read_revision: int = 0
    name: str = ""
    urgency: str = ""
    standing: str = ""
    ris: str = ""


class Watch:
    """Looks ten times a second, in a thread of its own; what is away meanwhile is looked at again."""

    def __init__(self, room: Rows, status: Callable[[str], str], patients: frozenset[str], day: Day, clock: Clock) -> None:
        """`status` returns the status of a case's report in the EHR, empty where there is none; only these patients are watched."""
        self._room, self._status, self._patients, self._day, self._clock = room, status, patients, day, clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._rejected: dict[str, float] = {}
        self._looks = 0
        self._nothing_stands: set[str] = set()
        self.seen: dict[str, Seen] = {}
        self.speaks: list[tuple[int, float]] = []
        self.withdrawn: dict[str, float] = {}
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="watch")
        self._looking: Future[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._looking = self._hand.submit(self._run)

    def check(self) -> None:
        """Raise what made it stop looking."""
        if self._looking is not None and self._looking.done():
            self._looking.result()

    def stop(self) -> None:
        """Look a last time, and no more."""
        self._stop.set()
        self._hand.shutdown()
        self._looks = 0
        self._look()

    def reject(self, case: str) -> None:
        """Look when the EHR says so."""
        with self._lock:
            self._rejected.setdefault(case, time.monotonic())

    def waiting(self) -> int:
        """Return how many rejected cases have a report at the EHR that still stands; of some nothing was ever published."""
        with self._lock:
            return len(self._rejected.keys() - self.withdrawn.keys() - self._nothing_stands)

    def late(self, within: float, but: tuple[float, float]) -> int:
        """Count the rejections the EHR heard of later than so many seconds, but for those given in a span (monotonic instants)."""
        low, high = but
        with self._lock:
            return sum(
                took > within and not low <= self._rejected[case] <= high for case, took in self.withdrawn.items()
            )

    def _run(self) -> None:
        while not self._stop.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        try:
            for row in self._room.rows("reading"):
                self._keep(row)
            if self._looks % _DONE_EVERY == 0:
                for row in self._room.rows("done"):
                    self._keep(row)
                self._hear(self._room.serving())
            self._looks += 1
            self._withdrawn()
        except (RadloopError, httpx.HTTPError):
            return  # away for the moment: looked at again

    def _keep(self, row: Mapping[str, Any]) -> None:
        if row["person"]["id"] not in self._patients:
            return
        seen = self.seen.setdefault(str(row["case_id"]), Seen())
        if row["model"]:
            if seen.triaged is None:
                seen.triaged, seen.triaged_after = self._clock.now(), self._day.now()
            seen.version, seen.read_revision = int(row["version"]), int(row["revision"])
            for said in row["said"][:1]:
                seen.answer, seen.unsure, seen.probability = str(said["answer"]), bool(said["unsure"]), float(said["probability"])
        seen.lifted = seen.lifted or row["move"] == "lifted"
        seen.abstained = row["move"] == "kept"
        seen.unmatched = bool(row["unmatched"])
        seen.was_unmatched = seen.was_unmatched or seen.unmatched
        seen.unread, seen.revision, seen.name = str(row["unread"]), int(row["revision"]), str(row["person"]["name"])
        seen.urgency, seen.standing = str(row["urgency"]), str(row["standing"])
        seen.ris = str(row["ris"]["outcome"]) if row["ris"] else ""

    def _hear(self, serving: Mapping[str, Any]) -> None:
        version = int(serving["version"] or 0) if serving["mode"] in SPEAKS else 0
        if version and version not in {known for known, _ in self.speaks}:
            self.speaks.append((version, self._day.now()))

    def _withdrawn(self) -> None:
        with self._lock:
            waiting = {case: since for case, since in self._rejected.items() if case not in self.withdrawn}
        for case, since in waiting.items():
            status = self._status(case)
            with self._lock:
                if status == WITHDRAWN:
                    self.withdrawn[case] = time.monotonic() - since
                elif status:
                    self._nothing_stands.discard(case)
                else:
                    self._nothing_stands.add(case)
