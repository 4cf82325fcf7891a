"""A play: the simulated hospital against one platform, from the first model to the last report. It knows doors, not processes."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.workbench.following import following
from radloop.workbench.grpc import Rooms, Version
from radloop.workbench.hospital.backfill import Archive
from radloop.workbench.hospital.books import Books
from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.messages import Envelope
from radloop.workbench.hospital.morning import Lines, Morning, Pictures
from radloop.workbench.hospital.objects import looks
from radloop.workbench.hospital.outage import Clerk, Outage
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.planning import AWAY_AT, MINUTE, lasts, plan
from radloop.workbench.hospital.readers import CONSENSUS, Radiologist, staff
from radloop.workbench.hospital.reading_room import Desk, ReadingRoom
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.shift import Place, Questions, Shift
from radloop.workbench.hospital.sources import Source
from radloop.workbench.hospital.tempo import Day, Tempo, o_clock
from radloop.workbench.hospital.watch import Watch
from radloop.workbench.learned import Before, Measure
from radloop.workbench.loop import Doors, Loop
from radloop.workbench.reckoning import RELEASED, Reckoning, Said, told_of_version
from radloop.workbench.story import Labels, Learning, Story
from radloop.workbench.telling import Teller

FIRST_ROUND, SECOND_ROUND = 75, 25
FIRST_CYCLE_BY = 10 * MINUTE
"""When the AI lead starts a cycle over the answers given before the morning, should none have begun by itself."""
_POLL = 0.25
_SLACK = 400.0  # real seconds that a morning may take beyond its plan before it counts as stuck


@dataclass(frozen=True)
class Wanted:
    """What is to be played; `play` makes other people and numbers of the same seed."""

    seed: int
    studies: int
    pool: int
    prevalence: float
    radiologists: int
    anchoring: float
    tempo: Tempo
    ai: bool
    play: int = 0

    @property
    def rounds(self) -> tuple[int, int]:
        """Return how many answers are asked before the morning and in it: a small pool is never asked dry."""
        whole = FIRST_ROUND + SECOND_ROUND
        if not self.ai:
            return 0, 0
        return min(FIRST_ROUND, self.pool * FIRST_ROUND // whole), min(SECOND_ROUND, self.pool * SECOND_ROUND // whole)


@dataclass(frozen=True)
class Outside:
    """What the hospital has of its own: its EHR (`server` where it is ours to switch off) and its RIS."""

    chart: Chart
    ris: Ris
    server: Server | None


class Play:
    """One play; `run` plays it to the end."""

    def __init__(
        self, wanted: Wanted, source: Source, cohort: Cohort, books: Books, doors: Doors, rooms: Rooms, outside: Outside,
        teller: Teller, closing: ExitStack,
    ) -> None:
        """Seat the readers; nothing is sent yet."""
        self.wanted, self.source, self.cohort, self.books, self.doors = wanted, source, cohort, books, doors
        self.rooms, self.outside, self.teller, self._closing = rooms, outside, teller, closing
        self.clock = SystemClock()
        unseen = frozenset(one.order.accession for one in books.morning if one.irregular == "unreadable-image")
        readers = staff(wanted.seed, wanted.radiologists, books.truth, wanted.anchoring, unseen)
        self.page = closing.enter_context(ReadingRoom(doors.page))
        self.desks = tuple(Desk(reader, closing.enter_context(ReadingRoom(doors.page))) for reader in readers)
        signer = Radiologist("consensus", wanted.seed, books.truth, CONSENSUS)
        archive = Archive(source, signer, split(doors.mllp), Envelope(), self.clock)
        self.loop = Loop(rooms, doors, books, source, self.desks, archive, self.clock, teller, wanted.seed, wanted.play)
        self.said = Said()

    def run(self, home: Path) -> Story:
        """Play it; `home` takes what is left for people to look at. Raises Permanent where the platform does not do its part."""
        earlier = frozenset(report.id for report in self.outside.chart.reports())
        measure, before = self._prepare(home) if self.wanted.ai else (None, None)
        played = _Morning(self)
        with self.teller.stage(f"a morning of {len(self.books.morning)} studies"):
            played.play()
        with self.teller.stage("the last messages arrived"):
            played.settle()
        learning = self._learned(measure, before) if measure and before else None
        return self._story(played, learning, earlier, home)

    def _prepare(self, home: Path) -> tuple[Measure, Before]:
        """Everything before the morning: the first model, the earlier studies, and what readers answer of them."""
        loop, teller = self.loop, self.teller
        first = loop.serving()  # a platform that was here before may have one
        if first:
            teller.line(f"version {first} serves already: it is what the answers are held against")
        else:
            with teller.stage("the first model, from 20 labels, runs in shadow"):
                first = loop.first_model(self.cohort.seeds, home / "workshop")
        with teller.stage(f"{len(self.books.earlier)} earlier studies handed over and read"):
            loop.backfill()
        with teller.stage("the first model measured on the test split"):
            measure = Measure(loop, self.source, self.cohort, self.books, self.wanted.seed)
            before = measure.before(first)
        with teller.stage(f"{len(self.desks)} readers answered {self.wanted.rounds[0]} questions from the pool"):
            loop.labelling_round(self.wanted.rounds[0])
        return measure, before

    def _learned(self, measure: Measure, before: Before) -> Learning:
        with self.teller.stage("the last cycle ended"):
            self.loop.rest()
        versions = self.rooms.models()
        self.said.tell_versions(versions, self.teller)
        loaded = {number for number, _, ready in self.rooms.loaded() if ready}  # the older ones are not served any more
        released = [one for one in versions if one.gate_passed and one.stage in RELEASED and one.number in loaded]
        with self.teller.stage("what was learned, measured on the test split"):
            return measure.after(before, released, self.loop.serving(), [desk.reader for desk in self.desks])

    def _story(self, played: "_Morning", learning: Learning | None, earlier: frozenset[str], home: Path) -> Story:
        wanted = self.wanted
        cases = {entry.order.accession: self.page.find(entry.order.accession) for entry in self.books.morning}
        outage = played.outage
        away = (outage.away, outage.back) if outage and outage.away is not None and outage.back is not None else None
        reckoning = Reckoning(
            cases, earlier, self.rooms, self.page, self.outside.chart, self.outside.ris, self.desks, played.watch, self.books,
            played.morning.told, tuple(played.shift.turns), away, outage.span if outage else (0.0, 0.0), wanted.ai,
        )
        fates = reckoning.played()
        counted, problems = reckoning.counted(fates, home / "bundle.json")
        studies = reckoning.studies()
        waited = reckoning.waited(studies)
        became = reckoning.irregularities(fates, counted, self.rooms.backlog("publishing"))
        versions = self.rooms.models() if wanted.ai else ()
        labels = self._labels(versions) if wanted.ai else None
        figures: dict[str, float | None] = dict(reckoning.figures(counted, studies, waited, became))
        figures |= _figures_of(learning)
        figures |= {"labels_training": labels.training, "labels_all": labels.everything} if labels else {}
        figures["model_versions_released"] = reckoning.served(self.doors.triton_http) if wanted.ai else 0
        figures["seconds"] = round(self.teller.seconds, 1)
        return Story(
            source=self.source.name, seed=wanted.seed, speed=wanted.tempo.speed, ordinary=wanted.studies, ai=wanted.ai,
            anchoring=wanted.anchoring, prevalence=wanted.prevalence, figures=figures, problems=tuple(problems),
            lasted=played.lasted, waited=waited, studies=studies, speaks=tuple(played.watch.speaks), away=away, became=became,
            learning=learning, labels=labels, readers=reckoning.readers(),
            following=following([one for desk in self.desks for one in desk.given], self.books.truth) if wanted.ai else None,
            versions=tuple(line for one in versions for line in told_of_version(one)),
        )

    def _labels(self, versions: Sequence[Version]) -> Labels:
        """Return how many labels there are, where they came from, and how many the serving version was trained on."""
        held = self.rooms.cycle().labels
        answers = [one for desk in self.desks for one in desk.given if one.request_id and one.opinion != "cannot-say"]
        sources = {
            "seed": len(self.cohort.seeds), "chosen": sum(not one.hidden for one in answers), "audit": sum(one.hidden for one in answers),
            **{purpose: held.get(purpose, 0) for purpose in ("live", "acceptance", "gate")},
        }
        serving = self.loop.serving()
        training = next((one.labels for one in versions if one.number == serving), len(self.cohort.seeds))
        return Labels(training, sum(sources.values()), sources)


class _Morning:
    """The morning of a play: everything that goes on at the same time, begun and ended together."""

    def __init__(self, play: Play) -> None:
        self._play = play
        books, wanted, doors = play.books, play.wanted, play.doors
        self.day = day = Day(wanted.tempo)
        self._entries = {entry.order.accession: entry for entry in books.morning}
        stranger = children(wanted.seed, 1, play.clock.now().date(), f"X{wanted.play}-")[0]
        patients = frozenset(entry.order.patient.mrn for entry in books.morning) | {stranger.mrn}
        self._clerk = Clerk(play.outside.chart)
        self._closing = ExitStack()
        lines = Lines(
            self._closing.enter_context(MllpLine(*split(doors.mllp))), self._closing.enter_context(Modality(*split(doors.dicom))),
            self._clerk, Envelope(),
        )
        self._steps = plan(wanted.seed, books.morning, wanted.radiologists)
        pictures = Pictures(play.source, looks(wanted.seed, books.morning), stranger)
        self.morning = Morning(lines, pictures, play.clock, day)
        self.watch = Watch(
            self._closing.enter_context(ReadingRoom(doors.page)), self._status, patients, day, play.clock,
        )
        self.questions = Questions(wanted.rounds[1])
        self.shift = Shift(play.desks, Place(
            lambda: ReadingRoom(doors.page), lambda: MllpLine(*split(doors.mllp)), self._entries, patients,
            self.morning.told.cancelled, day, play.clock, self.watch.reject,
        ), self.questions)
        server = play.outside.server
        whole = lasts(len(books.morning), wanted.radiologists)
        self.outage = Outage(server, day, AWAY_AT * whole) if server else None
        self._whole = whole
        self._failed: list[Exception] = []
        self.lasted = 0.0

    def play(self) -> None:
        """Play it to the last signature, and to the last answer."""
        sending = threading.Thread(target=self._send, name="morning", daemon=True)
        try:
            self.watch.start()
            sending.start()
            self.shift.start()
            if self.outage:
                self.outage.start()
            if self._play.wanted.ai:
                self._learn()
            self._await(lambda: not sending.is_alive() and self.shift.over)
            self.lasted = self.day.now()
            if self.outage:
                self.outage.join()
        finally:
            self.day.over.set()
            sending.join(timeout=10)
        self._raise()

    def settle(self) -> None:
        """Wait until everything that was said has been heard and sent; then nobody watches any more."""
        play = self._play
        try:
            play.loop.until(self._clerk.settled, 60, "the hospital's own EHR has everything filed")
            play.loop.until(
                lambda: play.loop.heard() and play.rooms.backlog("publishing") == 0, 90, "publishing has sent all it has",
            )
            play.loop.until(lambda: self.watch.waiting() == 0, 40, "the EHR has heard of the rejections")
        finally:
            self.watch.stop()
            self._clerk.stop()
            self._closing.close()

    def _learn(self) -> None:
        """A cycle over the answers before the morning: it begins by itself; more questions in it; and a cycle over all of them."""
        play = self._play
        begun = len(self.watch.speaks)
        self._await(lambda: len(self.watch.speaks) > begun or play.loop.cycled() or self.day.now() >= FIRST_CYCLE_BY)
        cycle = play.loop.last_cycle() if play.loop.cycled() else play.loop.cycle("first")
        play.said.tell_cycle(cycle, play.teller)
        if play.said.released:
            self._await(lambda: bool(self.watch.speaks))
            play.teller.line(f"{o_clock(self.watch.speaks[0][1])}  version {self.watch.speaks[0][0]} speaks on the list: lifts begin")
        self.questions.ask([(one.case_id, one.request_id) for one in play.loop.ask(play.wanted.rounds[1])])
        self._await(lambda: self.questions.left == 0 or self.shift.over)
        self._raise()
        play.said.tell_cycle(play.loop.cycle("second"), play.teller)

    def _send(self) -> None:
        try:
            self.morning.play(self._steps)
        except (Permanent, Transient, KeyError, ValueError, OSError) as wrong:
            self._failed.append(wrong)
            self.day.over.set()

    def _await(self, condition: Callable[[], bool]) -> None:
        """Wait and tell how the morning stands; raise what went wrong meanwhile, or Permanent where nothing moves on."""
        deadline = self.day.began + self.day.tempo.real(self._whole) + _SLACK
        while not condition():
            self._raise()
            if time.monotonic() > deadline:
                raise Permanent(f"the morning does not end: {self._standing()}")
            self._play.teller.now(self._standing())
            time.sleep(_POLL)

    def _standing(self) -> str:
        speaks = self.watch.speaks[-1][0] if self.watch.speaks else 0
        by = f"version {speaks} speaks" if speaks else "first in, first out"
        asked = f", {self.questions.left} questions open" if self.questions.left else ""
        came = len(self.morning.told.complete)
        return f"{o_clock(self.day.now())}  {came} of {len(self._entries)} studies came, {self.shift.read()} read; {by}{asked}"

    def _raise(self) -> None:
        for wrong in (*self._failed, *self.shift.failed):
            raise wrong

    def _status(self, case: str) -> str:
        return next((one.status for one in self._play.outside.chart.of_case(case)), "")


def split(address: str) -> tuple[str, int]:
    """Return the host and the port of host:port."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def _figures_of(learning: Learning | None) -> dict[str, float | None]:
    if learning is None:
        return dict.fromkeys(("auc_before", "auc_after", "auc_random", "auc_gain", "auc_gain_low"))
    first = learning.points[0].auc.estimate
    chance = next(point for point in learning.points if point.chance)
    return {
        "auc_before": round(first, 4), "auc_after": round(first + learning.gain.estimate, 4),
        "auc_random": round(chance.auc.estimate, 4), "auc_gain": round(learning.gain.estimate, 4),
        "auc_gain_low": round(learning.gain.low, 4),
    }
