"""How a cycle stands, and how far it is until it has ended: of a classifier as of a segmenter."""

import time

from radloop.cli.grpc import Cycle, Rooms
from radloop.kit.errors import Transient

_LOOK_EVERY_S = 1.0
_PATIENCE_S = 300.0
"""A room that is started anew answers within it; the cycle goes on meanwhile, whoever looks."""


def followed(rooms: Rooms, cycle_id: str, model: str) -> Cycle:
    """Return how a cycle ended, a bar showing meanwhile how far it is; raise Transient after minutes without an answer."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("waiting", total=1.0)
        heard = time.monotonic()
        while True:
            try:
                now = rooms.cycle(cycle_id, model)
            except Transient:
                if time.monotonic() - heard > _PATIENCE_S:
                    raise
                bar.update(task, description="retraining is away")
            else:
                if not now.under_way:
                    return now
                heard = time.monotonic()
                bar.update(task, completed=now.progress, description=now.note or now.state)
            time.sleep(_LOOK_EVERY_S)


def told(cycle: Cycle, model: str) -> None:
    """Print how a cycle of a model stands, with its evidence; labels are counted of the one that learns from them only."""
    if cycle.state == "none" and cycle.labels:
        print("no cycle yet: one starts by itself once the plan's number of answers is there, or now with `radloop models cycle`")
    elif cycle.state == "none":
        print(f"no cycle of {model} yet: it does not learn from answers; masks teach a segmenter: `radloop models adapt --model {model}`")
    else:
        print(f"cycle {cycle.id or '-'}: {cycle.state}" + (f", version {cycle.version}" if cycle.version else ""))
    for sentence in cycle.evidence:
        print(f"  {sentence}")
    if cycle.labels:
        print("  labels: " + ", ".join(f"{purpose} {count}" for purpose, count in sorted(cycle.labels.items())))
