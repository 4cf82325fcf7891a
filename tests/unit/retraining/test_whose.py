"""Whose a confirmed mask is: one patient is one, in whichever of Unicode's forms the name is written."""

from unicodedata import normalize

import numpy as np
import pytest
from tests.dicom_making import file_of, radiograph
from tests.unit.retraining.test_outlines import archive, png, two_squares

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.confirmed import pairs

COMPOSED, APART = (normalize(form, "José Müller") for form in ("NFC", "NFD"))
IMAGE, MASK = png(np.full((9, 9), 51, np.uint8)), png(two_squares())
TWO = {"images__a_dot_png": IMAGE, "masks__a_dot_png": MASK, "images__b_dot_png": IMAGE, "masks__b_dot_png": MASK}


def test_a_patient_is_one_in_both_of_unicodes_forms() -> None:
    """Or one and the same would teach and judge: a list may come from two systems."""
    assert COMPOSED != APART
    table = f"name,patient\na,{COMPOSED}\nb,{APART}\n".encode()
    assert [one.patient for one in pairs(archive(**TWO, patients_dot_csv=table))] == [COMPOSED, COMPOSED]


def test_dicom_says_whose_an_image_is_in_either_form() -> None:
    """PatientID is whatever the modality was sent."""
    given = {
        name: data for key, patient in (("a", COMPOSED), ("b", APART))
        for name, data in ((f"images__{key}_dot_dcm", file_of(radiograph(PatientID=patient))), (f"masks__{key}_dot_png", MASK))
    }
    assert [one.patient for one in pairs(archive(**given))] == [COMPOSED, COMPOSED]


def test_an_image_its_mask_and_its_line_find_each_other_in_either_form() -> None:
    """A folder copied from a Mac has other bytes in its names than the list that was typed elsewhere."""
    given = {f"images__{APART}_dot_png": IMAGE, f"masks__{COMPOSED}_dot_png": MASK}
    table = f"name,patient\n{COMPOSED},P1\n".encode()
    assert [(one.name, one.patient) for one in pairs(archive(**given, patients_dot_csv=table))] == [(COMPOSED, "P1")]
    with pytest.raises(Permanent, match="two images have the same name"):
        list(pairs(archive(**given, **{f"images__{COMPOSED}_dot_png": IMAGE})))
    with pytest.raises(Permanent, match="a name twice, with different patients"):
        list(pairs(archive(**given, patients_dot_csv=table + f"{APART},P2\n".encode())))
