"""An EHR and a RIS on real sockets, honest until a test gives them a lie to tell: what to send back, or what to do to the line."""

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx

from radloop.standards.hl7.answer import order_response
from radloop.standards.hl7.er7 import decode
from radloop.standards.hl7.mllp import frame
from radloop.standards.hl7.model import Identity, Origin
from radloop.standards.hl7.read import read_header
from tests.adapters.fhir_server import Server

Lie = bytes | Callable[["Line"], None]
"""Bytes to answer and then hang up, or something done to the line."""


class Line:
    """One connection as the far end has it; `sent` counts the bytes that went out."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self._connection, self._over, self.sent = connection, over, 0

    def send(self, data: bytes) -> None:
        """Send, or raise OSError where the other side hung up."""
        self._connection.sendall(data)
        self.sent += len(data)

    def trickle(self, data: bytes, pause: float = 0.05) -> None:
        """Send byte by byte, each within any step's time-out."""
        for number in range(len(data)):
            if self._over.wait(pause):
                return
            self.send(data[number : number + 1])

    def hang(self) -> None:
        """Say nothing more, until the other side or the test has had enough."""
        self._connection.settimeout(0.05)
        while not self._over.is_set():
            with suppress(TimeoutError):
                if not self._connection.recv(65_536):
                    return


class FarEnd:
    """A server on loopback, one thread per connection."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._over = threading.Event()
        far_end = self

        class Handler(socketserver.BaseRequestHandler):
            """One connection."""

            def handle(self) -> None:
                """Serve it; the other side may hang up at any moment."""
                line = Line(self.request, far_end._over)
                far_end.lines.append(line)
                with suppress(OSError):
                    far_end.serve(self.request, line)

        class Listening(socketserver.ThreadingTCPServer):
            """Threads end with the test."""

            daemon_threads = True
            allow_reuse_address = True

        self._server = Listening(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def serve(self, connection: socket.socket, line: Line) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def tell(self, line: Line, lie: Lie) -> None:
        """Tell a lie."""
        if isinstance(lie, bytes):
            line.send(lie)
        else:
            lie(line)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop, and let go of whoever hangs."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


class LyingEhr(FarEnd):
    """A FHIR server that tells its lie at one stage: metadata, read, search or write; `after` it did what was asked."""

    def __init__(self, *, client_ids: bool = True, transactions: bool = True) -> None:
        super().__init__()
        self.honest = Server(client_ids=client_ids, transactions=transactions)
        self.lie: Lie | None = None
        self.at, self.after, self.asked = "", False, 0
        self._one = threading.Lock()

    @property
    def url(self) -> str:
        """Its FHIR base."""
        return f"http://127.0.0.1:{self.port}/fhir"

    def serve(self, connection: socket.socket, line: Line) -> None:
        """Answer one request."""
        heard = b""
        while b"\r\n\r\n" not in heard:
            piece = connection.recv(65_536)
            if not piece:
                return
            heard += piece
        head, _, content = heard.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = httpx.Headers([tuple(one.split(": ", 1)) for one in rest])  # type: ignore[arg-type]
        while len(content) < int(headers.get("Content-Length", "0")):
            content += connection.recv(65_536)
        request = httpx.Request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers, content=content)
        self.asked += 1
        lying = self.lie is not None and stage_of(request) == self.at
        if not lying or self.after:
            with self._one:
                answer = self.honest.answer(request)
        if lying:
            assert self.lie is not None
            self.tell(line, self.lie)
            return
        line.send(http(answer.status_code, answer.content, **dict(answer.headers.items())))


class LyingRis(FarEnd):
    """A RIS that does what it is asked, or what `answers` makes of it; without a lie it is an honest one."""

    def __init__(self) -> None:
        super().__init__()
        self.lie: Lie | None = None
        self.answers: Callable[[bytes], bytes] = changed
        self.heard: list[bytes] = []

    def serve(self, connection: socket.socket, line: Line) -> None:
        """Answer one message."""
        heard = b""
        while b"\x1c" not in heard:
            piece = connection.recv(65_536)
            if not piece:
                return
            heard += piece
        self.heard.append(heard)
        self.tell(line, frame(self.answers(heard)) if self.lie is None else self.lie)

    @property
    def changes(self) -> int:
        """How many different messages it has heard."""
        return len(set(self.heard))


def stage_of(request: httpx.Request) -> str:
    """What a request is for."""
    if request.url.path.endswith("/metadata"):
        return "metadata"
    if request.url.path.endswith("/_search"):
        return "search"
    return "read" if request.method == "GET" else "write"


def http(status: int, content: bytes = b"", **headers: str) -> bytes:
    """An answer over HTTP/1.1, whole; a header may be left out by an empty value."""
    known = {"Content-Type": "application/fhir+json", "Content-Length": str(len(content)), "Connection": "close"}
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in {**known, **named}.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def changed(message: bytes, control: str = "XR", numbers: tuple[str, str] | None = None) -> bytes:
    """ORR^O02 to a message of ours, about the order it names or another one."""
    lines = decode(message.strip(b"\x0b\x1c\r")).split("\r")
    header = read_header(message.strip(b"\x0b\x1c\r"), Origin("site-1"))
    assert header is not None
    orc = next(line for line in lines if line.startswith("ORC")).split("|")
    placer, filler = numbers or (orc[2].split("^")[0], orc[3].split("^")[0])
    names = (Identity("site-1", "", one) if one else None for one in (placer, filler))
    answer = order_response(header, control == "XR", "RIS1", header.at, *names)  # type: ignore[arg-type]
    return answer.replace(b"ORC|UX", f"ORC|{control}".encode())


def acknowledged(message: bytes, code: str = "AA", more: bytes = b"") -> bytes:
    """A plain ACK to a message of ours: no ORC."""
    return changed(message).partition(b"ORC")[0].replace(b"MSA|AA", f"MSA|{code}".encode()) + more
