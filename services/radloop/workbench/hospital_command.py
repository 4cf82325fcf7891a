"""`radloop hospital`: the simulated hospital against a platform that is installed somewhere, so that a site can try its own."""

import argparse
import os
from pathlib import Path
from typing import Any

from radloop.kit.errors import Misconfigured
from radloop.workbench.demo import add_morning

_DOORS = ("ingestion.mllp", "ingestion.dicom", "worklist.http", "triton", "triton.http", "kafka")
_EPILOG = """\
the platform must be told of this hospital before it is played against (nothing else of it changes):
  radloop hospital --show-settings        prints its settings, and writes the policy they name (a file: bring it to triage's machine)

on one machine, in two terminals:
  radloop hospital --show-settings > hospital.env
  set -a; . ./hospital.env; set +a; radloop up
  radloop hospital

Rooms are found as by every other command: through the stack that runs in .radloop (RADLOOP_HOME), or through
RADLOOP_ADDRESS_<ROOM>=host:port. Each play brings patients, orders and images of its own. Questions to readers are drawn from the
platform's whole pool: those about an earlier play's studies stay unanswered.
"""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add `hospital` and its options to the command `radloop`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "hospital", help="play a simulated hospital's morning against any installed radloop",
        description="The same hospital, morning and report as `radloop demo`, against a platform that is already there: one on this"
        " machine, or a test system of yours. It sends synthetic patients: never point it at a system that treats real ones.",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_morning(parser)
    doors = parser.add_argument_group("the platform's doors, host:port (default: the stack that runs in RADLOOP_HOME)")
    doors.add_argument("--mllp", dest="ingestion_mllp", metavar="HOST:PORT", help="orders and reports: HL7 v2 over MLLP")
    doors.add_argument("--dicom", dest="ingestion_dicom", metavar="HOST:PORT", help="images: C-STORE")
    doors.add_argument("--page", dest="worklist_http", metavar="HOST:PORT", help="the reading list")
    doors.add_argument("--triton", dest="triton", metavar="HOST:PORT", help="Triton's gRPC, to measure versions")
    doors.add_argument("--triton-http", dest="triton_http", metavar="HOST:PORT", help="Triton's HTTP, for its statistics")
    doors.add_argument("--kafka", dest="kafka", metavar="HOST:PORT", help="the broker, to see whether everybody has heard")
    own = parser.add_argument_group("the hospital's own systems, which the platform must reach")
    own.add_argument("--ehr", metavar="URL", default="", help="base of a FHIR server of yours (default: one of our own is started)")
    own.add_argument(
        "--listen", metavar="HOST", default="127.0.0.1",
        help="the address of this machine under which the platform reaches our EHR and RIS (%(default)s)",
    )
    own.add_argument("--ehr-port", type=int, default=8095, help="where our own EHR listens (%(default)s)")
    own.add_argument("--ris-port", type=int, default=2576, help="where the RIS listens, MLLP (%(default)s)")
    parser.add_argument(
        "--home", type=Path, default=".radloop-hospital", help="where the hospital keeps its EHR and leaves the report (%(default)s)",
    )
    parser.add_argument("--show-settings", action="store_true", help="print what the platform must be told, and end")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Play it; the exit status is 0 where every check holds."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from radloop.workbench.hospital_visit import show, visit

    return show(args) if args.show_settings else visit(args, doors(args))


def doors(args: argparse.Namespace) -> dict[str, str]:
    """Return the platform's doors by name; raise Misconfigured with the option that is missing."""
    from radloop.workbench.embedded.running import running

    told = running(Path(os.environ.get("RADLOOP_HOME") or ".radloop"))
    known = dict(told.addresses) if told else {}
    found = {name: str(given) for name in _DOORS if (given := getattr(args, name.replace(".", "_"), None) or known.get(name))}
    missing = [name for name in _DOORS if name not in found]
    if missing:
        options = ", ".join(f"--{_option(name)}" for name in missing)
        raise Misconfigured(f"where is the platform? no stack runs in .radloop (RADLOOP_HOME), and nothing was said of {options}")
    return found


def _option(name: str) -> str:
    return {"ingestion.mllp": "mllp", "ingestion.dicom": "dicom", "worklist.http": "page", "triton.http": "triton-http"}.get(name, name)
