"""A line held open to a broker, for one purpose: to know that it was away, however short.

kafka-python reconnects without a word. But a broker that was killed may have lost what it acknowledged last, so whoever
sends must send again and whoever reads must start from the committed offsets.
"""

import socket


class Line:
    """A bare TCP connection to the first broker that answers; the kernel ends it at once when that broker dies."""

    def __init__(self, bootstrap: str) -> None:
        self._addresses = [(host, int(port)) for host, _, port in (one.strip().rpartition(":") for one in bootstrap.split(","))]
        self._socket: socket.socket | None = None

    def was_cut(self) -> bool:
        """Say whether the line was cut since it was last asked (or cannot be laid), and lay it anew."""
        if self._socket is not None:
            try:
                if self._socket.recv(1):
                    return False
            except BlockingIOError:
                return False
            except OSError:
                pass
            self.close()
            self._lay()
            return True
        self._lay()
        return self._socket is None

    def _lay(self) -> None:
        for address in self._addresses:
            try:
                self._socket = socket.create_connection(address, timeout=2.0)
            except OSError:
                continue
            self._socket.setblocking(False)
            return

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
