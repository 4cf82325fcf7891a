"""How the demo tells what happens: one line a stage, rewritten in place on a terminal, printed now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_EVERY_SECONDS = 5.0


class Teller:
    """Prints lines with the seconds since the start before them."""

    def __init__(self, out: TextIO | None = None) -> None:
        """Write to standard output unless told otherwise."""
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._began = time.monotonic()
        self._last = 0.0
        self._pending = False
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._began

    def line(self, text: str) -> None:
        """Say something that stays."""
        with self._lock:
            self._write(text, stays=True)

    def now(self, text: str) -> None:
        """Say how a stage stands: rewritten by what comes next, or, off a terminal, said every few seconds."""
        with self._lock:
            if self._live:
                self._write(text, stays=False)
            elif self.seconds - self._last >= _EVERY_SECONDS:
                self._write(text, stays=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Say when a stage begins and how long it took; nothing where it fails."""
        self.now(f"{title} …")
        began = time.monotonic()
        yield
        self.line(f"{title}: {time.monotonic() - began:.1f} s")

    def _write(self, text: str, *, stays: bool) -> None:
        start = "\r\x1b[K" if self._live and self._pending else ""
        self._out.write(f"{start}{self.seconds:6.1f} s  {text}" + ("\n" if stays else ""))
        self._out.flush()
        self._pending = not stays
        self._last = self.seconds
