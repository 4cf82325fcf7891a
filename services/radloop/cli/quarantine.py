"""`radloop quarantine`: what could not be taken as it was; look at it, run it again, or give up on it."""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from radloop.cli.addresses import ROOMS
from radloop.cli.grpc import Quarantined, Rooms
from radloop.cli.table import local, table
from radloop.kit.errors import Permanent

_ALL = 10_000


def add_parser(commands: Any) -> None:
    """Add `quarantine` and its four verbs."""
    parser = commands.add_parser(
        "quarantine", help="what could not be taken as it was, and why",
        description="An input that can never succeed as it is waits in its room's quarantine, with its reason and its bytes.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="what waits, newest first")
    listing.add_argument("--room", choices=ROOMS, help="one room only")
    listing.add_argument("--all", action="store_true", help="what was retried or discarded too")
    listing.add_argument("--limit", type=int, default=100, help="at most so many a room (%(default)s)")
    listing.add_argument("--json", action="store_true", help="one JSON object a line, without the bytes")
    listing.set_defaults(ask=list_)
    showing = verbs.add_parser("show", help="one of them, whole")
    showing.add_argument("id", help="its id, or how its id begins")
    showing.add_argument("--payload", metavar="FILE", type=Path, help="write its bytes here (- for standard output); they may be PHI")
    showing.set_defaults(ask=show)
    again = verbs.add_parser("retry", help="run the handler again on the stored bytes")
    again.add_argument("id", nargs="+", help="its id, or how its id begins")
    again.set_defaults(ask=retry)
    giving_up = verbs.add_parser("discard", help="give up on it; the row stays, with the reason")
    giving_up.add_argument("id", help="its id, or how its id begins")
    giving_up.add_argument("--reason", required=True, help="why, for whoever looks later; no PHI")
    giving_up.set_defaults(ask=discard)


def list_(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print what waits."""
    named = (args.room,) if args.room else rooms.names
    found = sorted(
        (one for room in named for one in rooms.quarantine(room, args.limit, settled=args.all)), key=lambda one: one.at, reverse=True)
    if args.json:
        for one in found:
            print(json.dumps({"room": one.room, "id": one.id, "at": one.at.isoformat(), "state": one.state, "type": one.type,
                              "source": one.source, "case": one.subject, "attempts": one.attempts, "reason": one.reason}))
    elif found:
        print(table(("id", "when", "room", "what", "from", "state", "reason"), [
            (one.id[:8], local(one.at), one.room, one.type.removeprefix("radloop.v1."), one.source, one.state, one.reason) for one in found
        ]))
    else:
        print("nothing waits in quarantine")
    return 0


def show(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print one of them, or write its bytes."""
    one = _find(rooms, args.id)
    if args.payload is not None:
        if str(args.payload) == "-":
            sys.stdout.buffer.write(one.payload)
        else:
            args.payload.write_bytes(one.payload)
        return 0
    print(table(("id", one.id), [
        ("room", one.room), ("when", local(one.at)), ("state", one.state), ("what", one.type), ("from", one.source),
        ("input", one.input_id), ("case", one.subject or "-"), ("attempts", str(one.attempts)), ("trace", one.trace_id or "-"),
        ("bytes", f"{len(one.payload)}, SHA-256 {hashlib.sha256(one.payload).hexdigest()[:16]}… (--payload FILE writes them)"),
        ("reason", one.reason),
    ]))
    return 0


def retry(rooms: Rooms, args: argparse.Namespace) -> int:
    """Run them again; 1 where one of them is back in quarantine."""
    status = 0
    for start in args.id:
        one = _find(rooms, start)
        outcome = rooms.retry(one.room, one.id)
        print(f"{one.id[:8]} {one.room}: {outcome}")
        status |= outcome.startswith(("quarantined", "rejected"))
    return status


def discard(rooms: Rooms, args: argparse.Namespace) -> int:
    """Give up on one."""
    one = _find(rooms, args.id)
    rooms.discard(one.room, one.id, args.reason)
    print(f"{one.id[:8]} {one.room}: discarded")
    return 0


def _find(rooms: Rooms, start: str) -> Quarantined:
    found = [one for room in rooms.names for one in rooms.quarantine(room, _ALL, settled=True) if one.id.startswith(start)]
    if len(found) != 1:
        raise Permanent(
            f"nothing in quarantine has an id that begins with {start!r}; `radloop quarantine list --all` shows them"
            if not found else f"{len(found)} ids begin with {start!r}; give more of it")
    return found[0]
