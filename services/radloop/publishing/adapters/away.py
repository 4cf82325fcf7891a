"""Whether a receiver is away, as readiness says it: known by the last try, and forgotten when nobody tries any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from radloop.kit.clock import Clock
from radloop.kit.errors import Transient

BELIEVED_S: Final = 300.0
"""The longest pause that a receiver may ask for (Retry-After)."""
FORGOTTEN_AFTER_S: Final = BELIEVED_S + 60.0
"""Longer than the longest pause between two tries of a waiting delivery: silence means that nothing waits."""

PATIENCE: Final = 3
"""How many times the time-out of a step a whole exchange may last: who sends a byte now and then never times out by itself."""


class Away:
    """The reason why the last try failed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reason, self._until = "", 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note how a try ends."""
        try:
            yield
        except Transient as away:
            self._reason, self._until = away.reason, self._clock.monotonic() + FORGOTTEN_AFTER_S
            raise
        self._reason = ""

    @property
    def reason(self) -> str:
        """Why the receiver is away, empty where it is not known to be."""
        return self._reason if self._clock.monotonic() < self._until else ""
