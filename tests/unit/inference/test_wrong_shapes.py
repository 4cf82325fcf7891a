"""Answers of another shape or kind than a package says: each is refused in words, whoever hears it, and harms nobody else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.examples import elsewhere
from tests.examples import inference as example
from tests.examples.segmenting import SIDE, encoder, segmenter
from tests.examples.shared import CASE
from tests.unit.inference.doubles import Server, clock
from tests.unit.inference.test_segmenting import CLICK, Bench

from radloop.inference.adapters.loading import Loaded
from radloop.inference.adapters.packages import with_encoders
from radloop.inference.adapters.sight import probe, read_through
from radloop.inference.adapters.triton import Triton
from radloop.inference.domain.answer import Outputs, joined
from radloop.inference.domain.model import Model
from radloop.inference.domain.outline import Outline
from radloop.inference.ports import Described
from radloop.kit.errors import Permanent, Transient

ANOTHER = "in another shape than its package says"
WORDS = np.array([[b"left", b"right"]], object)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"LOGITS": np.zeros((SIDE, SIDE))}, ANOTHER), ({"LOGITS": np.zeros(0)}, ANOTHER), ({"LOGITS": np.zeros((1, 1, SIDE, SIDE))}, ANOTHER),
    ({"LOGITS": np.zeros((1, SIDE // 2, SIDE))}, ANOTHER), ({"QUALITY": np.zeros(0)}, ANOTHER), ({"QUALITY": np.zeros((1, 3))}, ANOTHER),
    ({"QUALITY": np.zeros(())}, ANOTHER), ({"QUALITY": WORDS}, "no numbers"), ({"LOGITS": np.full((1, SIDE, SIDE), None)}, "no numbers"),
]


class Odd(Bench):
    """A segmenter and its encoder, of which some outputs are as a test has them."""

    def __init__(self, **said: Any) -> None:
        super().__init__()
        self.said = said

    def infer(self, model: str, version: int, tensors: Any, outputs: Sequence[str], within: float | None = None) -> dict[str, np.ndarray]:
        told = super().infer(model, version, tensors, outputs, within)
        return {name: self.said.get(name, values) for name, values in told.items()}


@pytest.mark.parametrize(("said", "why"), WRONG)
def test_a_prompt_that_is_answered_in_another_shape_is_refused(said: dict[str, Any], why: str) -> None:
    """The reader is told, as of any other refusal, and the stream goes on; no exception of numpy's ends it."""
    bench = Odd(**said)
    canvas = bench.open()
    with pytest.raises(Permanent, match=f"lungs 1 answers {next(iter(said))}.*{why}"):
        bench.segmenters.answer(canvas, CLICK, Outline(canvas.rows, canvas.columns))


@pytest.mark.parametrize(("said", "why"), WRONG)
def test_a_segmenter_that_answers_in_another_shape_takes_no_traffic(said: dict[str, Any], why: str) -> None:
    """It is seen at the warm-up, as a classifier's is."""
    with pytest.raises(Permanent, match=why):
        probe(Odd(**said).infer, segmenter(), 5.0)


@pytest.mark.parametrize("said", [np.zeros((1, 256, 32, 32)), np.zeros((256, 64, 64)), np.zeros(()), np.full((1, 256, 64, 64), None)])
def test_an_embedding_of_another_shape_is_neither_used_nor_kept(said: Any) -> None:
    """The classical method answers and says why; the encoder takes no traffic, and nothing is proposed by it."""
    bench = Odd(IMAGE_EMBEDDING=said)
    with pytest.raises(Permanent, match="answers IMAGE_EMBEDDING"):
        probe(bench.infer, encoder(), 5.0)
    canvas = bench.open()
    assert canvas.segmenter is None
    assert "lungs-encoder 1 answers IMAGE_EMBEDDING" in canvas.reason
    with pytest.raises(Permanent, match="answers IMAGE_EMBEDDING"):
        bench.segmenters.encode_ahead(CASE)
    assert bench.kept == {}


@pytest.mark.parametrize(("scores", "why"), [
    (np.zeros(()), "did not answer for each image"), (WORDS, "no numbers"), (np.zeros((1, 2, 2, 2)), "another shape"),
    (np.zeros(1), "another shape"),
])
def test_what_a_classifier_answers_is_looked_at_before_it_is_computed_with(scores: Any, why: str) -> None:
    """No dimension at all, words, one dimension too many: each is its own fault."""
    said = {elsewhere.SCORES: scores, elsewhere.VECTOR: np.zeros((1, 2))}
    package = elsewhere.package(elsewhere.weights(), elsewhere.known())
    with pytest.raises(Permanent, match=why):
        read_through(lambda *_: said, package, np.zeros((1, 1, elsewhere.ROWS, elsewhere.COLUMNS), np.float32))


