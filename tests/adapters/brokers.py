"""The brokers that one contract suite runs over: the embedded one, Apache Kafka, and one that somebody has given."""

import os
from pathlib import Path

import pytest

from radloop.kit.kafka import Broker

GIVEN = "RADLOOP_KAFKA_BOOTSTRAP_SERVERS"
KINDS = (
    pytest.param("embedded", id="embedded"),
    pytest.param("apache", id="apache", marks=pytest.mark.apache),
    *((pytest.param("given", id="given"),) if os.environ.get(GIVEN) else ()),
)


def broker(kind: str, request: pytest.FixtureRequest, folder: Path) -> Broker:
    """Return how to reach a broker of this kind, started for the whole run where it is ours."""
    if kind == "embedded":
        return Broker(request.getfixturevalue("kafka"), bells=str(folder / "bells"))
    if kind == "apache":
        found: Broker = request.getfixturevalue("apache").broker()
        return found
    told = {name: os.environ.get(f"RADLOOP_KAFKA_{name}", "") for name in ("SECURITY", "MECHANISM", "USER", "PASSWORD", "CA_FILE")}
    return Broker(
        os.environ[GIVEN], told["SECURITY"] or "PLAINTEXT", told["MECHANISM"], told["USER"], told["PASSWORD"], told["CA_FILE"],
    )
