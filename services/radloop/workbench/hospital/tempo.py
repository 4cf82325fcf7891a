"""Simulated time: arrivals, reading times and the policy's allowances run `speed` times as fast as a clock; computing does not."""

import math
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta

from radloop.kit.errors import Misconfigured

DEFAULT_SPEED = 60.0
FASTEST = 240.0
OPENS = timedelta(hours=7, minutes=30)
"""The time of day at which the simulated morning begins."""


@dataclass(frozen=True)
class Tempo:
    """How many simulated seconds pass in a real one. Raises Misconfigured for a speed nobody could play at."""

    speed: float = DEFAULT_SPEED

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and 0 < self.speed <= FASTEST):
            raise Misconfigured(f"--speed takes more than 0 and at most {FASTEST:g} simulated seconds to a real one")

    def real(self, simulated: float) -> float:
        """Return the real seconds that so many simulated ones take."""
        return simulated / self.speed

    def simulated(self, real: float) -> float:
        """Return the simulated seconds that pass in so many real ones."""
        return real * self.speed


@dataclass(frozen=True)
class Day:
    """The simulated morning's clock: it stands at 07:30 when the day is made, and runs at the tempo's speed."""

    tempo: Tempo
    began: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event, compare=False)

    def now(self) -> float:
        """Return the simulated seconds since the morning began."""
        return self.tempo.simulated(time.monotonic() - self.began)

    def wait(self, until: float) -> bool:
        """Wait until so many simulated seconds after the beginning; False where the day was ended meanwhile."""
        return not self.over.wait(max(0.0, self.began + self.tempo.real(until) - time.monotonic()))

    def rest(self, seconds: float) -> bool:
        """Let simulated seconds pass; False where the day was ended meanwhile."""
        return not self.over.wait(max(0.0, self.tempo.real(seconds)))


def o_clock(simulated: float) -> str:
    """Return the time of day so many simulated seconds after the morning began, e.g. ``08:05``."""
    whole = int(OPENS.total_seconds() + simulated) // 60
    return f"{whole // 60 % 24:02d}:{whole % 60:02d}"
