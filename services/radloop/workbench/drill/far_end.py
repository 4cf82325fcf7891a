"""A proxy before a far end of ours, EHR or RIS, that can be away, fail, dawdle, break an answer off or lose it after the commit.

It works on TCP alone and knows no protocol but for the one sentence of HTTP that says 500; how it behaves may change at any
moment, and holds for connections that are open already.
"""

import socket
import threading
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Final, Self

_PIECE: Final = 65_536
_LOOK: Final = 0.1
_WRITES: Final = (b"POST ", b"PUT ", b"PATCH ", b"DELETE ")
_FAILED: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Manner(Enum):
    """How a far end behaves."""

    HONEST = "answers"
    AWAY = "is away"
    FAILING = "answers 500"
    SLOW = "answers slowly"
    CUTTING = "breaks its answer off"
    SWALLOWING = "commits, then dies before it answers"


class FarEnd:
    """Listens on a port of its own and passes everything on to `upstream` (host, port), in the manner it was told."""

    def __init__(self, upstream: tuple[str, int], slow_seconds: float = 2.0) -> None:
        self._upstream, self._slow_seconds = upstream, slow_seconds
        self._manner = Manner.HONEST
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening: socket.socket | None = self._listen(0)
        self.port = int(self._listening.getsockname()[1])
        self.spoilt = 0
        self._thread = threading.Thread(target=self._accept, name="far-end", daemon=True)

    @property
    def manner(self) -> Manner:
        """Return how it behaves now."""
        return self._manner

    def be(self, manner: Manner) -> None:
        """Behave in this manner from now on; who is away hangs up on everybody and refuses whoever calls."""
        with self._lock:
            self._manner = manner
            away = manner is Manner.AWAY
            if away and self._listening is not None:
                # Closed alone, a socket that another thread waits on would still accept one connection.
                with suppress(OSError):
                    self._listening.shutdown(socket.SHUT_RDWR)
                self._listening.close()
                self._listening = None
            if not away and self._listening is None:
                self._listening = self._listen(self.port)
        if away:
            self._hang_up()

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Hang up and stop listening."""
        self._over.set()
        self.be(Manner.AWAY)
        self._thread.join(timeout=5)

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(64)
        listening.settimeout(_LOOK)
        return listening

    def _accept(self) -> None:
        while not self._over.is_set():
            listening = self._listening
            if listening is None:
                self._over.wait(_LOOK)
                continue
            try:
                caller, _ = listening.accept()
            except OSError:  # nobody within the look, or it went away under us
                continue
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        """Pass one connection on, until either side has hung up or the manner ends it."""
        try:
            behind = socket.create_connection(self._upstream, timeout=5)
        except OSError:
            caller.close()
            return
        for one in (caller, behind):
            one.settimeout(None)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {caller, behind}
        wrote = threading.Event()
        asking = threading.Thread(target=self._ask, args=(caller, behind, wrote), daemon=True)
        asking.start()
        with suppress(OSError):
            self._answer(behind, caller, wrote)
        _end(caller, behind)
        asking.join()
        with self._lock:
            self._open -= {caller, behind}
        for one in (caller, behind):
            one.close()

    def _ask(self, caller: socket.socket, behind: socket.socket, wrote: threading.Event) -> None:
        """Pass on what is asked; who fails answers for itself, and the far end hears nothing."""
        with suppress(OSError):
            while piece := caller.recv(_PIECE):
                if begins(piece):
                    (wrote.set if writes(piece) else wrote.clear)()
                if self._manner is Manner.FAILING:
                    self.spoilt += 1
                    caller.sendall(_FAILED)
                    break
                behind.sendall(piece)
        _end(behind)

    def _answer(self, behind: socket.socket, caller: socket.socket, wrote: threading.Event) -> None:
        """Pass on what is answered, slowly, in part, or not at all: whatever is read here the far end has committed."""
        while piece := behind.recv(_PIECE):
            match self._manner:
                case Manner.SLOW:
                    self.spoilt += 1
                    self._over.wait(self._slow_seconds)
                case Manner.CUTTING:
                    self.spoilt += 1
                    caller.sendall(piece[: len(piece) // 2])
                    return
                case Manner.SWALLOWING if wrote.is_set():
                    self.spoilt += 1
                    return
                case _:
                    pass
            caller.sendall(piece)

    def _hang_up(self) -> None:
        with self._lock:
            _end(*self._open)


def begins(piece: bytes) -> bool:
    """Say whether a request over HTTP or a message over MLLP begins here."""
    return piece.startswith((b"\x0b", b"GET ", b"HEAD ", *_WRITES))


def writes(piece: bytes) -> bool:
    """Say whether what begins here changes something at the far end; a search by POST does not."""
    return piece.startswith(b"\x0b") or (piece.startswith(_WRITES) and b"/_search" not in piece.partition(b"\r\n")[0])


def _end(*connections: socket.socket) -> None:
    for one in connections:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
