"""Inference over a real Postgres and a real Triton: read, switch versions without a gap, heal, STAT before backfill."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from tests.dicom_making import file_of, radiograph
from tests.examples.inference import released
from tests.examples.shared import CASE, completed, envelope, study
from tests.integration.inference_models import publish

from radloop.events.prediction import PredictionMade, PredictionPooled
from radloop.events.study import StudyBackfilled
from radloop.events.wire import Wire
from radloop.inference.adapters.packages import RepositoryPackages
from radloop.inference.config import Settings
from radloop.inference.main import build
from radloop.kit.blobs import Folder
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.flow import Event
from radloop.kit.room import Furnishing
from radloop.kit.runner import Runner
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.stack import Stack, StartFailedError

pytestmark = pytest.mark.stack
PATIENCE = 90.0


@dataclass
class Room:
    """The room in this process, over the stack's Postgres and Triton, without Kafka in between."""

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


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run Postgres, the broker and Triton; skip where Triton cannot run here, saying why."""
    running = Stack(tmp_path_factory.mktemp("stack"), Options(usual_ports=False, rooms=()))
    try:
        running.start()
    except (Misconfigured, StartFailedError) as cannot:
        running.stop()
        pytest.skip(f"the embedded stack cannot run here: {cannot.reason}")
    yield running
    running.stop()


@pytest.fixture
def room(stack: Stack, tmp_path: Path) -> Iterator[Room]:
    """Open the room over an empty schema and an empty repository of versions."""
    dsn = stack.address("postgres")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("drop schema if exists inference cascade")
    repository = Path(stack.address("model_repository"))
    shutil.rmtree(repository / "chest", ignore_errors=True)
    settings = Settings(
        postgres=dsn, kafka=stack.address("kafka"), blobs=str(tmp_path), triton=stack.address("triton"),
        model_repository=str(repository),
    )
    made = build(settings)
    runner = made.runner()
    runner.caught_up.set()  # nothing waits on a topic here
    furnishing = made.furnish(runner)
    loaded: Any = furnishing.parts[0]
    opened = Room(runner, furnishing, Folder(tmp_path), repository, loaded.warm)
    for part in furnishing.parts:
        part.start()
    yield opened
    for part in reversed(furnishing.parts):
        part.stop()
    runner.store.close()


def images(room: Room, value: int) -> dict[str, Any]:
    """Keep a radiograph of mean grey `value` of 255 and return it as the only image of a study."""
    pixels = np.full((300, 200), value, np.uint8)
    pixels[0, :2] = 0, 255
    blob = room.blobs.put(file_of(radiograph(pixels, SOPInstanceUID=f"2.25.{value}")))
    return {"instances": (replace(study().instances[0], blob=blob, rows=300, columns=200),)}


def test_a_live_study_is_read_and_versions_change_without_a_gap(room: Room) -> None:
    """The released version reads the next case, a newer one takes over, and the weights must be those released."""
    first, second = publish(room.repository, 1), publish(room.repository, 2, bias=3.0)
    room.hear(completed(**images(room, 128)))
    room.release(1, "production", 1, weights_sha256=first)
    [made] = eventually(lambda: room.said(PredictionMade))
    assert (made.prediction.version, made.prediction.rows, made.prediction.columns) == (1, 300, 200)
    expected = (128 / 255 - 0.485) / 0.229
    assert made.prediction.findings[0].probability == pytest.approx(1 / (1 + np.exp(-expected)), abs=5e-3)
    embedding = np.frombuffer(room.blobs.get(made.prediction.embedding.sha256), "<f4")
    assert embedding[0] == pytest.approx(expected, abs=0.02)

    room.release(2, "shadow", 2, weights_sha256=second)
    eventually(lambda: room.warm("chest", 2))
    assert room.warm("chest", 1)
    room.release(2, "production", 3, weights_sha256=second)
    room.release(1, "retired", 4, weights_sha256=first, previous_stage="production")
    room.hear(replace(completed("second", **images(room, 90)), subject="other-case"))
    [_, other] = eventually(lambda: found if len(found := room.said(PredictionMade)) == 2 else None)
    assert other.prediction.version == 2
    room.hear(completed("late", revision=2, **images(room, 40)))
    found = eventually(lambda: found if len(found := room.said(PredictionMade)) == 3 else None)
    assert (found[-1].subject, found[-1].prediction.version, found[-1].prediction.revision) == (CASE, 1, 2)
    with pytest.raises(Permanent, match="not those that were released"):
        RepositoryPackages(room.repository).describe("chest", 2, "f" * 64)


def test_a_dead_process_under_triton_is_healed(room: Room, stack: Stack) -> None:
    """Triton never restarts a stub that was killed; the next study is read all the same."""
    weights = publish(room.repository, 1)
    room.release(1, "production", 1, weights_sha256=weights)
    eventually(lambda: room.warm("chest", 1))
    server = next(part.pid for part in stack.parts() if part.name == "triton")
    stubs = [pid for pid in children_of(server or 0) if "stub" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert stubs
    for pid in stubs:
        os.kill(pid, signal.SIGKILL)
    room.hear(completed(**images(room, 128)))
    assert eventually(lambda: room.said(PredictionMade))


def test_triton_killed_is_waited_for(room: Room, stack: Stack) -> None:
    """A study that arrives while Triton is away waits, and is read when it is back, with the versions loaded anew."""
    weights = publish(room.repository, 1)
    room.release(1, "production", 1, weights_sha256=weights)
    eventually(lambda: room.warm("chest", 1))
    stack.kill("triton")
    room.hear(completed(**images(room, 128)))
    assert eventually(lambda: room.said(PredictionMade))


def test_a_stat_is_read_before_the_backfill_that_came_first(room: Room) -> None:
    """Of forty earlier studies and one STAT, which arrives last, the STAT is among the first to be said."""
    weights = publish(room.repository, 1)
    room.release(1, "production", 1, weights_sha256=weights)
    eventually(lambda: room.warm("chest", 1))
    one = study(**images(room, 128))
    for number in range(40):
        room.hear(StudyBackfilled(**envelope(f"b{number}", 0, f"earlier-{number}"), study=one, revision=1, purpose="pool"))
    began = time.monotonic()
    room.hear(replace(completed(**images(room, 128)), priority="stat"))
    eventually(lambda: room.said(PredictionMade))
    waited = time.monotonic() - began
    eventually(lambda: len(room.said(PredictionPooled)) == 40)
    assert waited < (time.monotonic() - began) / 2
