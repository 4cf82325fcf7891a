"""The broker dies as Apache Kafka dies: its one node, and of three the one that leads."""

import pytest

from radloop.workbench.drill.kafkas import missing
from tests.e2e.faults.conftest import drill

pytestmark = [pytest.mark.faults, pytest.mark.stack, pytest.mark.peer]


@pytest.mark.parametrize("cluster", ["apache", "three"])
def test_nothing_is_lost_or_comes_twice_while_apache_kafka_dies(cluster: str) -> None:
    """SIGKILL of a broker under load, again and again, loses nothing and repeats nothing outside."""
    if why := missing():
        pytest.skip(why)
    drilled = drill("--kafka", cluster, "--strike", "kill kafka", "--seconds", "30")
    assert drilled.status == 0, drilled.told()
    figures = drilled.figures
    assert figures["kills"] >= 1
    assert figures["accepted"] > 20
    assert (figures["lost"], figures["duplicated"], figures["broken"], figures["not_recovered"]) == (0, 0, 0, 0)
