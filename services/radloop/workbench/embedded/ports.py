"""Which TCP ports the parts get: the usual one where it is free, another one where it is not."""

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """A chosen port and the one that was wanted (0: any)."""

    number: int
    wanted: int

    @property
    def replaced(self) -> bool:
        """Say whether the wanted port was busy."""
        return self.wanted not in (0, self.number)


class Ports:
    """Hands out ports of one host; no port twice, none that somebody listens on."""

    def __init__(self, host: str = "127.0.0.1", *, usual: bool = True) -> None:
        """`usual=False` ignores what is wanted and takes any free port: for tests, several stacks side by side."""
        self.host = host
        self._usual = usual
        self._given: set[int] = set()

    def pick(self, wanted: int = 0) -> Port:
        """Return the wanted port if it is free, else any free one."""
        wanted = wanted if self._usual else 0
        number = wanted if wanted and wanted not in self._given and is_free(self.host, wanted) else self._any()
        self._given.add(number)
        return Port(number, wanted)

    def _any(self) -> int:
        while True:
            with socket.socket() as probe:
                probe.bind((self.host, 0))
                number: int = probe.getsockname()[1]
            if number not in self._given:
                return number


def is_free(host: str, number: int) -> bool:
    """Say whether a server could listen on this port now (a port in TIME_WAIT is free, as servers set SO_REUSEADDR)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError:
            return False
    return True
