"""Three instances of triage on three nodes of Apache Kafka: members and a node die under load, and it is as if nothing had.

RADLOOP_FAULT_EVENTS says how many events that is (2,000 unless told otherwise; 20,000 are worth a quarter of an hour).
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Self
from uuid import NAMESPACE_OID, uuid5

import psycopg
import pytest
import yaml
from adapters.apache_kafka import apache_kafka
from adapters.room_process import RoomProcess
from conftest import wait_until
from examples.shared import completed, ordered, predicted
from kafka import KafkaConsumer, TopicPartition
from psycopg.sql import SQL

from radloop.workbench.drill.kafkas import Apache
from radloop.events.prediction import PredictionMade
from radloop.events.triage import CaseTriaged
from radloop.events.wire import Wire
from radloop.kit.flow import Event, Record, Route
from radloop.kit.kafka import Broker
from radloop.kit.relay import Relay
from radloop.kit.store import Store
from radloop.triage.adapters.policy import read_policy
from radloop.triage.adapters.postgres import CASES
from radloop.triage.domain.case import Case
from radloop.triage.handlers import routes

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.stack]

EVENTS = int(os.environ.get("RADLOOP_FAULT_EVENTS", "2000"))
GRACE_S = 30.0
"""What the chart gives a room: terminationGracePeriodSeconds."""


def history(count: int) -> list[Event]:
    """Return so many events, four a case: ordered, ordered otherwise, imaged, read; cases mixed as a morning mixes them."""
    now, events = datetime.now(UTC), list[tuple[int, Event]]()
    for number in range(count // 4):
        case, at = str(uuid5(NAMESPACE_OID, f"three instances {number}")), now + timedelta(milliseconds=number)
        priority = "stat" if number % 11 == 0 else "asap" if number % 7 == 0 else "routine"
        known: tuple[Event, ...] = (
            ordered(f"{case}-1"), ordered(f"{case}-2", change="changed", revision=2, priority=priority),
            completed(f"{case}-3", arrived_at=at), predicted((number * 37 % 100) / 100, f"{case}-4", read_at=at),
        )
        events += [
            (number + 20 * place, replace(one, subject=case, at=at, **({"completed_at": at} if place == 2 else {})))
            for place, one in enumerate(known)
        ]
    return [event for _, event in sorted(events, key=lambda one: one[0])]


class NoPool:
    """Triage's look at its own cases, which here decides nothing that is compared."""

    def candidates(self, site: str) -> tuple[()]:
        return ()

    def case(self, case_id: str) -> None:
        return None


def calm(events: list[Event], policy: str) -> dict[str, Case]:
    """Return every case as the same handlers leave it when nothing dies, without a broker or a database."""
    cases: dict[str, Case] = {}
    table: list[Route[Any]] = [one for one in routes(read_policy(policy), NoPool()) if one.keeps is Case]
    for event in events:
        for route in table:
            if route.hears_this(event):
                decision = route.decide(event, cases.get(event.subject))
                if isinstance(decision, Record) and decision.state is not None:
                    cases[event.subject] = decision.state
    return cases


@dataclass
class House:
    """Triage's instances, a sayer of everything they hear, and what they leave behind."""

    dsn: str
    kafka: Apache
    policy: str
    folder: Path
    members: dict[int, RoomProcess] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Open the sayer's store; nobody runs yet."""
        self.sayer = Store(self.dsn, "hospital", {})
        self.sayer.migrate()
        self.sayer.open()
        return self

    def __exit__(self, *_: object) -> None:
        """End whoever still runs."""
        for one in self.members.values():
            one.kill()
        self.sayer.close()

    def member(self, instance: int) -> RoomProcess:
        """Return an instance, started anew."""
        told = {
            "RADLOOP_POSTGRES": self.dsn, "RADLOOP_KAFKA": self.kafka.bootstrap, "RADLOOP_BLOBS": str(self.folder),
            "RADLOOP_TRIAGE_POLICY": self.policy,
        }
        one = self.members.setdefault(instance, RoomProcess("triage", instance, told, self.folder))
        one.start()
        return one

    def say(self, events: list[Event]) -> None:
        """Put events into the sayer's outbox."""
        wire = Wire()
        for start in range(0, len(events), 500):
            with self.sayer.begin() as work, work.without_waiting():
                for event in events[start:start + 500]:
                    work.enqueue(event.id, wire.encode(event, "hospital"))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of triage's schema."""
        with psycopg.connect(self.dsn) as looking:
            looking.execute("set search_path = triage, public")
            return looking.execute(query).fetchall()

    def count(self, query: str) -> int:
        """Return one number from triage's schema."""
        return int(self.rows(f"select count(*) from {query}")[0][0])

    def heard(self, share: float, of: int) -> None:
        """Wait until triage has settled such a share of its inputs."""
        wait_until(lambda: self.count("inbox") >= share * of, 900)

    def cases(self) -> dict[str, Case]:
        """Return triage's cases."""
        with psycopg.connect(self.dsn) as looking, looking.cursor() as cursor:
            cursor.execute("set search_path = triage, public")
            return {one.case_id: one for one in CASES.select(cursor, SQL("where true"))}

    def topic(self) -> list[CaseTriaged]:
        """Return what is on the topic, in the order of each case."""
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.bootstrap.split(","), enable_auto_commit=False)
        parts = [TopicPartition("case-triaged", one) for one in sorted(consumer.partitions_for_topic("case-triaged") or ())]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        ends, found, wire = consumer.end_offsets(parts), list[CaseTriaged](), Wire()
        while any(consumer.position(one) < ends[one] for one in parts):
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    event = wire.decode({name: value.decode() for name, value in record.headers}, record.value)
                    assert isinstance(event, CaseTriaged)
                    found.append(event)
        consumer.close()
        return found


