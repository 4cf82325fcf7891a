"""`radloop status`: how every room stands, in one look."""

import argparse
import json
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
        " Exit status 1 where a room is not ready, away, or has something in quarantine.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.set_defaults(ask=ask)


def ask(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print the table; 1 where something wants attention."""
    with ThreadPoolExecutor(len(rooms.names)) as pool:
        found = list(pool.map(lambda room: _status(rooms, room), rooms.names))
    well = all(one.ready and not one.fuse_open and not one.backlog.get("quarantine") for one in found)
    if args.json:
        print(json.dumps({"well": well, "rooms": [asdict(one) for one in found]}, default=datetime.isoformat))
    else:
        print(table(
            ("room", "ready", "fuse", "outbox", "deliveries", "parked", "jobs", "quarantine", "why not"),
            [(
                one.room, "yes" if one.ready else "no", _fuse(one),
                *(str(one.backlog.get(name, "-")) for name in ("outbox", "delivery", "parked", "job", "quarantine")),
                "; ".join(one.reasons),
            ) for one in found],
        ))
    return 0 if well else 1


def _fuse(one: Status) -> str:
    if one.blown is None:
        return "open" if one.fuse_open else "closed"
    return f"open since {local(one.blown.since)[:19]}, tries at {local(one.blown.next_try)[11:19]}"


def _status(rooms: Rooms, room: str) -> Status:
    try:
        return rooms.status(room)
    except RadloopError as away:
        return Status(room, ready=False, reasons=(away.reason,), fuse_open=False, backlog={})
