"""`radloop quarantine`: what could not be taken as it was; look at it, run it again, or give up on it."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from radloop.cli.addresses import ROOMS
from radloop.cli.grpc import Quarantined, Rooms
from radloop.cli.table import local, table
from radloop.kit.errors import Permanent, Transient

_PAGE = 500
_BEGINS = 4


def add_parser(commands: Any) -> None:
    """Add `quarantine` and its four verbs."""
    parser = commands.add_parser(
        "quarantine", help="what could not be taken as it was, and why",
        description="What can never succeed as it is waits in its room's quarantine, with its reason and its bytes: an input that a"
        " room could not take, or a delivery that a receiver refused.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="what waits, newest first")
    listing.add_argument("--room", choices=ROOMS, help="one room only")
    listing.add_argument("--all", action="store_true", help="what was retried or discarded too")
    listing.add_argument("--limit", type=_positive, default=100, help="at most so many a room (%(default)s)")
    listing.add_argument("--json", action="store_true", help="one JSON object a line, without the bytes")
    listing.set_defaults(ask=list_)
    showing = verbs.add_parser("show", help="one of them, whole")
    showing.add_argument("id", help="its id, or how its id begins")
    showing.add_argument("--room", choices=ROOMS, help="look in this room only")
    showing.add_argument("--payload", metavar="FILE", type=Path, help="write its bytes here (- for standard output); they may be PHI")
    showing.set_defaults(ask=show)
    again = verbs.add_parser(
        "retry", help="run the handler again on the stored bytes, or send a delivery again",
        description="Exit status 1 where one of them is back in quarantine or was refused, 75 where one must be tried again later.",
    )
    again.add_argument("id", nargs="*", help="its id, or how its id begins")
    again.add_argument("--room", choices=ROOMS, help="look in this room only")
    again.add_argument("--all", action="store_true", help="everything that waits in the room, oldest first")
    again.set_defaults(ask=retry, wrong=again.error)
    giving_up = verbs.add_parser("discard", help="give up on it; the row stays, with the reason")
    giving_up.add_argument("id", nargs="+", help="its id, or how its id begins")
    giving_up.add_argument("--room", choices=ROOMS, help="look in this room only")
    giving_up.add_argument("--reason", required=True, help="why, for whoever looks later; no PHI")
    giving_up.set_defaults(ask=discard)


def list_(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print what waits."""
    named = (args.room,) if args.room else rooms.names
    by_room = {room: list(_newest(rooms, room, args.limit, settled=args.all)) for room in named}
    found = sorted(chain.from_iterable(by_room.values()), key=lambda one: one.at, reverse=True)
    if args.json:
        for one in found:
            print(json.dumps({"room": one.room, "id": one.id, "at": one.at.isoformat(), "state": one.state, "type": one.type,
                              "source": one.source, "case": one.subject, "attempts": one.attempts, "reason": one.reason}))
    elif found:
        print(table(("id", "when", "room", "case", "what", "from", "tries", "state", "reason"), [
            (one.id[:8], local(one.at), one.room, one.subject[:8] or "-", one.type.removeprefix("radloop.v1."), one.source,
             str(one.attempts or "-"), one.state, one.reason) for one in found
        ]))
    else:
        print("nothing waits in quarantine")
    for room, shown in by_room.items():
        if len(shown) == args.limit:
            print(f"radloop: {room}: the newest {args.limit} are shown, there may be more (--limit)", file=sys.stderr)
    return 0


