"""The fuse: when everything fails, it is the code that is broken, and burying the day's inputs would be wrong."""

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from radloop.kit import telemetry
from radloop.kit.clock import Clock
from radloop.kit.errors import Transient

FUSE_AFTER = 5
FUSE_PAUSE_S = 60.0


@dataclass(frozen=True)
class Blown:
    """An open fuse: since when, by what (types of error and their routes, most frequent first), and when it tries next."""

    since: datetime
    causes: tuple[str, ...]
    next_try: datetime

    def __str__(self) -> str:
        """Say it in one sentence, with what closes it."""
        return (
            f"the fuse is open since {self.since:%Y-%m-%dT%H:%M:%SZ} ({'; '.join(self.causes)}): one input a minute tries again,"
            f" next at {self.next_try:%H:%M:%SZ}; the first that succeeds closes it, and so does a restart after the upgrade"
        )


class Fuse:
    """Opens after so many unforeseen exceptions in a row on different keys; then one input a minute tries again."""

    def __init__(self, clock: Clock, after: int = FUSE_AFTER, pause_s: float = FUSE_PAUSE_S) -> None:
        self._clock, self._after, self._pause_s = clock, after, pause_s
        self._lock = threading.Lock()
        self._failed: set[str] = set()
        self._causes: Counter[str] = Counter()
        self._since: datetime | None = None
        self._next_try = 0.0
        telemetry.gauge("radloop_fuse_open", 0)

    @property
    def open(self) -> bool:
        """Whether it is open."""
        return self._since is not None

    @property
    def blown(self) -> Blown | None:
        """What opened it and when it tries next, None while it is closed."""
        with self._lock:
            if self._since is None:
                return None
            wait = max(0.0, self._next_try - self._clock.monotonic())
            causes = tuple(cause for cause, _ in self._causes.most_common())
            return Blown(self._since, causes, self._clock.now() + timedelta(seconds=wait))

    def hold(self) -> None:
        """Let an input pass; raise Transient while the fuse is open, but for one input a minute."""
        if not self.open:
            return
        with self._lock:
            wait = self._next_try - self._clock.monotonic()
            if self.open and wait > 0:
                raise Transient("the fuse is open: the code fails on everything", after=wait)
            self._next_try = self._clock.monotonic() + self._pause_s

    def blow(self, key: str, cause: str) -> None:
        """Count an unforeseen exception; `cause` is its type and route, never its message."""
        with self._lock:
            self._causes[cause] += 1
            if not self.open:
                self._failed.add(key)
            if not self.open and len(self._failed) >= self._after:
                self._since = self._clock.now()
                telemetry.gauge("radloop_fuse_open", 1)
            if self.open:
                self._next_try = self._clock.monotonic() + self._pause_s

    def mend(self) -> None:
        """An input succeeded: the code is not broken."""
        if not self._failed:
            return
        with self._lock:
            self._failed.clear()
            self._causes.clear()
            self._since = None
            telemetry.gauge("radloop_fuse_open", 0)
