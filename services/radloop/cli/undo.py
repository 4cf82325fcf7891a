"""`radloop undo`: give a case its own place in the list back, or undo a wrong join of an order and a study."""

import argparse
import uuid
from typing import Any

from radloop.cli.grpc import Rooms
from radloop.cli.trace import cases_of


def add_parser(commands: Any) -> None:
    """Add `undo`."""
    parser = commands.add_parser(
        "undo", help="give a case its own place in the list back",
        description="Takes the AI's lift of a case back, until a human changes its place; the RIS gets the clinician's own"
        " priority again. With --join it undoes a wrong join of an order and a study instead, and the EHR and the RIS hear of it.",
    )
    parser.add_argument("accession", help="the accession number, or a case id")
    parser.add_argument("--join", action="store_true", help="undo the join of order and study")
    parser.set_defaults(ask=ask)


def ask(rooms: Rooms, args: argparse.Namespace) -> int:
    """Undo it for every case that the accession number names."""
    for case in cases_of(rooms, args.accession):
        act = rooms.undo_join if args.join else rooms.undo_reordering
        print(f"{case}: {act(case, str(uuid.uuid4()))}")
    return 0
