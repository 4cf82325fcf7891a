"""`radloop backfill`: earlier studies for the pool, the acceptance set or the gate set; they yield to live work."""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from radloop.cli.grpc import Rooms
from radloop.kit.errors import Misconfigured, Permanent, Transient

_PREAMBLE = 128
_PATIENCE_S = 120.0


def add_parser(commands: Any) -> None:
    """Add `backfill`."""
    parser = commands.add_parser(
        "backfill", help="read earlier studies from a folder of DICOM files",
        description="Hands every DICOM file below a folder to ingestion. A file that was handed over before is answered as"
        " before, so the command can simply be run again. Files that are not DICOM (PS3.10) are passed over and counted.",
    )
    parser.add_argument("folder", type=Path, help="searched to the bottom, in order of name")
    parser.add_argument("--purpose", required=True, choices=("pool", "acceptance", "gate"),
                        help="what they are for: the pool questions are chosen from, the site's acceptance set, or the gate set")
    parser.add_argument("--progress", action="store_true", help="show how far it is")
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="so many files at a time (%(default)s)")
    parser.set_defaults(ask=ask)


def ask(rooms: Rooms, args: argparse.Namespace) -> int:
    """Hand the files over; 1 where one was refused."""
    if not args.folder.is_dir():
        raise Misconfigured(f"{args.folder} is not a folder")
    files = sorted(path for path in args.folder.rglob("*") if path.is_file())
    taken, passed, refused = 0, 0, 0
    cases: set[str] = set()
    with ThreadPoolExecutor(max(1, args.parallel)) as pool:
        for done, (path, case, why) in enumerate(pool.map(lambda path: _hand_over(rooms, path, args.purpose), files), 1):
            if case:
                taken += 1
                cases.add(case)
            elif why:
                refused += 1
                print(f"{path}: {why}", file=sys.stderr)
            else:
                passed += 1
            if args.progress:
                print(f"\r{done} of {len(files)} files, {len(cases)} studies", end="", file=sys.stderr, flush=True)
    if args.progress:
        print(file=sys.stderr)
    print(f"{taken} objects of {len(cases)} studies handed over, {passed} other files passed over, {refused} refused")
    return 1 if refused else 0


def _hand_over(rooms: Rooms, path: Path, purpose: str) -> tuple[Path, str, str]:
    """Return the case, or why it was refused, or neither where it is no DICOM file."""
    content = path.read_bytes()
    if content[_PREAMBLE:_PREAMBLE + 4] != b"DICM" or path.name == "DICOMDIR":
        return path, "", ""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return path, rooms.backfill(content, purpose), ""
        except Permanent as never:
            return path, "", never.reason
        except Transient:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
