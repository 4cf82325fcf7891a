"""Studies that are looked at together: one batch for one version, each its own answer, and what is wrong with one harms no other."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.dicom_making import file_of, radiograph
from tests.examples import inference as example
from tests.examples.shared import study
from tests.examples.segmenting import segmenter
from tests.unit.inference.test_reading import Desk, live, recorded

from radloop.inference import handlers
from radloop.inference.domain.answer import Outputs
from radloop.inference.domain.case import CLASSES, Case
from radloop.inference.domain.model import Model, lot
from radloop.inference.domain.reading import Seen
from radloop.inference.handlers import Lens, look, look_together, record_reading
from radloop.kit.errors import Permanent
from radloop.kit.flow import Record, Skip
from radloop.standards.package import Package


class Cases(Desk):
    """Several cases of one desk."""

    def __init__(self, cases: dict[str, Case], *releases: Any) -> None:
        super().__init__(None, *releases)
        self.known_cases, self.asked = cases, list[int]()

    def case(self, case_id: str) -> Case | None:
        raise AssertionError(f"{case_id} was looked up alone")

    def cases(self, case_ids: Collection[str]) -> dict[str, Case]:
        self.asked.append(len(case_ids))
        return {one: self.known_cases[one] for one in case_ids if one in self.known_cases}


class ByGrey:
    """Says of each image its mean, so that one can tell whose answer an answer is."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.versions: list[int] = []

    def read(self, package: Package, images: np.ndarray) -> Outputs:
        self.asked.append(len(images))
        self.versions.append(package.version)
        mean = images.mean(axis=(1, 2, 3))
        return Outputs(
            np.repeat(mean[:, None, None], 2, axis=1).astype(np.float32), np.zeros((len(images), example.WIDTH), np.float32),
            np.ones((len(images), 1, 7, 7), np.float32),
        )


def together(count: int, reader: Any, *releases: Any, **changes: Any) -> tuple[dict[str, Seen], Lens]:
    """Look at as many studies, each of its own grey; `changes` are files, or how many images it has, by their case's number."""
    files = example.Files()
    cases, commands = {}, []
    for number in range(count):
        pixels = np.full((32, 32), 20 + 25 * number, np.uint8)
        pixels[0, :2] = 0, 255
        blob = files.put(changes.get(f"file_{number}", file_of(radiograph(pixels, SOPInstanceUID=f"2.25.{number}"))))
        instances = tuple(
            replace(study().instances[0], blob=blob, sop_instance_uid=f"2.25.{number}{at}")
            for at in ("", *(f".{more}" for more in range(1, changes.get(f"images_{number}", 1))))
        )
        cases[f"case-{number}"] = replace(live(instances=instances), case_id=f"case-{number}")
        commands.append(replace(example.read(changes.get("role", "serving"), 1), id=f"reading-{number}", subject=f"case-{number}"))
    through = Lens(
        Cases(cases, *(releases or (example.released(),))), files, example.Packages(), reader, example.Preparer(files),
        example.Encoder(), batch=3,
    )
    return look_together(commands, through), through


def test_each_study_gets_its_own_answer_from_a_shared_batch() -> None:
    """Five studies travel as three and two; brighter ones are more probable, and every answer names its own image."""
    reader = ByGrey()
    seen, _ = together(5, reader)
    assert reader.asked == [3, 2]
    answers = [seen[f"reading-{number}"].predictions[0] for number in range(5)]
    assert [one.sop_instance_uid for one in answers] == [f"2.25.{number}" for number in range(5)]
    probabilities = [one.findings[0].probability for one in answers]
    assert probabilities == sorted(probabilities)
    assert probabilities[0] < probabilities[4]


