"""What a door holds of its senders is bounded: who sends faster than can be kept is not read from, and who is one too many is refused."""

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import wait_until
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from tests.dicom_making import DX, file_of, radiograph

from radloop.ingestion.adapters.crowd import Room
from radloop.ingestion.adapters.dicom import SUCCESS, Door, StorageScp
from radloop.ingestion.adapters.mllp import Limits, MllpServer
from radloop.standards.dicom.elements import open_file
from radloop.standards.hl7.mllp import frame

LOOPBACK = "127.0.0.1"
SHARE = 64 * 1024


class Gate:
    """A handler that keeps nothing until it is let."""

    def __init__(self) -> None:
        self.open, self.began, self.taken = threading.Event(), threading.Semaphore(0), list[int]()

    def hl7(self, message: bytes) -> bytes:
        """Take a message."""
        self.began.release()
        assert self.open.wait(30)
        self.taken.append(len(message))
        return b"ok"

    def dicom(self, file: bytes, _caller: str) -> int:
        """Take an object."""
        self.hl7(file)
        return SUCCESS

    def begun(self) -> None:
        """Wait until one more is in hand."""
        assert self.began.acquire(timeout=30)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open at the end, whatever happens."""
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def mllp(gate: Gate) -> Iterator[MllpServer]:
    """An HL7 door of few large messages at once."""
    server = MllpServer(LOOPBACK, 0, gate.hl7, lambda _: None, Limits(share_bytes=SHARE, large_at_once=1))
    server.start()
    yield server
    gate.open.set()
    server.stop()




def test_a_connection_is_not_read_from_while_its_message_is_handled(mllp: MllpServer, gate: Gate) -> None:
    """A sender that does not wait for its answer fills the wire, not the room; once there is room it goes on."""
    with socket.create_connection((LOOPBACK, mllp.port), 5) as line:
        line.sendall(frame(b"first"))
        gate.begun()
        line.settimeout(1.0)
        with pytest.raises(TimeoutError):
            line.sendall(frame(b"next" * 4_000) * 2_000)
        assert gate.taken == []


def test_of_large_messages_few_are_held_at_once_and_all_are_taken_in_the_end(mllp: MllpServer, gate: Gate) -> None:
    """While one large message is on its way the next is not read; small ones pass; when the first is answered the next is read."""
    with (
        socket.create_connection((LOOPBACK, mllp.port), 5) as first, socket.create_connection((LOOPBACK, mllp.port), 5) as second,
        socket.create_connection((LOOPBACK, mllp.port), 5) as small,
    ):
        first.sendall(b"\x0b" + b"a" * 2 * SHARE)
        wait_until(mllp._large.locked, 10)
        second.settimeout(1.0)
        large = frame(b"b" * 200 * SHARE)
        with pytest.raises(TimeoutError):
            second.sendall(large)
        gate.open.set()
        small.sendall(frame(b"small"))
        assert small.recv(100) == frame(b"ok")
        assert gate.taken == [5]
        first.sendall(b"a\x1c\r")
        assert first.recv(100) == frame(b"ok")
        wait_until(mllp._large.locked, 10)  # the second has its turn


@pytest.fixture
def scp(gate: Gate) -> Iterator[StorageScp]:
    """A DICOM door of two associations and little room."""
    room = Room(share_bytes=SHARE, large_at_once=1, object_bytes=50 * SHARE)
    door = StorageScp(Door(associations=2, asking_seconds=2.0, room=room), gate.dicom)
    door.start()
    yield door
    gate.open.set()
    door.stop()


def store(scp: StorageScp, size: int, number: int, statuses: list[int]) -> threading.Thread:
    """Send an object of such a size, and note its status, -1 where there is none: the association was ended."""
    image = open_file(file_of(radiograph(np.zeros((size // 96, 48), np.uint16), SOPInstanceUID=f"2.25.{number}")))

    def send() -> None:
        entity = AE("MODALITY")
        entity.add_requested_context(DX, "1.2.840.10008.1.2.1")
        entity.dimse_timeout = 60
        association = entity.associate(LOOPBACK, scp.port, ae_title="RADLOOP")
        assert association.is_established
        statuses.append(int(association.send_c_store(image).get("Status", -1)))
        association.release()

    sender = threading.Thread(target=send)
    sender.start()
    return sender


def test_of_large_objects_few_are_held_at_once_and_all_are_kept_in_the_end(scp: StorageScp, gate: Gate) -> None:
    """The second large object waits on the wire until the first is answered, and is then taken as well."""
    statuses: list[int] = []
    first = store(scp, 20 * SHARE, 1, statuses)
    gate.begun()
    second = store(scp, 20 * SHARE, 2, statuses)
    assert not gate.began.acquire(timeout=1.0)
    gate.open.set()
    for one in (first, second):
        one.join(30)
    assert statuses == [SUCCESS, SUCCESS]
    assert len(gate.taken) == 2


def test_small_objects_pass_while_a_large_one_is_kept(scp: StorageScp, gate: Gate) -> None:
    """A sender's own share is never taken by others."""
    statuses: list[int] = []
    large = store(scp, 20 * SHARE, 1, statuses)
    gate.begun()
    small = store(scp, 1_000, 2, statuses)
    gate.begun()
    gate.open.set()
    for one in (large, small):
        one.join(30)
    assert statuses == [SUCCESS, SUCCESS]


