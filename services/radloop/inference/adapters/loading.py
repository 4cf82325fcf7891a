"""What Triton holds follows from what was released: versions are loaded, warmed up, healed when dead, and let go.

One at a time, those that patients need first: a version that cannot be loaded keeps no other waiting, and those that run go on
running. A version takes traffic here only once it has been seen to answer.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radloop.inference.adapters.packages import MENDED_AFTER_S, UNFORESEEN, unforeseen
from radloop.inference.adapters.sight import Tensors, probe, read_through
from radloop.inference.adapters.triton import BusyError, DeadStubError, LateError
from radloop.inference.domain.answer import Outputs
from radloop.inference.domain.model import NEED, Model, Version
from radloop.inference.ports import Packages
from radloop.kit import telemetry
from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent, RadloopError, Transient
from radloop.kit.worker import Worker
from radloop.standards.package import Encoder, Package

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_PROBE_EVERY_S = 30.0
_PROBE_WITHIN_S = 5.0
"""What is under way is bounded so that it is worked off sooner than this."""
_WARM_UPS = 2
_HANGS_AFTER = 3
"""So many probes without an answer, one after the other, and the version is loaded anew: a process killed at a bad moment holds
what Triton waits for."""
_CONFIG = "config.pbtxt"
MOST_UNDER_WAY = 32
"""So many requests to one version of one server, all together a few seconds of work on a CPU; one more is told at once. Triton's own
bound of its queue costs one request in twenty half a second (2.51), so the configuration sets none."""
MOST_ENCODINGS = 8
"""Each takes the better part of a second."""

Key = tuple[str, int]


def _needed(model: Model) -> int:
    """Return how soon a model is needed: those that patients need come first, whatever their names."""
    return min((NEED.index(one.stage) for one in model.to_load()), default=len(NEED))


class Server(Protocol):
    """What is asked of Triton here."""

    def infer(
        self, model: str, version: int, tensors: Tensors, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the named outputs of a version for these tensors."""
        ...

    def held(self, model: str) -> dict[int, bool]:
        """Return the versions that are loaded (True) or being loaded (False)."""
        ...

    def load(self, model: str, versions: set[int], config: Path) -> None:
        """Have exactly these versions loaded; those that are already go on serving."""
        ...

    def unload(self, model: str) -> None:
        """Unload all versions."""
        ...


@dataclass(frozen=True)
class Refused:
    """A version that Triton would not load or that does not answer as its package says, and when it is tried again."""

    reason: str
    again_at: float