@pytest.fixture
def house(database: str, tmp_path: Path) -> Iterator[House]:
    """Open the house on three nodes, with a policy that has no deadline: how long a prediction took must not decide anything here."""
    told = yaml.safe_load((files("radloop.triage") / "triage-policy.yaml").read_text())
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(told | {"prediction_deadline_seconds": 86_400}))
    with apache_kafka(3) as kafka, House(database, kafka, str(policy), tmp_path) as opened:
        Broker(kafka.bootstrap).ensure_topics()
        yield opened


def test_members_and_a_node_die_and_every_event_has_its_effect_once(house: House) -> None:
    """Whoever is killed, leaves or joins: every input is settled once, every case stands where a calm run puts it, and says so once."""
    events = history(EVENTS)
    inputs = {(name, one.id) for one in events for name in hearing(one)}
    members = [house.member(number) for number in range(3)]
    for one in members:
        one.wait_ready()
    relay = Relay(house.sayer, house.kafka.broker())
    began = time.monotonic()
    house.say(events)
    relay.start()
    try:
        left = strike(house, len(inputs))
        wait_until(lambda: house.count("inbox") >= len(inputs), 900)
        took = time.monotonic() - began
        wait_until(lambda: not house.count("outbox where sent_at is null"), 120)
    finally:
        relay.stop()
    print(json.dumps({"events": len(events), "inputs": len(inputs), "seconds": round(took, 1), "left_after_s": round(left, 1)}))
    assert set(house.rows("select route, input_id from inbox where route <> 'miss_deadline'")) == inputs
    assert {table: house.count(table) for table in ("attempt", "parked", "quarantine")} == {"attempt": 0, "parked": 0, "quarantine": 0}
    assert_as_calm(house, calm(events, house.policy))
    assert_said_once(house)
    leave(house)


def hearing(event: Event) -> tuple[str, ...]:
    """Name the routes that hear an event."""
    if isinstance(event, PredictionMade):
        return "consider_review", "take_prediction"
    return ("take_study",) if type(event).__name__ == "StudyCompleted" else ("take_order",)


def strike(house: House, inputs: int) -> float:
    """Kill, take away and bring back, each once a share of the inputs is settled; return how long the one that left took."""
    house.heard(0.10, inputs)
    house.members[1].kill()
    house.member(1)
    house.heard(0.25, inputs)
    left = house.members[2].leave(GRACE_S)
    house.member(3)
    house.heard(0.40, inputs)
    house.kafka.kill(2)
    house.heard(0.50, inputs)
    house.kafka.start_again()
    house.heard(0.65, inputs)
    house.members[0].kill()
    house.member(0)
    house.heard(0.80, inputs)
    house.member(2)
    return left


def assert_as_calm(house: House, expected: dict[str, Case]) -> None:
    """Every case has the facts of a calm run, and the same place; what was said in between is a matter of what came first."""
    found = house.cases()
    assert found.keys() == expected.keys()
    spoken = {"said_code", "triage_revision"}
    wrong = {
        case: (vars(one), vars(expected[case])) for case, one in found.items()
        if {name: value for name, value in vars(one).items() if name not in spoken}
        != {name: value for name, value in vars(expected[case]).items() if name not in spoken}
    }
    assert not wrong, f"{len(wrong)} cases differ, for one {next(iter(wrong.values()))}"


def assert_said_once(house: House) -> None:
    """Each case's places count up without a gap, each under one id, on the topic as in the outbox; the last is where it stands."""
    kept = {one for (one,) in house.rows("select event_id from outbox where topic = 'case-triaged'")}
    first: dict[str, CaseTriaged] = {}
    for event in house.topic():
        assert first.setdefault(event.id, event) == event  # sent again, perhaps, and then the same
    assert first.keys() == kept
    revisions: dict[str, list[int]] = {}
    last: dict[str, CaseTriaged] = {}
    for event in first.values():
        revisions.setdefault(event.subject, []).append(event.triage_revision)
        last[event.subject] = event
    assert all(found == list(range(1, len(found) + 1)) for found in revisions.values())
    for case, one in house.cases().items():
        said = last[case]
        assert one.said is not None
        assert (said.triage_revision, said.urgency, said.read_by) == (one.triage_revision, one.said.urgency, one.said.read_by)


def leave(house: House) -> None:
    """Asked to leave, all members end in time and well, and hold nothing any more."""
    for one in house.members.values():
        one.wait_ready()
    for one in house.members.values():
        one.leave(GRACE_S)
    mine = "(select oid from pg_database where datname = current_database())"
    assert not house.count(f"pg_locks where locktype = 'advisory' and database = {mine}")
