"""Masks proposed for images at hand: which images a segmenter is asked about, and what is said of the others."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.dicom_making import file_of, radiograph
from tests.unit.inference.test_segmenting import Bench

from radloop.kit.errors import Permanent
from radloop.standards.package import Ages, Pixels


def test_an_image_that_the_segmenter_was_made_for_is_proposed_a_mask_in_its_own_pixels() -> None:
    """Everything that the package asks, the object says of itself."""
    bench = Bench(
        modalities=("DX",), body_parts=("CHEST",), views=("AP",), ages=Ages(5.0, 8.0), sexes=("F",), pixels=Pixels(64, 48),
    )
    proposal = bench.segmenters.propose(file_of(radiograph()))
    assert (proposal.mask.shape, proposal.quality, proposal.segmenter.model) == ((64, 48), 1.0, "lungs")


@pytest.mark.parametrize(("rule", "image", "why"), [
    ({"modalities": ("MG",)}, {}, "Modality .* is DX, the model reads MG"),
    ({"body_parts": ("HAND",)}, {}, "BodyPartExamined"),
    ({"views": ("PA",)}, {"ViewPosition": None}, "ViewPosition .* is unknown"),
    ({"ages": Ages(18.0, 120.0)}, {}, r"PatientAge .* is outside 18 to 120 years"),
    ({"ages": Ages(0.0, 18.0)}, {"PatientAge": "040Y"}, "contradicts PatientBirthDate"),
    ({"sexes": ("M",)}, {}, "PatientSex"),
    ({"pixels": Pixels(256, 256)}, {}, "Rows .* are 64 × 48"),
    ({"procedure_codes": ("30746-2",)}, {}, "the procedure's code"),
])
def test_an_image_of_another_kind_is_refused_with_the_tag(rule: dict[str, Any], image: dict[str, Any], why: str) -> None:
    """What is confirmed of it would teach the next version, and the quality expected of it means nothing."""
    bench = Bench(**rule)
    with pytest.raises(Permanent, match=f"^lungs 1 does not outline it: .*{why}"):
        bench.segmenters.propose(file_of(radiograph(**image)))
    assert bench.encoded == 0


@pytest.mark.parametrize(("image", "why"), [
    ({"PresentationIntentType": "FOR PROCESSING"}, "for processing"), ({"ImageType": ["ORIGINAL", "SECONDARY"]}, "a secondary image"),
])
def test_what_no_modality_acquired_for_reading_is_refused(image: dict[str, Any], why: str) -> None:
    """It would not be outlined in a study either."""
    with pytest.raises(Permanent, match=why):
        Bench().segmenters.propose(file_of(radiograph(**image)))


def test_of_a_picture_nothing_is_known_and_nothing_is_asked() -> None:
    """Whoever collected the pictures knows what they show."""
    out = io.BytesIO()
    Image.fromarray(np.arange(64 * 48, dtype=np.uint8).reshape(64, 48)).save(out, "PNG")
    assert Bench(modalities=("MG",), ages=Ages(18.0, 120.0)).segmenters.propose(out.getvalue()).mask.shape == (64, 48)
