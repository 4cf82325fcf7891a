"""The only place that reads the time, so that everything else can be given it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()


class ManualClock:
    """A clock for tests: stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the instant it was moved to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds it was moved by."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move forward by so many seconds."""
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds
