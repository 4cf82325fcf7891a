"""MLLP framing (HL7 v2 transport, release 1): bytes to messages and back; no sockets here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

START: Final = b"\x0b"
END: Final = b"\x1c"
RETURN: Final = b"\r"

DEFAULT_LIMIT: Final = 16 * 1024 * 1024


def frame(message: bytes) -> bytes:
    """The message between start block and end block."""
    return START + message + END + RETURN


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that never became a message: why, and what there was of them (at most the limit)."""

    reason: Literal["truncated", "too large", "not framed"]
    content: bytes


class Deframer:
    """Collects bytes as they arrive and yields whole messages in order; a broken one never spoils the next.

    The end block alone ends a message: some senders forget the carriage return behind it. At most `limit` bytes are
    held; what is longer is dropped up to its end and yielded as broken.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Start between messages."""
        self._limit = limit
        self._held = bytearray()
        self._inside = False
        self._overflow = False

    @property
    def held(self) -> int:
        """How many bytes of a message that is not whole are held."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes | Broken]:
        """Take what arrived; return what it completed."""
        done: list[bytes | Broken] = []
        while data:
            data = self._message(data, done) if self._inside else self._between(data, done)
        return done

    def close(self) -> list[bytes | Broken]:
        """Say what the end of the connection cut off."""
        if self._inside:
            return [self._finish("truncated")]
        return self._stray()

    def _between(self, data: bytes, done: list[bytes | Broken]) -> bytes:
        """Outside a frame: anything but white space before the next start block is not framed."""
        stray, start, rest = data.partition(START)
        self._keep(stray)
        if start:
            done.extend(self._stray())
            self._inside = True
        elif len(self._held) >= self._limit:
            done.extend(self._stray())
        return rest

    def _message(self, data: bytes, done: list[bytes | Broken]) -> bytes:
        """Inside a frame: up to its end, or to a start block, which means that the sender gave this one up."""
        end, start = data.find(END), data.find(START)
        if start >= 0 and (end < 0 or start < end):
            self._keep(data[:start])
            done.append(self._finish("truncated"))
            return data[start:]
        if end < 0:
            self._keep(data)
            return b""
        self._keep(data[:end])
        done.append(self._finish("too large") if self._overflow else self._take())
        return data[end + 1 :]

    def _keep(self, data: bytes) -> None:
        """Hold bytes up to the limit."""
        room = self._limit - len(self._held)
        self._overflow = self._overflow or len(data) > room
        self._held += data[:room]

    def _take(self) -> bytes:
        """What is held, and start anew."""
        content = bytes(self._held)
        self._held.clear()
        self._inside = self._overflow = False
        return content

    def _finish(self, reason: Literal["truncated", "too large"]) -> Broken:
        """End a message that broke."""
        worst: Literal["truncated", "too large"] = "too large" if self._overflow else reason
        return Broken(worst, self._take())

    def _stray(self) -> list[bytes | Broken]:
        """What lay between frames, unless it was white space."""
        content = self._take().strip()
        return [Broken("not framed", content)] if content else []
