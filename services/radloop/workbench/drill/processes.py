"""Processes as the kernel lists them: who is whose child, and accidents that happen to all of a family at once."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> tuple[int, ...]:
    """Return every living descendant of a process, parents before their children."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents.setdefault(int(parent), []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        born = parents.get(waiting.pop(), [])
        found += born
        waiting += born
    return tuple(found)


def running(pid: int, word: str) -> tuple[int, ...]:
    """Return the descendants of a process whose command line holds a word."""
    found = []
    for one in children(pid):
        with suppress(OSError):
            if word.encode() in (Path("/proc") / str(one) / "cmdline").read_bytes():
                found.append(one)
    return tuple(found)


def signal_all(pids: tuple[int, ...], number: signal.Signals) -> None:
    """Signal processes; who is gone already is passed over."""
    for one in pids:
        with suppress(ProcessLookupError):
            os.kill(one, number)
