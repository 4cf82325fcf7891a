"""A model that somebody else made, served by a real Triton beside the chest model: no code, only its files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.dicom_making import file_of, radiograph
from tests.examples import elsewhere
from tests.examples.elsewhere import MODEL
from tests.examples.inference import released
from tests.examples.shared import CASE, PATIENT, completed, study
from tests.integration.inference_models import publish as publish_chest
from tests.integration.inference_room import Room, eventually, images

from radloop.events.prediction import PredictionFailed, PredictionMade, PredictionShadowed
from radloop.retraining.adapters.package import pack, publish, renumbered, unpack
from radloop.standards.evidence import read as evidence_of

pytestmark = pytest.mark.stack


def handed_over(room: Room, tmp_path: Path, version: int = 1) -> str:
    """Publish the folder as retraining does, and return the weights' SHA-256."""
    folder = elsewhere.folder(tmp_path / f"from-elsewhere-{version}")
    package = renumbered(unpack(pack({file.name: file.read_bytes() for file in folder.iterdir()})), version)
    publish(package, room.repository)
    return elsewhere.package(elsewhere.weights(), elsewhere.known()).weights_sha256


def release(room: Room, weights: str, stage: str, number: int) -> None:
    """Have version 1 of it released to a stage."""
    room.hear(replace(released(1, stage, number, weights_sha256=weights), id=f"{MODEL}-{stage}", subject=MODEL, model=MODEL))


def adult(room: Room, rows: int = 300, columns: int = 200, level: int = 150) -> dict[str, object]:
    """Return a study of a woman of 44: dark above, `level` below, so that full range runs from 0 to 1."""
    pixels = np.zeros((rows, columns), np.uint8)
    pixels[rows // 2:] = level
    blob = room.blobs.put(file_of(radiograph(pixels, SOPInstanceUID=f"2.25.{rows}", PatientAge="044Y", PatientBirthDate="19820101")))
    image = replace(study().instances[0], blob=blob, rows=rows, columns=columns)
    return {"instances": (image,), "age_years": 44.0, "patient": replace(PATIENT, birth_date="1982-01-01")}


def test_a_model_from_elsewhere_reads_beside_the_chest_model(room: Room, tmp_path: Path) -> None:
    """In shadow first, where only machines hear it; then in production, for the adults that the chest model refuses."""
    chest, weights = publish_chest(room.repository, 1), handed_over(room, tmp_path)
    room.release(1, "production", 1, weights_sha256=chest)
    release(room, weights, "shadow", 1)
    eventually(lambda: room.warm(MODEL, 1) and room.warm("chest", 1))
    room.hear(completed(**adult(room)))
    [shadowed] = eventually(lambda: room.said(PredictionShadowed))
    assert (shadowed.prediction.model, shadowed.prediction.version, shadowed.prediction.stage) == (MODEL, 1, "shadow")
    [failed] = eventually(lambda: room.said(PredictionFailed))
    assert failed.refused
    assert "chest 1 does not read it: PatientAge (0010,1010) is outside 0 to 18 years" in failed.reason
    assert "no version of adult-chest serves this case" in failed.reason

    release(room, weights, "production", 2)
    room.hear(replace(completed("second", **adult(room)), subject="other-case"))
    [made] = eventually(lambda: room.said(PredictionMade))
    said = made.prediction
    assert (said.model, said.version, [one.code.value for one in said.findings]) == (MODEL, 1, ["RID5352", "RID34539"])
    assert {one.code.system for one in said.findings} == {"http://radlex.org"}
    # Half the image is black, half white: the mean grey is one half, and so is each raw probability.
    assert [one.probability for one in said.findings] == pytest.approx(elsewhere.expected(0.5), abs=0.01)
    assert [one.members for one in said.findings] == [(one.probability,) for one in said.findings]
    assert np.frombuffer(room.blobs.get(said.embedding.sha256), "<f4") == pytest.approx([0.5, 1.0], abs=0.01)
    assert said.ood_score == pytest.approx(0.25, abs=0.02) and not said.out_of_distribution
    where = evidence_of(room.blobs.get(said.evidence.sha256))
    assert (where.values.shape, where.rows, where.columns) == ((2, 1, 1), 300, 200)

    room.hear(replace(completed("child", **images(room, 128)), subject="third-case"))
    [_, child] = eventually(lambda: found if len(found := room.said(PredictionMade)) == 2 else None)
    assert (child.subject, child.prediction.model) == ("third-case", "chest")


def test_an_image_that_is_too_small_for_it_is_refused_by_its_tag(room: Room, tmp_path: Path) -> None:
    """What its package asks of rows and columns is asked before anything is sent."""
    weights = handed_over(room, tmp_path)
    release(room, weights, "production", 1)
    eventually(lambda: room.warm(MODEL, 1))
    room.hear(completed(**adult(room, rows=255)))
    [failed] = eventually(lambda: room.said(PredictionFailed))
    assert (failed.subject, failed.refused) == (CASE, True)
    assert failed.reason == (
        "adult-chest 1 does not read it: Rows (0028,0010) × Columns (0028,0011) are 255 × 200, the model needs 256 × 192"
    )
    unknown = adult(room)
    unknown["patient"] = replace(PATIENT, sex="")
    room.hear(replace(completed("unknown", **unknown), subject="other-case"))
    [_, other] = eventually(lambda: found if len(found := room.said(PredictionFailed)) == 2 else None)
    assert "PatientSex (0010,0040) is unknown or not one of F, M" in other.reason
