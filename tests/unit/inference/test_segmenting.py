"""Images opened for outlining and encoded ahead, with doubles for the desk, the decoders, the encoder and what was encoded before."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.dicom_making import file_of, radiograph
from tests.examples import inference as example
from tests.examples.segmenting import SIDE, segmenter
from tests.examples.shared import CASE, study
from tests.unit.inference.test_reading import Desk, live

from radloop.inference.adapters.segmenting import Segmenters
from radloop.inference.domain.case import Case
from radloop.inference.domain.model import Model
from radloop.inference.domain.outline import CLASSICAL, SEGMENTER, Outline
from radloop.kit.errors import Permanent, Transient
from radloop.standards.dicom.errors import Unfit
from radloop.standards.package import Ages, Preparation
from radloop.standards.prompts import Point

IMAGE = study().instances[0]
CLICK = (Point(50.0, 50.0),)


class Bench:
    """A segmenter that says a square of everything, and what it is asked on the way there."""

    def __init__(self, case: Case | None = None, **applicability: Any) -> None:
        self.described = replace(segmenter(), applicability=replace(segmenter().applicability, **applicability))
        self.files, self.kept, self.encoded = example.Files(), dict[tuple[str, int, str], str](), 0
        self.away = set[str]()
        self.lies = set[str]()
        self.desk = Desk(case or live())
        self.serve("lungs")
        self.segmenters = Segmenters(self.desk, self.files, self, self, self.infer, self, self.prepare_bytes)

    def serve(self, *names: str) -> None:
        found = [Model(model=name).released(replace(example.released(), subject=name, model=name)) for name in names]
        self.desk.others = tuple(one for one in found if one is not None)

    def describe(self, model: str, version: int, weights_sha256: str) -> Any:
        if model in self.away:
            raise Permanent(f"{model} {version} is damaged")
        return replace(self.described, model=model)

    def prepare(self, sha256: str, preparation: Preparation, orientations: Collection[str] = (), frame: int = 1) -> np.ndarray:
        if orientations and sha256 in self.lies:
            raise Unfit("PatientOrientation", "R\\F")
        return np.full((preparation.channels, preparation.rows, preparation.columns), 0.25, np.float32)

    def prepare_bytes(self, file: bytes, preparation: Preparation, orientations: Collection[str]) -> np.ndarray:
        return self.prepare("", preparation, orientations)

    def infer(
        self, model: str, version: int, tensors: Any, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, np.ndarray]:
        if model in self.away:
            raise Transient(f"{model} {version} is being loaded")
        if "IMAGE_EMBEDDING" in outputs:
            self.encoded += 1
            return {"IMAGE_EMBEDDING": np.ones((1, 256, SIDE // 4, SIDE // 4), np.float16)}
        logits = np.full((1, SIDE, SIDE), -1.0, np.float32)
        logits[0, :100, :100] = 1.0
        return {"LOGITS": logits, "QUALITY": np.array([1.5], np.float32)}

    def find(self, image_sha256: str, frame: int, method_sha256: str) -> str:
        return self.kept.get((image_sha256, frame, method_sha256), "")

    def keep(self, image_sha256: str, frame: int, method_sha256: str, embedding_sha256: str) -> None:
        self.kept[image_sha256, frame, method_sha256] = embedding_sha256

    def open(self, model: str = "") -> Any:
        return self.segmenters.open(CASE, IMAGE.sop_instance_uid, 1, model)


def test_an_image_is_encoded_once_and_a_lost_embedding_is_made_again() -> None:
    """Ahead of the first prompt where it could be; what a disk lost costs one encoding, not the outline."""
    bench = Bench()
    bench.segmenters.encode_ahead(CASE)
    assert bench.open().embedding.shape == (1, 256, 64, 64)
    assert bench.encoded == 1
    [kept] = bench.kept.values()
    bench.files.kept[kept] = b"half"
    assert bench.open().embedding is not None
    assert bench.encoded == 2


@pytest.mark.parametrize(("rule", "why"), [
    ({"ages": Ages(50.0, 90.0)}, "PatientAge"), ({"procedure_codes": ("NOT-THIS",)}, "procedure"), ({"sexes": ("X",)}, "PatientSex"),
    ({"modalities": ("MG",)}, "Modality"),
])
def test_what_the_package_says_it_is_for_holds_of_outlines_too(rule: dict[str, Any], why: str) -> None:
    """A segmenter for others outlines nothing here, neither ahead nor on request: the classical method stands in and says why."""
    bench = Bench(**rule)
    canvas = bench.open()
    assert canvas.segmenter is None
    assert why in canvas.reason
    bench.segmenters.encode_ahead(CASE)
    assert bench.encoded == 0
    assert bench.segmenters.answer(canvas, CLICK, Outline(canvas.rows, canvas.columns)).method == CLASSICAL


def test_an_image_that_lies_otherwise_is_left_out_and_the_others_of_its_study_are_encoded() -> None:
    """Nothing is turned on a guess; one such image keeps no other from its segmenter."""
    other = replace(IMAGE, sop_instance_uid="2.25.9", blob=replace(IMAGE.blob, sha256="c" * 64))
    bench = Bench(live(instances=(IMAGE, other)), orientations=("L\\F",))
    bench.lies.add(IMAGE.blob.sha256)
    bench.segmenters.encode_ahead(CASE)
    assert [sha256 for sha256, _, _ in bench.kept] == ["c" * 64]
    canvas = bench.open()
    assert (canvas.segmenter, canvas.embedding) == (None, None)
    assert "Patient Orientation" in canvas.reason


def test_of_two_segmenters_the_one_that_is_named_outlines_and_a_damaged_one_is_passed_over() -> None:
    """Unnamed, the first that is in order; named and damaged, it is said what is wrong with it."""
    bench = Bench()
    bench.serve("bones", "lungs")
    assert bench.open().segmenter.model == "bones"
    assert bench.open("lungs").segmenter.model == "lungs"
    bench.away.add("bones")
    assert bench.open().segmenter.model == "lungs"
    assert bench.open("bones").reason == "bones 1 is damaged"
    assert bench.open("heart").reason == "no segmenter heart serves"


def test_where_the_encoder_or_the_decoder_is_away_the_classical_method_answers() -> None:
    """The reader's hand is on the image now; the quality that is told is never above 1."""
    bench = Bench()
    canvas = bench.open()
    answered = bench.segmenters.answer(canvas, CLICK, Outline(canvas.rows, canvas.columns))
    assert (answered.method, answered.quality) == (SEGMENTER, 1.0)
    bench.away = {"lungs"}
    assert bench.segmenters.answer(canvas, CLICK, Outline(canvas.rows, canvas.columns)).method == CLASSICAL
    bench.kept.clear()
    bench.away = {"lungs-encoder"}
    assert "lungs-encoder 1 is being loaded" in bench.open().reason


