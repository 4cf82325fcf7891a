"""Real Triton servers over one model repository, each kept in step, read together: as inference's main puts them together."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from radloop.inference.adapters.fleet import Fleet
from radloop.inference.adapters.loading import Loaded
from radloop.inference.adapters.packages import RepositoryPackages
from radloop.inference.adapters.sight import Tensors
from radloop.inference.adapters.triton import Triton
from radloop.inference.domain.model import Model, Version
from radloop.kit.clock import SystemClock
from radloop.kit.errors import RadloopError
from radloop.standards.package import Package
from radloop.workbench.embedded import triton
from radloop.workbench.embedded.guardian import Guardian, remove_shared_memory
from radloop.workbench.embedded.ports import Ports
from radloop.workbench.embedded.process import Child
from radloop.workbench.embedded.report import nobody
from radloop.workbench.embedded.triton_home import ensure_venv

MODEL = "chest"
PATIENCE_S = 60.0


class Noted(Triton):
    """A Triton client that remembers what went wrong."""

    def __init__(self, address: str, deadline_seconds: float) -> None:
        super().__init__(address, deadline_seconds)
        self.errors: list[RadloopError] = []

    def infer(
        self, model: str, version: int, tensors: Tensors, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Ask; remember an error."""
        try:
            return super().infer(model, version, tensors, outputs, within)
        except RadloopError as failed:
            self.errors.append(failed)
            raise


@dataclass(frozen=True)
class Served:
    """One server: its process, what is asked of it, and what keeps it in step."""

    process: Child
    client: Noted
    keeper: Loaded

    def stubs(self) -> list[int]:
        """Return the processes that run its versions, oldest first; those that died are not among them."""
        children = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, parent = status.read_text().rpartition(")")[2].split()[:2]
                if int(parent) == self.process.pid and state != "Z":
                    children.append(int(status.parent.name))
        return sorted(children)

    def signal_stubs(self, number: signal.Signals) -> None:
        """Signal every process that runs a version."""
        for pid in self.stubs():
            os.kill(pid, number)

    def kinds(self) -> set[str]:
        """Return the classes of what went wrong."""
        return {type(one).__name__ for one in self.client.errors}


class Tritons:
    """The servers, and the reader over all of them; `release` says which versions they are to hold."""

    def __init__(self, folder: Path, count: int, deadline: float) -> None:
        self.repository = folder / "models"
        self.packages = RepositoryPackages(self.repository)
        self._prefix, self._guardian = triton.region_prefix(folder), Guardian()
        self._model, clock, ports, home = Model(model=MODEL), SystemClock(), Ports(usual=False), ensure_venv()
        self.servers: list[Served] = []
        for number in range(count):
            at = triton.Listens("127.0.0.1", *(ports.pick().number for _ in range(3)))
            program = triton.program(home, self.repository, at, f"{self._prefix}{number}_")
            client = Noted(program.address, deadline)
            keeper = Loaded(client, self.packages, lambda: (self._model,), self.repository, clock, name=program.address)
            process = Child(program, folder / f"triton-{number}.log", self._guardian, nobody)
            self.servers.append(Served(process, client, keeper))
        self.fleet = Fleet([one.keeper for one in self.servers], deadline, clock)

    def start(self) -> None:
        """Start all, and wait until they answer."""
        self._guardian.sweep(self._prefix)
        for one in self.servers:
            one.process.start()
        for one in self.servers:
            assert one.process.ready.wait(PATIENCE_S), one.process.last_words()
        self.fleet.start()

    def stop(self) -> None:
        """Stop all; leave nothing."""
        self.fleet.stop()
        for one in self.servers:
            one.process.ask_to_stop()
        for one in self.servers:
            one.process.finish(time.monotonic() + triton.GRACE)
        self._guardian.close()
        remove_shared_memory(self._prefix)

    def release(self, *stages: tuple[int, str], wait: bool = True) -> None:
        """Have these versions in these stages, and no others; by default wait until every server holds them."""
        self._model = Model(model=MODEL, versions=tuple(
            Version(version=version, stage=stage, previous_stage="", share=1.0, release=place, weights_sha256="")
            for place, (version, stage) in enumerate(stages, 1)
        ))
        for one in self.servers:
            one.keeper.worker.wake()
        if wait:
            for version, _ in stages:
                until(lambda version=version: all(one.keeper.warm(MODEL, version) for one in self.servers))

    def package(self, version: int) -> Package:
        """Return a version's package."""
        return self.packages.describe(MODEL, version, "").package


@contextmanager
def tritons(folder: Path, count: int, deadline: float = 15.0) -> Iterator[Tritons]:
    """Run so many servers while the block runs."""
    running = Tritons(folder, count, deadline)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def until(condition: Callable[[], object], patience: float = PATIENCE_S) -> float:
    """Wait until something is so; return the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < patience, f"it did not come to pass within {patience:.0f} s"
        time.sleep(0.005)
    return time.monotonic() - began


@dataclass
class Clients:
    """Threads that read without a pause; each reading is made again until it is answered, as the room's readers do."""

    read: Callable[[], object]
    count: int = 4
    answered: list[tuple[float, float]] = field(default_factory=list)
    """When each reading that was answered began, and how long it took, seconds."""
    failed: list[RadloopError] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.count)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def more(self, readings: int) -> None:
        """Wait until so many more are answered."""
        enough = len(self.answered) + readings
        until(lambda: len(self.answered) >= enough)

    def within(self, start: float, end: float) -> list[float]:
        """Return how long the readings took that began and were answered between two instants."""
        return [took for began, took in self.answered if start <= began and began + took < end]

    def overlapping(self, start: float, end: float) -> list[float]:
        """Return how long the readings took that were under way between two instants, whenever they began."""
        return [took for began, took in self.answered if began <= end and began + took >= start]

    def _run(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            while True:
                try:
                    self.read()
                except Exception as failed:  # noqa: BLE001 - a client that dies of whatever has failed too
                    self.failed.append(failed)
                    self._over.wait(getattr(failed, "after", None) or 0.2)
                    if self._over.is_set():
                        return
                else:
                    break
            self.answered.append((began, time.monotonic() - began))


def blank(images: int = 1) -> NDArray[np.float32]:
    """Return images as prepared, without a signal."""
    return np.zeros((images, 3, 224, 224), np.float32)
