"""What Triton holds follows from what was released: versions are loaded, warmed up, healed when dead, and let go.

A version takes traffic here only once it has been seen to answer.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radloop.inference.adapters.sight import Tensors, read_through
from radloop.inference.adapters.triton import DeadStubError
from radloop.inference.domain.answer import Outputs
from radloop.inference.domain.model import Model, Version
from radloop.inference.ports import Packages
from radloop.kit.errors import Permanent, RadloopError, Transient
from radloop.kit.worker import Worker
from radloop.standards.package import Package

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_PROBE_EVERY_TURNS = 60
_WARM_UPS = 2
_MENDED_AFTER_S = 5.0


class Server(Protocol):
    """What is asked of Triton here."""

    def infer(self, model: str, version: int, tensors: Tensors, outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the named outputs of a version for these tensors."""
        ...

    def ready(self, model: str) -> set[int]:
        """Return the versions that are loaded."""
        ...

    def load(self, model: str, versions: set[int], config: Path) -> None:
        """Have exactly these versions loaded."""
        ...

    def unload(self, model: str) -> None:
        """Unload all versions."""
        ...


class Loaded:
    """Keeps Triton in step with the releases, and reads through it: a reader that knows which versions are warm."""

    def __init__(
        self, server: Server, packages: Packages, models: Callable[[], Sequence[Model]], repository: Path,
        warmed: Callable[[], None] = lambda: None,
    ) -> None:
        self._server, self._packages, self._models, self._repository = server, packages, models, repository
        self._warmed = warmed
        self._lock = threading.Lock()
        self._warm: set[tuple[str, int]] = set()
        self._dead: set[str] = set()
        self._wrong: dict[tuple[str, int], str] = {}
        self._turns = 0
        self.worker = Worker("loading", self._turn)

    def start(self) -> None:
        """Begin to keep step."""
        self.worker.start()

    def stop(self) -> None:
        """Leave Triton as it is: another instance may be reading."""
        self.worker.stop()

    def infer(self, model: str, version: int, tensors: Tensors, outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the named outputs of a version that is warm; raise Transient where it is not."""
        key = (model, version)
        with self._lock:
            warm, wrong = key in self._warm, self._wrong.get(key, "")
        if wrong:
            raise Permanent(wrong)
        if not warm:
            self.worker.wake()
            raise Transient(f"{model} {version} is being loaded", after=0.2)
        try:
            return self._server.infer(model, version, tensors, outputs)
        except DeadStubError:
            self._bury(model)
            raise
        except Transient:
            with self._lock:
                self._warm.discard(key)
            self.worker.wake()
            raise

    def read(self, package: Package, images: NDArray[np.float32]) -> Outputs:
        """Return the outputs for images [N, C, H, W] by a version that is warm; see `ports.Reader`."""
        return read_through(self.infer, package, images)

    def warm(self, model: str, version: int) -> bool:
        """Say whether a version takes traffic."""
        with self._lock:
            return (model, version) in self._warm

    def ready(self) -> str:
        """Return why Triton is not in step with the releases, empty where it is."""
        return self.worker.away

    def _turn(self) -> float:
        """Bring Triton in step with the releases; every so often see whether what is warm still answers."""
        self._turns += 1
        for model in self._models():
            wanted = {one.version: one for one in model.to_load() if self._fit(model, one)}
            with self._lock:
                warm = {version for name, version in self._warm if name == model.model}
                dead = model.model in self._dead
            if not dead and warm == set(wanted) and self._turns % _PROBE_EVERY_TURNS:
                continue
            if dead:
                self._server.unload(model.model)
                log.warning("unloaded a model whose process had died", extra={"model": model.model})
            try:
                self._keep_step(model.model, wanted, fresh=dead)
            except Permanent as refused:
                # What runs goes on running; the version that cannot be loaded may be mended where it lies.
                raise Transient(refused.reason, after=_MENDED_AFTER_S) from refused
        return _LOOK_EVERY_S

    def _fit(self, model: Model, version: Version) -> bool:
        """Say whether a version's package is whole and of the released weights; if not, say so once."""
        key = (model.model, version.version)
        try:
            self._packages.describe(model.model, version.version, version.weights_sha256)
        except Permanent as wrong:
            with self._lock:
                known = self._wrong.get(key)
                self._wrong[key] = wrong.reason
            if known is None:
                log.warning("a released version cannot be used", extra={"model": key[0], "version": key[1], "reason": wrong.reason})
            return False
        with self._lock:
            self._wrong.pop(key, None)
        return True

    def _keep_step(self, model: str, wanted: dict[int, Version], *, fresh: bool) -> None:
        versions = set(wanted)
        if not versions:
            if self._server.ready(model):
                self._server.unload(model)
                self._forget(model, set())
            return
        if fresh or self._server.ready(model) != versions:
            self._server.load(model, versions, self._repository / model / "config.pbtxt")
            log.info("loaded", extra={"model": model, "versions": sorted(versions)})
        with self._lock:
            self._dead.discard(model)
        self._forget(model, versions)
        for number, version in wanted.items():
            self._warm_up(model, number, version)

    def _warm_up(self, model: str, number: int, version: Version) -> None:
        package = self._packages.describe(model, number, version.weights_sha256).package
        prepared = package.preparation
        blank = np.zeros((1, prepared.channels, prepared.rows, prepared.columns), np.float32)
        known = self.warm(model, number)
        try:
            for _ in range(1 if known else _WARM_UPS):
                read_through(self._server.infer, package, blank)
        except DeadStubError:
            self._bury(model)
            raise
        except RadloopError:
            self._forget(model, {one for name, one in self._warm if name == model} - {number})
            raise
        with self._lock:
            self._warm.add((model, number))
        if not known:
            log.info("takes traffic", extra={"model": model, "version": number})
            self._warmed()

    def _forget(self, model: str, keep: set[int]) -> None:
        with self._lock:
            self._warm = {(name, version) for name, version in self._warm if name != model or version in keep}

    def _bury(self, model: str) -> None:
        """A version's process has died: no version of this model takes traffic until all are loaded anew."""
        with self._lock:
            self._dead.add(model)
        self._forget(model, set())
        self.worker.wake()
