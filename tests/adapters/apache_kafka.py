"""Apache Kafka from the tools beside the checkout, for as long as a test wants it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from radloop.workbench.drill.kafkas import Apache, missing


@contextmanager
def apache_kafka(nodes: int = 1, *, secure: bool = False) -> Iterator[Apache]:
    """Yield a cluster in a folder and a port range of its own, to be killed at will; it is gone afterwards."""
    if why := missing():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="radloop-apache-"))
    try:
        cluster = Apache.start(folder, nodes, secure=secure)
        try:
            yield cluster
        finally:
            cluster.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
