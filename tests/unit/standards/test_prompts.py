"""What a reader draws, as a model is told; and masks as they travel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from radloop.kit.errors import Permanent
from radloop.standards import masks
from radloop.standards.prompts import Box, Point, Scribble, along, check, tokens


def test_a_click_is_told_in_the_models_own_pixels_with_padding_after_it() -> None:
    """The middle of the image is the middle of the model's image; half a pixel is left to the encoder, and padding ends it."""
    places, labels = tokens((Point(500.0, 250.0), Point(0.0, 0.0, positive=False)), rows=500, columns=1000, side=256)
    np.testing.assert_allclose(places, [[127.5, 127.5], [-0.5, -0.5], [0, 0]])
    assert labels.tolist() == [1, 0, -1]


def test_of_several_boxes_the_last_counts_and_needs_no_padding() -> None:
    """Two corners, labelled as the prompt encoder numbers them."""
    places, labels = tokens((Box(0, 0, 10, 10), Point(50, 50), Box(10, 20, 90, 100)), 100, 100, 100)
    np.testing.assert_allclose(places, [[49.5, 49.5], [9.5, 19.5], [89.5, 99.5]])
    assert labels.tolist() == [1, 2, 3]


def test_a_scribble_is_a_handful_of_points_along_it() -> None:
    """Equally far from each other, however its corners lie; one that has no length is a click."""
    assert along(((0.0, 0.0), (1.0, 0.0), (10.0, 0.0)), 6) == [(2.0 * step, 0.0) for step in range(6)]
    assert along(((3.0, 4.0), (3.0, 4.0)), 6) == [(3.0, 4.0)]
    _, labels = tokens((Scribble(((0.0, 0.0), (10.0, 0.0)), positive=False),), 100, 100, 100)
    assert labels.tolist() == [0] * 6 + [-1]


@pytest.mark.parametrize(
    "prompt",
    [
        Point(101, 5), Point(-0.1, 5), Point(float("nan"), 5), Point(5, float("inf")), Box(5, 5, 5, 9), Box(9, 9, 5, 5), Scribble(()),
        Scribble(((1.0, 1.0), (1.0, 200.0))), Scribble(((1.0, 1.0),) * 1_001),
    ],
)
def test_what_is_not_on_the_image_is_refused(prompt: object) -> None:
    """A coordinate outside, one that is no number, an empty box, a line without corners."""
    with pytest.raises(Permanent):
        check(prompt, rows=100, columns=100)  # type: ignore[arg-type]


@given(arrays.arrays(np.bool_, some.tuples(some.integers(1, 12), some.integers(1, 12))))
def test_a_mask_comes_back_from_its_run_lengths(mask: np.ndarray) -> None:
    """Whatever the mask: nothing is lost, and the counts cover it."""
    runs = masks.encode(mask)
    assert sum(runs.counts) == mask.size
    np.testing.assert_array_equal(masks.decode(runs), mask)


def test_run_lengths_go_down_the_columns_background_first() -> None:
    """As COCO's own tools count them: 0 first where the first pixel is inside."""
    mask = np.array([[True, False, False], [True, True, False]])
    assert masks.encode(mask) == masks.RunLengths(2, 3, (0, 2, 1, 1, 2))
    with pytest.raises(Permanent):
        masks.decode(masks.RunLengths(2, 3, (0, 2, 1)))


def test_dice_and_iou_of_what_is_empty_are_one() -> None:
    """Two empty masks agree; half of one is two thirds by Dice and a half by IoU."""
    nothing, half, whole = np.zeros((2, 2), bool), np.array([[True, True], [False, False]]), np.ones((2, 2), bool)
    assert (masks.dice(nothing, nothing), masks.iou(nothing, nothing)) == (1.0, 1.0)
    assert masks.dice(half, whole) == pytest.approx(2 / 3)
    assert masks.iou(half, whole) == 0.5
