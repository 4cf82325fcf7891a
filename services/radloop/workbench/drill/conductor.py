"""Brings the strikes of a schedule about, one after another or two at once, and measures each one's recovery.

Recovered means: what was struck runs and says that it is ready, and a STAT study that was sent after the strike has its report in the
EHR. The seconds count from the end of the strike: from the kill, or from when an outage was over.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import httpx

from radloop.kit.errors import Transient
from radloop.workbench.drill.schedule import ROOMS, Planned
from radloop.workbench.drill.stories import Story
from radloop.workbench.drill.stage import Stage
from radloop.workbench.drill.stream import Told, tell
from radloop.workbench.drill.strikes import Ground, Missed, Strike
from radloop.workbench.embedded.probes import answers_http
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.telling import Teller

PATIENCE = 180.0
"""Counted from the end of the last strike: while the EHR, say, is still away for another's sake, no report can come."""
_LOOK = 0.4  # a dozen probes may be awaited at once, and each look costs the EHR and the room that is asked
_AT_ONCE = 32


@dataclass(frozen=True)
class Struck:
    """A strike as it was: when it began, what it says of itself, and the seconds to recovery (None: it never came).

    One that found nothing to strike has not `met`, and killed nobody.
    """

    at: float
    name: str
    kills: int
    note: str
    recovery: float | None
    met: bool = True


class Conductor:
    """Plays one schedule on a stage."""

    def __init__(
        self, ground: Ground, known: Mapping[str, Strike], probes: Iterator[Story], teller: Teller,
    ) -> None:
        self._ground, self._known, self._probes, self._teller = ground, known, probes, teller
        self._parts: dict[str, threading.Lock] = {part: threading.Lock() for one in known.values() for part in one.parts}
        self._lock = threading.Lock()
        self._acting, self._calm_at = 0, 0.0
        self._probed: list[Told] = []

    @property
    def stage(self) -> Stage:
        """Return what is acted upon."""
        return self._ground.stage

    def probed(self) -> tuple[Told, ...]:
        """Return the probe studies, which are accepted like all others."""
        with self._lock:
            return tuple(self._probed)

    def play(self, planned: Sequence[Planned], seconds: float) -> tuple[Struck, ...]:
        """Bring everything about at its time; return once all of it has recovered, or will not.

        What has to wait for its part until the stream's seconds are over is left out: without load it would show nothing.
        """
        began = time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="strike") as pool, ExitStack() as otherwise:
            otherwise.callback(self._ground.over.set)  # interrupted, nobody waits for the rest of an outage
            running: list[Future[Struck | None]] = []
            for one in planned:
                if self._ground.over.wait(max(0.0, began + one.at - time.monotonic())):
                    break
                running.append(pool.submit(self._strike, self._known[one.name], began, seconds))
            struck = tuple(was for one in running if (was := one.result()) is not None)
            otherwise.pop_all()
            return struck

    def _strike(self, strike: Strike, began: float, seconds: float) -> Struck | None:
        with ExitStack() as taken:
            for part in sorted(strike.parts):
                taken.enter_context(self._parts[part])
            at = time.monotonic() - began
            if at > seconds or self._ground.over.is_set():
                return None
            self._teller.part(f"{strike.name} …")
            with self._acts():
                note = strike.act(self._ground)
        met = not isinstance(note, Missed)
        struck = Struck(at, strike.name, strike.kills if met else 0, note, None, met)
        over = time.monotonic()
        if self._recovers(strike):
            struck = replace(struck, recovery=time.monotonic() - over)
        told = "not recovered" if struck.recovery is None else f"recovered in {struck.recovery:.1f} s"
        self._teller.line(f"{strike.name}{f' ({note})' if note else ''}: {told}")
        return struck

    @contextmanager
    def _acts(self) -> Iterator[None]:
        with self._lock:
            self._acting += 1
        try:
            yield
        finally:
            with self._lock:
                self._acting -= 1
                self._calm_at = time.monotonic()

    def _recovers(self, strike: Strike) -> bool:
        with self._lock:
            probe = Told(next(self._probes))
            self._probed.append(probe)
        doors = self.stage.doors
        with MllpLine(*_split(doors.mllp), timeout=10) as line, Modality(*_split(doors.dicom)) as modality:
            tell(probe, line, modality, self.stage.images, self._ground.over)
        cases: list[str] = []

        def known() -> bool:
            cases[:] = self.stage.rooms.resolve(probe.story.order.accession)
            return bool(cases)

        return (
            self._until(known)
            and self._until(lambda: any(self.stage.chart.has_report(case) for case in cases))
            and self._until(lambda: self._ready(strike.parts))
            and self._until(lambda: strike.healed(self.stage))
        )

    def _until(self, condition: Callable[[], bool]) -> bool:
        while not self._ground.over.is_set():
            try:
                if condition():
                    return True
            except (Transient, httpx.HTTPError):
                pass
            with self._lock:
                if not self._acting and time.monotonic() > self._calm_at + PATIENCE:
                    return False
            self._ground.over.wait(_LOOK)
        return False

    def _ready(self, parts: frozenset[str]) -> bool:
        """Say whether these parts run, and those of them that are rooms say that they are ready."""
        stack = self.stage.stack
        return all(part.ready for part in stack.parts() if part.name in parts) and all(
            answers_http(f"http://{stack.address(f'{room}.health')}/ready") for room in parts.intersection(ROOMS)
        )


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
