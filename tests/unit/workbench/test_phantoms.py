"""Phantoms are the same everywhere, of both classes, and never two patients in one."""

import numpy as np

from radloop.workbench.phantoms import SIDE, draw, roster


def test_the_same_seed_draws_the_same_people() -> None:
    """Roster and pictures depend on the seed alone."""
    people = roster(7, 5, 9)
    assert people == roster(7, 5, 9)
    np.testing.assert_array_equal(draw(7, people[0]), draw(7, people[0]))
    assert not np.array_equal(draw(7, people[0]), draw(8, people[0]))


def test_both_classes_come_in_the_numbers_asked_for() -> None:
    """As many positives and negatives as asked, and no patient in both."""
    people = roster(1, 30, 50)
    assert sum(one.present for one in people) == 30
    assert len(people) == 80
    assert not {one.patient_key for one in people if one.present} & {one.patient_key for one in people if not one.present}


def test_pictures_of_one_patient_differ_but_belong_together() -> None:
    """Two images of one patient are nearer to each other than to another patient's."""
    people = roster(3, 0, 40)
    twice = next(one for one in people if one.number == 1)
    first = next(one for one in people if one.patient_key == twice.patient_key and one.number == 0)
    others = [one for one in people if one.patient_key != twice.patient_key][:10]

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(one.astype(float) - other.astype(float)).mean())

    home = apart(draw(3, first), draw(3, twice))
    assert 0 < home < np.mean([apart(draw(3, first), draw(3, other)) for other in others])


def test_a_picture_is_grey_and_uses_its_range() -> None:
    """224 by 224, eight bits, neither black nor white throughout."""
    picture = draw(1, roster(1, 1, 0)[0])
    assert picture.shape == (SIDE, SIDE)
    assert picture.dtype == np.uint8
    assert picture.std() > 20
