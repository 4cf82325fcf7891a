"""The proxy before a far end: it passes on, or does what it was told to, on connections that are open already too."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from radloop.workbench.drill.far_end import FarEnd, Manner, begins, writes
from tests.conftest import wait_until


class Echo:
    """A far end that remembers what it heard and answers it in upper case."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", self._listening.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while piece := connection.recv(4096):
                self.heard.append(piece)
                connection.sendall(piece.upper())

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A far end for one test."""
    one = Echo()
    yield one
    one.close()


@pytest.fixture
def line(echo: Echo) -> Iterator[FarEnd]:
    """The proxy before it."""
    with FarEnd(echo.address, slow_seconds=0.3) as proxy:
        yield proxy


def call(line: FarEnd) -> socket.socket:
    """A connection through the proxy."""
    return socket.create_connection(("127.0.0.1", line.port), timeout=5)


def ask(connection: socket.socket, what: bytes) -> bytes:
    """Say something and return the first piece that comes back; empty where it hung up."""
    connection.sendall(what)
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_an_honest_far_end_is_passed_on_byte_for_byte(line: FarEnd):
    """What is asked and answered arrives as it was, several times on one connection."""
    with call(line) as one:
        assert ask(one, b"\x0bone") == b"\x0bONE"
        assert ask(one, b"\x0btwo") == b"\x0bTWO"


def test_who_is_away_hangs_up_refuses_and_comes_back_on_the_same_port(line: FarEnd, echo: Echo):
    """An open connection ends, a new one is refused, and afterwards both work again."""
    with call(line) as one:
        assert ask(one, b"\x0bone")
        line.be(Manner.AWAY)
        assert ask(one, b"\x0btwo") == b""
        with pytest.raises(ConnectionRefusedError):
            call(line)
        line.be(Manner.HONEST)
        with call(line) as again:
            assert ask(again, b"\x0bthree") == b"\x0bTHREE"
    assert b"\x0btwo" not in echo.heard


def test_who_fails_answers_500_and_hears_nothing(line: FarEnd, echo: Echo):
    """The request never reaches the far end."""
    line.be(Manner.FAILING)
    with call(line) as one:
        assert ask(one, b"POST /fhir HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 500 ")
    assert echo.heard == []


def test_who_is_slow_answers_late(line: FarEnd):
    """The whole answer comes, after the delay."""
    line.be(Manner.SLOW)
    began = time.monotonic()
    with call(line) as one:
        assert ask(one, b"\x0bone") == b"\x0bONE"
    assert time.monotonic() - began >= 0.3


def test_an_answer_is_broken_off_in_the_middle(line: FarEnd, echo: Echo):
    """The far end did what it was asked; half of its answer arrives, and then nothing."""
    line.be(Manner.CUTTING)
    with call(line) as one:
        assert ask(one, b"\x0bfour") == b"\x0bF"
        assert one.recv(10) == b""
    assert echo.heard == [b"\x0bfour"]


def test_an_answer_to_a_write_is_swallowed_after_the_far_end_heard_it(line: FarEnd, echo: Echo):
    """A write is done and its answer lost; a question is answered as ever."""
    line.be(Manner.SWALLOWING)
    with call(line) as one:
        assert ask(one, b"GET /fhir") == b"GET /FHIR"
        assert ask(one, b"PUT /fhir") == b""
    wait_until(lambda: b"PUT /fhir" in echo.heard, 2)


def test_a_manner_holds_for_a_connection_that_is_open(line: FarEnd):
    """Who changes while a connection is open behaves so on it."""
    with call(line) as one:
        assert ask(one, b"\x0bone") == b"\x0bONE"
        line.be(Manner.SWALLOWING)
        assert ask(one, b"\x0btwo") == b""


def test_what_is_spoilt_is_counted(line: FarEnd):
    """A report says how many exchanges a strike met; honest ones are none."""
    with call(line) as one:
        ask(one, b"\x0bone")
        line.be(Manner.SWALLOWING)
        ask(one, b"\x0btwo")
    assert line.spoilt == 1


@pytest.mark.parametrize(("piece", "is_write"), [
    (b"\x0bMSH|", True), (b"POST /fhir HTTP/1.1\r\n", True), (b"PUT /fhir/Device/1 HTTP/1.1\r\n", True),
    (b"POST /fhir/Patient/_search HTTP/1.1\r\n", False), (b"GET /fhir/metadata HTTP/1.1\r\n", False),
])
def test_a_search_by_post_is_no_write(piece: bytes, is_write: bool):
    """Only what changes something at the far end is a commit whose answer can be lost."""
    assert begins(piece)
    assert writes(piece) is is_write


def test_a_body_that_follows_is_no_beginning():
    """A body sent behind its head keeps what the head said."""
    assert not begins(b'{"resourceType": "Bundle"}')
