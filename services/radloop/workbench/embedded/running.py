"""The stack that runs in a home, as `stack.json` there describes it: for commands, tests and benchmarks."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Running:
    """A running stack: its supervisor's process id, its addresses by name, the process ids of its parts."""

    pid: int
    site: str
    addresses: Mapping[str, str]
    parts: Mapping[str, int]


def write_down(home: Path, told: Running) -> None:
    """Leave the description in the home, whole or not at all."""
    draft = home / "stack.json.new"
    draft.write_text(json.dumps(asdict(told), indent=2))
    draft.replace(home / "stack.json")


def forget(home: Path) -> None:
    """Remove the description."""
    (home / "stack.json").unlink(missing_ok=True)


def running(home: Path) -> Running | None:
    """Return the stack that runs in this home, None where none does."""
    try:
        told = json.loads((home / "stack.json").read_text())
        os.kill(told["pid"], 0)
    except (OSError, ValueError):
        return None
    return Running(**told)
