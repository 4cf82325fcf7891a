"""How a cycle stands, and how far it is until it has ended: of a classifier as of a segmenter."""

import sys
import time

from radloop.cli.grpc import Cycle, Rooms
from radloop.kit.errors import Transient

_LOOK_EVERY_S = 1.0
_PATIENCE_S = 300.0
"""A room that is started anew answers within it; the cycle goes on meanwhile, whoever looks."""


def followed(rooms: Rooms, cycle_id: str, model: str) -> Cycle:
    """Return how a cycle ended; raise Transient after minutes without an answer.

    A bar shows meanwhile how far it is, and where nobody looks at a terminal a line for each of its steps.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn())
    console, step = Console(stderr=True), ""
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("waiting", total=1.0)
        heard = time.monotonic()
        while True:
            try:
                now = rooms.cycle(cycle_id, model)
            except Transient:
                if time.monotonic() - heard > _PATIENCE_S:
                    raise
                doing = "retraining is away"
            else:
                if not now.under_way:
                    return now
                heard, doing = time.monotonic(), now.note or now.state
                bar.update(task, completed=now.progress)
            bar.update(task, description=doing)
            if doing != step and not console.is_terminal:
                print(doing, file=sys.stderr, flush=True)
            step = doing
            time.sleep(_LOOK_EVERY_S)


def told(cycle: Cycle, model: str) -> None:
    """Print how a cycle of a model stands, with its evidence; labels are counted of the one that learns from them only."""
    if cycle.state == "none" and cycle.labels:
        print("no cycle yet: one starts by itself once the plan's number of answers is there, or now with `radloop models cycle`")
    elif cycle.state == "none":
        print(f"no cycle of {model} yet: it does not learn from answers; masks teach a segmenter: `radloop models adapt --model {model}`")
    else:
        number = f", version {cycle.version}" if cycle.version else ""
        far = f", {cycle.progress:.0%} {cycle.note}".rstrip() if cycle.under_way else ""
        print(f"cycle {cycle.id or '-'}: {cycle.state}{number}{far}")
    for sentence in cycle.evidence:
        print(f"  {sentence}")
    if cycle.labels:
        print("  labels: " + ", ".join(f"{purpose} {count}" for purpose, count in sorted(cycle.labels.items())))
