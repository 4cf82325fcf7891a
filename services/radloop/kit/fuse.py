"""The fuse: when everything fails, it is the code that is broken, and burying the day's inputs would be wrong."""

import threading

from radloop.kit import telemetry
from radloop.kit.clock import Clock
from radloop.kit.errors import Transient

FUSE_AFTER = 5
FUSE_PAUSE_S = 60.0


class Fuse:
    """Opens after so many unforeseen exceptions in a row on different keys; then one input a minute tries again."""

    def __init__(self, clock: Clock, after: int = FUSE_AFTER, pause_s: float = FUSE_PAUSE_S) -> None:
        self._clock, self._after, self._pause_s = clock, after, pause_s
        self._lock = threading.Lock()
        self._failed: set[str] = set()
        self._next_try = 0.0

    @property
    def open(self) -> bool:
        """Whether it is open."""
        return len(self._failed) >= self._after

    def hold(self) -> None:
        """Let an input pass; raise Transient while the fuse is open, but for one input a minute."""
        with self._lock:
            if not self.open:
                return
            wait = self._next_try - self._clock.monotonic()
            if wait > 0:
                raise Transient("the fuse is open: the code fails on everything", after=wait)
            self._next_try = self._clock.monotonic() + self._pause_s

    def blow(self, key: str) -> None:
        """Count an unforeseen exception."""
        with self._lock:
            self._failed.add(key)
            if self.open:
                self._next_try = self._clock.monotonic() + self._pause_s
        telemetry.gauge("radloop_fuse_open", int(self.open))

    def mend(self) -> None:
        """An input succeeded: the code is not broken."""
        if self._failed:
            with self._lock:
                self._failed.clear()
            telemetry.gauge("radloop_fuse_open", 0)
