"""What was learned is measured on the test split and nothing else, beside as many labels as there were, drawn at random."""

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from radloop.workbench.grpc import Version
from radloop.workbench.hospital.books import enrol
from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.readers import staff
from radloop.workbench.hospital.scores import Heard
from radloop.workbench.hospital.sources import Candidate
from radloop.workbench.play import learned
from radloop.workbench.play.learned import Measure
from radloop.workbench.play.loop import Loop

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SIZE = {"seeds": 20, "acceptance": 30, "gate": 30, "pool": 200, "morning": 20, "irregular": 11, "test": 120}
FIRST = Version(1, "shadow", 20, False, ())
SECOND = Version(2, "production", 100, True, ())


def somebody(part: str, place: int) -> Candidate:
    return Candidate(f"{part}-{place}", place % 3 == 0, f"{part}/{place}")


COHORT = Cohort(**{part: tuple(somebody(part, place) for place in range(size)) for part, size in SIZE.items()})


class FakeLoop:
    """Versions that hear images: an image is its candidate's name, and its embedding tells the truth behind much noise."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, set[str]]] = []

    def says(self, version: int, images: NDArray[np.object_], of: str) -> Heard:
        names = [str(name) for name in images]
        self.heard.append((version, {name.split("/")[0] for name in names}))
        truth = np.array([int(name.split("/")[1]) % 3 == 0 for name in names])
        dice = np.random.default_rng(1)
        embeddings = dice.normal(size=(len(names), 16)).astype(np.float32)
        embeddings[:, 0] += 1.5 * truth
        return Heard(truth * version + dice.normal(0, 1.2, len(names)), embeddings)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> tuple[Measure, FakeLoop]:
    """Return a measure over a cohort whose images are only names."""
    monkeypatch.setattr(learned, "prepared", lambda _, candidates: np.array([one.image for one in candidates], dtype=object))
    loop: FakeLoop | Loop = FakeLoop()
    return Measure(loop, None, COHORT, enrol(5, COHORT, NOON), 5), loop  # type: ignore[arg-type, return-value]  # fakes


def test_only_the_test_split_is_measured(measured: tuple[Measure, FakeLoop]) -> None:
    """The first version is also asked of seeds and pool, for the random arm; no later one is asked of anything but the test split."""
    measure, loop = measured
    before = measure.before(FIRST, "first model", 120)
    told = measure.after(before, [SECOND], 2, staff(5, 2, enrol(5, COHORT, NOON).truth, 0.2))
    assert [parts for version, parts in loop.heard if version == 1] == [{"test"}, {"seeds"}, {"pool"}]
    assert [parts for version, parts in loop.heard if version == 2] == [{"test"}]
    assert (told.images, told.patients) == (120, 120)


def test_the_random_arm_has_as_many_labels_as_the_version_that_serves(measured: tuple[Measure, FakeLoop]) -> None:
    """The seeds among them, on both sides."""
    measure, _ = measured
    told = measure.after(measure.before(FIRST, "first model", 120), [SECOND], 2, staff(5, 2, enrol(5, COHORT, NOON).truth, 0.2))
    assert [(point.name, point.labels, point.random) for point in told.points] == [
        ("first model", 20, False), ("version 2", 100, False), ("random labels", 100, True),
    ]
    assert told.points[2].auc.estimate > 0.6, "random labels teach too"


def test_a_gain_is_that_of_the_version_that_serves(measured: tuple[Measure, FakeLoop]) -> None:
    """Not of the best one on the way."""
    measure, _ = measured
    before = measure.before(FIRST, "first model", 120)
    readers = staff(5, 2, enrol(5, COHORT, NOON).truth, 0.2)
    third = Version(3, "retired", 120, True, ())
    told = measure.after(before, [SECOND, third], 2, readers)
    assert told.gain.estimate == pytest.approx(told.points[1].auc.estimate - told.points[0].auc.estimate)
    assert told.over_random.estimate == pytest.approx(told.points[1].auc.estimate - told.points[-1].auc.estimate)


def test_where_nothing_was_released_nothing_was_gained(measured: tuple[Measure, FakeLoop]) -> None:
    """And the random arm is the seeds alone."""
    measure, _ = measured
    told = measure.after(measure.before(FIRST, "first model", 120), [], 0, staff(5, 2, enrol(5, COHORT, NOON).truth, 0.2))
    assert (told.gain.estimate, told.points[-1].labels) == (0.0, 20)
