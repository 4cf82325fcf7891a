"""Where the rooms are: RADLOOP_ADDRESS_<ROOM>, else the stack that runs in RADLOOP_HOME (`.radloop` here)."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from radloop.kit.errors import Misconfigured

ROOMS = ("ingestion", "inference", "triage", "feedback", "retraining", "publishing", "worklist")


def addresses(environment: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return host:port of each room's gRPC, by room; raise Misconfigured where none is known."""
    told = os.environ if environment is None else environment
    home = Path(told.get("RADLOOP_HOME") or ".radloop")
    found = _running(home)
    for room in ROOMS:
        if said := told.get(f"RADLOOP_ADDRESS_{room.upper()}"):
            found[room] = said
    if not found:
        raise Misconfigured(
            f"no stack runs in {home}: start one with `radloop up`, set RADLOOP_HOME to where it runs,"
            " or name the rooms of a cluster with RADLOOP_ADDRESS_<ROOM>=host:port",
        )
    return found


def _running(home: Path) -> dict[str, str]:
    try:
        told = json.loads((home / "stack.json").read_text())
        os.kill(int(told["pid"]), 0)
        return {room: str(told["addresses"][room]) for room in ROOMS if room in told["addresses"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