class Loaded:
    """Keeps one Triton in step with the releases, and reads through it: a reader that knows which versions are warm."""

    def __init__(
        self, server: Server, packages: Packages, models: Callable[[], Sequence[Model]], repository: Path, clock: Clock,
        warmed: Callable[[], None] = lambda: None, name: str = "triton", config: str = _CONFIG,
    ) -> None:
        self.name, self._configured = name, config
        self._server, self._packages, self._models, self._repository = server, packages, models, repository
        self._clock, self._warmed = clock, warmed
        self._lock = threading.Lock()
        self._warm: dict[Key, int] = {}
        """The versions that take traffic, each with the number of the loading by which it does."""
        self._loadings = count(1)
        self._under_way: Counter[Key] = Counter()
        self._most: dict[Key, int] = {}
        self._answered: dict[Key, float] = {}
        self._doubted: set[Key] = set()
        self._dead: set[Key] = set()
        self._wrong: dict[Key, str] = {}
        self._refused: dict[Key, Refused] = {}
        self._looked: dict[str, float] = {}
        self._late: dict[Key, int] = {}
        self.worker = Worker(f"loading {name}", self._turn)

    def start(self) -> None:
        """Begin to keep step."""
        self.worker.start()

    def stop(self) -> None:
        """Leave Triton as it is: another instance may be reading."""
        self.worker.stop()

    def infer(
        self, model: str, version: int, tensors: Tensors, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the named outputs of a version that is warm; raise Transient where it is not."""
        key = (model, version)
        with self._lock:
            since, wrong, refused = self._warm.get(key), self._wrong.get(key, ""), self._refused.get(key)
        if wrong:
            raise Permanent(wrong)
        if since is None:
            self.worker.wake()
            why = f"cannot be loaded: {refused.reason}" if refused else "is being loaded"
            raise Transient(f"{model} {version} {why}", after=0.2)
        with self._lock:
            if self._under_way[key] >= self._most.get(key, MOST_UNDER_WAY):
                raise BusyError(f"the queue of {model} {version} is full", after=0.2)
            self._under_way[key] += 1
        try:
            said = self._server.infer(model, version, tensors, outputs, within)
            with self._lock:
                self._answered[key] = self._clock.monotonic()
            return said
        except BusyError:
            raise  # it answers, and a probe would only wait in the same queue
        except LateError:
            self._doubt(key, since)
            raise
        except Transient as away:
            self._cool(key, since, away)
            raise
        finally:
            with self._lock:
                self._under_way[key] -= 1

    def read(self, package: Package, images: NDArray[np.float32]) -> Outputs:
        """Return the outputs for images [N, C, H, W] by a version that is warm; see `ports.Reader`."""
        return read_through(self.infer, package, images)

    def warm(self, model: str, version: int) -> bool:
        """Say whether a version takes traffic."""
        with self._lock:
            return (model, version) in self._warm

    def ready(self) -> str:
        """Return why Triton is not in step with the releases, empty where it is."""
        with self._lock:
            refused = [f"{model} {version}: {one.reason}" for (model, version), one in sorted(self._refused.items())]
        return "; ".join([self.worker.away, *refused] if self.worker.away else refused)

    def _turn(self) -> float:
        """Bring Triton in step with the releases; see whether what is warm still answers, once it is time or was late."""
        first: Transient | None = None
        models = sorted(self._models(), key=_needed)
        gone = {name for name, _ in {*self._warm, *self._refused}} - {one.model for one in models}
        for model in (*models, *(Model(model=name) for name in sorted(gone))):
            try:
                self._keep_step(model)
            except Transient as away:
                first = first or away
        telemetry.gauge("radloop_triton_in_step", float(first is None and not self._refused), triton=self.name)
        if first is not None:
            raise first
        return _LOOK_EVERY_S

    def _fit(self, model: Model, version: Version) -> bool:
        """Say whether a version's package is whole and of the released weights; if not, say so once."""
        key = (model.model, version.version)
        try:
            self._packages.describe(model.model, version.version, version.weights_sha256)
        except (Permanent, *UNFORESEEN) as wrong:
            reason = wrong.reason if isinstance(wrong, Permanent) else unforeseen(wrong)
            with self._lock:
                known = self._wrong.get(key)
                self._wrong[key] = reason
            if known is None:
                log.warning("a released version cannot be used", extra={"model": key[0], "version": key[1], "reason": reason})
            return False
        with self._lock:
            self._wrong.pop(key, None)
        return True

    def _keep_step(self, model: Model) -> None:
        wanted = {one.version: one for one in model.to_load() if self._fit(model, one)}
        now = self._clock.monotonic()
        with self._lock:
            self._refused = {key: one for key, one in self._refused.items() if key[0] != model.model or key[1] in wanted}
            waits = {version for (name, version), one in self._refused.items() if name == model.model and now < one.again_at}
            warm, doubted, dead = (
                {version for name, version in some if name == model.model} for some in (self._warm, self._doubted, self._dead)
            )
        time_is_up = now - self._looked.get(model.model, float("-inf")) >= _PROBE_EVERY_S
        if not time_is_up and not doubted and not dead and warm <= set(wanted) <= warm | waits:
            return
        try:
            ready = {version for version, ready in self._server.held(model.model).items() if ready}
        except Transient as hangs:
            for key in ((model.model, number) for number in warm):
                self._cool(key, self._warm.get(key), hangs)
            raise
        loaded = self._let_go(model.model, ready, set(wanted), dead)
        # What has just answered needs no probe, which would wait behind what is under way.
        answering = {
            version for version in (warm & loaded) - doubted
            if not time_is_up or now - self._answered.get((model.model, version), float("-inf")) < _PROBE_EVERY_S
        }
        away: Transient | None = None
        for version in sorted(wanted.values(), key=lambda one: (NEED.index(one.stage), -one.version)):
            if version.version in answering | waits:
                continue
            try:
                self._bring_up(model.model, version, set(wanted), loaded)
            except Transient as failed:
                away = away or failed
        if away is not None:
            raise away
        self._looked[model.model] = now

    def _let_go(self, model: str, loaded: set[int], wanted: set[int], dead: set[int]) -> set[int]:
        """Unload what is loaded and not wanted, or dead: Triton would call it ready for ever. Return what is loaded then."""
        kept = (loaded & wanted) - dead
        self._keep(model, kept)
        if kept and kept != loaded:
            self._server.load(model, kept, self._config(model))
        elif loaded and not kept:
            self._server.unload(model)
        if kept != loaded:
            log.info("unloaded", extra={"triton": self.name, "model": model, "versions": sorted(loaded - kept)})
        with self._lock:
            self._dead -= {(model, number) for number in dead}
        return kept

    def _bring_up(self, model: str, version: Version, wanted: set[int], loaded: set[int]) -> None:
        key = (model, version.version)
        since = self._warm.get(key)
        try:
            if key[1] not in loaded:
                # Another instance may be loading another one: what it adds stays.
                self._server.load(model, (set(self._server.held(model)) & wanted) | {key[1]}, self._config(model))
                log.info("loaded", extra={"triton": self.name, "model": model, "version": key[1]})
            self._warm_up(key, version, known=since is not None)
        except BusyError:
            if since is None:
                raise
        except DeadStubError as died:
            self._cool(key, since, died)
            if since is None:
                self._refuse(key, died.reason)
        except Permanent as refused:
            self._cool(key, since, refused)
            self._refuse(key, refused.reason)
        except UNFORESEEN as surprise:  # asking what is held, having it loaded, or what it answers
            self._cool(key, since, Permanent(unforeseen(surprise)))
            self._refuse(key, unforeseen(surprise))
        except Transient as failed:
            self._cool(key, since, failed)
            self._late[key] = self._late.get(key, 0) + 1 if isinstance(failed, LateError) else 0
            if self._late[key] >= _HANGS_AFTER:
                self._late[key] = 0
                self._cool(key, None, DeadStubError(f"{model} {key[1]} hangs"))
            raise

    def _warm_up(self, key: Key, version: Version, *, known: bool) -> None:
        """Have a version answer for a blank image, before it takes traffic and every so often after."""
        described = self._packages.describe(*key, version.weights_sha256)
        for _ in range(1 if known else _WARM_UPS):
            probe(self._server.infer, described, _PROBE_WITHIN_S)
        self._late.pop(key, None)
        with self._lock:
            self._most[key] = MOST_ENCODINGS if isinstance(described, Encoder) else MOST_UNDER_WAY
            self._warm.setdefault(key, next(self._loadings))
            self._doubted.discard(key)
            self._refused.pop(key, None)
        if not known:
            log.info("takes traffic", extra={"triton": self.name, "model": key[0], "version": key[1]})
            self._warmed()

    def _config(self, model: str) -> Path:
        special = self._repository / model / self._configured
        return special if special.is_file() else special.with_name(_CONFIG)

    def _keep(self, model: str, versions: set[int]) -> None:
        with self._lock:
            self._warm = {key: since for key, since in self._warm.items() if key[0] != model or key[1] in versions}
            self._doubted &= self._warm.keys()

    def _doubt(self, key: Key, since: int) -> None:
        """Have a version probed now; meanwhile it goes on taking traffic."""
        with self._lock:
            if self._warm.get(key) == since:
                self._doubted.add(key)
        self.worker.wake()

    def _cool(self, key: Key, since: int | None, why: RadloopError) -> None:
        """A version takes no more traffic until it is seen to answer again, a dead one until it is loaded anew.

        What was asked of an earlier loading, and fails now, says nothing of this one.
        """
        with self._lock:
            if self._warm.get(key) != since:
                return
            self._warm.pop(key, None)
            self._doubted.discard(key)
            if isinstance(why, DeadStubError):
                self._dead.add(key)
        if since is not None:
            log.warning("takes no traffic", extra={"triton": self.name, "model": key[0], "version": key[1], "reason": why.reason})
        self.worker.wake()

    def _refuse(self, key: Key, reason: str) -> None:
        """Let a version be: what runs goes on running, and what cannot be loaded may be mended where it lies."""
        with self._lock:
            known = self._refused.get(key)
            self._refused[key] = Refused(reason, self._clock.monotonic() + MENDED_AFTER_S)
        if known is None:
            log.warning("a version cannot be loaded", extra={"triton": self.name, "model": key[0], "version": key[1], "reason": reason})
