"""Apache Kafka from the test tools beside the checkout: one node, or three of which any may die."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from radloop.kit.errors import Misconfigured, Transient
from radloop.kit.kafka import Broker
from radloop.workbench.embedded.ports import is_free

DEFAULT_TOOLS = "../shared/tools"
_START_SECONDS = 120
_PORTS = (20_000, 32_000)  # below those that a kernel gives to whoever asks for any


def missing() -> str:
    """Say why there can be no Apache Kafka here, empty where there can."""
    if not _tool().is_file():
        return "there is no Apache Kafka at kafka/kafka under RADLOOP_TOOLS: name the folder that has it, or use the embedded broker"
    return "" if shutil.which("java") else "Apache Kafka needs Java 17 or newer on the PATH"


@dataclass(frozen=True)
class Apache:
    """A cluster that runs in a folder, until `stop`."""

    folder: Path
    bootstrap: str
    nodes: int

    @classmethod
    def start(cls, folder: Path, nodes: int, *, secure: bool = False) -> "Apache":
        """Start a cluster of so many nodes and wait until it answers; raise Misconfigured where it cannot.

        A secure one speaks TLS and asks for SCRAM-SHA-512.
        """
        if why := missing():
            raise Misconfigured(why)
        asked = ("--nodes", str(nodes), "--port", str(_free(nodes)), *(["--secure"] if secure else []))
        try:
            told = _run("start", folder, *asked)
        except Misconfigured:
            if (folder / "kafka.json").exists():
                raise
            # One cluster id in 64 that the tool draws begins with a dash, which Kafka takes for an option: another is drawn.
            shutil.rmtree(folder, ignore_errors=True)
            told = _run("start", folder, *asked)
        return cls(folder, str(told["bootstrap_servers"]), nodes)

    def kill(self, node: int | None = None) -> None:
        """End one node, or all, as a power cut would."""
        _run("kill", self.folder, *(["--node", str(node)] if node else []))

    def start_again(self) -> None:
        """Start what does not run, and wait until it answers."""
        _run("start", self.folder)

    def pids(self) -> tuple[int, ...]:
        """Return the processes of the nodes that run."""
        return tuple(one["pid"] for one in self.status()["nodes"].values() if one["pid"])

    def status(self) -> dict[str, Any]:
        """Return what the tool says of it: `nodes`, and how a client gets in."""
        return _run("status", self.folder)

    def broker(self) -> Broker:
        """Return how the kit reaches it."""
        told = self.status()
        secured = ("security_protocol", "sasl_mechanism", "sasl_username", "sasl_password", "ssl_cafile")
        return Broker(self.bootstrap, *(told[name] for name in secured if name in told))

    def leader(self, topic: str, partition: int) -> int:
        """Return the node that leads a partition; raise Transient where nobody says."""
        try:
            admin: Any = KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","), request_timeout_ms=10_000)
            try:
                [described] = admin.describe_topics([topic])
            finally:
                admin.close()
        except (KafkaError, ValueError) as away:
            raise Transient("the cluster does not say who leads") from away
        return int(next(one["leader_id"] for one in described["partitions"] if one["partition_index"] == partition))

    def stop(self) -> None:
        """Stop every node."""
        _run("stop", self.folder)


def _tool() -> Path:
    return Path(os.environ.get("RADLOOP_TOOLS", DEFAULT_TOOLS)).resolve() / "kafka" / "kafka"


def _run(verb: str, folder: Path, *more: str) -> dict[str, Any]:
    command: Sequence[str] = (str(_tool()), verb, str(folder), *more)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_START_SECONDS)
    if done.returncode:
        raise Misconfigured(f"kafka {verb} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    told: dict[str, Any] = json.loads(done.stdout or "{}")
    return told


def _free(nodes: int) -> int:
    """Return a port from which on all that the nodes take is free: three each, the nodes ten apart."""
    rng = np.random.default_rng()
    while True:
        first = int(rng.integers(*_PORTS))
        if all(is_free("127.0.0.1", first + 10 * node + one) for node in range(nodes) for one in range(3)):
            return first
