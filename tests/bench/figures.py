"""What every benchmark prints: progress on standard error, one JSON object as the last line of standard output."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def p(values: Sequence[float], percent: float) -> float:
    """Return a percentile of seconds in milliseconds."""
    return round(float(np.percentile(values, percent)) * 1000, 1)


def finish(bench: str, figures: Mapping[str, float], ratios: Mapping[str, float], peers: tuple[str, ...]) -> None:
    """Print the result; `peers` are the packages that were measured against."""
    machine = {"cores": os.cpu_count() or 0, "python": platform.python_version(), "system": platform.platform()}
    print(json.dumps({
        "bench": bench, "figures": figures, "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "machine": machine, "peers": {name: version(name) for name in peers},
    }), flush=True)
