"""A thread that does one thing again and again, is woken when there is something, and backs off when a dependency is away."""

import logging
import random
import threading
import traceback
from collections.abc import Callable

from radloop.kit.errors import Misconfigured, Transient

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

    def ask_to_stop(self) -> None:
        """Begin nothing more; return at once."""
        self._stopping.set()
        self._wake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Finish the turn in hand, then end."""
        self.ask_to_stop()
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
            except Misconfigured as wrong:
                log.error("cannot work", extra={"worker": self.name, "reason": wrong.reason})  # noqa: TRY400 - the reason says it all
                self.away, wait = wrong.reason, back_off(tries)
            except Exception as surprise:  # noqa: BLE001 # house: blind-except - a worker that dies silently stops its whole room
                log.error(  # noqa: TRY400 - a traceback repeats the message, which may repeat a patient's data
                    "unforeseen", extra={"worker": self.name, "error": type(surprise).__name__, "where": places(surprise)},
                )
                self.away, wait = f"{type(surprise).__name__} in {self.name}", back_off(tries)
            else:
                self._wake.wait(wait)
                continue
            tries += 1
            self._stopping.wait(min(wait, BACK_OFF_S))


def places(surprise: BaseException) -> list[str]:
    """Return where an exception passed, innermost last; never its message, which may repeat a patient's data."""
    frames = traceback.extract_tb(surprise.__traceback__)
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
