"""MLLP over real sockets, against peers that are not ours: python-hl7's client and hl7apy's server."""

import socket
import threading
import time
from collections.abc import Iterator

import hl7.client
import pytest
from hl7apy.mllp import AbstractHandler, MLLPServer

from radloop.ingestion.adapters.mllp import Limits, MllpServer
from radloop.kit.errors import Permanent, Transient
from radloop.publishing.adapters.mllp import MllpClient
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


def port_of(server: MllpServer) -> int:
    """Where it listens."""
    return server._port


def receive(connection: socket.socket, count: int) -> bytes:
    """Read until `count` messages came."""
    data = b""
    while data.count(b"\x1c\r") < count:
        data += connection.recv(4096)
    return data


def test_an_independent_client_is_answered(server: MllpServer, door: Door) -> None:
    """python-hl7's client sends two messages on one connection and gets two answers."""
    with hl7.client.MLLPClient(LOOPBACK, port_of(server)) as client:
        assert client.send_message(b"one") == frame(b"re:one")
        assert client.send_message(b"two") == frame(b"re:two")
    assert door.heard == [b"one", b"two"]


def test_answers_keep_the_order_of_the_connection(server: MllpServer) -> None:
    """A slow message sent first is answered first."""
    with socket.create_connection((LOOPBACK, port_of(server)), 5) as connection:
        connection.sendall(frame(b"slow") + frame(b"fast"))
        assert receive(connection, 2) == frame(b"re:slow") + frame(b"re:fast")


def test_a_broken_message_is_kept_and_the_next_is_unharmed(server: MllpServer, door: Door) -> None:
    """Too large and truncated messages are answered and kept; the next on the same connection is taken."""
    with socket.create_connection((LOOPBACK, port_of(server)), 5) as connection:
        connection.sendall(frame(b"x" * 2000) + b"\x0bcut" + frame(b"good"))
        assert receive(connection, 3) == frame(b"broken:too large") + frame(b"broken:truncated") + frame(b"re:good")
    assert [b.reason for b in door.broken] == ["too large", "truncated"]


def test_a_connection_that_dies_in_a_message_leaves_it_kept(server: MllpServer, door: Door) -> None:
    """Bytes without an end are kept as truncated when the peer hangs up, or falls silent."""
    with socket.create_connection((LOOPBACK, port_of(server)), 5) as connection:
        connection.sendall(b"\x0bhalf")
    assert door.broke.wait(5)
    door.broke.clear()
    with socket.create_connection((LOOPBACK, port_of(server)), 5) as silent:
        silent.sendall(b"\x0bsilent")
        assert silent.recv(10) == b""
    assert [b.content for b in door.broken] == [b"half", b"silent"]


def test_no_answer_where_nothing_could_be_kept(server: MllpServer, door: Door) -> None:
    """Where the callable raises, the connection closes without an answer and the next one is served."""
    with pytest.raises(Transient):
        MllpClient(LOOPBACK, port_of(server)).send(b"away")
    assert MllpClient(LOOPBACK, port_of(server)).send(b"again") == b"re:again"
    assert door.heard == [b"again"]


def test_connections_are_bounded(server: MllpServer) -> None:
    """One connection too many is closed; when another ends, there is room again."""
    held = [socket.create_connection((LOOPBACK, port_of(server)), 5) for _ in range(3)]
    for connection in held:
        connection.sendall(frame(b"hello"))
        receive(connection, 1)
    with socket.create_connection((LOOPBACK, port_of(server)), 5) as fourth:
        assert fourth.recv(10) == b""
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 5
    while True:
        try:
            assert MllpClient(LOOPBACK, port_of(server)).send(b"room") == b"re:room"
        except Transient:
            assert time.monotonic() < deadline
        else:
            break


def test_a_message_in_work_is_answered_before_the_door_closes(door: Door) -> None:
    """Stopping waits for the answer of what was taken."""
    server = MllpServer(LOOPBACK, 0, door.handle, door.keep)
    port = server.start()
    answers: list[bytes] = []
    sender = threading.Thread(target=lambda: answers.append(MllpClient(LOOPBACK, port).send(b"slow")))
    sender.start()
    time.sleep(0.1)
    server.stop()
    sender.join(5)
    assert answers == [b"re:slow"]
    with pytest.raises(Transient):
        MllpClient(LOOPBACK, port).send(b"late")


class Echo(AbstractHandler):  # type: ignore[misc]
    """hl7apy's server answers with what it heard."""

    def reply(self) -> str:
        """Frame it as hl7apy wants."""
        return f"\x0b{self.incoming_message}\x1c\r"


def test_our_client_speaks_to_an_independent_server() -> None:
    """hl7apy's MLLP server hears our message and we hear its answer."""
    text = "MSH|^~\\&|A|B|C|D|20260102||ADT^A08|M1|P|2.4\rPID|||1||X^Y\r"
    with MLLPServer(LOOPBACK, 0, {"ADT^A08": (Echo,)}) as peer:
        thread = threading.Thread(target=peer.serve_forever, args=(0.05,))
        thread.start()
        try:
            answer = MllpClient(LOOPBACK, peer.server_address[1]).send(text.encode())
        finally:
            peer.shutdown()
            thread.join()
    assert answer.startswith(b"MSH|^~\\&|A|B|C|D|")


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"", Transient), (b"\x0bhalf", Transient), (b"\x0bhalf\x0b", Permanent)],
)
def test_a_peer_that_answers_badly_is_told_apart(answer: bytes, error: type[Exception]) -> None:
    """No answer is a reason to try again; an answer that is no message is not."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(error):
            MllpClient(LOOPBACK, listener.getsockname()[1]).send(b"x")
        thread.join()


def test_a_silent_peer_times_out() -> None:
    """A receiver that never answers is away, within the time that was set."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        started = time.monotonic()
        with pytest.raises(Transient):
            MllpClient(LOOPBACK, listener.getsockname()[1], answer_seconds=0.2).send(b"x")
        assert time.monotonic() - started < 3
