"""The room over a real Postgres, with whatever EHR and RIS a test puts at its far ends."""

import threading
import time
from collections.abc import Callable
from typing import Any

from examples.shared import SITE

from radloop.events.publishing import ResultPublished
from radloop.events.wire import Wire
from radloop.kit.clock import SystemClock
from radloop.kit.deliveries import Deliveries
from radloop.kit.flow import Event
from radloop.publishing.config import Settings
from radloop.publishing.main import build

SECONDS = 20.0


class House:
    """The room's runner and its deliveries, with every answer from outside real."""

    def __init__(self, database: str, ehr: str, ris: int, timeout: float = 2.0) -> None:
        settings = Settings(
            postgres=database, kafka="127.0.0.1:1", blobs="unused", site=SITE, ehr=ehr, ris=f"127.0.0.1:{ris}", timeout_seconds=timeout,
        )
        self.room = build(settings)
        self.runner = self.room.runner()
        self.furnishing = self.room.furnish(self.runner)
        assert self.furnishing.check is not None
        self.deliveries = Deliveries(self.runner, self.furnishing.receivers, self.furnishing.check, SystemClock(), SITE)
        self.runner.after_commit("delivery", self.deliveries.worker.wake)

    def hear(self, *events: Event) -> None:
        """Settle events as they come from Kafka."""
        for event in events:
            message = Wire().encode(event, "test")
            self.runner.settle(self.runner.read(message.headers["ce_type"], f"topic:{message.topic}", message.headers, message.value))

    def results(self) -> list[ResultPublished]:
        """What result-published says, in order."""
        with self.runner.store.connection() as connection:
            rows = connection.execute("select headers, value from outbox where topic = 'result-published' order by id").fetchall()
        decoded: list[Any] = [Wire().decode(headers, bytes(value)) for headers, value in rows]
        return decoded

    def said(self) -> list[tuple[str, str, str]]:
        """What it says in short: receiver, kind, outcome."""
        return [(event.receiver, event.kind, event.outcome) for event in self.results()]

    def ready(self) -> list[str]:
        """Why the room is not ready."""
        return [why for ready in self.furnishing.ready if (why := ready())]

    def close(self) -> None:
        """End."""
        self.deliveries.stop()
        self.runner.store.close()

    def deliveries_by_state(self) -> dict[str, int]:
        """How many deliveries are in which state."""
        with self.runner.store.connection() as connection:
            return dict(connection.execute("select state, count(*) from delivery group by state").fetchall())


def await_(look: Callable[[], object]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + SECONDS
    while not look():
        assert time.monotonic() < deadline, "it did not become so in time"
        threading.Event().wait(0.02)
