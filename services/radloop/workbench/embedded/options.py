"""What a stack is told: which parts exist elsewhere, where to listen, which rooms to run."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Room:
    """One room to run; `doors` are the ports it opens to the hospital, by name."""

    name: str
    argv: tuple[str, ...]
    doors: Mapping[str, int] = field(default_factory=dict)


def _room(name: str, **doors: int) -> Room:
    return Room(name, (sys.executable, "-m", f"radloop.{name}.main"), doors)


# In the order of the loop; the usual ports are IANA's for HL7 (2575) and DICOM (11112).
ROOMS = (
    _room("ingestion", mllp=2575, dicom=11112),
    _room("inference"),
    _room("triage"),
    _room("feedback"),
    _room("retraining"),
    _room("publishing"),
    _room("worklist", http=8080),
)


@dataclass(frozen=True)
class Options:
    """How to run a stack. An empty address means: run that part here."""

    host: str = "127.0.0.1"
    site: str = "site-1"
    postgres: str = ""
    kafka: str = ""
    triton: str = ""
    model_repository: Path | None = None
    # False takes any free ports: several stacks side by side.
    usual_ports: bool = True
    # Settings for every room, by the name of the environment variable.
    settings: Mapping[str, str] = field(default_factory=dict)
    rooms: tuple[Room, ...] = ROOMS