def test_an_object_without_end_is_cut_off_and_others_are_served(scp: StorageScp, gate: Gate) -> None:
    """What is larger than the room has for one object ends its association before it is held; there is room again at once."""
    gate.open.set()
    statuses: list[int] = []
    store(scp, 60 * SHARE, 1, statuses).join(30)
    assert statuses == [-1]
    assert gate.taken == []
    store(scp, 20 * SHARE, 2, statuses).join(30)
    assert statuses == [-1, SUCCESS]


def test_echoes_take_no_room(gate: Gate) -> None:
    """Who asks all day whether the door is there takes nothing from those who send: what is answered does not count."""
    gate.open.set()
    door = StorageScp(Door(room=Room(share_bytes=300, large_at_once=1)), gate.dicom)
    door.start()
    entity = AE("MODALITY")
    entity.add_requested_context(Verification)
    association = entity.associate(LOOPBACK, door.port, ae_title="RADLOOP")
    for _ in range(10):
        assert association.send_c_echo().Status == SUCCESS
    statuses: list[int] = []
    store(door, SHARE, 1, statuses).join(20)
    assert statuses == [SUCCESS]
    association.release()
    door.stop()


def test_associations_are_bounded(scp: StorageScp) -> None:
    """One association too many is rejected in DICOM's words; when another ends there is room again."""
    entity = AE("MODALITY")
    entity.add_requested_context(DX, "1.2.840.10008.1.2.1")
    held = [entity.associate(LOOPBACK, scp.port, ae_title="RADLOOP") for _ in range(2)]
    assert all(one.is_established for one in held)
    assert entity.associate(LOOPBACK, scp.port, ae_title="RADLOOP").is_rejected
    held[0].release()
    wait_until(lambda: entity.associate(LOOPBACK, scp.port, ae_title="RADLOOP").is_established, 10)
    entity.shutdown()


def test_connections_that_ask_for_nothing_are_bounded(scp: StorageScp) -> None:
    """Who connects and says nothing takes a thread: of these there are a few and not for long, and the next is hung up on."""
    silent = [socket.create_connection((LOOPBACK, scp.port), 5) for _ in range(4)]
    wait_until(lambda: len(scp._entity.active_associations) >= 4 if scp._entity else False, 10)
    with socket.create_connection((LOOPBACK, scp.port), 1) as one_more:
        assert one_more.recv(10) == b""  # at once, and not when it has been silent for too long
    for one in silent:
        one.close()
    wait_until(lambda: not scp._entity.active_associations if scp._entity else True, 30)
