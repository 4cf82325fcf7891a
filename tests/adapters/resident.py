"""What processes hold in memory, from /proc: sampled by a thread, with the peak of each phase of what is measured."""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_PAGE = 4096
EVERY_S = 0.5


def resident(pid: int) -> float:
    """Return a process's resident memory in MB, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    except OSError:
        return 0.0


def with_children(pid: int) -> float:
    """Return the memory of a process and of all it started, in MB, what they share counted once."""
    return sum(_share(one) for one in _family(pid))


def _share(pid: int) -> float:
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e3 for line in told.splitlines() if line.startswith("Pss:")), 0.0)


def _family(pid: int) -> list[int]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found


class Watch:
    """Samples the parts of a stack; each has a way to be looked at, 0 where it does not run."""

    def __init__(self, looks: Mapping[str, Callable[[], float]]) -> None:
        self._looks = looks
        self._peaks: dict[str, dict[str, float]] = {}
        self._phase = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.start = self.now()

    def __enter__(self) -> Self:
        """Begin to sample."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def now(self) -> dict[str, float]:
        """Return what each part holds now, in MB."""
        return {part: look() for part, look in self._looks.items()}

    def phase(self, name: str) -> None:
        """Name what begins now."""
        self._phase = name

    def growth(self, phase: str = "") -> dict[str, float]:
        """Return how far each part went beyond what it started with, at its highest, in MB; of one phase or of all."""
        peaks = [found for name, found in self._peaks.items() if phase in {"", name}]
        return {part: max((found.get(part, 0.0) for found in peaks), default=0.0) - began for part, began in self.start.items()}

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            peaks = self._peaks.setdefault(self._phase, {})
            for part, held in self.now().items():
                peaks[part] = max(peaks.get(part, 0.0), held)
