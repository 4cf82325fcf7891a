"""What every benchmark prints: progress on standard error, one JSON object as the last line of standard output."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def p(values: Sequence[float], percent: float) -> float:
    """Return a percentile of seconds in milliseconds."""
    return round(float(np.percentile(values, percent)) * 1000, 1)


@dataclass(frozen=True)
class Goals:
    """What a figure or ratio is to be at least, or at most; one that is missing, or no number, is missed."""

    least: Mapping[str, float]
    most: Mapping[str, float]

    def missed(self, found: Mapping[str, float]) -> list[str]:
        """Return the goals that were missed, a sentence each."""
        low = [f"{name} {found.get(name)}, at least {goal}" for name, goal in self.least.items() if not found.get(name, -np.inf) >= goal]
        high = [f"{name} {found.get(name)}, at most {goal}" for name, goal in self.most.items() if not found.get(name, np.inf) <= goal]
        return low + high


NONE = Goals({}, {})


def finish(
    bench: str, figures: Mapping[str, float], ratios: Mapping[str, float], peers: tuple[str, ...], goals: Goals = NONE,
) -> int:
    """Print the result and the goals that were missed; return the exit status, 1 where one was.

    `peers` are the packages that were measured against.
    """
    missed = goals.missed({**figures, **ratios})
    for one in missed:
        say(f"missed: {one}")
    machine = {"cores": os.cpu_count() or 0, "python": platform.python_version(), "system": platform.platform()}
    print(json.dumps({
        "bench": bench, "figures": figures, "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "missed": missed, "machine": machine, "peers": {name: version(name) for name in peers},
    }), flush=True)
    return int(bool(missed))
