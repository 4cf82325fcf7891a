"""The demo as it is played: set up, learn, go live, a morning, and what came of it, counted at the far end."""

import argparse
import json
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Misconfigured, RadloopError
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.plan import GatePlan
from radloop.workbench.display import Display
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.running import running
from radloop.workbench.embedded.stack import Stack
from radloop.workbench.grpc import Rooms
from radloop.workbench.hospital.backfill import Archive
from radloop.workbench.hospital.books import Books, enrol
from radloop.workbench.hospital.cohort import FULL_POOL, Cohort, draw, sizes
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.figures import Required, failures
from radloop.workbench.hospital.messages import Envelope
from radloop.workbench.hospital.readers import Radiologist, Skill
from radloop.workbench.hospital.reading_room import Desk, ReadingRoom
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sources import Source, open_source
from radloop.workbench.hospital.watch import Watch
from radloop.workbench.loop import Doors, Loop, Pace, prepared
from radloop.workbench.reckoning import Reckoning, Said
from radloop.workbench.telling import Teller
from radloop.workbench.up import stop_signals

FIRST_ROUND, SECOND_ROUND = 75, 25
FULL_STUDIES = 60
STOPPED = "stopped: nothing runs any more; the next demo replaces what this one left"
_MARKER, _ASIDE = "demo.json", "before-demo-"
_QUIET_SECONDS = "0.5"
_POLICY = "demo-policy.yaml"


def play(args: argparse.Namespace) -> int:
    """Play the demo as its options say; return the exit status."""
    teller = Teller()
    asked = threading.Event()
    try:
        source = open_source(None if args.phantoms else args.data, args.seed)
        cohort = draw(source, args.seed, sizes(args.studies, args.pool, args.prevalence))
        home = _clean(args.home)
        with stop_signals(asked), ExitStack() as closing:
            demo = _Demo(args, source, cohort, home, teller, closing)
            try:
                status = demo.run(asked)
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


def introduction(source: str, seed: int, cohort: Cohort, gate: GatePlan) -> tuple[str, ...]:
    """Return what will be played, and why more earlier studies come than the pool has: most are there to judge, not to teach."""
    earlier = len(cohort.pool) + len(cohort.acceptance) + len(cohort.gate)
    return (
        f"{source}, seed {seed}: {len(cohort.seeds)} labels to begin with, {earlier} earlier studies, a morning of {len(cohort.morning)}",
        f"    {len(cohort.pool)} earlier studies are the pool: readers are asked about some of these (--pool)",
        f"    {len(cohort.acceptance)} are the acceptance set: their signed reports calibrate every new version",
        f"    {len(cohort.gate)} are the gate set: they decide on every release; however small the pool is, the change-control plan asks",
        f"      for {gate.positives_at_least} positives and {gate.negatives_at_least} negatives",
    )


