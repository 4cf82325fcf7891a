"""Adapting a segmenter: who is judged on what, and what a decoder learns."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from tests.examples import elsewhere
from tests.examples.segmenting import SIDE, segmenter, tiny_decoder, tiny_encoder

from radloop.kit.errors import Permanent
from radloop.retraining.adapters import medsam
from radloop.retraining.adapters.adaptation import judged_before
from radloop.retraining.adapters.adapting import Confirmed, Recipe, adapt, told
from radloop.retraining.adapters.clicks import next_click
from radloop.retraining.adapters.confirmed import Pair
from radloop.retraining.adapters.judging import encoder
from radloop.retraining.adapters.package import assemble_segmenter, pack, unpack
from radloop.standards.masks import dice
from radloop.standards.prompts import Scribble, tokens


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


def reached(decoder: medsam.Decoder, known: Confirmed) -> list[float]:
    """Return the Dice coefficient of each image's structure after one click in its middle."""
    found = []
    for embedding, [wanted] in zip(known.embeddings, known.structures, strict=True):
        drawn = [part[None] for part in tokens([next_click(wanted, np.zeros_like(wanted))], SIDE, SIDE, SIDE)]
        asked = (torch.from_numpy(one) for one in (embedding[None], *drawn, np.zeros((1, SIDE, SIDE), np.float32), np.zeros(1, np.float32)))
        with torch.inference_mode():
            found.append(dice(decoder(*asked)[0][0].numpy() > 0, wanted))
    return found


@pytest.fixture
def alone() -> Iterator[None]:
    """Have torch use one thread: two that wait for each other take many times as long on a machine that is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_few_steps_teach_the_decoder_what_it_could_not_outline(alone: None) -> None:
    """Embeddings as no image has them, two of them: a click outlines nothing before, most of it after; the decoder given stays as it is."""
    random = np.random.default_rng(0)
    embeddings = (0.1 * random.standard_normal((2, 256, 64, 64))).astype(np.float16)
    wanted = np.zeros((2, SIDE, SIDE), bool)
    wanted[0, 60:120, 40:120] = wanted[1, 120:180, 140:220] = True
    for embedding, inside in zip(embeddings, wanted, strict=True):
        embedding[:, inside[::4, ::4]] += (0.5 * random.standard_normal((256, 1))).astype(np.float16)
    known, base = Confirmed(embeddings, [one[None] for one in wanted]), medsam.Decoder(medsam.load())
    before, shares = {name: value.clone() for name, value in base.state_dict().items()}, list[float]()
    adapted = adapt(base, known, Recipe(steps=15, rate=2e-3, warm_up=2), shares.append)
    assert np.mean(reached(base, known)) < 0.1
    assert np.mean(reached(adapted, known)) > 0.4
    assert shares == [(step + 1) / 15 for step in range(15)]
    after = adapted.state_dict()
    assert all(torch.equal(before[name], value) for name, value in base.state_dict().items())
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved and not any("pe_layer" in name for name in moved)
    assert not any(one.requires_grad for one in adapted.parameters())
