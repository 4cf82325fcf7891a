"""`radloop demo`: the whole loop once, on this machine, in front of your eyes."""

import argparse
import os
from pathlib import Path
from typing import Any

from radloop.workbench.hospital.tempo import DEFAULT_SPEED

DEFAULT_SEED = 7
# Beside a checkout; where there is none, phantoms are drawn.
DATA = Path("../shared/data")


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add `demo` and its options to the command `radloop`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo", help="play the whole loop: a simulated hospital, a morning, a model that learns",
        description="Starts everything, makes a first model from 20 labels, hands over earlier studies, asks readers, and plays a"
        " morning: the model in shadow until a version has passed its gate, two readers at the list, clean studies and irregular"
        " ones; then says what came of it, in the terminal and as a page. On real radiographs where RADLOOP_DATA has them, else on"
        " drawn phantoms."
        " Beside the pool, 695 to 840 earlier studies are handed over however small it is: 125 to 200 that calibrate a new"
        " version (the acceptance set), and 570 to 640 that decide on its release (the gate set: the change-control plan asks"
        " for 400 positives and 100 negatives). Nobody is asked about these; so a small pool saves less time than it seems to.",
    )
    add_morning(parser)
    parser.add_argument("--exit", action="store_true", help="stop at the end; status 0 only if every check holds")
    parser.add_argument(
        "--home", type=Path, default=os.environ.get("RADLOOP_HOME") or ".radloop",
        help="where state lives; an earlier demo's is replaced (%(default)s)",
    )
    parser.add_argument("--free-ports", action="store_true", help="take any free ports instead of the usual ones")
    parser.set_defaults(run=run)
    return parser


def add_morning(parser: argparse.ArgumentParser) -> None:
    """Add what a morning is played with, for any command that plays one."""
    parser.add_argument(
        "--studies", type=int, default=60, help="ordinary studies of the morning, beside eleven irregular ones (%(default)s)",
    )
    parser.add_argument(
        "--pool", type=int, default=800,
        help="earlier studies that readers may be asked about, beside those of the acceptance and gate sets (%(default)s)",
    )
    parser.add_argument("--prevalence", type=float, default=0.2, help="share with the finding, in morning and pool (%(default)s)")
    parser.add_argument("--radiologists", type=int, default=2, help="readers at the list; studies come at their pace (%(default)s)")
    parser.add_argument(
        "--anchoring", type=float, default=0.2, metavar="SHARE",
        help="how often a reader follows a wrong answer on the screen, 0 to 1 (%(default)s)",
    )
    parser.add_argument(
        "--speed", type=float, default=DEFAULT_SPEED,
        help="simulated seconds to a real one: arrivals, reading times, the policy's allowances; not computing (%(default)s)",
    )
    parser.add_argument("--no-ai", action="store_true", help="no model at all: the list is first in, first out")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="draws everything (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as the last line")
    parser.add_argument("--phantoms", action="store_true", help="drawn phantoms, even where there are radiographs")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("RADLOOP_DATA") or DATA, help="folder of radiographs (RADLOOP_DATA; %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Play it; the exit status is 0 where every check holds."""
    # Everything shares a few cores here: threads that spin while they wait hold up whoever they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from radloop.workbench.demonstration import play

    return play(args)
