"""How a cycle stands, and how far it is until it has ended: of a classifier as of a segmenter."""

import time

from radloop.cli.grpc import Cycle, Rooms

_ENDED = {"none", "gated-out", "released", "failed"}
_LOOK_EVERY_S = 1.0


def followed(rooms: Rooms, cycle_id: str, model: str) -> Cycle:
    """Return how a cycle ended, a bar showing meanwhile how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("waiting", total=1.0)
        while (now := rooms.cycle(cycle_id, model)).state not in _ENDED:
            bar.update(task, completed=now.progress, description=now.note or now.state)
            time.sleep(_LOOK_EVERY_S)
    return now


def told(cycle: Cycle) -> None:
    """Print how a cycle stands, with its evidence."""
    if cycle.state == "none":
        print("no cycle yet: one starts by itself once the plan's number of answers is there, or now with `radloop models cycle`")
    else:
        print(f"cycle {cycle.id or '-'}: {cycle.state}" + (f", version {cycle.version}" if cycle.version else ""))
    for sentence in cycle.evidence:
        print(f"  {sentence}")
    if cycle.labels:
        print("  labels: " + ", ".join(f"{purpose} {count}" for purpose, count in sorted(cycle.labels.items())))
