"""What leaves the hospital for radloop: HL7 over MLLP and images by C-STORE."""

import socket
from types import TracebackType
from typing import Self

from pydicom.dataset import FileDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from radloop.kit.errors import Permanent, Transient
from radloop.workbench.hospital.messages import read

_START, _END = b"\x0b", b"\x1c\r"
_SUCCESS = 0x0000
_OUT_OF_RESOURCES = 0xA7  # the first byte of the status (PS3.4 table B.2-1): send it again later


class MllpLine:
    """One MLLP connection, kept open; a message is sent and its acknowledgement awaited before the next."""

    def __init__(self, host: str, port: int, timeout: float = 30.0) -> None:
        self._address = (host, port)
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self.sent = 0

    def send(self, message: bytes) -> dict[str, str]:
        """Send one message and return the fields of the acknowledgement; raise Transient where the line is down."""
        for last_try in (False, True):
            try:
                line = self._open()
                line.sendall(_START + message + _END)
                answer = self._answer(line)
            except OSError as down:
                self.close()
                if last_try:
                    raise Transient("the HL7 line is down") from down
            else:
                self.sent += 1
                return read(answer)
        raise Transient("the HL7 line is down")

    def must(self, message: bytes) -> None:
        """Send one message that has to be accepted; raise Permanent with the reason where it is not AA."""
        answer = self.send(message)
        if answer.get("MSA-1") not in {"AA", "CA"}:
            raise Permanent(
                f"refused: {answer.get('MSA-1')} {answer.get('MSA-3', '')} {answer.get('ERR-8', '') or answer.get('ERR-1', '')}"
            )

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        """Return the line; it connects at the first message."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self.close()

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=self._timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _answer(self, line: socket.socket) -> bytes:
        heard = b""
        while not heard.endswith(_END):
            piece = line.recv(65_536)
            if not piece:
                raise ConnectionResetError
            heard += piece
        return heard.removesuffix(_END).removeprefix(_START)


class Modality:
    """A C-STORE SCU: one association, kept open, that offers DX for presentation, plain and in JPEG 2000, a context each."""

    def __init__(self, host: str, port: int, called: str = "RADLOOP", calling: str = "SIMDX1") -> None:
        self._address = (host, port)
        self._called = called
        self._entity = ApplicationEntity(ae_title=calling)
        for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless):  # in one context the acceptor would choose one of them
            self._entity.add_requested_context(DigitalXRayImageStorageForPresentation, syntax)
        self._association: Association | None = None
        self.stored = 0

    def store(self, image: FileDataset) -> None:
        """Send one object; raise Transient where nobody listens or it is to come again, Permanent where it is refused."""
        association = self._open()
        try:
            status = association.send_c_store(image)
        except ValueError as refused:
            raise Permanent("the storage association took no context for this object's transfer syntax") from refused
        except RuntimeError as cut:  # it ended between the look and the request
            self.close()
            raise Transient("the storage association broke") from cut
        code = status.get("Status")
        if code is None:
            self.close()
            raise Transient("the storage association broke")
        if code >> 8 == _OUT_OF_RESOURCES:
            raise Transient("the object cannot be kept now")
        if code != _SUCCESS:
            raise Permanent(f"C-STORE answered {code:#06x}")
        self.stored += 1

    def close(self) -> None:
        """Release the association."""
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._association = None

    def __enter__(self) -> Self:
        """Return the modality; it associates at the first object."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the association."""
        self.close()

    def _open(self) -> Association:
        if self._association is None or not self._association.is_established:
            host, port = self._address
            self._association = self._entity.associate(host, port, ae_title=self._called)
            if not self._association.is_established:
                raise Transient("nobody accepts the storage association")
        return self._association