@dataclass
class _Demo:
    """One demo: what it is played with, and the things that are closed in the end."""

    args: argparse.Namespace
    source: Source
    cohort: Cohort
    home: Path
    teller: Teller
    closing: ExitStack
    counted: Mapping[str, float] = field(default_factory=dict)

    def run(self, asked: threading.Event) -> int:
        """Play all of it; stay up unless told to exit."""
        clock = SystemClock()
        books = enrol(self.args.seed, self.cohort, clock.now())
        for line in introduction(self.source.name, self.args.seed, self.cohort, load_plan().gate):
            self.teller.line(line)
        ris = self.closing.enter_context(Ris(seed=self.args.seed))
        server = Server.start(self.home / "ehr")
        self.closing.callback(server.stop)
        stack = self._start(server.base_url, ris.port)
        figures, problems = self._play(stack, books, Chart(server.base_url), ris)
        wrong = failures(figures, self._required(), problems)
        for sentence in wrong:
            self.teller.line(f"does not hold: {sentence}")
        if not wrong:
            small = "" if self._whole else " (releases, priorities and the AUC are judged in a whole demo only)"
            self.teller.line(f"every check holds{small}")
        self.counted = figures
        if not self.args.exit:
            self.teller.line(f"one study's story:  radloop trace {books.morning[0].order.accession}   (in another terminal)")
            page = f"http://{stack.address('worklist.http')}/"
            self.teller.line(f"the reading list:   {page}   (the morning is read: press 3 for it; stays up, Ctrl-C stops)")
        if not self.args.exit:
            if self.args.json:
                self.tell_figures()
            with suppress(KeyboardInterrupt):  # how it is meant to end
                asked.wait()
            self.teller.line("stopping everything")
        return 1 if wrong else 0

    def tell_figures(self) -> None:
        """Print the figures as one line of JSON."""
        print(json.dumps({"figures": self.counted}), flush=True)

    def _start(self, ehr: str, ris_port: int) -> Stack:
        stack = Stack(self.home, Options(usual_ports=not self.args.free_ports, settings=settings(self.home, ehr, ris_port)))
        self.closing.callback(stack.stop)
        with Display() as display:
            stack.start(display)
        return stack

    def _play(self, stack: Stack, books: Books, chart: Chart, ris: Ris) -> tuple[Mapping[str, float], Sequence[str]]:
        clock, teller = SystemClock(), self.teller
        doors = Doors(
            mllp=stack.address("ingestion.mllp"), dicom=stack.address("ingestion.dicom"), page=stack.address("worklist.http"),
            triton=stack.address("triton"), kafka=stack.address("kafka"),
        )
        rooms = self.closing.enter_context(Rooms({
            room: stack.address(room) for room in ("ingestion", "inference", "triage", "retraining", "worklist", "publishing")
        }))
        page = self.closing.enter_context(ReadingRoom(doors.page))
        reader = Radiologist("reader-1", self.args.seed, books.truth)
        host, _, port = doors.mllp.rpartition(":")
        # A final report has been read twice before it was signed: it errs less than one reader between two cases.
        signer = Radiologist("reader-2", self.args.seed, books.truth, Skill(sensitivity=0.99, specificity=0.995))
        archive = Archive(self.source, signer, (host, int(port)), Envelope(), clock)
        desk = Desk(reader, page)
        loop = Loop(rooms, doors, books, self.source, desk, archive, clock, teller, self.args.seed)
        said = Said()

        with teller.stage("the first model, from 20 labels, runs in shadow"):
            first = loop.first_model(self.cohort.seeds, self.home / "workshop")
        with teller.stage(f"{len(books.earlier)} earlier studies handed over and read"):
            earlier = loop.backfill()
        test = prepared(self.source, self.cohort.test)
        said.auc_before = loop.worth(first, self.cohort.test, test)
        teller.line(f"the first model on the test split: AUC {said.auc_before:.3f}")
        with teller.stage(f"readers answered {FIRST_ROUND} questions from the pool"):
            loop.labelling_round(_share(FIRST_ROUND, self.args.pool))
        with teller.stage("a new model trained and gated"):
            said.tell_cycle(loop.cycle("first"), teller)
        if said.released:
            loop.until(lambda: loop.serving() > first, 60, "the released version is loaded")

        watch = Watch(page, lambda case: next((one.status for one in chart.of_case(case)), ""), clock)
        watch.start()
        self.closing.callback(watch.stop)

        def halfway() -> None:
            loop.labelling_round(_share(SECOND_ROUND, self.args.pool))
            said.tell_cycle(loop.cycle("second"), teller)

        with teller.stage(f"a morning of {len(books.morning)} studies"):
            said.stored = loop.morning(chart, watch, Pace(), halfway).stored
        reckoning = Reckoning(rooms, loop, page, chart, ris, desk, watch, books, earlier)
        with teller.stage("the last messages arrived"):
            reckoning.settle()
        watch.stop()
        with teller.stage("the last cycle ended"):
            loop.rest()
        said.tell_cycle(loop.last_cycle(), teller)
        serving = loop.serving()
        said.auc_after = loop.worth(serving or first, self.cohort.test, test)
        bundle = self.home / "bundle.json"
        figures, problems = reckoning.figures(said, stack.address("triton.http"), bundle, teller.seconds)
        reckoning.summary(said, figures, serving, teller)
        return figures, problems

    @property
    def _whole(self) -> bool:
        """Whether it is large enough for what needs many cases to be judged."""
        return bool(self.args.pool >= FULL_POOL and self.args.studies >= FULL_STUDIES)

    def _required(self) -> Required:
        labels = _share(FIRST_ROUND, self.args.pool) + _share(SECOND_ROUND, self.args.pool)
        if self._whole:
            return Required(labels_asked=labels)
        return Required(labels_asked=labels, priority_changes=None, releases=None, auc_gain=None)


def settings(home: Path, ehr: str, ris_port: int) -> dict[str, str]:
    """Return the rooms' settings in this home: the simulated hospital's addresses and issuer, a short quiet period, the demo's policy."""
    return {
        "RADLOOP_PUBLISHING_EHR": ehr,
        "RADLOOP_PUBLISHING_RIS": f"127.0.0.1:{ris_port}",
        "RADLOOP_INGESTION_QUIET_SECONDS": _QUIET_SECONDS,
        "RADLOOP_INGESTION_ISSUER": "SIMHOSP",
        "RADLOOP_TRIAGE_POLICY": str(_policy(home)),
    }


def _share(wanted: int, pool: int) -> int:
    """Return how many answers a pool can give in one round: a small one is never asked dry."""
    return min(wanted, pool * wanted // (FIRST_ROUND + SECOND_ROUND))


def _policy(home: Path) -> Path:
    """Write the demo's policy: the packaged one, where all requests come from the pool, so that their number is known."""
    packaged = Path(str(files("radloop.triage"))) / "triage-policy.yaml"
    lines = [
        f"{line.partition(':')[0]}: 0" if line.strip().startswith(("live_per_day:", "live_share:")) else line
        for line in packaged.read_text().splitlines()
    ]
    file = home / _POLICY
    file.write_text("\n".join(lines) + "\n")
    return file.resolve()


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
