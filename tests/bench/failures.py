"""What Triton's failures cost: how soon each heals, and what loading a version does to those who are reading.

The real chest model on the embedded Triton, asked through inference's own adapters. Recovery: two servers and four clients that read
without a pause; from the failure until the server that failed reads again, asked alone, while the clients' readings go on at the
other. A wrong shape leaves nothing to heal: what is told is the time of the refusal and the reading after it. Loading: one server
and four clients; how long readings take before, while a second version is loaded and warmed up, and after. A reading that is under
way at any moment of the loading counts as during, whenever it began: what the loading stalls flatters nothing. No reading may fail.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from figures import Goals, finish, p, say
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from radloop.inference.adapters.triton import BusyError
from radloop.kit.errors import Permanent, Transient
from radloop.retraining.adapters.package import from_folder, publish, renumbered
from radloop.workbench.hospital.cohort import Sizes, draw
from radloop.workbench.hospital.sources import Phantoms
from radloop.workbench.play.loop import prepared
from radloop.workbench.workshop import MODEL, first_package
from tests.adapters.tritons import Clients, Tritons, tritons, until

SEED = 17
CLIENTS = 4
CROWD = 100
LIMIT = 2.0
_NO_STUDIES = Sizes(seeds=20, acceptance=2, pool=2, gate_positives=2, gate_negatives=2, morning=20, irregular=0, prevalence=0.5)


def make(folder: Path) -> tuple[Path, NDArray[np.float32]]:
    """Make the first model; return its package and phantoms as prepared for it."""
    source = Phantoms(SEED)
    cohort = draw(source, SEED, _NO_STUDIES)
    images = prepared(source, cohort.seeds)
    labels = np.array([one.positive for one in cohort.seeds])
    people = [f"seed-{place}" for place in range(len(labels))]
    return first_package(images, labels, people, SEED, folder), images


class Bench:
    """The package, and phantoms as prepared for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        say("the first model is made (a minute)")
        # Elsewhere: what torch leaves behind in a process stops its threads for half a second now and then.
        with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
            package, self._images = elsewhere.submit(make, folder / "workshop").result()
        self._package = from_folder(package)

    def publish(self, repository: Path, version: int) -> None:
        """Put the model into a repository under this number."""
        publish(renumbered(self._package, version), repository)

    def serve(self, name: str, servers: int) -> AbstractContextManager[Tritons]:
        """Return servers that are not started yet, with version 1 in their repository."""
        folder = self._folder / name
        self.publish(folder / "models", 1)
        return tritons(folder, servers)

    def one(self) -> NDArray[np.float32]:
        """Return one phantom as prepared."""
        place = int.from_bytes(os.urandom(2)) % len(self._images)
        return self._images[place:place + 1]


