"""Apache Kafka from the tools beside the checkout: one node or three, plain or with TLS and SCRAM, to be killed at will."""

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import pytest

from radloop.kit.kafka import Broker


class ApacheKafka:
    """One cluster in a folder and a port range of its own; it is running inside `with`, and gone afterwards."""

    def __init__(self, *, nodes: int = 1, secure: bool = False) -> None:
        self._tool = Path(os.environ.get("RADLOOP_TOOLS", "../shared/tools")) / "kafka" / "kafka"
        if not self._tool.is_file():
            pytest.skip("Apache Kafka is not here: RADLOOP_TOOLS names no folder with kafka/kafka in it")
        if shutil.which("java") is None:
            pytest.skip("Apache Kafka needs Java, and there is no java on the PATH")
        self._nodes, self._secure = nodes, secure
        self._folder = Path(tempfile.mkdtemp(prefix="radloop-apache-"))
        self._port = _free_ports(10 * nodes)

    def __enter__(self) -> Self:
        """Start it; leave nothing behind where that fails."""
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove its data."""
        if (self._folder / "kafka.json").exists():
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start every node that is not running, on its old data where there is some."""
        self._run("start", "--nodes", str(self._nodes), "--port", str(self._port), *(["--secure"] if self._secure else []))

    def kill(self, node: int | None = None) -> None:
        """End one node, or all, as a power cut would."""
        self._run("kill", *(["--node", str(node)] if node else []))

    def stop(self, node: int | None = None) -> None:
        """End one node, or all, in good order."""
        self._run("stop", *(["--node", str(node)] if node else []))

    def status(self) -> dict[str, Any]:
        """Return what the tool says of it."""
        return self._run("status")

    @property
    def bootstrap(self) -> str:
        """Where its nodes listen."""
        return ",".join(f"127.0.0.1:{self._port + 10 * number}" for number in range(self._nodes))

    @property
    def ca_file(self) -> str:
        """The authority that signed its certificate."""
        return str(self._folder / "tls" / "ca.pem")

    def broker(self) -> Broker:
        """Return how the kit reaches it."""
        if not self._secure:
            return Broker(self.bootstrap)
        told = self.status()
        return Broker(
            self.bootstrap, told["security_protocol"], told["sasl_mechanism"], told["sasl_username"], told["sasl_password"],
            told["ssl_cafile"],
        )

    def _run(self, verb: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run([self._tool, verb, self._folder, *arguments], check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"kafka {verb}: {done.stderr[-2000:]}"
        told: dict[str, Any] = json.loads(done.stdout)
        return told


def _free_ports(count: int) -> int:
    """Return the first of so many free ports in a row, below those that the system gives away by itself."""
    for first in random.sample(range(20_000, 32_000, 10), 200):
        if all(map(_free, range(first, first + count))):
            return first
    pytest.fail("no ports are free")


def _free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
