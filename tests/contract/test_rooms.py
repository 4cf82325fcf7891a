"""What every room promises, run over each of them and every kind of input, over a real Postgres.

A room gives its examples in `tests/examples/<room>.py`: INPUTS, a plausible history covering every route, and, where it
looks at the outside world, SETTINGS and a `build` of its own that puts test doubles at the vendor's boundary.
"""

import importlib
import pkgutil
import random
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import radloop
from radloop.events.wire import PAIRS, Wire
from radloop.kit.errors import Permanent
from radloop.kit.flow import Command, Due, Event, Input, Outcome
from radloop.kit.kafka import topics
from radloop.kit.room import Room
from radloop.kit.runner import Runner
from radloop.kit.store import Work

NOT_ROOMS = {"kit", "events", "standards", "cli", "workbench", "v1", "topics"}
ROOMS = sorted(one.name for one in pkgutil.iter_modules(radloop.__path__) if one.name not in NOT_ROOMS)
KIT_TABLES = {"inbox", "outbox", "delivery", "timer", "attempt", "parked", "quarantine", "job", "migration"}
SHUFFLES = 6


class House:
    """One room over a database of its own, with its examples."""

    def __init__(self, name: str, dsn: str, blobs: Path) -> None:
        self.name = name
        self.examples = importlib.import_module(f"examples.{name}")
        main = importlib.import_module(f"radloop.{name}.main")
        settings = importlib.import_module(f"radloop.{name}.config").Settings(
            postgres=dsn, kafka="127.0.0.1:1", blobs=str(blobs), **getattr(self.examples, "SETTINGS", {}),
        )
        self.room: Room = getattr(self.examples, "build", main.build)(settings)
        self.runner: Runner = self.room.runner()
        self.inputs: tuple[Input, ...] = self.examples.INPUTS

    def settle(self, seen: Input) -> Outcome:
        """Settle one input as its door, its topic or its timer would."""
        if isinstance(seen, Command):
            return self.runner.submit(seen)
        if isinstance(seen, Due):
            return self.runner.due(seen, "")
        message = Wire().encode(seen, "examples") if isinstance(seen, Event) else None
        assert message is not None
        return self.runner.settle(self.runner.read(message.headers["ce_type"], f"topic:{message.topic}", message.headers, message.value))

    def kept(self) -> dict[str, list[str]]:
        """Return what the room's own tables hold, but for counters of what was said and times of our own making."""
        ignored = {field.name for route in self.room.routes for field in fields(route.keeps) if field.metadata.get("counter")}
        ignored |= getattr(self.examples, "IGNORED_COLUMNS", set())
        found: dict[str, list[str]] = {}
        with self.runner.store.connection() as connection:
            tables = connection.execute(
                "select table_name from information_schema.tables where table_schema = %s", (self.name,),
            ).fetchall()
            for (table,) in tables:
                if table not in KIT_TABLES:
                    cursor = connection.execute(f"select * from {table}")
                    names = [column.name for column in cursor.description or ()]
                    found[table] = sorted(
                        repr([(name, value) for name, value in zip(names, row, strict=True) if name not in ignored]) for row in cursor
                    )
        return found

    def said(self) -> list[tuple[str, str]]:
        """Return the topics and ids in the outbox, the deliveries, timers and jobs."""
        with self.runner.store.connection() as connection:
            return [
                (str(kind), str(key)) for kind, key in connection.execute(
                    "select topic, event_id from outbox union all select 'delivery', key from delivery"
                    " union all select 'timer', key || name || due from timer union all select 'job', job_id from job order by 1, 2",
                )
            ]


