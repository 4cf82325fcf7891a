"""What a stack says about its parts while it starts, runs and stops."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["waiting", "starting", "ready", "restarting", "failed", "stopping", "stopped", "note"]


@dataclass(frozen=True)
class Said:
    """One thing said of one part; `note` changes no state."""

    part: str
    state: State
    text: str = ""


Listener = Callable[[Said], None]


def nobody(said: Said) -> None:
    """Listen to nothing."""
