"""The demo as it is played: a stack of its own, the simulated hospital beside it, and what came of it."""

import argparse
import json
import shutil
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Misconfigured, RadloopError
from radloop.retraining.adapters.plan import load_plan
from radloop.workbench.display import Display
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.running import running
from radloop.workbench.embedded.stack import Stack
from radloop.workbench.grpc import Rooms
from radloop.workbench.hospital.books import enrol
from radloop.workbench.hospital.cohort import Cohort, draw, sizes
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sources import Source, open_source
from radloop.workbench.play.ending import tell
from radloop.workbench.play.loop import Doors
from radloop.workbench.play.playing import Outside, Play
from radloop.workbench.play.settings import settings
from radloop.workbench.play.story import Story
from radloop.workbench.play.wanted import Wanted, introduction, wanted_of
from radloop.workbench.telling import Teller
from radloop.workbench.up import stop_signals

STOPPED = "stopped: nothing runs any more; the next demo replaces what this one left"
PLAYED_ON = ("ingestion", "inference", "triage", "retraining", "worklist", "publishing")
_MARKER, _ASIDE = "demo.json", "before-demo-"


def play(args: argparse.Namespace) -> int:
    """Play the demo as its options say; return the exit status."""
    teller = Teller()
    asked = threading.Event()
    try:
        told = wanted_of(args)
        source = open_source(None if args.phantoms else args.data, args.seed)
        cohort = draw(source, args.seed, sizes(args.studies, args.pool, args.prevalence, ai=told.ai))  # before anything is cleaned away
        demo = _Demo(args, told, source, cohort, _clean(args.home), teller)
        with stop_signals(asked), ExitStack() as closing:
            try:
                status = demo.run(asked, closing)
            except KeyboardInterrupt:
                teller.line("interrupted: stopping everything")
                raise
            finally:
                asked.set()
        if not args.exit:
            teller.line(STOPPED)
        elif args.json:
            demo.tell_figures()  # behind everything that stopping says: the last line
        return status
    except RadloopError as wrong:
        teller.leave()
        print(f"radloop: {wrong.reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        teller.line(STOPPED)
        return 130


@dataclass
class _Demo:
    """One demo: what it is played with, and how it ended."""

    args: argparse.Namespace
    wanted: Wanted
    source: Source
    cohort: Cohort
    home: Path
    teller: Teller
    story: Story | None = None

    def run(self, asked: threading.Event, closing: ExitStack) -> int:
        """Play all of it; stay up unless told to exit."""
        args, teller = self.args, self.teller
        source, cohort = self.source, self.cohort
        books = enrol(args.seed, cohort, SystemClock().now())
        for line in introduction(source.name, self.wanted, cohort, load_plan().gate):
            teller.line(line)
        ris = closing.enter_context(Ris(seed=args.seed, refuses=0.0, refuses_first=1))
        server = Server.start(self.home / "ehr")
        closing.callback(server.stop)
        stack = self._start(server.base_url, ris.port, closing)
        page = f"http://{stack.address('worklist.http')}/"
        teller.line(f"the reading list:   {page}   (open it now: the morning is played on it)")
        rooms = closing.enter_context(Rooms({room: stack.address(room) for room in PLAYED_ON}))
        outside = Outside(Chart(server.base_url), ris, server)
        playing = Play(self.wanted, source, cohort, books, Doors.at(stack.address), rooms, outside, teller, closing)
        self.story = playing.run(self.home)
        status = tell(self.story, self.wanted, self.home, teller)
        if not args.exit:
            self._stay(page, self.story.worth_tracing, asked)
        return status

    def tell_figures(self) -> None:
        """Print the figures as one line of JSON."""
        print(json.dumps({"figures": self.story.figures if self.story else {}}), flush=True)

    def _start(self, ehr: str, ris_port: int, closing: ExitStack) -> Stack:
        told = settings(self.home, ehr, f"127.0.0.1:{ris_port}", self.wanted.tempo)
        stack = Stack(self.home, Options(usual_ports=not self.args.free_ports, settings=told))
        closing.callback(stack.stop)
        with Display() as display:
            stack.start(display)
        return stack

    def _stay(self, page: str, accession: str, asked: threading.Event) -> None:
        """Say where to look, and wait to be stopped."""
        if accession:  # where nothing came there is no story
            self.teller.line(f"one study's story:  radloop trace {accession}   (in another terminal)")
        self.teller.line(f"the reading list:   {page}   (the morning is read: press 3 for it; stays up, Ctrl-C stops)")
        if self.args.json:
            self.tell_figures()
        with suppress(KeyboardInterrupt):  # how it is meant to end
            asked.wait()
        self.teller.line("stopping everything")


def _clean(home: Path) -> Path:
    """Return a home with nothing to go on from: an earlier demo's state is deleted, anybody else's is put aside in it."""
    home = home.resolve()
    if running(home):
        raise Misconfigured(f"a stack runs in {home.name}: stop it, or name another --home")
    home.mkdir(parents=True, exist_ok=True)
    found = [one for one in home.iterdir() if not one.name.startswith(_ASIDE)]
    if found and not (home / _MARKER).exists():
        aside = home / f"{_ASIDE}{sum(1 for one in home.iterdir() if one.name.startswith(_ASIDE)) + 1}"
        aside.mkdir()
        for one in found:
            one.rename(aside / one.name)
        found = []
    for one in found:
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    (home / _MARKER).write_text(json.dumps({"made_by": "radloop demo"}))
    return home
