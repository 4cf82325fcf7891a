"""The kit against a model: whatever happens in whatever order, each event has one effect, in its case's order, and is told on.

Hypothesis draws courses of events for three rooms (`examples.echo`): commands and repeats, turns of the relay, the consumer and
what is parked, kills at every commit and at every word with the broker, brokers that lose their tail or are down, rebalances,
replays, nights after which what is old is pruned. The real kit runs over stores in memory, and in fewer courses over Postgres.
`RADLOOP_MODEL_COURSES=5000` searches longer, each time elsewhere.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from adapters.memory_broker import MemoryBroker
import pytest
from examples.echo import CASES, KEPT, SHELF, PostgresRooms, Room, Rooms, Spoke
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from radloop.kit.flow import Outcome
from radloop.kit.runner import ATTEMPTS

SEARCH = int(os.environ.get("RADLOOP_MODEL_COURSES", "0"))
CHOSEN = st.sampled_from(CASES)
WHICH = st.integers(0, 2)
TROUBLES = ("kill", "away", "lose", "down", "refuse", "rebalance", "absence", "bug", "replay")
FATE = st.one_of(
    st.just(("", 0)), st.tuples(st.sampled_from(["kill", "away", "lose"]), st.integers(0, 3)),
    st.tuples(st.sampled_from(["kill", "away", "lose"]), st.integers(0, 30)),
)
DIED = "its process died while handling it, again and again"


class Course(RuleBasedStateMachine):
    """One course of events, and what must be true all along it."""

    def make(self) -> Rooms:
        """Make the rooms."""
        return Rooms()

    @initialize(climate=st.sets(st.sampled_from(TROUBLES)))
    def open(self, climate: set[str]) -> None:
        """Begin with empty rooms, in a climate: where everything may go wrong, one trouble often mends what another has broken."""
        self.rooms = self.make()
        self.climate = climate
        self.asked: dict[str, tuple[str, int]] = {}
        self.since: dict[str, datetime] = {}
        self.answers: dict[str, Outcome] = {}
        self.once_broken: set[str] = set()
        self.said: dict[str, str] = {}
        self.told: set[str] = set()
        self.copies: dict[str, tuple[object, ...]] = {}
        self.read = 0

    @property
    def broker(self) -> MemoryBroker:
        """The broker between them."""
        return self.rooms.broker

    def submit(self, name: str, fate: tuple[str, int] = ("", 0)) -> None:
        """Bring a command to the door; whatever it is answered, it is answered again."""
        case, count = self.asked[name]
        sayer = self.rooms.says(case)
        outcome = self.befall(sayer, lambda: sayer.runner.submit(self.rooms.command(name, case, count)), fate)
        if not isinstance(outcome, Outcome):
            return
        assert outcome.kind == "recorded"
        assert isinstance(outcome.answer, Spoke)
        before = self.answers.setdefault(name, outcome)
        assert before.answer == outcome.answer
        assert outcome.repeated or before is outcome

    def befall(self, room: Room, work: Callable[[], object], fate: tuple[str, int]) -> object:
        """Let a room take a turn, and something befall it where the climate has that."""
        return room.turn(work, *(fate if fate[0] in self.climate else ("", 0)))

    def ask(self, case: str, count: int, fate: tuple[str, int] = ("", 0)) -> str:
        """Submit a new command and return its name."""
        name = f"command{len(self.asked)}"
        self.asked[name], self.since[name] = (case, count), self.rooms.clock.now()
        self.submit(name, fate)
        return name

    @rule(
        asked=st.lists(st.tuples(CHOSEN, st.integers(0, 3), st.sampled_from([False, False, False, True])), min_size=1, max_size=4),
        door=FATE, sends=FATE, hears=FATE,
    )
    def live(
        self, asked: list[tuple[str, int, bool]], door: tuple[str, int], sends: tuple[str, int], hears: tuple[str, int],
    ) -> None:
        """Submit commands, some of whose events the hearer's handler fails on for good; have them sent and heard."""
        for case, count, poison in asked:
            name = self.ask(case, count, door)
            if poison and "bug" in self.climate:
                self.rooms.world.poison.add(name)
        for which in range(2):
            self.send(sends, which)
        self.hear(hears)

    @rule(case=CHOSEN, count=st.integers(1, 3), sends=FATE)
    def say(self, case: str, count: int, sends: tuple[str, int]) -> None:
        """Submit a command and have its events sent, not heard yet."""
        self.ask(case, count)
        self.send(sends, self.rooms.all.index(self.rooms.says(case)))

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 1_000), fate=FATE)
    def ask_again(self, which: int, fate: tuple[str, int]) -> None:
        """Submit a command again, whether or not it was answered, as long as an inbox remembers."""
        name = sorted(self.asked)[which % len(self.asked)]
        if self.rooms.clock.now() - self.since[name] < KEPT.horizon:
            self.submit(name, fate)

    @rule(fate=FATE, which=WHICH)
    def send(self, fate: tuple[str, int], which: int) -> None:
        """Let a relay take its turn."""
        room = self.rooms.all[which]
        self.befall(room, room.relay._turn, fate)

    @rule(fate=FATE)
    def hear(self, fate: tuple[str, int]) -> None:
        """Let the consumer take its turn."""
        self.befall(self.rooms.hearer, self.rooms.hearer.consumer._turn, fate)

    @rule(fate=FATE)
    def try_parked(self, fate: tuple[str, int]) -> None:
        """Let what is parked be tried again."""
        self.befall(self.rooms.hearer, self.rooms.hearer.parking._turn, fate)

    @rule(what=st.sampled_from(TROUBLES), case=CHOSEN, which=WHICH, count=st.integers(1, 5))
    def trouble(self, what: str, case: str, which: int, count: int) -> None:
        """Let something happen between two turns, or be over."""
        match what if what in self.climate else "":
            case "kill":
                self.rooms.all[which].restart()
            case "lose":
                self.broker.lose_tail()
            case "refuse":
                self.broker.refuses = count
            case "rebalance":
                self.broker.rebalance()
            case "absence":
                self.rooms.world.away ^= {case}
            case "bug":
                self.rooms.world.broken ^= {case}
                self.once_broken.add(case)

    @rule(seconds=st.integers(1, 300), loses=st.booleans(), down=st.booleans())
    def wait(self, seconds: int, loses: bool, down: bool) -> None:
        """Let time pass in which nobody is idle, or in which the broker is down."""
        if "down" in self.climate and down:
            if loses:
                self.broker.lose_tail()
            self.broker.down = True
            self.look()
            self.rooms.pass_time(seconds)
            self.look()
            self.broker.down = False
        else:
            self.look()
            self.rooms.pass_time(seconds)

    @rule(which=WHICH, case=st.one_of(st.just(""), CHOSEN), fate=FATE)
    def replay(self, which: int, case: str, fate: tuple[str, int]) -> None:
        """Ask for everything that a room has said, or all of one case, to be sent again."""
        room = self.rooms.all[which]
        if "replay" in self.climate:
            self.befall(room, lambda: self.rooms.outbox(room.store).repeat(self.rooms.clock.now() - KEPT.horizon, case), fate)

    @rule(days=st.integers(1, 3))
    def sleep_over_it(self, days: int) -> None:
        """Let days pass once all is quiet; then topics, outboxes and inboxes lose what is older than they keep."""
        self.drain()
        self.rooms.pass_time(timedelta(days=days).total_seconds())
        self.broker.forget_before(self.rooms.clock.now() - timedelta(days=KEPT.topic))
        for room in self.rooms.all:
            room.turn(room.pruning._turn)

    def look(self) -> None:
        """Let everybody take the turns that come within a second."""
        for room in self.rooms.all:
            room.turn(room.relay._turn)
        for _ in range(2):
            self.rooms.hearer.turn(self.rooms.hearer.consumer._turn)

    def drain(self) -> None:
        """Let everything be well again, and everybody finish."""
        self.rooms.world.away.clear()
        self.rooms.world.broken.clear()
        self.broker.refuses = 0
        for tries in range(40):
            for name in self.asked.keys() - self.answers.keys():
                self.submit(name)
            self.look()
            self.rooms.hearer.turn(self.rooms.hearer.parking._turn)
            self.rooms.pass_time(31)
            if tries and self.quiet:
                break
        else:
            raise AssertionError(f"never quiet: {[room.store.backlog() for room in self.rooms.all]}")
        self.check_the_end()

    @property
    def quiet(self) -> bool:
        """Whether nothing waits anywhere."""
        backlogs = [room.store.backlog() for room in self.rooms.all]
        waits = sum(backlog[table] for backlog in backlogs for table in ("outbox", "repeat", "parked"))
        kept = self.broker.kept
        unheard = [one for one, end in kept.ends.items() if one.topic == "order-recorded" and kept.heard_to("hearing", one) < end]
        return not waits and not unheard

    @invariant()
    def nothing_happens_twice_or_out_of_order(self) -> None:
        """A line is written once; what was said before it is written before it, unless it is in quarantine."""
        for room in self.rooms.all:
            self.remember(room)
        quarantined = {input_id for route, input_id, _ in self.rooms.quarantined() if route == "hear"}
        shelf = self.rooms.book(SHELF)
        assert len(shelf) == len(set(shelf)), f"twice on the shelf: {shelf}"
        for case in CASES:
            heard = self.rooms.book(case)
            expected = sorted((one for one, key in self.said.items() if key == case), key=_revision)
            expected = [one for one in expected if one not in quarantined]
            assert list(heard) == expected[:len(heard)], f"{case}: heard {heard}, said {expected}"

    @invariant()
    def what_is_sent_was_kept_and_is_always_the_same(self) -> None:
        """Nothing leaves that no transaction has kept; a copy has the bytes of the first."""
        for room in self.rooms.all:
            self.remember(room)
        for record in self.broker.taken[self.read:]:
            name = dict(record.headers)["ce_id"].decode()
            assert name in self.said or name in self.told, f"{name} was sent and not kept"
            copy = (record.topic, record.key, record.value, record.headers)
            assert self.copies.setdefault(name, copy) == copy
        self.read = len(self.broker.taken)

    def remember(self, room: Room) -> None:
        """Note what a room has said by now, pruned or not."""
        rows = self.rooms.said(room)
        if room is self.rooms.hearer:
            self.told |= set(rows)
        else:
            self.said |= rows

    def check_the_end(self) -> None:
        """Every event was handled once or is in quarantine for a reason, and all that was said lies at the broker."""
        self.nothing_happens_twice_or_out_of_order()
        self.what_is_sent_was_kept_and_is_always_the_same()
        assert len(self.said) == sum(count for _, count in self.asked.values())
        buried = [(route, name) for route, name, _ in self.rooms.quarantined()]
        assert len(buried) == len(set(buried))
        for route, name, reason in self.rooms.quarantined():
            command = name.rpartition("-")[0]
            known = command in self.rooms.world.poison or self.said[name] in self.once_broken
            died = reason == DIED and self.rooms.fate.struck["kill"] >= ATTEMPTS
            assert (route == "hear" and known) or died, f"{name} is in quarantine: {reason}"
        for name, case in self.said.items():
            assert (name in self.rooms.book(case)) != (("hear", name) in buried), name
            assert (name in self.rooms.book(SHELF)) != (("shelve", name) in buried), name
        poisoned = {name for name in self.said if name.rpartition("-")[0] in self.rooms.world.poison}
        assert poisoned <= {name for _, name in buried}
        # What was counted and comes again later, not first, is not known as counted any more: such a count is left over, and harmless.
        if not self.rooms.fate.struck["away"] and not self.broker.cuts:
            assert self.rooms.attempts() == [], "counted, settled and never forgotten"
        there = {dict(record.headers)["ce_id"].decode() for records in self.broker.kept.logs.values() for record in records}
        self.check_nothing_is_lost_at_the_broker(there)
        assert set(self.copies) == self.said.keys() | self.told
        assert len(self.told) == sum(len(self.rooms.book(case)) for case in CASES)

    def check_nothing_is_lost_at_the_broker(self, there: set[str]) -> None:
        """What was said within the topics' retention lies there, whatever the broker lost on the way."""
        since = self.rooms.clock.now() - timedelta(days=KEPT.topic)
        for name, copy in self.copies.items():
            told = dict(copy[3])["ce_recordedtime"].decode()  # type: ignore[call-overload]
            assert name in there or told < since.isoformat(), f"{name} is lost at the broker"

    def teardown(self) -> None:
        """End well."""
        if hasattr(self, "rooms"):
            try:
                if sys.exc_info()[0] is None:  # what has failed already fails for that reason alone
                    self.drain()
            finally:
                self.rooms.close()


def _revision(name: str) -> int:
    return int(name.rpartition("-")[2])


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Keep thousands of courses from filling memory with what they log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def profile(courses: int, steps: int) -> settings:
    """Search the same courses each time, or as many as the environment asks for, elsewhere."""
    return settings(
        max_examples=SEARCH or courses, stateful_step_count=steps, deadline=None, derandomize=not SEARCH, database=None,
        suppress_health_check=list(HealthCheck), print_blob=False, report_multiple_bugs=False,
    )


def test_every_course_of_events_ends_well() -> None:
    """Over stores in memory: each event once and in order, each consequence told, whatever was killed, lost or repeated."""
    run_state_machine_as_test(Course, settings=profile(500, 40))


def test_courses_of_events_over_postgres_end_well(database: str, tmp_path: Path) -> None:
    """Over a real database: the same promises where transactions, locks and rows are Postgres's."""

    class PostgresCourse(Course):
        """A course over the database."""

        def make(self) -> Rooms:
            """Make the rooms, empty."""
            return PostgresRooms(database, tmp_path / "migrations")

    run_state_machine_as_test(PostgresCourse, settings=profile(20, 25))
