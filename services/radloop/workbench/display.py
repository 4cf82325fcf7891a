"""How a stack's start looks: a live table on a terminal, plain lines anywhere else."""

import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from radloop.workbench.embedded.report import Said, State

_COLOURS: dict[State, str] = {
    "waiting": "dim", "starting": "yellow", "ready": "green", "restarting": "magenta", "failed": "bold red",
    "stopping": "yellow", "stopped": "dim",
}


@dataclass(frozen=True)
class _Row:
    state: State
    since: float
    text: str = ""


class Display:
    """Shows what a stack says of its parts; use as a context manager, and call it as the stack's listener."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=False)
        self._rows: dict[str, _Row] = {}
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._live = Live(self, console=self._console, refresh_per_second=8) if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, said: Said) -> None:
        """Show one thing said."""
        with self._lock:
            self._keep(said)
        if self._live is None:
            self._print(said)

    def line(self, text: str) -> None:
        """Show a line of its own."""
        self._console.print(text, highlight=False, soft_wrap=True)
        if self._live is None:
            sys.stdout.flush()

    def __rich__(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(width=11)
        table.add_column(width=11)
        table.add_column(width=7, justify="right")
        table.add_column(overflow="fold")
        now = time.monotonic()
        with self._lock:
            for part, row in self._rows.items():
                counting = row.state in {"starting", "stopping", "restarting"}
                seconds = f"{now - row.since:.1f} s" if counting else ""
                table.add_row(part, Text(row.state, style=_COLOURS[row.state]), seconds, row.text)
        return table

    def _keep(self, said: Said) -> None:
        row = self._rows.get(said.part, _Row("waiting", time.monotonic()))
        if said.state == "note":
            row = replace(row, text=said.text)
        else:
            text = said.text or ("" if said.state == "stopped" else row.text)
            row = _Row(said.state, time.monotonic(), text)
        self._rows[said.part] = row

    def _print(self, said: Said) -> None:
        if said.state == "waiting":
            return
        what = said.text if said.state == "note" else f"{said.state} {said.text}".strip()
        self.line(f"{time.monotonic() - self._began:6.1f} s  {said.part:<11} {what}")
