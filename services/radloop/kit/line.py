"""Lines held open to the brokers, for one purpose: to know that they were away, however short.

kafka-python reconnects without a word. But a broker that was killed may have lost what it acknowledged last, so whoever
sends must send again and whoever reads must start from the committed offsets.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from radloop.kit.clock import Clock, SystemClock

RENEW_S = 240.0
"""Brokers hang up after ten idle minutes, and what stands between may sooner: a line is laid anew before that."""
AGAIN_S = 5.0
"""How often a broker that is down is called again while others stand: a dead address may take seconds to say nothing."""
CONNECT_S = 2.0


@dataclass
class _Wire:
    """The line to one broker, and when to lay it (anew)."""

    address: tuple[str, int]
    end: socket.socket | None = None
    due: float = 0.0

    def look(self) -> bool:
        """Say whether it was cut, and take it down then; the kernel ends a connection at once when its process dies."""
        if self.end is None:
            return False
        try:
            if self.end.recv(1):
                return False
        except BlockingIOError:
            return False
        except OSError:
            pass
        self.close()
        return True

    def lay(self, now: float) -> bool:
        """Lay it, or lay it anew; say whether the old one was cut.

        The old one is looked at when the new one is there, so that no moment between the two goes unwatched. Where nobody
        answers, the old one stays.
        """
        try:
            fresh = socket.create_connection(self.address, timeout=CONNECT_S)
        except OSError:
            self.due = now + AGAIN_S
            return self.look()
        fresh.setblocking(False)
        cut = self.look()
        self.close()
        self.end, self.due = fresh, now + RENEW_S
        return cut

    def close(self) -> None:
        if self.end is not None:
            self.end.close()
            self.end = None


class Line:
    """A bare TCP connection to every bootstrap server.

    They were away if no line held all the while, or if two fell between two looks. One node of a cluster that dies while another
    stands has lost nothing: what was acknowledged lies on at least two (`min.insync.replicas`), and kafka-python finds the new
    leader by itself. Two at once may be a power cut, and to send again costs little.
    """

    def __init__(self, addresses: Iterable[tuple[str, int]], clock: Clock | None = None) -> None:
        self._wires = [_Wire(address) for address in addresses]
        self._clock = clock or SystemClock()

    def was_cut(self) -> bool:
        """Say whether the brokers were away since last asked (or are), and lay what is down or old."""
        now = self._clock.monotonic()
        stood = [wire for wire in self._wires if wire.end is not None]
        fallen = [wire for wire in stood if wire.look()]
        held = len(fallen) < len(stood)
        for wire in self._wires:
            missing = wire.end is None and (wire in fallen or not held)
            if (missing or now >= wire.due) and wire.lay(now):
                fallen.append(wire)
        answers = any(wire.end is not None for wire in self._wires)
        return not answers or len(fallen) > 1 or (bool(stood) and len(fallen) == len(stood))

    def close(self) -> None:
        """Hang up."""
        for wire in self._wires:
            wire.close()
