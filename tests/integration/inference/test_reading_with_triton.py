"""Inference over a real Postgres and a real Triton: read, switch versions without a gap, heal, STAT before backfill."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.examples.shared import CASE, completed, envelope, study
from tests.integration.inference_models import publish
from tests.integration.inference_room import Room, children_of, eventually, images

from radloop.events.prediction import PredictionMade, PredictionPooled
from radloop.events.study import StudyBackfilled
from radloop.inference.adapters.packages import RepositoryPackages
from radloop.kit.errors import Permanent
from radloop.workbench.embedded.stack import Stack

pytestmark = pytest.mark.stack


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
    """Of forty earlier studies and one STAT, which arrives last, the STAT is among the first to be said once a version serves."""
    one = study(**images(room, 128))
    for number in range(40):
        room.hear(StudyBackfilled(**envelope(f"b{number}", 0, f"earlier-{number}"), study=one, revision=1, purpose="pool"))
    room.hear(replace(completed(**images(room, 128)), priority="stat"))
    weights = publish(room.repository, 1)
    room.release(1, "production", 1, weights_sha256=weights)
    eventually(lambda: len(room.said(PredictionPooled)) == 40)
    said = [type(one) for one in room.said(PredictionMade | PredictionPooled)]
    assert len(said) == 41
    assert said.index(PredictionMade) < 3, "but for what readers had in hand at the moment the version began to serve"