@pytest.fixture
def house(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[House]:
    """Open the room of that name."""
    opened = House(request.param, database, tmp_path)
    yield opened
    opened.runner.store.close()


each_room = pytest.mark.parametrize("house", ROOMS, indirect=True)


def test_all_seven_rooms_are_here() -> None:
    """These tests run over every room of the house; one that is lost is noticed."""
    assert set(ROOMS) == {"ingestion", "inference", "triage", "feedback", "retraining", "publishing", "worklist"}


@each_room
def test_every_route_has_an_example(house: House) -> None:
    """No route is left untried by these tests."""
    untried = [route.name for route in house.room.routes if not any(route.hears_this(seen) for seen in house.inputs)]
    assert not untried


@each_room
def test_route_names_are_unique(house: House) -> None:
    """The inbox tells routes apart by name."""
    names = [route.name for route in house.room.routes]
    assert len(names) == len(set(names))


@each_room
def test_the_same_input_twice_speaks_once_and_answers_the_same(house: House) -> None:
    """A repeat of the whole history changes nothing and gets the stored answers."""
    first = [house.settle(seen) for seen in house.inputs]
    assert "quarantined" not in {outcome.kind for outcome in first}, first
    kept, said = house.kept(), house.said()
    again = [house.settle(seen) for seen in house.inputs]
    assert all(outcome.repeated for outcome in again)
    assert [outcome.answer for outcome in first] == [outcome.answer for outcome in again]
    assert [outcome.kind for outcome in first] == [outcome.kind for outcome in again]
    assert (house.kept(), house.said()) == (kept, said)


@each_room
def test_what_a_room_says_can_be_heard(house: House) -> None:
    """Every event in the outbox decodes again, to what a hearer's handler can take."""
    for seen in house.inputs:
        house.settle(seen)
    with house.runner.store.connection() as connection:
        for event_id, headers, value in connection.execute("select event_id, headers, value from outbox"):
            assert Wire().decode(headers, bytes(value)).id == event_id


@each_room
def test_a_crash_midway_leaves_no_trace(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input whose transaction dies just before its commit has changed nothing; run again, it succeeds."""
    class Crash(BaseException):
        """Not an Exception: as a killed process, it is caught by nobody."""

    def die(*_: object, **__: object) -> None:
        raise Crash

    for seen in house.inputs:
        kept, said = house.kept(), house.said()
        with monkeypatch.context() as patched:
            patched.setattr(Work, "settle", die)
            with pytest.raises(Crash):
                house.settle(seen)
        assert (house.kept(), house.said()) == (kept, said)
        assert not house.settle(seen).repeated


@each_room
def test_topics_in_shuffled_order_reach_the_same_end_state(
    house: House, postgres: str, tmp_path: Path,
) -> None:
    """Which topic comes first is never promised; within a topic the order of a case holds."""
    import psycopg

    events = [seen for seen in house.inputs if isinstance(seen, Event)]
    others = [seen for seen in house.inputs if not isinstance(seen, Event)]
    for seen in (*events, *others):
        house.settle(seen)
    for seed in range(SHUFFLES):
        name = f"shuffle_{house.name}_{seed}"
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute(f"create database {name}")
        shuffled = House(house.name, postgres.replace("/postgres?", f"/{name}?"), tmp_path)
        try:
            order = interleaved(events, random.Random(seed))
            for seen in (*order, *others):
                shuffled.settle(seen)
            assert shuffled.kept() == house.kept(), [type(seen).__name__ for seen in order]
        finally:
            shuffled.runner.store.close()
            with psycopg.connect(postgres, autocommit=True) as admin:
                admin.execute(f"drop database {name} with (force)")


def interleaved(events: list[Event], chance: random.Random) -> list[Event]:
    """Return the events with their topics interleaved at random, each topic in its own order."""
    queues: dict[type[Event], list[Event]] = {}
    for event in events:
        queues.setdefault(type(event), []).append(event)
    mixed: list[Event] = []
    while queues:
        kind = chance.choice(sorted(queues, key=lambda one: one.__name__))
        mixed.append(queues[kind].pop(0))
        if not queues[kind]:
            del queues[kind]
    return mixed


@each_room
def test_an_unknown_type_waits_in_quarantine(house: House) -> None:
    """What this version does not know is kept for the upgrade, never guessed."""
    headers = {
        "ce_type": "radloop.v1.NotYetInvented", "ce_id": "x", "ce_subject": "case", "ce_site": "s",
        "ce_time": "2026-03-02T08:00:00+00:00",
    }
    with pytest.raises(Permanent, match="unknown type"):
        house.runner.read(headers["ce_type"], "topic:new-things", headers, b"\x01")
    house.runner.quarantine_unread("topic:new-things", headers, b"\x01", "unknown type")
    house.runner.quarantine_unread("topic:new-things", headers, b"\x01", "unknown type")
    with house.runner.store.connection() as connection:
        assert connection.execute("select type, payload, state from quarantine").fetchall() == [
            ("radloop.v1.NotYetInvented", b"\x01", "waiting"),
        ]


@each_room
def test_the_card_on_the_door_is_true(house: House) -> None:
    """The card names what the room hears and says, as do the topics' descriptions, and no more."""
    card = (Path(radloop.__path__[0]) / house.name / "README.md").read_text()
    for heading in ("Why this room exists", "Hears", "Says", "Keeps", "Asks", "May never", "Turn it off and…"):
        assert f"**{heading}**" in card
    hears = {Wire().topic(kind) for kind in house.runner.hears()}
    assert listed(card, "Hears") == hears
    assert {name for name, topic in topics().items() if house.name in topic.heard_by} == hears
    says = {name for name, topic in topics().items() if house.name in topic.said_by}
    assert listed(card, "Says") == says
    for seen in house.inputs:
        house.settle(seen)
    assert {kind for kind, _ in house.said()} - {"delivery", "timer", "job"} <= says


def listed(card: str, heading: str) -> set[str]:
    """Return the topics in backticks under a heading of the card."""
    part = card.split(f"**{heading}**", 1)[1].split("\n**", 1)[0]
    return set(re.findall(r"`([a-z-]+)`", part)) & set(topics())


def test_every_event_has_a_topic_and_every_topic_an_event() -> None:
    """The topology of the platform is in proto/topics, and nowhere else."""
    assert {topic for topic, _ in PAIRS.values()} == set(topics())
    for kind, (name, message) in PAIRS.items():
        assert is_dataclass(kind)
        assert topics()[name].message == message.DESCRIPTOR.full_name


def test_all_topics_keyed_by_case_have_the_same_partitions() -> None:
    """Order per case holds across topics only if the partitions agree, for good."""
    assert len({topic.partitions for topic in topics().values() if topic.key == "case"}) == 1

