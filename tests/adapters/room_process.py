"""A room as the process that it is in a hospital, one of several instances: started, killed, asked to leave."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from conftest import wait_until


class RoomProcess:
    """One instance; what it says goes to a file in the folder."""

    def __init__(self, room: str, instance: int, told: Mapping[str, str], folder: Path) -> None:
        self.room, self.instance = room, instance
        self._told, self._log = told, folder / f"{room}-{instance}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._health = ""

    def start(self) -> None:
        """Start it, on ports of its own."""
        name = f"RADLOOP_{self.room.upper()}"
        self._health, grpc = f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}"
        own = {f"{name}_INSTANCE": str(self.instance), f"{name}_HEALTH": self._health, f"{name}_GRPC": grpc}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"radloop.{self.room}.main"], env={**os.environ, **self._told, **own},
                stdout=log, stderr=log,
            )

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until it says that it is ready."""
        wait_until(self._ready, seconds)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def leave(self, seconds: float) -> float:
        """Ask it to leave, as Kubernetes does, and return how long that took; it must end well, and in so many seconds."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(seconds)
        assert status == 0, self._log.read_text()[-4_000:]
        return time.monotonic() - began

    def said(self) -> str:
        """Return what it has logged."""
        return self._log.read_text()

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-4_000:]
        try:
            with urllib.request.urlopen(f"http://{self._health}/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
