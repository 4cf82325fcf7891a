"""A morning's plan: everything that can go wrong is in it once, in an order in which it can happen."""

from datetime import UTC, datetime

import numpy as np
import pytest

from radloop.workbench.hospital.books import Books, enrol
from radloop.workbench.hospital.cohort import draw, sizes
from radloop.workbench.hospital.irregular import KINDS, STUDIES
from radloop.workbench.hospital.planning import CLEARED_AFTER, HOUR, MINUTE, Step, lasts, plan
from radloop.workbench.hospital.sources import Phantoms

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def books(studies: int = 20) -> Books:
    return enrol(3, draw(Phantoms(3), 3, sizes(studies, 100)), NOON)


def steps_of(kind: str, seed: int = 3) -> dict[str, float]:
    """Return when what happens to the study of a kind."""
    told = books()
    return {step.what: step.after for step in plan(seed, told.morning, 2) if step.entry.irregular == kind}


def test_each_irregular_study_comes_once() -> None:
    """Eleven kinds are studies of their own, on top of the ordinary ones."""
    morning = books().morning
    assert sorted(one.irregular for one in morning if one.irregular) == sorted(STUDIES)
    assert len(morning) == 20 + len(STUDIES)
    assert len(KINDS) == 13


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_order_comes_before_its_images(seed: int) -> None:
    """Whatever the seed."""
    planned = plan(seed, books().morning, 2)
    place = {(step.entry.order.accession, step.what): at for at, step in enumerate(planned)}
    for entry in books().morning:
        if entry.irregular != "image-before-order":
            assert place[entry.order.accession, "order"] < place[entry.order.accession, "images"]


@pytest.mark.parametrize("seed", range(5))
def test_what_changes_a_study_comes_before_anybody_may_open_it(seed: int) -> None:
    """A cancel, a raise, a second image and a late order all come while the technologist still has the images."""
    for kind, what in (
        ("cancel-after-images", "cancel"), ("raised-to-stat", "raise"), ("late-second-image", "second-image"),
        ("image-before-order", "order"), ("object-twice", "images-again"),
    ):
        told = steps_of(kind, seed)
        assert told["images"] < told[what] < told["images"] + CLEARED_AFTER
    told = steps_of("update-between", seed)
    assert told["order"] <= told["update"] <= told["images"]


def test_the_default_morning_takes_three_hours() -> None:
    """60 ordinary studies and eleven irregular ones for two readers; more readers get more to read in the same time."""
    assert lasts(71, 2) == pytest.approx(3 * HOUR)
    assert lasts(71, 1) == pytest.approx(6 * HOUR)


def test_studies_come_at_random_times_over_the_whole_morning() -> None:
    """No bursts by construction, and nothing after the end."""
    planned = plan(3, books(80).morning, 2)
    at = np.array([step.after for step in planned if step.what == "images"])
    whole = lasts(91, 2)
    assert at.max() <= whole
    assert abs(np.median(at) / whole - 0.5) < 0.15


def test_the_nights_studies_are_there_when_the_day_begins() -> None:
    """So that the model's time in shadow, and its end, are seen: some of sixty come in the first minutes, and not ten."""
    planned = plan(3, books(60).morning, 2)
    early = [step for step in planned if step.what == "images" and step.after <= 9 * MINUTE]
    assert 3 <= len(early) < 10


def test_steps_are_in_the_order_of_time() -> None:
    """As they are played."""
    after = [step.after for step in plan(3, books().morning, 2)]
    assert after == sorted(after)
    assert all(isinstance(step, Step) for step in plan(3, books().morning, 2))
