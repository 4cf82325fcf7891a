"""A drill from beginning to end: the stage is set once, then each round streams, strikes, waits for rest, and is accounted for."""

import argparse
import json
import math
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from rich.console import Console

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Misconfigured, RadloopError, Transient
from radloop.workbench.display import Display
from radloop.workbench.drill import ledger
from radloop.workbench.drill.accounts import account
from radloop.workbench.drill.conductor import Conductor
from radloop.workbench.drill.kafkas import missing
from radloop.workbench.drill.report import Drilled, figures, leave, plain, show
from radloop.workbench.drill.schedule import BROKER, SHORT, Outages, schedule
from radloop.workbench.drill.stage import Stage, set_up
from radloop.workbench.drill.stories import ROUND, Story, stories, story
from radloop.workbench.drill.stream import Stream, Told
from radloop.workbench.drill.strikes import DISK, Ground, strikes
from radloop.workbench.telling import Teller
from radloop.workbench.up import stop_signals

_PROBES = 1_000
_CALM, _LOOK = 3.0, 0.5
_PATIENCE, _COMMITTED = 240.0, 90.0
_LONG = 200.0
_BREATH, _MUCH = 2.0, 40
"""How often it is looked how much the platform has in hand, and from how many readings and deliveries on it is too much."""


def drill(args: argparse.Namespace) -> int:
    """Run a drill as its options say; the exit status is 0 only where every promise was kept."""
    teller, asked, rounds = Teller(), threading.Event(), list[Drilled]()
    try:
        names = chosen(args)
        if args.kafka != "embedded" and (why := missing()):
            raise Misconfigured(why)
        with ExitStack() as closing:
            home = _home(args, closing)
            with stop_signals(asked), ExitStack() as stage:
                try:
                    _run(args, names, home, teller, stage, rounds)
                except KeyboardInterrupt:
                    teller.line("interrupted: stopping everything")
                    raise
                finally:
                    asked.set()
            if args.json:
                print(json.dumps({"figures": plain(figures(rounds))}), flush=True)
    except RadloopError as wrong:
        teller.leave()
        print(f"radloop: {wrong.reason}", file=sys.stderr)
        return 78 if isinstance(wrong, Misconfigured) else 1
    except KeyboardInterrupt:
        teller.line("stopped: nothing runs any more")
        return 130
    return 0 if rounds and all(one.holds for one in rounds) else 1


def chosen(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the names of the strikes to draw from; raise Misconfigured for one that there is not."""
    known = strikes()
    if args.strike:
        if unknown := [name for name in args.strike if name not in known]:
            raise Misconfigured(f"there is no strike {unknown[0]!r}; `radloop drill --list` names them")
        return tuple(args.strike)
    wanted = args.set or ("short" if args.seconds < _LONG else "full")
    return {"short": SHORT, "broker": BROKER}.get(wanted, tuple(known))


def _home(args: argparse.Namespace, closing: ExitStack) -> Path:
    """Return a home with nothing in it: the one that was named, or one of its own that goes afterwards."""
    if args.home is None:
        folder = tempfile.TemporaryDirectory(prefix="radloop-drill-", ignore_cleanup_errors=True)
        home = Path(closing.enter_context(folder)) / "home"
        home.mkdir()
        return home
    home = Path(args.home).resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise Misconfigured(f"--home {args.home} cannot be made ({failed.strerror}): name a folder that may be written") from failed
    if any(home.iterdir()):
        raise Misconfigured(f"{home.name} is not empty: a drill begins with nothing, name another --home")
    return home


def _run(
    args: argparse.Namespace, names: tuple[str, ...], home: Path, teller: Teller, closing: ExitStack, rounds: list[Drilled],
) -> None:
    with Display() as display:
        stage = set_up(home, args.kafka, args.seed, teller, closing, display, disk=DISK in names)
    teller.line(f"version {stage.loop.serving()} serves: the drill begins")
    console = Console()
    told: list[Told] = []
    for number in range(args.rounds):
        ground = Ground(stage, Outages.of(args.outage_seconds, full=args.full_outages), threading.Event())
        closing.callback(ground.over.set)
        one = _Round(args, names, stage, ground, teller, number, told)
        rounds.append(one.play(closing))
        teller.leave()
        show(rounds[-1], console)
        file = leave(rounds, home)
        if args.home is not None:
            teller.line(f"all of it is in {file}")


@dataclass
class _Round:
    """One round on a stage that stands."""

    args: argparse.Namespace
    names: tuple[str, ...]
    stage: Stage
    ground: Ground
    teller: Teller
    number: int
    earlier: list[Told]
    seed: int = field(init=False)

    def __post_init__(self) -> None:
        self.seed = self.args.seed + self.number

    def play(self, closing: ExitStack) -> Drilled:
        """Stream and strike, let everything come to rest, and hold the account."""
        args, stage, first = self.args, self.stage, (self.number + 1) * ROUND
        now = SystemClock().now()
        plan = stories(self.seed, now, first + _PROBES, ROUND // 4)
        probes = (_urgent(one) for one in stories(self.seed, now, first, _PROBES))
        stream = Stream(_split(stage.doors.mllp), _split(stage.doors.dicom), stage.images, plan, args.rate)
        closing.callback(stream.stop)
        conductor = Conductor(self.ground, strikes(), probes, self.teller)
        stream.start()
        breathing = threading.Thread(target=self._breathe, args=(stream,), name="breathing", daemon=True)
        breathing.start()
        ending = threading.Timer(args.seconds, stream.end)
        ending.daemon = True
        ending.start()
        struck = conductor.play(schedule(self.seed, args.seconds, self.names), args.seconds)
        ending.join()
        to_rest = self._rests(stream)
        told = (*stream.told(), *conductor.probed())
        held = account(told, ledger.read(stage), tuple(self.earlier))
        self.earlier += told
        return Drilled(self.seed, args.kafka, struck, held, args.seconds, to_rest)

    def _breathe(self, stream: Stream) -> None:
        """Ease the stream where a slow machine falls behind: else recovery would measure the queue before it."""
        while not (self.ground.over.wait(_BREATH) or stream.finished()):
            with suppress(psycopg.OperationalError):
                stream.ease(eased=ledger.in_hand(self.stage.dsn) > _MUCH)

    def _rests(self, stream: Stream) -> float | None:
        """Wait until nothing is on its way any more; return the seconds, None where it never came to rest."""
        began, calm_since = time.monotonic(), math.inf
        while time.monotonic() - began < _PATIENCE:
            left = self._left() if stream.finished() else "studies are still being sent"
            calm_since = math.inf if left else min(calm_since, time.monotonic())
            if time.monotonic() - calm_since > _CALM:
                self._commits(time.monotonic() + _COMMITTED)
                return calm_since - began
            self.teller.now(f"waiting for rest: {left or 'nothing moves'}")
            time.sleep(_LOOK)
        return None

    def _left(self) -> str:
        try:
            return ledger.left(self.stage.dsn)
        except Transient as away:
            return away.reason

    def _commits(self, deadline: float) -> None:
        """Give the rooms time to tell the broker what they have settled; whatever is not told then is a promise not kept."""
        while time.monotonic() < deadline:
            try:
                if not ledger.uncommitted(self.stage.doors.kafka):
                    return
            except Transient:
                pass
            time.sleep(_LOOK)


def _urgent(one: Story) -> Story:
    return story(one.number, "ordinary", replace(one.order, priority="S"))


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
