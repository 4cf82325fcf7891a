"""What the kit promises when members come, go and die, and when the broker itself is killed: nothing lost, effects once, in order."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from adapters import brokers, diary_process
from adapters.apache_kafka import apache_kafka
from adapters.embedded_broker import Embedded
from conftest import wait_until
from examples.diary import Here
from examples.flow import Flow
from kafka.admin import KafkaAdminClient
from kafka.errors import GroupAuthorizationFailedError

from radloop.kit.kafka import Broker
from radloop.kit.relay import Relay

Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=brokers.KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    """Reach a broker of each kind, its topics made."""
    found = brokers.broker(request.param, request, tmp_path)
    found.ensure_topics()
    return found


@pytest.fixture
def here(database: str, broker: Broker, tmp_path: Path) -> Iterator[Here]:
    """Open the room that says it."""
    room = Here(database, broker, tmp_path / "says", f"s{uuid.uuid4().hex[:8]}")
    yield room
    room.stop()


@pytest.fixture
def there(database: str, broker: Broker, tmp_path: Path) -> Iterator[Here]:
    """Open the room that hears it, without a consumer."""
    room = Here(database, broker, tmp_path / "hears", f"h{uuid.uuid4().hex[:8]}")
    yield room
    room.stop()


@pytest.fixture
def spawn(there: Here, database: str, broker: Broker, tmp_path: Path) -> Iterator[Spawn]:
    """Have consumers of the room that hears it, each a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def spawning(instance: str, *, die: bool = False) -> "subprocess.Popen[str]":
        started.append(diary_process.spawn(
            dsn=database, broker=asdict(broker), folder=str(tmp_path / "hears"), room=there.store.room, instance=instance, die=die,
        ))
        return started[-1]

    yield spawning
    for process in started:
        process.kill()
        process.communicate()


def joined(process: "subprocess.Popen[str]") -> None:
    """Wait until it has its partitions."""
    assert process.stdout is not None
    assert process.stdout.readline() == "joined\n"


def members(broker: Broker, group: str) -> set[str]:
    """Return the instances that a group knows."""
    client: Any = KafkaAdminClient(**broker.options(), request_timeout_ms=10_000)
    try:
        return {one["group_instance_id"] for one in client.describe_groups([group])[group]["members"]}
    finally:
        client.close()


def committed(broker: Broker, group: str) -> int:
    """Count how many records a group has committed."""
    client: Any = KafkaAdminClient(**broker.options(), request_timeout_ms=10_000)
    try:
        return sum(max(0, one.offset) for one in client.list_group_offsets([group])[group].values())
    finally:
        client.close()


def test_members_come_and_go_while_events_flow(here: Here, there: Here) -> None:
    """A second instance joins, then the first leaves: nothing is lost, nothing has a second effect, order per case holds.

    A member that leaves says nothing (it is static: a restart costs no rebalance). Apache Kafka gives its partitions to the other
    after ten seconds; the embedded broker never does, and waits for the next of its name.
    """
    flow = Flow(here, there)
    first, second = there.consumer("a"), there.consumer("b")
    here.start(Relay(here.store, here.broker))
    flow.more()
    first.start()
    wait_until(lambda: flow.heard() > 0, 60)
    there.start(second)
    flow.more()
    wait_until(lambda: bool(second._kafka and second._kafka.assignment()), 60)
    flow.more()
    first.stop()
    flow.more()
    if here.broker.bells:
        there.start(there.consumer("a"))
    flow.arrives()


def test_a_member_that_is_killed_is_succeeded_by_one_of_its_name(here: Here, there: Here, spawn: Spawn) -> None:
    """SIGKILL while events flow; the next process of the same instance goes on where the dead one had committed.

    On Apache Kafka beside another member, which goes on meanwhile. The embedded broker, which runs one instance of each room, may
    share out anew for minutes when a member of two was killed.
    """
    flow = Flow(here, there)
    here.start(Relay(here.store, here.broker))
    doomed = spawn("a")
    joined(doomed)
    if not here.broker.bells:
        joined(spawn("b"))
    flow.more()
    wait_until(lambda: flow.heard() > 0, 60)
    flow.more(1)
    doomed.kill()
    doomed.wait()
    flow.more()
    successor = there.consumer("a")
    there.start(successor)
    flow.more()
    flow.arrives()
    wait_until(lambda: not successor.ready, 30)


def test_the_membership_of_one_that_is_gone_can_be_taken_back(here: Here, there: Here, spawn: Spawn) -> None:
    """Its alone, and of a stable group too; another is let in at once. No session has to end first: at the embedded broker none does."""
    gone = spawn("a")
    joined(gone)
    gone.kill()
    gone.wait()
    there.broker.take_back(there.store.room, "b")
    assert members(there.broker, there.store.room) == {f"{there.store.room}-a"}
    there.broker.take_back(there.store.room, "a")
    assert members(there.broker, there.store.room) == set()
    other = there.consumer("b")
    there.start(other)
    wait_until(lambda: bool(other._kafka and other._kafka.assignment()), 8)


def test_a_broker_that_takes_no_membership_back_is_none_the_worse(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights may be missing, or it may be away: whoever joins next is told so by the join."""

    def refuses(*_: object) -> None:
        raise GroupAuthorizationFailedError

    monkeypatch.setattr(KafkaAdminClient, "describe_groups", refuses)
    here.broker.take_back(here.store.room, "a")


def test_there_is_nothing_to_take_back_from_a_group_that_is_not_there(here: Here) -> None:
    """Who never got in has left nothing behind."""
    here.broker.take_back(f"never-{here.store.room}", "0")


def test_what_comes_again_after_a_death_before_the_commit_has_no_second_effect(here: Here, there: Here, spawn: Spawn) -> None:
    """Everything was settled and no offset kept: all of it is read again, and the inbox knows it."""
    flow = Flow(here, there)
    here.start(Relay(here.store, here.broker))
    flow.more()
    wait_until(lambda: here.count("outbox", "sent_at is null") == 0, 30)
    assert spawn("a", die=True).wait(90) < 0
    assert flow.heard() > 0
    assert committed(there.broker, there.store.room) == 0
    there.start(there.consumer("a"))
    flow.arrives()
    wait_until(lambda: committed(there.broker, there.store.room) > 0, 30)


@pytest.mark.parametrize("kind", [pytest.param("embedded"), pytest.param("apache", marks=pytest.mark.apache)])
def test_a_broker_killed_while_events_flow_loses_none_of_them(kind: str, database: str, tmp_path: Path) -> None:
    """Killed and back on its old data: the relay sends again what may be lost, hearers skip what they know."""
    if kind == "apache":
        with apache_kafka() as cluster:
            killed(cluster.kill, cluster.start_again, cluster.broker(), database, tmp_path)
    else:
        embedded = Embedded(tmp_path / "broker")
        embedded.start()
        try:
            killed(embedded.kill, embedded.start, Broker(embedded.bootstrap, bells=str(tmp_path / "bells")), database, tmp_path)
        finally:
            embedded.kill()


def killed(kill: Callable[[], None], start: Callable[[], None], broker: Broker, database: str, folder: Path) -> None:
    """Kill and restart it in the midst of a flow."""
    here, there = Here(database, broker, folder / "says", "here"), Here(database, broker, folder / "hears", "there")
    flow = Flow(here, there)
    try:
        here.start(Relay(here.store, broker))
        there.start(there.consumer())
        flow.more()
        wait_until(lambda: flow.heard() > 0, 90)
        flow.more()
        kill()
        flow.more()
        start()
        flow.more()
        flow.arrives(120)
    finally:
        here.stop()
        there.stop()
