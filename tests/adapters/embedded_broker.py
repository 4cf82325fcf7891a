"""The embedded Kafka-protocol broker as a process of a test's own, to be killed and started again on its old data."""

import shutil
import socket
import subprocess
from pathlib import Path

import noida_db
from conftest import wait_until


class Embedded:
    """One broker on a free port, its data in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on its old data where there is some."""
        # The binary itself: the script that pip installs beside it does not pass signals on.
        self._process = subprocess.Popen(
            [Path(noida_db.__file__).with_name("noida-db"), "start", "--only", "kafka", "--kafka-port", str(self.port),
             "--data-dir", self._folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        wait_until(self._listens, 30)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Lose everything it ever kept, while it does not run."""
        shutil.rmtree(self._folder)
        self._folder.mkdir()

    def stop(self) -> None:
        """End it in good order."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
