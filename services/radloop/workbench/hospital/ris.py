"""The hospital's RIS as radloop's receiver: hears ORM^O01 (XO) over MLLP, answers ORR^O02, and keeps a log of its own.

A change is answered XR (changed) or, by its place in the log or for a drawn share, UX (unable to change). The same MSH-10 gets
the same answer and counts once: so the log can say how often anything came twice.
"""

import logging
import socketserver
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import numpy as np

from radloop.workbench.hospital.messages import Envelope, answer_message, read, refusal_message

log = logging.getLogger(__name__)
_START, _END = b"\x0b", b"\x1c\r"


@dataclass(frozen=True)
class Heard:
    """One line of the log: a priority change as it arrived, and what was answered (XR, UX, or AR for what is no change)."""

    control: str
    placer: str
    filler: str
    priority: str
    answer: str
    at: datetime


class Ris:
    """An MLLP server on its own thread; `refuses` is the share of changes it answers with UX, `refuses_first` so many at the start."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, refuses: float = 0.1, seed: int = 0, refuses_first: int = 0,
    ) -> None:
        self._answers: dict[str, bytes] = {}
        self._first: dict[str, bytes] = {}
        self._differing: set[str] = set()
        self._log: list[Heard] = []
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._rng = np.random.default_rng([seed, 0xC4])
        self._refuses, self._refuses_first = refuses, refuses_first
        self._envelope = Envelope(application="SIMRIS", to_application="RADLOOP")
        self._server = _Server((host, port), _line(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="ris", daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; the log stays."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self.stop()

    def heard(self) -> tuple[Heard, ...]:
        """Return the log: one line per message, however often it came."""
        with self._lock:
            return tuple(self._log)

    def changed(self) -> int:
        """Count the changes that were made (XR)."""
        return sum(line.answer == "XR" for line in self.heard())

    def refused(self) -> int:
        """Count the changes that were refused (UX)."""
        return sum(line.answer == "UX" for line in self.heard())

    def repeats(self) -> int:
        """Count the messages that came again under an MSH-10 already answered."""
        with self._lock:
            return sum(times - 1 for times in self._times.values())

    def differing(self) -> frozenset[str]:
        """Return the control ids under which other bytes came than the first time: a repeat is the same message."""
        with self._lock:
            return frozenset(self._differing)

    def twice(self) -> int:
        """Count the changes of the same order to the same priority, one after the other, under different MSH-10."""
        last: dict[str, str] = {}
        count = 0
        for line in self.heard():
            if line.answer == "XR":
                count += last.get(line.placer) == line.priority
                last[line.placer] = line.priority
        return count

    def answer(self, message: bytes) -> bytes:
        """Return the answer to one message and log it."""
        heard = read(message)
        control = heard.get("MSH-10", "")
        now = datetime.now(UTC)  # the far end keeps its own time
        with self._lock:
            self._times[control] += 1
            if control in self._answers:
                if message != self._first[control]:
                    self._differing.add(control)
                return self._answers[control]
            self._first[control] = message
            reply, line = self._decide(heard, control, now)
            self._answers[control] = reply
            self._log.append(line)
            return reply

    def _decide(self, heard: dict[str, str], control: str, now: datetime) -> tuple[bytes, Heard]:
        own = f"RIS{len(self._log):08d}"
        priority = heard.get("TQ1-9", "").split("^")[0] or heard.get("OBR-27", "").split("^")[-1]
        placer, filler = (heard.get(field, "").split("^")[0] for field in ("ORC-2", "ORC-3"))
        if not heard.get("MSH-9", "").startswith("ORM^O01") or heard.get("ORC-1") != "XO" or not heard.get("ORC-2"):
            reply = refusal_message(heard, "AR", "not a change of an order", own, now, self._envelope)
            return reply, Heard(control, placer, filler, priority, "AR", now)
        accepted = len(self._log) >= self._refuses_first and float(self._rng.random()) >= self._refuses
        reply = answer_message(heard, accepted, own, now, self._envelope)
        return reply, Heard(control, placer, filler, priority, "XR" if accepted else "UX", now)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _line(ris: Ris) -> type[socketserver.BaseRequestHandler]:
    class Line(socketserver.BaseRequestHandler):
        """One connection: messages are answered in the order they come."""

        def handle(self) -> None:
            """Read frames until the other side hangs up."""
            waiting = b""
            while True:
                try:
                    piece = self.request.recv(65_536)
                except OSError:
                    return
                if not piece:
                    return
                waiting += piece
                while _END in waiting:
                    frame, waiting = waiting.split(_END, 1)
                    self.request.sendall(_START + ris.answer(frame[frame.find(_START) + 1 :]) + _END)

    return Line
