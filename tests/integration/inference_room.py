"""The room of inference in the test's own process, over a real Postgres and a real Triton, without Kafka in between."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from tests.dicom_making import file_of, radiograph
from tests.examples.inference import released
from tests.examples.shared import study

from radloop.events.wire import Wire
from radloop.inference.config import Settings
from radloop.inference.main import build
from radloop.kit.blobs import Folder
from radloop.kit.flow import Event
from radloop.kit.room import Furnishing
from radloop.kit.runner import Runner
from radloop.workbench.embedded.stack import Stack

PATIENCE = 90.0


@dataclass
class Room:
    """Its runner and parts, its blobs and the repository of its models; what it hears and says."""

    runner: Runner
    furnishing: Furnishing
    blobs: Folder
    repository: Path
    warm: Callable[[str, int], bool]

    def hear(self, event: Event) -> None:
        """Settle an event as its topic would bring it."""
        message = Wire().encode(event, "test")
        self.runner.settle(self.runner.read(message.headers["ce_type"], f"topic:{message.topic}", message.headers, message.value))

    def release(self, version: int, stage: str, release: int, **changes: Any) -> None:
        """Have a version released."""
        self.hear(released(version, stage, release, **changes))

    def said(self, kind: type[Any]) -> list[Any]:
        """Return what was said of one kind, in order."""
        with self.runner.store.connection() as connection:
            rows = connection.execute("select headers, value from outbox order by id").fetchall()
        events = [Wire().decode(headers, bytes(value)) for headers, value in rows]
        return [one for one in events if isinstance(one, kind)]


def eventually(look: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Return what a look finds as soon as it finds something."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to pass in time")


def children_of(parent: int) -> list[int]:
    """Return the processes that this one started, and theirs."""
    own = [int(pid) for task in Path(f"/proc/{parent}/task").iterdir() for pid in (task / "children").read_text().split()]
    return own + [below for pid in own for below in children_of(pid)]


@contextmanager
def opened(stack: Stack, folder: Path) -> Iterator[Room]:
    """Open the room over an empty schema and an empty repository of versions."""
    dsn = stack.address("postgres")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("drop schema if exists inference cascade")
    repository = Path(stack.address("model_repository"))
    for model in repository.iterdir():
        shutil.rmtree(model)
    settings = Settings(
        postgres=dsn, kafka=stack.address("kafka"), blobs=str(folder), triton=stack.address("triton"), model_repository=str(repository),
    )
    made = build(settings)
    runner = made.runner()
    runner.caught_up.set()  # nothing waits on a topic here
    furnishing = made.furnish(runner)
    loaded: Any = furnishing.parts[0]
    room = Room(runner, furnishing, Folder(folder), repository, loaded.warm)
    for part in furnishing.parts:
        part.start()
    try:
        yield room
    finally:
        for part in reversed(furnishing.parts):
            part.stop()
        runner.store.close()


def images(room: Room, value: int) -> dict[str, Any]:
    """Keep a radiograph of mean grey `value` of 255 and return it as the only image of a study."""
    pixels = np.full((300, 200), value, np.uint8)
    pixels[0, :2] = 0, 255
    blob = room.blobs.put(file_of(radiograph(pixels, SOPInstanceUID=f"2.25.{value}")))
    return {"instances": (replace(study().instances[0], blob=blob, rows=300, columns=200),)}