def test_batches_of_shapes_of_their_own_are_no_answer() -> None:
    """A model whose maps are now of seven cells and now of eight."""
    some, others = (Outputs(np.zeros((1, 2, 1)), np.zeros((1, 4)), np.zeros((1, 1, cells, cells))) for cells in (7, 8))
    with pytest.raises(Permanent, match="another shape than its package says"):
        joined([some, others])
    assert joined([some, some]).evidence.shape == (2, 1, 7, 7)


def test_an_answer_that_cannot_be_decoded_is_the_versions_fault() -> None:
    """It is whole and makes no sense: to wait and ask again would be to wait for ever."""
    def undecodable(_name: str) -> np.ndarray:
        raise ValueError("cannot reshape array of size 3 into shape (2,2)")

    server = Triton("127.0.0.1:1", 15.0)
    server._own.client = SimpleNamespace(infer=lambda *_, **__: SimpleNamespace(as_numpy=undecodable))
    with pytest.raises(Permanent, match="chest 1 answered with what cannot be decoded"):
        server.infer("chest", 1, {"IMAGE": np.zeros(1, np.float32)}, ("MEMBERS",))


@pytest.mark.parametrize("surprise", [ValueError("of a patient"), TypeError("x"), IndexError("x"), KeyError("x"), OverflowError("x")])
def test_what_one_version_does_to_its_probe_keeps_no_other_from_being_loaded(surprise: Exception) -> None:
    """It is told, in words that repeat nothing of the answer, and tried again; the models after it are loaded and healed meanwhile."""
    class Surprising(Server):
        wrong: Exception | None = surprise

        def infer(self, model: str, version: int, tensors: Any, outputs: Any, within: float | None = None) -> dict[str, np.ndarray]:
            if model == "bones" and self.wrong:
                raise self.wrong
            return super().infer(model, version, tensors, outputs, within)

    class Named(example.Packages):
        def describe(self, model: str, version: int, weights_sha256: str) -> Described:
            described = super().describe(model, version, weights_sha256)
            return replace(described, package=replace(described.package, model=model))

    time, server = clock(), Surprising()
    found = [Model(model=name).released(replace(example.released(), subject=name, model=name)) for name in ("bones", "chest")]
    models = [one for one in found if one is not None]
    keeper = Loaded(server, Named(), lambda: models, Path(), time)
    keeper._turn()
    assert (keeper.warm("bones", 1), keeper.warm("chest", 1)) == (False, True)
    assert keeper.ready().startswith(f"bones 1: {type(surprise).__name__} at test_wrong_shapes.py:")
    assert "of a patient" not in keeper.ready()
    keeper._cool(("chest", 1), keeper._warm["chest", 1], Transient("triton is away"))
    keeper._turn()
    assert keeper.warm("chest", 1)
    server.wrong = None
    time.advance(6)
    keeper._turn()
    assert (keeper.warm("bones", 1), keeper.ready()) == (True, "")


@pytest.mark.parametrize("step", ["held", "load"])
def test_what_is_told_of_a_surprise_is_true_of_every_step(step: str) -> None:
    """Triton's list or its loading may be what nobody foresaw: nothing is then said of an answer that was never asked for."""
    server = Server()

    def surprise(*_: Any) -> Any:
        raise TypeError("of a patient")

    looks = iter(range(1))  # the first look succeeds: it is the one before loading that does not
    setattr(server, step, surprise if step == "load" else lambda _: surprise() if next(looks, None) is None else {})
    found = Model(model="chest").released(example.released())
    assert found is not None
    keeper = Loaded(server, example.Packages(), lambda: [found], Path(), clock())
    keeper._turn()
    assert keeper.ready().startswith("chest 1: TypeError at test_wrong_shapes.py:")
    assert keeper.ready().endswith(" surprise, which nobody foresaw")


@pytest.mark.parametrize("surprise", [
    TypeError("of a patient"), OverflowError("x"), SyntaxError("x"), RecursionError("x"), AttributeError("x"),
])
def test_a_version_that_cannot_even_be_looked_at_keeps_no_other_from_being_loaded(surprise: Exception) -> None:
    """Neither where Triton is kept in step nor where the encoders behind segmenters are found."""
    class Surprising(example.Packages):
        def describe(self, model: str, version: int, weights_sha256: str) -> Described:
            if model == "bones":
                raise surprise
            return super().describe(model, version, weights_sha256)

    found = [Model(model=name).released(replace(example.released(), subject=name, model=name)) for name in ("bones", "chest")]
    models = [one for one in found if one is not None]
    keeper = Loaded(Server(), Surprising(), lambda: with_encoders(models, Surprising()), Path(), clock())
    keeper._turn()
    assert (keeper.warm("bones", 1), keeper.warm("chest", 1)) == (False, True)
    with pytest.raises(Permanent, match=rf"^{type(surprise).__name__} at test_wrong_shapes\.py:\d+ describe, which nobody foresaw$"):
        keeper.infer("bones", 1, {}, ())