def test_nobodys_image_and_no_such_frame_are_refused_in_words() -> None:
    """A reader's page asked for what is not there."""
    bench = Bench()
    with pytest.raises(Permanent, match="no such image"):
        bench.segmenters.open(CASE, "1.2.3", 1)
    with pytest.raises(Permanent, match="there is no frame 2 of 1"):
        bench.segmenters.open(CASE, IMAGE.sop_instance_uid, 2)


class Noting(Bench):
    """Notes what the models and the decoders are sent, and answers what it is told to."""

    def __init__(self, case: Case | None = None) -> None:
        self.sent, self.frames, self.said = list[dict[str, np.ndarray]](), list[int](), dict[str, np.ndarray]()
        super().__init__(case)

    def infer(
        self, model: str, version: int, tensors: Any, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, np.ndarray]:
        self.sent.append(dict(tensors))
        return {name: self.said.get(name, value) for name, value in super().infer(model, version, tensors, outputs, within).items()}

    def prepare(self, sha256: str, preparation: Preparation, orientations: Collection[str] = (), frame: int = 1) -> np.ndarray:
        self.frames.append(frame)
        return super().prepare(sha256, preparation, orientations, frame)


def test_the_answer_before_is_fed_back_and_said_to_be_there() -> None:
    """The first prompt has none; each later one goes with the logits of the last answer, and after an undo of the one before it."""
    bench = Noting()
    canvas = bench.open()
    outline, prompts = Outline(canvas.rows, canvas.columns), CLICK
    for value in (1.0, 2.0, 3.0):
        bench.said["LOGITS"] = np.full((1, SIDE, SIDE), value, np.float32)
        outline = outline.drawn(prompts, bench.segmenters.answer(canvas, prompts, outline))
        prompts = (*prompts, Point(50.0 + value, 50.0))
    bench.segmenters.answer(canvas, outline.undone().prompts, outline.undone())
    asked = bench.sent[1:]
    assert [one["HAS_MASK"].tolist() for one in asked] == [[0.0], [1.0], [1.0], [1.0]]
    assert [np.unique(one["MASK"]).tolist() for one in asked] == [[0.0], [1.0], [2.0], [2.0]]
    assert [one["LABELS"].shape for one in asked] == [(1, 2), (1, 3), (1, 4), (1, 3)]
    assert all(one["MASK"].shape == (1, SIDE, SIDE) and (one["EMBEDDING"] == 1).all() for one in asked)


