"""A bell between rooms of one machine, for a broker that answers an empty fetch at once instead of holding it.

Polling such a broker often enough to be quick costs a processor; polling it seldom costs every event a wait. So a relay
rings those who hear what it has just sent. A bell carries nothing and promises nothing: who misses it polls a little later.
"""

import logging
import os
import select
import socket
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

_RINGS = 64


def ring(folder: str, groups: Iterable[str]) -> None:
    """Ring every consumer of these groups; whoever is not there is not missed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.setblocking(False)
        for group in groups:
            for bell in Path(folder).glob(f"{group}.*"):
                try:
                    own.sendto(b"", str(bell))
                except OSError:  # nobody there any more, or rung so often already that it will be heard
                    continue


class Bell:
    """One consumer's own bell: a Unix datagram socket in the folder, gone when it is closed or its process ends."""

    def __init__(self, folder: str, group: str, instance: str) -> None:
        self._path = Path(folder) / f"{group}.{instance}"
        self._socket: socket.socket | None = None

    def wait(self, seconds: float) -> bool:
        """Wait until it rings or the time is over; say whether it rang since it was last asked."""
        if self._socket is None:
            self._hang()
        bells = [self._socket] if self._socket else []
        if not select.select(bells, (), (), seconds)[0] or self._socket is None:
            return False
        for _ in range(_RINGS):
            try:
                self._socket.recv(1)
            except OSError:
                break
        return True

    def close(self) -> None:
        """Take it down."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._path.unlink(missing_ok=True)

    def _hang(self) -> None:
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        own.setblocking(False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)  # one that died left its own
            own.bind(str(self._path))
        except OSError as failed:
            log.warning("no bell: new events wait for the next poll", extra={"reason": os.strerror(failed.errno or 0)})
            own.close()
            return
        self._socket = own
