"""A play: the simulated hospital against one platform, from the first model to the last report. It knows doors, not processes."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Misconfigured, Permanent, Transient
from radloop.workbench.grpc import Rooms, Version
from radloop.workbench.hospital.backfill import Archive
from radloop.workbench.hospital.books import Books
from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.messages import Envelope
from radloop.workbench.hospital.morning import Lines, Morning, Pictures
from radloop.workbench.hospital.objects import looks
from radloop.workbench.hospital.outage import BACK_OFF, Clerk, Outage
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.planning import AWAY_AT, HOUR, MINUTE, lasts, plan
from radloop.workbench.hospital.readers import CONSENSUS, Radiologist, staff
from radloop.workbench.hospital.reading_room import Desk, ReadingRoom
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.scores import served
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.shift import REVIEWS_PER_HOUR, Place, Questions, Shift
from radloop.workbench.hospital.sources import Source
from radloop.workbench.hospital.tempo import Day, o_clock
from radloop.workbench.hospital.watch import Watch
from radloop.workbench.play.cycles import RELEASED, Said, told_of_version
from radloop.workbench.play.following import following
from radloop.workbench.play.learned import Before, Measure
from radloop.workbench.play.loop import Doors, Loop
from radloop.workbench.play.reckoning import Reckoning
from radloop.workbench.play.story import Labels, Learning, Story, Study
from radloop.workbench.play.wanted import Wanted
from radloop.workbench.telling import Teller
from radloop.workbench.workshop import MODEL

FIRST_CYCLE_BY = 10 * MINUTE
"""When the AI lead starts a cycle over the answers given before the morning, should none have begun by itself."""
_REPORTED_WITHIN = 3.0  # real seconds from the list that names the model to the report at the EHR
_POLL = 0.25
_SLACK = 300.0  # real seconds, beside an hour of simulated time, that a morning may take beyond its plan before it counts as stuck


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
        serves = self.loop.serving()
        if serves and not self.wanted.ai:
            raise Misconfigured(f"version {serves} serves on this platform: --no-ai is for one without a model")
        measure, before = self._prepare(home, serves) if self.wanted.ai else (None, None)
        with _Morning(self, serves) as played:
            with self.teller.stage(f"a morning of {len(self.books.morning)} studies"):
                played.play()
            with self.teller.stage("the last messages arrived"):
                problems = played.settle()
            counts = self._served()
        learning = self._learned(measure, before) if measure and before else None
        return self._story(played, learning, earlier, counts, problems, home)

    def _prepare(self, home: Path, serves: int) -> tuple[Measure, Before]:
        """Everything before the morning: the first model, the earlier studies, and what readers answer of them."""
        loop, teller, wanted = self.loop, self.teller, self.wanted
        first = serves
        if serves:
            teller.line(f"version {serves} serves already. Where an earlier play taught it, it has seen some of these radiographs")
            teller.line("    under other names: gains and waits are then no evidence. Begin with an empty platform for figures.")
        else:
            with teller.stage("the first model, from 20 labels, runs in shadow"):
                first = loop.first_model(self.cohort.seeds, home / f"workshop-{self.wanted.play}")
        with teller.stage(f"{len(self.books.earlier)} earlier studies handed over and read"):
            loop.backfill()
        with teller.stage("the version of before measured on the test split"):
            measure = Measure(loop, self.source, self.cohort, self.books, wanted.seed)
            version = next((one for one in self.rooms.models() if one.number == first), Version(first, "", 0, False, ()))
            if not serves:  # its package says who trained it, not how many labels a site gave
                version = replace(version, labels=len(self.cohort.seeds))
            answers = sum(wanted.rounds) + len(self.books.morning)
            before = measure.before(version, f"version {first}" if serves else "the first model", answers)
        if wanted.rounds[0]:
            with teller.stage(f"{len(self.desks)} readers answered {wanted.rounds[0]} questions from the pool"):
                loop.labelling_round(wanted.rounds[0])
        return measure, before

    def _served(self) -> Mapping[int, int]:
        try:
            return served(self.doors.triton_http, MODEL)
        except Transient:
            return {}  # without a model there is nothing to count

    def _learned(self, measure: Measure, before: Before) -> Learning:
        with self.teller.stage("the last cycle ended"):
            self.loop.rest()
        versions = self.rooms.models()
        self.said.tell_versions(versions, self.teller)
        loaded = {number for number, _, ready in self.rooms.loaded() if ready}  # the older ones are not served any more
        released = [one for one in versions if one.gate_passed and one.stage in RELEASED and one.number in loaded]
        with self.teller.stage("what was learned, measured on the test split"):
            return measure.after(before, released, self.loop.serving(), [desk.reader for desk in self.desks])

    def _story(
        self, played: "_Morning", learning: Learning | None, earlier: frozenset[str], counts: Mapping[int, int],
        problems: Sequence[str], home: Path,
    ) -> Story:
        wanted = self.wanted
        cases = {entry.order.accession: self.page.find(entry.order.accession) for entry in self.books.morning}
        reckoning = Reckoning(
            cases, earlier, self.rooms, self.outside.chart, self.outside.ris, self.desks, played.watch, self.books,
            played.morning.told, tuple(played.shift.turns), played.away, wanted.tempo.simulated(BACK_OFF),
            wanted.tempo.simulated(_REPORTED_WITHIN), played.span, wanted.ai, played.serves,
        )
        fates = reckoning.played()
        counted, wrong = reckoning.counted(fates, home / "bundle.json")
        studies = reckoning.studies()
        waited = reckoning.waited(studies)
        became = reckoning.irregularities(fates, counted, self.rooms.backlog("publishing"))
        before, could = reckoning.before_opened(studies)
        versions = self.rooms.models() if wanted.ai else ()
        labels = self._labels(versions) if wanted.ai else None
        figures: dict[str, float | None] = {
            **reckoning.figures(counted, studies, waited, became),
            "before_opened_share": round(before / could, 4) if could else None,
            "studies_before_release": _before_release(studies, played),
            **_figures_of(learning),
            "labels_training": labels.training if labels else None, "labels_all": labels.everything if labels else None,
            "model_versions_released": reckoning.released(counts) if wanted.ai else 0,
            "seconds": round(self.teller.seconds, 1),
        }
        return Story(
            source=self.source.name, seed=wanted.seed, speed=wanted.tempo.speed, ordinary=wanted.studies, ai=wanted.ai,
            anchoring=wanted.anchoring, prevalence=wanted.prevalence, figures=figures,
            problems=(*problems, *wrong, *reckoning.unread()), before_opened=(before, could), served_before=played.serves,
            lasted=max((turn.signed or turn.opened for turn in played.shift.turns), default=0.0), waited=waited, studies=studies,
            speaks=tuple(played.watch.speaks), away=played.away, became=became, learning=learning, labels=labels,
            readers=reckoning.readers(),
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
    """The morning of a play: everything that goes on at the same time, begun and ended together. Use as a context manager."""

    def __init__(self, play: Play, serves: int) -> None:
        """`serves` is the version that speaks before it begins, 0 where none does."""
        self._play, self.serves = play, serves
        books, wanted, doors = play.books, play.wanted, play.doors
        self.day = day = Day(wanted.tempo)
        self._entries = {entry.order.accession: entry for entry in books.morning}
        stranger = children(wanted.seed, 1, play.clock.now().date(), f"X{wanted.play}-")[0]
        patients = frozenset(entry.order.patient.mrn for entry in books.morning) | {stranger.mrn}
        self._closing = ExitStack()
        self._clerk = Clerk(play.outside.chart)
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
        self._whole = lasts(len(books.morning), wanted.radiologists)
        self._outage = Outage(server, day, AWAY_AT * self._whole) if server else None
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="morning")
        self._sending: Future[None] | None = None

    def __enter__(self) -> Self:
        """Return the morning; nothing has begun."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End everything that still goes on, whatever ended the play."""
        self.day.over.set()
        self._hand.shutdown(cancel_futures=True)
        self.shift.stop()
        self.watch.stop()
        self._clerk.stop()
        self._closing.close()
        if self._outage:
            self._outage.join()

    @property
    def away(self) -> tuple[float, float] | None:
        """Return when the EHR went and came back, in simulated seconds; None where it did not go."""
        outage = self._outage
        return (outage.away, outage.back) if outage and outage.away is not None and outage.back is not None else None

    @property
    def span(self) -> tuple[float, float]:
        """Return the same with the back-off after it, as monotonic instants."""
        return self._outage.span if self._outage else (0.0, 0.0)

    def play(self) -> None:
        """Play it to the last signature, and to the last answer."""
        self.watch.start()
        self._play.loop.interrupt = self._check
        try:
            sending = self._sending = self._hand.submit(self.morning.play, self._steps)
            self.shift.start()
            if self._outage:
                self._outage.start()
            if self._play.wanted.ai:
                self._learn()
            self._await(lambda: sending.done() and self.shift.over)
            self._check()
            if self._outage:
                self._outage.join()
        finally:
            self._play.loop.interrupt = lambda: None

    def settle(self) -> list[str]:
        """Wait until everything that was said has been heard and sent; return what did not come to that."""
        play = self._play
        play.loop.until(self._clerk.settled, 60, "the hospital's own EHR has everything filed")
        play.loop.until(lambda: play.loop.heard() and play.rooms.backlog("publishing") == 0, 90, "publishing has sent all it has")
        try:
            play.loop.until(lambda: self.watch.waiting() == 0, 40, "the EHR has heard of the rejections")
        except Permanent as late:
            return [late.reason]
        return []

    def _learn(self) -> None:
        """A cycle over the answers before the morning: it begins by itself; more questions in it; and a cycle over all of them."""
        play = self._play
        released = len(play.said.released)
        self._await(lambda: self._news() or play.loop.cycled() or self.day.now() >= FIRST_CYCLE_BY)
        cycle = play.loop.last_cycle() if play.loop.cycled() else play.loop.cycle("first")
        play.said.tell_cycle(cycle, play.teller)
        if len(play.said.released) > released:
            self._await(self._news)
        if not play.wanted.rounds[1]:
            return
        self.questions.ask([(one.case_id, one.request_id) for one in play.loop.ask(play.wanted.rounds[1])])
        self._await(lambda: self.questions.left == 0 or self.shift.over)
        self._check()
        play.said.tell_cycle(play.loop.cycle("second"), play.teller)

    def _news(self) -> bool:
        """Say whether a version speaks that did not before the morning."""
        return any(version != self.serves for version, _ in self.watch.speaks)

    def _await(self, condition: Callable[[], bool]) -> None:
        """Wait and tell how the morning stands; raise what went wrong meanwhile, or Permanent where nothing moves on."""
        asking = self._play.wanted.rounds[1] / (REVIEWS_PER_HOUR * self._play.wanted.radiologists) * HOUR
        deadline = self.day.began + self.day.tempo.real(self._whole + asking + HOUR) + _SLACK
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise Permanent(f"the morning does not end: {self._standing()}")
            self._tell_speaking()
            self._play.teller.now(self._standing())
            time.sleep(_POLL)
        self._tell_speaking()

    def _tell_speaking(self) -> None:
        """Say which versions began to speak; where retraining is away, at the next look."""
        with suppress(Transient):
            self._play.said.tell_speaking(tuple(self.watch.speaks), self.serves, self._play.rooms.models, self._play.teller)

    def _standing(self) -> str:
        speaks = self.watch.speaks[-1][0] if self.watch.speaks else 0
        by = f"version {speaks} speaks" if speaks else "first in, first out"
        asked = f", {self.questions.left} questions open" if self.questions.left else ""
        came = len(self.morning.told.complete)
        return f"{o_clock(self.day.now())}  {came} of {len(self._entries)} studies came, {self.shift.read()} read; {by}{asked}"

    def _check(self) -> None:
        """Raise what ended one of those who should still be at work."""
        if self._sending is not None and self._sending.done():
            self._sending.result()
        self.shift.check()
        self.watch.check()

    def _status(self, case: str) -> str:
        return next((one.status for one in self._play.outside.chart.of_case(case)), "")


def split(address: str) -> tuple[str, int]:
    """Return the host and the port of host:port; raise Misconfigured where it is none."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise Misconfigured(f"an address is host:port, and this is {address}")
    return host, int(port)


def _before_release(studies: Sequence[Study], played: _Morning) -> int | None:
    """Return how many studies had come when the first version that did not serve before began to, None where none did."""
    first = min((at for version, at in played.watch.speaks if version != played.serves), default=None)
    return None if first is None else sum(one.complete <= first for one in studies)


def _figures_of(learning: Learning | None) -> dict[str, float | None]:
    if learning is None:
        return dict.fromkeys(("auc_before", "auc_after", "auc_random", "auc_gain", "auc_gain_low"))
    first = learning.points[0].auc.estimate
    at_random = next(point for point in learning.points if point.random)
    return {
        "auc_before": round(first, 4), "auc_after": round(first + learning.gain.estimate, 4),
        "auc_random": round(at_random.auc.estimate, 4), "auc_gain": round(learning.gain.estimate, 4),
        "auc_gain_low": round(learning.gain.low, 4),
    }
