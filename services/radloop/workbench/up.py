"""`radloop up`: start the whole platform on this machine, watch over it, stop it without a trace."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radloop.kit.errors import RadloopError
from radloop.workbench.display import Display
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.stack import Stack


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add `up` and its options to the command `radloop`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "up", help="start everything on this machine and watch over it, until Ctrl-C",
        description="Starts Postgres, the broker, Triton and the seven rooms, shows them come up, restarts what dies."
        " State lives in .radloop/ (RADLOOP_HOME); everything listens on loopback.",
    )
    add_options(parser)
    parser.set_defaults(run=run)
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a stack, for any command that starts one."""
    elsewhere = parser.add_argument_group("parts that run elsewhere")
    elsewhere.add_argument("--postgres", metavar="DSN", default="", help="use this database")
    elsewhere.add_argument("--kafka", metavar="HOST:PORT", default="", help="use this broker")
    elsewhere.add_argument("--triton", metavar="HOST:PORT[,HOST:PORT]", default="", help="use this Triton, or these (gRPC addresses)")
    elsewhere.add_argument("--model-repository", metavar="DIR", type=Path, help="the model repository that Triton reads")
    hospital = parser.add_argument_group("the hospital")
    hospital.add_argument("--site", default=os.environ.get("RADLOOP_SITE", "site-1"), help="the site's name (%(default)s)")
    hospital.add_argument("--ehr", metavar="URL", default="", help="base URL of the EHR's FHIR server")
    hospital.add_argument("--ris", metavar="HOST:PORT", default="", help="the RIS's MLLP address")
    parser.add_argument("--host", default="127.0.0.1", help="listen on this address (%(default)s)")
    parser.add_argument("--free-ports", action="store_true", help="take any free ports instead of the usual ones")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], dest="settings", type=_setting,
        help="a setting for the rooms, by its environment variable (may be given several times)",
    )


def options_from(args: argparse.Namespace) -> Options:
    """Return the stack's options as given on the command line."""
    hospital = {"RADLOOP_PUBLISHING_EHR": args.ehr, "RADLOOP_PUBLISHING_RIS": args.ris}
    return Options(
        host=args.host, site=args.site, postgres=args.postgres, kafka=args.kafka, triton=args.triton,
        model_repository=args.model_repository, usual_ports=not args.free_ports,
        settings={name: value for name, value in hospital.items() if value} | dict(args.settings),
    )


def home() -> Path:
    """Return where state lives: RADLOOP_HOME, else `.radloop` in the current folder."""
    return Path(os.environ.get("RADLOOP_HOME") or ".radloop")


def run(args: argparse.Namespace) -> int:
    """Start, watch until Ctrl-C or SIGTERM, stop; exit status 1 where it could not start."""
    if args.triton and not args.model_repository:
        print("radloop: --triton needs --model-repository, the folder that this Triton reads", file=sys.stderr)
        return 2
    stack = Stack(home(), options_from(args))
    asked = threading.Event()
    with Display() as display, stop_signals(asked):
        try:
            stack.start(display)
            for line in greeting(stack):
                display.line(line)
            asked.wait()
        except KeyboardInterrupt:
            pass
        except RadloopError as wrong:
            print(f"radloop: {wrong.reason}", file=sys.stderr)
            return 1
        finally:
            asked.set()
            stack.stop()
    return 0


def greeting(stack: Stack) -> tuple[str, ...]:
    """Return what to tell a person whose stack is up: where everything is."""
    return (
        f"radloop is up: the reading list is at http://{stack.address('worklist.http')}/  (no login: loopback only)",
        f"  orders and reports: HL7 v2 over MLLP at {stack.address('ingestion.mllp')}",
        f"  images: DICOM C-STORE at {stack.address('ingestion.dicom')}",
        f"  logs: {stack.home / 'logs'}    Ctrl-C stops everything",
    )


@contextmanager
def stop_signals(asked: threading.Event) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into one KeyboardInterrupt; once `asked` is set, let the stop finish undisturbed."""

    def heard(number: int, frame: object) -> None:  # noqa: ARG001 - the signature of a signal handler
        if not asked.is_set():
            asked.set()
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, heard) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.startswith("RADLOOP_"):
        raise argparse.ArgumentTypeError("write it as RADLOOP_…=value")
    return name, value