def show(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print one of them, or write its bytes."""
    one = _find(rooms, args.id, args.room)
    if args.payload is not None:
        payload = rooms.payload(one.room, one.id)
        if str(args.payload) == "-":
            sys.stdout.buffer.write(payload)
        else:
            _write(args.payload, payload)
        return 0
    print(table(("id", one.id), [
        ("room", one.room), ("when", local(one.at)), ("state", one.state), ("what", one.type), ("from", one.source),
        ("input", one.input_id), ("case", one.subject or "-"), ("attempts", str(one.attempts)), ("trace", one.trace_id or "-"),
        ("bytes", f"{one.size}, SHA-256 {one.sha256[:16]}… (--payload FILE writes them)"), ("reason", one.reason),
    ]))
    return 0


def retry(rooms: Rooms, args: argparse.Namespace) -> int:
    """Run them again, oldest first where all of a room are meant, so that what a newer one overtakes is seen to be."""
    if args.all == bool(args.id) or (args.all and not args.room):
        args.wrong("say which: one or more ids, or --room ROOM --all")
    found = _waiting(rooms, args.room) if args.all else [_find(rooms, start, args.room) for start in args.id]
    return _each(found, lambda one: rooms.retry(one.room, one.id))


def discard(rooms: Rooms, args: argparse.Namespace) -> int:
    """Give up on them."""
    if not args.reason.strip():
        raise Permanent("say why with --reason: whoever looks later finds it there")

    def act(one: Quarantined) -> str:
        rooms.discard(one.room, one.id, args.reason)
        return "discarded"

    return _each([_find(rooms, start, args.room) for start in args.id], act)


def _write(file: Path, payload: bytes) -> None:
    """Write bytes that may be PHI where nothing is yet, for this user alone."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            try:
                written.write(payload)
                written.flush()
            except OSError:
                file.unlink()  # half of it would be PHI that nobody knows of
                raise
    except FileExistsError:
        raise Permanent(f"{file} is there already: name a new file") from None
    except OSError as failed:
        raise Permanent(f"{file} cannot be written ({failed.strerror}): name a file in a folder that may be written") from failed
    print(f"{len(payload)} bytes in {file}, which this user alone can read; they may be PHI: delete them when you are done")


def _each(found: Iterable[Quarantined], act: Callable[[Quarantined], str]) -> int:
    """Do it to each of them, whatever becomes of the others: a line each, and what became of all of them where it was not one."""
    ended: Counter[str] = Counter()
    for one in found:
        try:
            words = act(one)
            ended[words.partition(":")[0]] += 1
        except Transient as away:
            words = f"not now: {away.reason}"
            ended["to be tried again later"] += 1
        except Permanent as never:
            words = never.reason
            ended["refused"] += 1
        print(f"{one.id[:8]} {one.room}: {words}", flush=True)
    if ended.total() != 1:
        print(f"{ended.total()} in all" + "".join(f", {count} {how}" for how, count in sorted(ended.items())))
    if ended.keys() & {"quarantined", "rejected", "refused"}:
        return 1
    return 75 if ended["to be tried again later"] else 0


def _newest(rooms: Rooms, room: str, limit: int, *, settled: bool) -> Iterator[Quarantined]:
    """Yield what is in a room's quarantine, newest first, a page at a time."""
    after = ""
    while limit > 0:
        page = rooms.quarantine(room, min(limit, _PAGE), settled=settled, after=after)
        yield from page
        limit -= len(page)
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _waiting(rooms: Rooms, room: str) -> Iterator[Quarantined]:
    """Yield what waits in a room's quarantine, oldest first, and none that comes while it is looked at."""
    newest = rooms.quarantine(room, 1)
    page = rooms.quarantine(room, _PAGE, oldest_first=True) if newest else ()
    while page:
        for one in page:
            if one.at > newest[0].at:
                return
            yield one
        page = rooms.quarantine(room, _PAGE, oldest_first=True, after=page[-1].id)


def _find(rooms: Rooms, start: str, room: str | None) -> Quarantined:
    if len(start) < _BEGINS:
        raise Permanent(f"{start!r} is no id: give its first {_BEGINS} characters at least")
    named = (room,) if room else rooms.names
    found = [one for name in named for one in rooms.quarantine(name, 2, settled=True, begins=start)]
    if len(found) != 1:
        raise Permanent(
            f"nothing in quarantine has an id that begins with {start!r}; `radloop quarantine list --all` shows them"
            if not found else f"more than one id begins with {start!r}; give more of it")
    return found[0]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number