def test_of_large_images_fewer_travel_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request carries so many bytes: a batch of more would be refused for good, and every study in it."""
    monkeypatch.setattr(handlers, "LARGEST_REQUEST", 2 * example.package().preparation.image_bytes + 1)
    reader = ByGrey()
    seen, _ = together(5, reader)
    assert reader.asked == [2, 2, 1]
    assert all(one.predictions for one in seen.values())


def test_one_that_cannot_be_decoded_fails_alone() -> None:
    """The others are read all the same."""
    seen, _ = together(3, ByGrey(), file_1=b"no image at all")
    assert [bool(seen[f"reading-{number}"].predictions) for number in range(3)] == [True, False, True]
    assert "image 1 of 1" in seen["reading-1"].failure


@pytest.mark.parametrize("output", ["members", "embedding", "evidence"])
def test_one_whose_score_is_not_finite_fails_alone(output: str) -> None:
    """A number that is none is rejected for its own study, wherever it stands, and never repaired."""
    class OneIsNone(ByGrey):
        def read(self, package: Package, images: np.ndarray) -> Outputs:
            said = super().read(package, images)
            getattr(said, output)[1] = np.nan
            return said

    seen, _ = together(3, OneIsNone())
    assert [one.failure for one in seen.values()] == ["", "a score is not finite", ""]


def test_a_version_that_refuses_a_batch_leaves_each_to_be_read_alone() -> None:
    """Which of them it was is not known then; a lone one says so itself."""
    class Refuses(ByGrey):
        def read(self, package: Package, images: np.ndarray) -> Outputs:
            raise Permanent("triton refused it")

    with pytest.raises(Permanent):
        together(2, Refuses())
    seen, _ = together(1, Refuses())
    assert seen["reading-0"].failure == "triton refused it"


def test_versions_never_share_a_batch() -> None:
    """Cases of the canary's share travel to the canary, the others to the version in production, and each names its own."""
    reader = ByGrey()
    seen, _ = together(
        9, reader, example.released(1, "production", 1), example.released(2, "canary", 2, canary_share=0.5),
    )
    canary = {f"reading-{number}" for number in range(9) if lot(f"case-{number}") < 0.5}
    assert 0 < len(canary) < 9
    assert {name for name, one in seen.items() if one.version == 2} == canary
    assert all(one.predictions[0].version == one.version for one in seen.values())
    assert reader.versions == sorted(reader.versions)


def test_one_stranger_in_a_batch_is_the_only_one() -> None:
    """Its neighbours are at home all the same: every study is held against the distances of its own images, however many it has."""
    class OneIsFar(ByGrey):
        away = iter((4.0, 0.0, 2.0, 1.0, 0.0, 3.0))

        def read(self, package: Package, images: np.ndarray) -> Outputs:
            said = super().read(package, images)
            said.embedding[:, 0] = [next(self.away) for _ in images]
            return said

    seen, _ = together(3, OneIsFar(), images_1=3, images_2=2)
    said = [one.predictions[0] for one in seen.values()]
    assert [one.ood_score for one in said] == [16.0, 4.0, 9.0]
    assert [one.out_of_distribution for one in said] == [True, False, False]


def test_shadow_versions_read_studies_together_too() -> None:
    """Each version has a batch of its own, and each study an answer of each."""
    reader = ByGrey()
    seen, _ = together(3, reader, example.released(), example.released(2, "shadow", 2), example.released(3, "shadow", 3), role="shadow")
    assert sorted(zip(reader.versions, reader.asked, strict=True)) == [(2, 3), (3, 3)]
    for one in seen.values():
        assert sorted(said.version for said in one.predictions) == [2, 3]
        assert len({said.findings[0].probability for said in one.predictions}) == 1
    assert len({one.predictions[0].findings[0].probability for one in seen.values()}) == 3


def test_the_cases_of_studies_read_together_are_looked_up_once() -> None:
    """One question to the database, however many they are."""
    _, through = together(3, ByGrey())
    assert through.desk.asked == [3]


class WithSegmenter(example.Packages):
    """The chest model, and a segmenter beside it."""

    def describe(self, model: str, version: int, weights_sha256: str) -> Any:
        return segmenter(version) if model == "lungs" else super().describe(model, version, weights_sha256)


def test_images_are_encoded_ahead_once_they_were_read_where_a_segmenter_serves() -> None:
    """A reading of its own follows, for nobody who waits; it is asked of the encoder, and says nothing."""
    files, encoder = example.Files(), example.Encoder()
    case = live()
    desk = Desk(case, example.released())
    lungs = replace(example.released(), subject="lungs", model="lungs")
    desk.others = (Model(model="lungs").released(lungs),)
    through = Lens(desk, files, WithSegmenter(), example.Reader(), example.Preparer(files), encoder)
    decision = record_reading(look(example.read("serving", 1), through), case)
    after = recorded(decision)
    assert {one.role: CLASSES[one.rank] for one in after.wanted()} == {"serving": "live", "shadow": "shadow", "encode": "shadow"}
    assert [type(one).__name__ for one in decision.emit] == ["PredictionMade"]
    assert decision.emit[0].prediction.model == "chest"
    ahead = record_reading(look(example.read("encode", 1), through), after)
    assert isinstance(ahead, Skip)
    assert encoder.asked == [case.case_id]


def test_without_a_segmenter_nothing_is_encoded() -> None:
    """No reading follows that would find nothing to do."""
    seen, _ = together(1, ByGrey())
    decision = record_reading(seen["reading-0"], live())
    assert isinstance(decision, Record)
    assert {one.role for one in decision.state.wanted()} == {"serving", "shadow"}
