"""Watching from outside: when the list shows what the model said, and how soon the EHR hears of a rejection."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from radloop.kit.clock import Clock
from radloop.kit.errors import RadloopError

_EVERY = 0.1
WITHDRAWN = "entered-in-error"


class Rows(Protocol):
    """The reading list."""

    def rows(self, view: str) -> list[dict[str, object]]:
        """Return a list in its order."""
        ...


class Watch:
    """Looks ten times a second, in a thread of its own; what is away meanwhile is looked at again."""

    def __init__(self, room: Rows, status: Callable[[str], str], clock: Clock) -> None:
        """`status` returns the status of a case's report in the EHR, empty where there is none."""
        self._room, self._status, self._clock = room, status, clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._rejected: dict[str, float] = {}
        self.triaged: dict[str, datetime] = {}
        self.lifted: set[str] = set()
        self.versions: dict[str, int] = {}
        self.withdrawn: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join(timeout=10)

    def reject(self, case: str) -> None:
        """Look when the EHR says so."""
        with self._lock:
            self._rejected[case] = time.monotonic()

    def waiting(self) -> int:
        """Return how many rejections the EHR has not heard of yet."""
        with self._lock:
            return len(self._rejected.keys() - self.withdrawn.keys())

    def _run(self) -> None:
        while not self._stop.wait(_EVERY):
            try:
                self._look()
            except RadloopError:
                continue

    def _look(self) -> None:
        now = self._clock.now()
        for row in (*self._room.rows("reading"), *self._room.rows("done")):
            case = str(row["case_id"])
            if row["model"]:
                self.triaged.setdefault(case, now)
                self.versions[case] = int(str(row["version"]))
            if row["move"] == "lifted":
                self.lifted.add(case)
        with self._lock:
            rejected = dict(self._rejected)
        for case, since in rejected.items():
            if case not in self.withdrawn and self._status(case) == WITHDRAWN:
                self.withdrawn[case] = time.monotonic() - since
