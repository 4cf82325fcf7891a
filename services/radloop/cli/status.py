"""`radloop status`: how every room stands, in one look."""

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from typing import Any

from radloop.cli.grpc import Rooms, Status
from radloop.cli.table import local, table
from radloop.kit.errors import RadloopError


def add_parser(commands: Any) -> None:
    """Add `status`."""
    parser = commands.add_parser(
        "status", help="how every room stands",
        description="Asks every room whether it is ready, what waits in it, and whether its fuse is open."
        " Exit status 1 where a room is not ready, away, has an open fuse or something in quarantine: the last lines say which.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.set_defaults(ask=ask)


def ask(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print the table, and a line for each thing that wants attention; 1 where there is one."""
    with ThreadPoolExecutor(len(rooms.names)) as pool:
        found = list(pool.map(lambda room: _status(rooms, room), rooms.names))
    wrong = [sentence for one in found for sentence in _unwell(one)]
    if args.json:
        print(json.dumps({"well": not wrong, "wrong": wrong, "rooms": [asdict(one) for one in found]}, default=datetime.isoformat))
    else:
        print(table(
            ("room", "ready", "fuse", "outbox", "deliveries", "parked", "jobs", "quarantine", "why not"),
            [(
                one.room, "yes" if one.ready else "no", _fuse(one),
                *(str(one.backlog.get(name, "-")) for name in ("outbox", "delivery", "parked", "job", "quarantine")),
                "; ".join(one.reasons),
            ) for one in found],
        ))
        if wrong:
            print("\n".join(["", *wrong]))
    return 1 if wrong else 0


def _unwell(one: Status) -> Iterator[str]:
    """Yield why a room is not well: each of these alone makes the exit status 1."""
    if not one.ready:
        yield from (f"{one.room} is not ready: {reason}" for reason in one.reasons or ("it does not say why",))
    if one.fuse_open and not any(reason.startswith("the fuse is open") for reason in one.reasons):
        yield f"{one.room}: the fuse is {_fuse(one)}"
    if held := one.backlog.get("quarantine"):
        yield f"{one.room}: {held} in quarantine; `radloop quarantine list --room {one.room}` says what and why"


def _fuse(one: Status) -> str:
    if one.blown is None:
        return "open" if one.fuse_open else "closed"
    return f"open since {local(one.blown.since)[:19]}, tries at {local(one.blown.next_try)[11:19]}"


def _status(rooms: Rooms, room: str) -> Status:
    try:
        return rooms.status(room)
    except RadloopError as away:
        return Status(room, ready=False, reasons=(away.reason,), fuse_open=False, backlog={})
