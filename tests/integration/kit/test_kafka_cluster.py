"""Three nodes of Apache Kafka, of which one is killed: nobody waits for it, nothing is lost, order per key holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adapters.apache_kafka import apache_kafka
from conftest import wait_until
from examples.diary import Here
from examples.flow import Flow
from kafka.admin import KafkaAdminClient

from radloop.workbench.drill.kafkas import Apache
from radloop.kit.kafka import Broker, topics
from radloop.kit.relay import Relay

pytestmark = pytest.mark.apache


@pytest.fixture(scope="module")
def cluster() -> Iterator[Apache]:
    """Start three nodes; what is acknowledged lies on two."""
    with apache_kafka(3) as three:
        yield three


@pytest.fixture
def broker(cluster: Apache) -> Broker:
    """Reach them, with the topics made."""
    found = cluster.broker()
    found.ensure_topics()
    return found


def partitions(broker: Broker, *names: str) -> list[dict[str, Any]]:
    """Describe the partitions of these topics."""
    admin: Any = KafkaAdminClient(**broker.options(), request_timeout_ms=10_000)
    try:
        return [one for told in admin.describe_topics(list(names)) for one in told["partitions"]]
    finally:
        admin.close()


def test_topics_are_as_often_there_as_the_brokers_default_says(broker: Broker) -> None:
    """No number of ours: the platform team's default holds, and here it is three."""
    assert {len(one["replica_nodes"]) for one in partitions(broker, *topics())} == {3}


def test_a_leader_killed_while_events_flow_holds_nobody_up(
    cluster: Apache, broker: Broker, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:
    """Relay and consumer go on with the nodes that stand, without sending again, and take no notice when the dead one is back."""
    caplog.set_level("INFO", "radloop")
    here, there = Here(database, broker, tmp_path / "says", "here"), Here(database, broker, tmp_path / "hears", "there")
    flow = Flow(here, there)
    try:
        here.start(Relay(here.store, broker))
        there.start(there.consumer())
        flow.more()
        wait_until(lambda: flow.heard() > 0, 60)
        flow.more(1)
        cluster.kill(leader(broker))
        flow.more()
        flow.arrives(90)
        cluster.start_again()
        flow.more()
        flow.arrives(60)
        assert "sent again what may have been lost" not in caplog.text
    finally:
        here.stop()
        there.stop()


def leader(broker: Broker) -> int:
    """Return a node that leads a partition of the orders."""
    return int(partitions(broker, "order-recorded")[0]["leader_id"])