def test_an_embedding_is_known_by_the_encoder_and_by_how_its_image_was_prepared() -> None:
    """Another encoder's embedding would be outlined as if it were one's own; a newer decoder behind the same encoder needs none anew."""
    bench = Bench()
    bench.open()
    first = bench.described
    bench.described = replace(first, version=2, weights_sha256="7" * 64)
    bench.open()
    assert bench.encoded == 1
    for other in (
        replace(first, encoder=replace(first.encoder, weights_sha256="8" * 64)),
        replace(first, preparation=replace(first.preparation, voi="full-range")),
    ):
        bench.described, before = other, bench.encoded
        bench.open()
        assert bench.encoded == before + 1
    assert len(bench.kept) == 3


def test_an_embedding_that_is_not_finite_is_neither_used_nor_kept() -> None:
    """An outline that starts from it is nobody's: the classical method stands in and says why, and what is encoded ahead fails."""
    bench = Noting()
    bench.said["IMAGE_EMBEDDING"] = np.full((1, 256, SIDE // 4, SIDE // 4), np.inf, np.float16)
    canvas = bench.open()
    assert (canvas.segmenter, canvas.embedding, canvas.reason) == (None, None, "the image's embedding is not finite")
    with pytest.raises(Permanent, match="embedding is not finite"):
        bench.segmenters.encode_ahead(CASE)
    with pytest.raises(Permanent, match="embedding is not finite"):
        bench.segmenters.propose(file_of(radiograph()))
    assert bench.kept == {}
    assert not [one for one in bench.sent if "EMBEDDING" in one]


@pytest.mark.parametrize(("output", "shape"), [("LOGITS", (1, SIDE, SIDE)), ("QUALITY", (1,))])
def test_an_outline_that_is_not_finite_is_refused(output: str, shape: tuple[int, ...]) -> None:
    """Neither a mask nor what is expected of it is guessed where the model said no number."""
    bench = Noting()
    canvas = bench.open()
    bench.said[output] = np.full(shape, np.nan, np.float32)
    with pytest.raises(Permanent, match="answer is not finite"):
        bench.segmenters.answer(canvas, CLICK, Outline(canvas.rows, canvas.columns))


@pytest.mark.parametrize("over", [{"signed": True}, {"cancelled": True}, {"live": None}])
def test_nothing_is_encoded_ahead_for_a_case_that_nobody_will_outline(over: dict[str, Any]) -> None:
    """Each encoding takes the better part of a second from somebody who waits."""
    bench = Bench(replace(live(), **over))
    bench.segmenters.encode_ahead(CASE)
    assert (bench.encoded, bench.kept) == (0, {})


def test_of_several_frames_the_one_that_was_asked_for_is_shown() -> None:
    """No segmenter reads them, and the classical method outlines the frame that is on the reader's screen."""
    bench = Noting(live(instances=(replace(IMAGE, frames=3),)))
    canvas = bench.segmenters.open(CASE, IMAGE.sop_instance_uid, 2)
    assert (canvas.segmenter, bench.frames, bench.encoded) == (None, [2], 0)
    assert "single frames" in canvas.reason
    with pytest.raises(Permanent, match="there is no frame 4 of 3"):
        bench.segmenters.open(CASE, IMAGE.sop_instance_uid, 4)