class Failures:
    """Two servers, the first of which fails again and again."""

    def __init__(self, running: Tritons, bench: Bench) -> None:
        self._running, self._first = running, running.servers[0]
        self._image, self._package = bench.one, running.package(1)

    def read(self) -> object:
        """Read one image by whichever server can."""
        return self._running.fleet.read(self._package, self._image())

    def _heals(self) -> bool:
        try:
            self._first.keeper.read(self._package, self._image())
        except Transient:
            return False
        return True

    def _noticed_and_healed(self, began: float) -> float:
        try:
            until(lambda: not self._first.keeper.warm(MODEL, 1))
            until(self._heals)
        except AssertionError:
            first = self._first
            told = f"{first.keeper.ready()}; {first.client.errors[-3:]}; held {first.client.held(MODEL)}; {first.process.last_words()}"
            raise SystemExit(f"it does not heal: {told}") from None
        return time.monotonic() - began

    def stub_killed(self) -> float:
        """Kill the process that runs the version."""
        began = time.monotonic()
        self._first.signal_stubs(signal.SIGKILL)
        return self._noticed_and_healed(began)

    def server_killed(self) -> float:
        """Kill the server; it is started again half a second later."""
        began = time.monotonic()
        self._first.process.kill()
        return self._noticed_and_healed(began)

    def wrong_shape(self) -> float:
        """Send what Triton refuses, and read."""
        began = time.monotonic()
        try:
            self._running.fleet.infer(MODEL, 1, {"IMAGE": np.zeros((1, 3, 100, 100), np.float32)}, ("MEMBERS",))
        except Permanent:
            until(self._heals)
            return time.monotonic() - began
        raise SystemExit("Triton took an image of another shape")

    def queue_full(self) -> float:
        """Ask for more at once than the queue holds; return the seconds from the first refusal until it is worked off."""
        refused, unforeseen = list[float](), list[Exception]()
        four = np.concatenate([self._image() for _ in range(4)])

        def ask() -> None:
            try:
                self._first.keeper.read(self._package, four)
            except BusyError:
                refused.append(time.monotonic())
            except Exception as failed:  # noqa: BLE001 - what a thread raises is seen by nobody else
                unforeseen.append(failed)

        crowd = [threading.Thread(target=ask) for _ in range(CROWD)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        if unforeseen or not refused:
            raise SystemExit(f"of {CROWD} at once {len(refused)} were refused, {len(unforeseen)} failed: {unforeseen[:1]}")
        until(self._heals)
        return time.monotonic() - min(refused)


def recoveries(bench: Bench, rounds: int) -> dict[str, float]:
    """Return how soon each failure heals; stop with a sentence where a reading failed meanwhile."""
    figures: dict[str, float] = {}
    with bench.serve("recovery", 2) as running:
        running.release((1, "production"))
        failures = Failures(running, bench)
        for name, fail in (
            ("stub_killed", failures.stub_killed), ("wrong_shape", failures.wrong_shape),
            ("queue_full", failures.queue_full), ("server_killed", failures.server_killed),
        ):
            took = []
            with Clients(failures.read, CLIENTS) as clients:
                for _ in range(rounds):
                    clients.more(20)
                    took.append(fail())
                clients.more(20)
            if clients.failed:
                raise SystemExit(f"{len(clients.failed)} readings failed: {clients.failed[0]!r}")
            figures |= {f"{name}_p50_ms": p(took, 50), f"{name}_max_ms": p(took, 100)}
            say(f"{name}: {', '.join(f'{one:.2f}' for one in took)} s; {len(clients.answered)} readings, none failed")
    return figures


def loading(bench: Bench, rounds: int, seconds: float) -> tuple[dict[str, float], float]:
    """Return how long readings take before, during and after a second version is loaded, and the ratio of the 99th percentiles."""
    rounds_at = list[tuple[float, float, float, float]]()
    with bench.serve("loading", 1) as running:
        running.release((1, "production"))
        bench.publish(running.repository, 2)
        package = running.package(1)
        with Clients(lambda: running.fleet.read(package, bench.one()), CLIENTS) as clients:
            clients.more(50)
            for turn in range(rounds):
                start = time.monotonic()
                time.sleep(seconds)
                asked = time.monotonic()
                running.release((1, "production"), (2, "shadow"))
                warm = time.monotonic()
                time.sleep(seconds)
                end = time.monotonic()
                running.release((1, "production"))
                until(lambda: len(running.servers[0].stubs()) == 1)
                rounds_at.append((start, asked, warm, end))
                say(f"round {turn + 1} of {rounds}: loaded in {warm - asked:.2f} s")
    # Only now: a reading that was stalled until the clients stopped is among those answered, too.
    before = [one for start, asked, _, _ in rounds_at for one in clients.within(start, asked)]
    during = [one for _, asked, warm, _ in rounds_at for one in clients.overlapping(asked, warm)]
    after = [one for _, _, warm, end in rounds_at for one in clients.within(warm, end)]
    took = [warm - asked for _, asked, warm, _ in rounds_at]
    figures = {
        "failed_readings": float(len(clients.failed)),
        "load_p50_ms": p(took, 50), "load_max_ms": p(took, 100), "clients": float(CLIENTS),
    }
    for when, values in (("before", before), ("during", during), ("after", after)):
        figures |= {f"{when}_{name}_ms": p(values, percent) for name, percent in (("p50", 50), ("p99", 99), ("max", 100))}
        figures[f"readings_{when}"] = float(len(values))
    return figures, figures["during_p99_ms"] / figures["before_p99_ms"]


def main() -> int:
    """Run the benchmark; 1 where a reading failed or the 99th percentile more than doubled."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5, help="rounds of each (%(default)s)")
    options.add_argument("--seconds", type=float, default=5.0, help="how long is read before and after a version is loaded (%(default)s)")
    args = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="radloop-bench-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder))
        figures, ratio = loading(bench, args.rounds, args.seconds)
        figures |= recoveries(bench, args.rounds)
    return finish(
        "failures", {"rounds": float(args.rounds), **figures}, {"p99_during_over_before": ratio}, ("tritonclient",),
        Goals({}, {"failed_readings": 0, "p99_during_over_before": LIMIT}),
    )


if __name__ == "__main__":
    raise SystemExit(main())
