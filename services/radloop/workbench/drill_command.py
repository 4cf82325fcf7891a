"""`radloop drill`: kill everything while orders and studies stream in, and show that nothing was lost and nothing came twice."""

import argparse
import math
import os
from pathlib import Path
from typing import Any

from radloop.workbench.demo import DEFAULT_SEED


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add `drill` and its options to the command `radloop`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "drill", help="kill everything in turn under load, and prove that nothing is lost or published twice",
        description="Starts a stack of its own with a version that serves, a hospital beside it, and kills rooms, broker, Postgres and"
        " Triton, and takes EHR and RIS away, while orders and studies stream in. Then it waits until everything is at rest and holds"
        " the books against each other: what was acknowledged, what EHR and RIS have, what the rooms know. Exit status 0 only if nothing"
        " was lost, nothing came twice, and every other promise was kept.",
    )
    parser.add_argument("--seconds", type=_positive, default=300.0, help="how long studies stream in, each round (%(default)g)")
    parser.add_argument("--seed", type=_seed, default=DEFAULT_SEED, help="draws strikes, studies and stories (%(default)s)")
    parser.add_argument("--rounds", type=_count, default=1, help="rounds on one stack, each with the next seed (%(default)s)")
    parser.add_argument("--rate", type=_positive, default=2.0, help="studies a second (%(default)g)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--set", choices=("short", "full", "broker"), help="which strikes: every part once, all there are, or the broker's"
        " (default: short under 200 seconds, else full)",
    )
    which.add_argument("--strike", action="append", default=[], metavar="NAME", help="only this one (may be given several times)")
    parser.add_argument("--list", action="store_true", help="name the strikes, and end")
    parser.add_argument(
        "--kafka", choices=("embedded", "apache", "three"), default="embedded",
        help="the broker: the embedded one, or Apache Kafka with one node or three, from the tools in RADLOOP_TOOLS (%(default)s)",
    )
    away = parser.add_mutually_exclusive_group()
    away.add_argument("--outage-seconds", type=_positive, default=10.0, help="how long what is away stays away (%(default)g)")
    away.add_argument(
        "--full-outages", action="store_true", help="long ones instead: the broker 60 s, Postgres 30 s, EHR and RIS 120 s",
    )
    parser.add_argument("--home", type=Path, help="where state, logs and the report stay (default: a folder that goes afterwards)")
    parser.add_argument("--json", action="store_true", help="print the figures as the last line")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run it; the exit status is 0 where every promise was kept."""
    # Everything shares a few cores here: threads that spin while they wait hold up whoever they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if args.list:
        from radloop.workbench.drill.strikes import strikes

        print("\n".join(strikes()))
        return 0
    from radloop.workbench.drill.drilling import drill

    return drill(args)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return number


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)
