"""The RIS at the other end of MLLP: one message out, one answer back."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from radloop.kit.errors import Permanent, Transient
from radloop.standards.hl7.mllp import Broken, Deframer, frame

CHUNK = 65_536
ANSWER_LIMIT = 1024 * 1024


@dataclass(frozen=True)
class MllpClient:
    """Sends to one receiver, one connection per message, so that no idle connection is ever found dead too late."""

    host: str
    port: int
    connect_seconds: float = 5.0
    answer_seconds: float = 30.0

    def send(self, message: bytes) -> bytes:
        """Send one message and return its answer.

        Raises Transient where the receiver is away, silent or hangs up (the message may have been taken: send the
        same bytes again), and Permanent where it answers with something that is no message.
        """
        deadline = time.monotonic() + self.connect_seconds + self.answer_seconds
        try:
            with socket.create_connection((self.host, self.port), self.connect_seconds) as connection:
                connection.settimeout(self.answer_seconds)
                connection.sendall(frame(message))
                return self._answer(connection, deadline)
        except TimeoutError as error:
            reason = "the receiver did not answer in time"
            raise Transient(reason) from error
        except OSError as error:
            reason = f"the receiver cannot be reached: {error.strerror or type(error).__name__}"
            raise Transient(reason) from error

    def _answer(self, connection: socket.socket, deadline: float) -> bytes:
        """The first message that comes back, at the latest at the deadline. Raises as `send` does."""
        deframer = Deframer(ANSWER_LIMIT)
        while data := self._read(connection, deadline):
            for item in deframer.feed(data):
                if isinstance(item, Broken):
                    reason = f"the receiver's answer is {item.reason}"
                    raise Permanent(reason)
                return item
        reason = "the receiver hung up without an answer"
        raise Transient(reason)

    def _read(self, connection: socket.socket, deadline: float) -> bytes:
        """The next bytes. Raises TimeoutError once the deadline has passed, however slowly they trickle."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(min(left, self.answer_seconds))
        return connection.recv(CHUNK)
