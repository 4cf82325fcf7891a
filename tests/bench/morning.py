"""What a morning is worth: five seeds, 120 ordinary studies each, every one a whole `radloop demo` on a fresh stack.

The waits of all seeds are pooled before their ratios are taken; every other figure is the median over seeds. Nothing may be lost or
published twice in any of them. The peer of each wait is the same morning first in, first out, computed beside it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import finish, say

from radloop.workbench.hospital.waits import POSITIVES, Waited, ratios, table
from radloop.workbench.play.ending import DATA

POOLED = ("wait_positive_over_fifo", "wait_missed_over_fifo", "wait_max_over_fifo")
COUNTS = ("reports_lost", "reports_twice", "unexplained")


@dataclass(frozen=True)
class Run:
    """One seed's demo: its exit status, its figures, its waits, and what did not hold."""

    seed: int
    status: int
    figures: Mapping[str, float | None]
    waited: tuple[Waited, ...]
    wrong: tuple[str, ...]


def play(seed: int, studies: int, options: Sequence[str]) -> Run:
    """Play one demo, its progress on standard error; return what it left."""
    with tempfile.TemporaryDirectory(prefix="radloop-morning-") as folder:
        home = Path(folder) / "home"
        command = [sys.executable, "-m", "radloop.cli.main", "demo", "--studies", str(studies), "--seed", str(seed), "--exit", "--json",
                   "--free-ports", "--home", str(home), *options]
        wrong = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as playing:
            assert playing.stdout is not None  # piped
            for line in playing.stdout:
                if "stopp" not in line and not line.startswith("{"):
                    say(f"seed {seed}: {line.rstrip()}")
                if "does not hold:" in line:
                    wrong.append(line.split("does not hold:")[1].strip())
        if not (home / DATA).is_file():
            return Run(seed, playing.returncode or 1, {}, (), ("it ended before it came to its figures",))
        data: dict[str, Any] = json.loads((home / DATA).read_text())
        return Run(seed, playing.returncode, data["figures"], tuple(Waited(**one) for one in data["waited"]), tuple(wrong))


def summed_up(runs: Sequence[Run]) -> dict[str, float]:
    """Return the figures over all runs that came to some: counts of what must not be summed, medians of everything else."""
    everybody = [one for run in runs for one in run.waited]
    found: dict[str, float] = {"seeds": len(runs), "seeds_failed": sum(run.status != 0 for run in runs)}
    for name in dict.fromkeys(name for run in runs for name in run.figures if name not in POOLED):
        values = [float(value) for run in runs if (value := run.figures.get(name)) is not None]
        if values:
            found[name] = sum(values) if name in COUNTS else statistics.median(values)
    for group, (ours, fifo) in table(everybody).items():
        found |= {f"minutes {group} (n = {ours.count})": round(ours.mean, 1), f"minutes {group}, fifo": round(fifo.mean, 1)}
    return {**found, "positives_pooled": sum(one.group in POSITIVES for one in everybody)}


def main() -> int:
    """Play every seed and print what came of them; 1 where one of them did not hold, which something lost or published twice does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--studies", type=int, default=120)
    parser.add_argument("--phantoms", action="store_true", help="drawn phantoms, even where there are radiographs")
    args = parser.parse_args()
    began, runs = time.monotonic(), list[Run]()
    for place, seed in enumerate(args.seeds, start=1):
        say(f"seed {seed}, {place} of {len(args.seeds)}, {(time.monotonic() - began) / 60:.0f} min so far")
        runs.append(play(seed, args.studies, ["--phantoms"] if args.phantoms else []))
        own = ratios(runs[-1].waited)
        say(f"seed {seed}: " + ", ".join(f"{name} {value:.2f}" for name, value in own.items()) + f"; status {runs[-1].status}")
    figures = summed_up(runs)
    for run in runs:
        for sentence in run.wrong:
            say(f"seed {run.seed} does not hold: {sentence}")
        own = {name: run.figures[name] for name in ("auc_gain", "auc_after", "auc_random") if run.figures.get(name) is not None}
        figures |= {f"{name}_seed_{run.seed}": float(value or 0) for name, value in own.items()} | {f"status_seed_{run.seed}": run.status}
    finish("morning", figures, ratios([one for run in runs for one in run.waited]), ("sekmet-fhir", "noida-db", "matplotlib"))
    return int(any(run.status for run in runs))


if __name__ == "__main__":
    raise SystemExit(main())
