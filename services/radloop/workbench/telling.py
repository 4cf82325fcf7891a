"""How the demo tells what happens: one line a stage, rewritten in place on a terminal, printed now and then elsewhere."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_EVERY_SECONDS = 5.0
_TICK = 1.0


class Teller:
    """Prints lines with the seconds since the start before them."""

    def __init__(self, out: TextIO | None = None) -> None:
        """Write to standard output unless told otherwise."""
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._began = time.monotonic()
        self._last = 0.0
        self._pending = ""
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

    def leave(self) -> None:
        """Let what stands there stand: somebody else writes next."""
        with self._lock:
            if self._pending:
                self._out.write("\n")
                self._out.flush()
                self._pending = ""

    def part(self, text: str) -> None:
        """Say that a part of a stage begins: rewritten by what comes next, or, off a terminal, a line of its own at once."""
        with self._lock:
            self._write(text, stays=not self._live)

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Say when a stage begins and how long it took; nothing where it fails. On a terminal the seconds go on meanwhile."""
        self.part(f"{title} …")
        began, over = time.monotonic(), threading.Event()
        ticking = threading.Thread(target=self._tick, args=(over,), daemon=True)
        if self._live:
            ticking.start()
        try:
            yield
        finally:
            over.set()
        self.line(f"{title}: {time.monotonic() - began:.1f} s")

    def _tick(self, over: threading.Event) -> None:
        """Write again what stands there, with the seconds as they are now: what takes long must not look dead."""
        while not over.wait(_TICK):
            with self._lock:
                if self._pending and not over.is_set():
                    self._write(self._pending, stays=False)

    def _write(self, text: str, *, stays: bool) -> None:
        start = "\r\x1b[K" if self._live and self._pending else ""
        if not stays:  # only what fits into one row can be rewritten in place
            text = text[: max(20, shutil.get_terminal_size().columns - 11)]
        self._out.write(f"{start}{self.seconds:6.1f} s  {text}" + ("\n" if stays else ""))
        self._out.flush()
        self._pending = "" if stays else text
        self._last = self.seconds
