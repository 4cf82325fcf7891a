"""MLLP over real sockets, against a peer that is not ours: python-hl7's client."""

import socket
import threading
import time
from collections.abc import Iterator

import hl7.client
import pytest

from radloop.ingestion.adapters.mllp import Limits, MllpServer
from radloop.kit.errors import Transient
from radloop.standards.hl7.mllp import Broken, frame

LOOPBACK = "127.0.0.1"


class Door:
    """A door that echoes, remembers, and does as it is told by the message."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self.heard: list[bytes] = []
        self.broken: list[Broken] = []
        self.broke = threading.Event()

    def handle(self, message: bytes) -> bytes:
        """Echo; a slow one is slow, and a bad one raises."""
        if message == b"slow":
            time.sleep(0.3)
        if message == b"away":
            raise Transient("the database is away")
        self.heard.append(message)
        return b"re:" + message

    def keep(self, broken: Broken) -> bytes | None:
        """Keep what broke, and say so."""
        self.broken.append(broken)
        self.broke.set()
        return b"broken:" + broken.reason.encode()


@pytest.fixture
def door() -> Door:
    """A door."""
    return Door()


@pytest.fixture
def server(door: Door) -> Iterator[MllpServer]:
    """The door, open on a free port, small enough to reach its limits."""
    server = MllpServer(
        LOOPBACK, 0, door.handle, door.keep, Limits(message_bytes=1000, idle_seconds=1.0, connections=3)
    )
    server.start()
    yield server
    server.stop()


def send(port: int, message: bytes) -> bytes:
    """Send one message as python-hl7 does; the answer without its frame, empty where the door hung up."""
    with hl7.client.MLLPClient(LOOPBACK, port) as client:
        client.socket.settimeout(5)
        return bytes(client.send_message(message)).strip(b"\x0b\x1c\r")


def receive(connection: socket.socket, count: int) -> bytes:
    """Read until `count` messages came."""
    data = b""
    while data.count(b"\x1c\r") < count:
        data += connection.recv(4096)
    return data


def test_an_independent_client_is_answered(server: MllpServer, door: Door) -> None:
    """python-hl7's client sends two messages on one connection and gets two answers."""
    with hl7.client.MLLPClient(LOOPBACK, server.port) as client:
        assert client.send_message(b"one") == frame(b"re:one")
        assert client.send_message(b"two") == frame(b"re:two")
    assert door.heard == [b"one", b"two"]


def test_answers_keep_the_order_of_the_connection(server: MllpServer) -> None:
    """A slow message sent first is answered first."""
    with socket.create_connection((LOOPBACK, server.port), 5) as connection:
        connection.sendall(frame(b"slow") + frame(b"fast"))
        assert receive(connection, 2) == frame(b"re:slow") + frame(b"re:fast")


def test_a_broken_message_is_kept_and_the_next_is_unharmed(server: MllpServer, door: Door) -> None:
    """Too large and truncated messages are answered and kept; the next on the same connection is taken."""
    with socket.create_connection((LOOPBACK, server.port), 5) as connection:
        connection.sendall(frame(b"x" * 2000) + b"\x0bcut" + frame(b"good"))
        assert receive(connection, 3) == frame(b"broken:too large") + frame(b"broken:truncated") + frame(b"re:good")
    assert [b.reason for b in door.broken] == ["too large", "truncated"]


def test_a_connection_that_dies_in_a_message_leaves_it_kept(server: MllpServer, door: Door) -> None:
    """Bytes without an end are kept as truncated when the peer hangs up, or falls silent."""
    with socket.create_connection((LOOPBACK, server.port), 5) as connection:
        connection.sendall(b"\x0bhalf")
    assert door.broke.wait(5)
    door.broke.clear()
    with socket.create_connection((LOOPBACK, server.port), 5) as silent:
        silent.sendall(b"\x0bsilent")
        assert silent.recv(10) == b""
    assert [b.content for b in door.broken] == [b"half", b"silent"]


def test_no_answer_where_nothing_could_be_kept(server: MllpServer, door: Door) -> None:
    """Where the callable raises, the connection closes without an answer and the next one is served."""
    assert send(server.port, b"away") == b""
    assert send(server.port, b"again") == b"re:again"
    assert door.heard == [b"again"]


def test_connections_are_bounded(server: MllpServer) -> None:
    """One connection too many is closed; when another ends, there is room again."""
    held = [socket.create_connection((LOOPBACK, server.port), 5) for _ in range(3)]
    for connection in held:
        connection.sendall(frame(b"hello"))
        receive(connection, 1)
    with socket.create_connection((LOOPBACK, server.port), 5) as fourth:
        assert fourth.recv(10) == b""
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 5
    while True:
        if send(server.port, b"room") == b"re:room":
            break
        assert time.monotonic() < deadline


def test_a_message_in_work_is_answered_before_the_door_closes(door: Door) -> None:
    """Stopping waits for the answer of what was taken."""
    server = MllpServer(LOOPBACK, 0, door.handle, door.keep)
    server.start()
    port = server.port
    answers: list[bytes] = []
    sender = threading.Thread(target=lambda: answers.append(send(port, b"slow")))
    sender.start()
    time.sleep(0.1)
    server.stop()
    sender.join(5)
    assert answers == [b"re:slow"]
    with pytest.raises(ConnectionRefusedError):
        send(port, b"late")
