"""The simulated hospital on a visit: its own EHR and RIS, somebody else's platform."""

import argparse
import json
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx

from radloop.cli.addresses import addresses
from radloop.kit.clock import SystemClock
from radloop.kit.errors import Misconfigured, RadloopError
from radloop.retraining.adapters.plan import load_plan
from radloop.workbench.grpc import Rooms
from radloop.workbench.hospital.books import enrol
from radloop.workbench.hospital.cohort import draw, sizes
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sources import open_source
from radloop.workbench.hospital.tempo import Tempo
from radloop.workbench.play.ending import tell
from radloop.workbench.play.loop import Doors
from radloop.workbench.play.playing import Outside, Play
from radloop.workbench.play.settings import settings
from radloop.workbench.play.wanted import introduction, wanted_of
from radloop.workbench.telling import Teller
from radloop.workbench.up import stop_signals

_NUMBERS = 10_000
"""So many patients a play may have: their numbers begin at the second it was begun in, times this."""


def show(args: argparse.Namespace) -> int:
    """Print what the platform must be told, as lines for an environment file; write the policy they name."""
    home = args.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    for name, value in settings(home, args.ehr or _own(args), f"{args.listen}:{args.ris_port}", Tempo(args.speed)).items():
        print(f"{name}={value}")
    return 0


def visit(args: argparse.Namespace, at: Mapping[str, str]) -> int:
    """Play a morning against the platform behind these doors; return the exit status."""
    told = wanted_of(args, play=int(time.time()) * _NUMBERS)
    home = args.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    teller = Teller()
    source = open_source(None if args.phantoms else args.data, args.seed)
    cohort = draw(source, args.seed, sizes(args.studies, args.pool, args.prevalence, ai=told.ai))
    books = enrol(args.seed, cohort, SystemClock().now(), told.play)
    for line in introduction(source.name, told, cohort, load_plan().gate):
        teller.line(line)
    with stop_signals(threading.Event()), ExitStack() as closing:
        try:
            ris = closing.enter_context(_ris(args))
            server = None if args.ehr else _ehr(home, args)
            if server:
                closing.callback(server.stop)
            outside = Outside(Chart(args.ehr or _own(args)), ris, server)
            rooms = closing.enter_context(Rooms(addresses()))
            story = Play(told, source, cohort, books, Doors.at(at.__getitem__), rooms, outside, teller, closing).run(home)
        except RadloopError as wrong:
            teller.leave()
            print(f"radloop: {wrong.reason}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            teller.line("stopped: the platform keeps what it was sent")
            return 130
    status = tell(story, told, home, teller)
    if story.figures["read_by_model"] and not story.figures["reports_in_ehr"]:
        teller.line("no report reached this hospital's EHR: has the platform been told of it? radloop hospital --show-settings")
    if args.json:
        print(json.dumps({"figures": story.figures}), flush=True)
    return status


def _own(args: argparse.Namespace) -> str:
    return f"http://{args.listen}:{args.ehr_port}/fhir"


def _ehr(home: Path, args: argparse.Namespace) -> Server:
    try:
        httpx.get(f"{_own(args)}/metadata", timeout=1)
    except httpx.TransportError:
        return Server.start(home / "ehr", args.ehr_port, args.listen)
    raise Misconfigured(f"something answers on port {args.ehr_port} already: name another --ehr-port, and tell the platform")


def _ris(args: argparse.Namespace) -> Ris:
    try:
        return Ris(host=args.listen, port=args.ris_port, seed=args.seed, refuses=0.0, refuses_first=1)
    except OSError as busy:
        raise Misconfigured(
            f"the RIS cannot listen at {args.listen}:{args.ris_port}: name another --ris-port or --listen, and tell the platform",
        ) from busy
