"""Work that nobody waits for yields to work that somebody waits for, within a room, and is never held for good.

Earlier studies come by the thousand, and all that follows from each takes the processor from a study that is waited for. So
whoever takes such an input (a door, the bulk consumer, a bulk timer) gives way first.
"""

import threading
from collections.abc import Callable
from typing import Final

from radloop.kit.clock import Clock

MOMENT_S: Final = 0.5
"""A study's events come one after another: after one of them the room is an earlier study's again only when no other follows."""
LONGEST_S: Final = 1.0
"""The longest that one input waits for its turn: where live ones never pause, the others still go on, one a second."""


class Courtesy:
    """Knows until when live work is expected; one per room."""

    def __init__(self, clock: Clock, wait: Callable[[float], object] | None = None) -> None:
        """`wait` is told the seconds to wait; without it time simply passes."""
        self._clock, self._wait = clock, wait or threading.Event().wait
        self._calm_at = clock.monotonic()

    def live(self, seconds: float = MOMENT_S) -> None:
        """Note that live work came, and for how long more of it is to be expected."""
        self._calm_at = max(self._calm_at, self._clock.monotonic() + seconds)

    @property
    def calm(self) -> bool:
        """Whether no live work is expected."""
        return self._clock.monotonic() >= self._calm_at

    def give_way(self) -> None:
        """Return when other work may go on: when it is calm, or after the longest wait."""
        by = self._clock.monotonic() + LONGEST_S
        while (left := min(self._calm_at, by) - self._clock.monotonic()) > 0:
            self._wait(left)
