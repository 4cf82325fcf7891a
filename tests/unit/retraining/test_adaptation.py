"""Adapting a segmenter: who is judged on what, and what a decoder learns."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
import pytest
from tests.examples import elsewhere
from tests.examples.segmenting import SIDE, segmenter, tiny_decoder, tiny_encoder

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.adaptation import judged_before
from radloop.retraining.adapters.adapting import told
from radloop.retraining.adapters.confirmed import Pair
from radloop.retraining.adapters.judging import encoder
from radloop.retraining.adapters.package import assemble_segmenter, pack, unpack
from radloop.standards.prompts import Scribble


def squares() -> list[Pair]:
    """Return an image with a bright square on it, and the square as what is wanted."""
    inside = np.zeros((SIDE, SIDE), bool)
    inside[100:150, 100:150] = True
    return [Pair("a", "p1", np.where(inside, 0.75, 0.25).astype(np.float32), inside[None])]


def never() -> Iterator[np.ndarray]:
    """Stand for embeddings that nobody may look at."""
    raise AssertionError("embeddings of another encoder were used")
    yield


def test_what_is_drawn_on_a_batch_is_padded_to_the_longest() -> None:
    """A scribble through one pixel is one token, another is six; padding says nothing, as after every click."""
    dot, line = Scribble(((5.5, 5.5),)), Scribble(((10.0, 10.0), (10.0, 60.0)), positive=False)
    places, labels = told([[dot], [line]])
    assert (places.shape, labels.shape, places.dtype) == ((2, 7, 2), (2, 7), np.float32)
    assert labels.tolist() == [[1, -1, -1, -1, -1, -1, -1], [0, 0, 0, 0, 0, 0, -1]]
    assert places[0].tolist() == [[5.0, 5.0], *[[0.0, 0.0]] * 6]


def test_an_image_is_encoded_as_the_graph_does() -> None:
    """The tiny encoder's embedding is the image itself, four by four pixels a cell."""
    found = encoder(tiny_encoder())(squares()[0].grey)
    assert (found.shape, found.dtype) == ((256, 64, 64), np.float16)
    assert (found[0, 0, 0], found[255, 30, 30]) == (0.25, 0.75)


def test_a_predecessor_is_judged_on_what_its_own_encoder_makes() -> None:
    """On another encoder's embeddings it would look worse than it is, and any candidate would pass beside it."""
    predecessor, given = assemble_segmenter(segmenter(), tiny_decoder(), tiny_encoder()), squares()
    other = onnx.load_from_string(tiny_encoder())
    other.producer_name = "exported anew"
    [own] = judged_before(predecessor, other.SerializeToString(), never(), given, 1)
    assert own > 0.8
    assert judged_before(predecessor, tiny_encoder(), encoder(tiny_encoder())(given[0].grey)[None], given, 1) == [own]
    with pytest.raises(AssertionError):
        judged_before(predecessor, tiny_encoder(), never(), given, 1)


def test_a_predecessor_that_is_shown_something_else_is_not_compared() -> None:
    """Neither one that wants other grey values nor what is no segmenter: the cycle fails with the reason, and no gate is passed."""
    says = segmenter()
    other = assemble_segmenter(replace(says, preparation=replace(says.preparation, mean=(0.5,) * 3)), tiny_decoder(), tiny_encoder())
    for package in (other, unpack(pack(elsewhere.files()))):
        with pytest.raises(Permanent, match="cannot be compared"):
            judged_before(package, tiny_encoder(), never(), squares(), 1)
