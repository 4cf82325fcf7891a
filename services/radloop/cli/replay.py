"""`radloop replay`: have stored events sent again, byte for byte, from the rooms' outboxes."""

import argparse
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from radloop.cli.addresses import ROOMS
from radloop.cli.grpc import Rooms
from radloop.cli.trace import cases_of
from radloop.kit.clock import SystemClock
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.kafka import topics

_AGO = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LOOK_EVERY_S = 0.5


def add_parser(commands: Any) -> None:
    """Add `replay`."""
    parser = commands.add_parser(
        "replay", help="send what the rooms have said again, from stored bytes",
        description="Has events sent again as they were said: after a broker was lost, or for a hearer that missed some. No handler runs"
        " again: whoever knows an event skips it. Of each case they go in order, and before what is new of it; events of other"
        " cases go first. Name at least one of --since, --case and --topic; all that are named must hold.",
    )
    parser.add_argument("--since", type=instant, metavar="WHEN", help="what was said since then: 30m, 6h, 2d, or 2026-03-02T08:00")
    parser.add_argument("--case", metavar="ACCESSION", default="", help="of one study: its accession number, or a case id")
    parser.add_argument("--topic", choices=sorted(topics()), default="", metavar="TOPIC", help="on one topic, such as study-completed")
    parser.add_argument("--room", choices=ROOMS, help="said by one room")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the broker has taken them")
    parser.set_defaults(ask=ask, wrong=parser.error)


def instant(text: str) -> datetime:
    """Read an instant, or how long ago it was."""
    ago = _AGO.fullmatch(text)
    now = SystemClock().now()
    try:
        told = now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]]) if ago else datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("write 30m, 6h or 2d for how long ago, or an instant like 2026-03-02T08:00") from None
    if told > now:
        raise argparse.ArgumentTypeError(f"{text} is yet to come")
    return told


def ask(rooms: Rooms, args: argparse.Namespace) -> int:
    """Have them sent again, and wait until the broker has taken them."""
    if args.since is None and not args.case and not args.topic:
        args.wrong("name at least one of --since, --case and --topic: everything there is would be sent again")
    said_by = topics()[args.topic].said_by if args.topic else rooms.names
    asked = [room for room in rooms.names if room in said_by and args.room in {None, room}]
    if not asked:
        if not args.topic:
            raise Misconfigured(f"the address of {args.room} is not known: set RADLOOP_ADDRESS_{args.room.upper()}=host:port")
        raise Permanent(f"{args.room or 'no room here'} does not say {args.topic}; it is said by {', '.join(said_by)}")
    cases = cases_of(rooms, args.case) if args.case else ("",)
    total = 0
    for room in asked:
        count = sum(rooms.replay(room, args.since, case, args.topic) for case in cases)
        print(f"{room}: {count} to be sent again")
        total += count
    if not total:
        raise Permanent("nothing that was said is meant by that")
    if not args.no_wait:
        _wait(rooms, asked)
    return 0


def _wait(rooms: Rooms, asked: Sequence[str]) -> None:
    told = -1
    while left := sum(rooms.status(room).backlog.get("repeat", 0) for room in asked):
        if left != told:
            print(f"{left} left", flush=True)
            told = left
        time.sleep(_LOOK_EVERY_S)
    print("the broker has taken all of them")
