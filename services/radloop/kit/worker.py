"""A thread that does one thing again and again, is woken when there is something, and backs off when a dependency is away."""

import logging
import random
import threading
from collections.abc import Callable

from radloop.kit.errors import Transient

log = logging.getLogger(__name__)

BACK_OFF_S = 30.0


def back_off(tries: int) -> float:
    """Return the pause before the next try in seconds: 0.2 s doubling to 30 s, with a little jitter."""
    return min(BACK_OFF_S, 0.2 * 2.0 ** min(tries, 10)) * random.uniform(0.8, 1.2)


class Worker:
    """Runs `turn` until stopped; `turn` returns the seconds it may wait when nobody wakes it."""

    def __init__(self, name: str, turn: Callable[[], float]) -> None:
        self.name, self._turn = name, turn
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.away = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Do not wait: there is something."""
        self._wake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Finish the turn in hand, then end."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    @property
    def stopping(self) -> bool:
        """Whether it has been asked to stop."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Wait that long, or until stopped."""
        self._stopping.wait(seconds)

    def _run(self) -> None:
        tries = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait = self._turn()
                tries, self.away = 0, ""
            except Transient as away:
                if not tries:
                    log.warning("waiting for a dependency", extra={"worker": self.name, "reason": away.reason})
                self.away = away.reason
                wait = away.after if away.after is not None else back_off(tries)
                tries += 1
                self._stopping.wait(min(wait, BACK_OFF_S))
                continue
            self._wake.wait(wait)
