"""What the simulated modality sends: a proper DX object, with nothing in it that betrays the truth."""

import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from radloop.standards.dicom.errors import DicomError
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import IMAGENET
from radloop.workbench.hospital.objects import EARLIER, MORNING, Look, dx, file_bytes, unreadable
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def orders(seed: int, count: int) -> tuple[Order, ...]:
    return book(seed, children(seed, count, NOON.date()), 1, NOON, timedelta(minutes=3))


def test_the_object_states_what_a_receiver_needs() -> None:
    """Patient with issuer and age, accession, view, body part, 12 of 16 bits, and that the pixels were lossy once."""
    order = orders(1, 1)[0]
    image = dx(order, np.full((4, 6), 255, np.uint8), NOON)
    assert (image.PatientID, image.IssuerOfPatientID, image.AccessionNumber) == (
        order.patient.mrn,
        "SIMHOSP",
        order.accession,
    )
    assert (image.BodyPartExamined, image.ViewPosition, image.LossyImageCompression) == ("CHEST", "AP", "01")
    assert (image.BitsAllocated, image.BitsStored, image.Rows, image.Columns) == (16, 12, 4, 6)
    assert int(image.pixel_array.max()) == 4095
    assert image.PatientAge[-1] in "MY"


@pytest.mark.parametrize("look", [Look(inverted=True), Look(compressed=True), Look(inverted=True, compressed=True)])
def test_however_it_is_written_it_shows_the_same(look: Look) -> None:
    """MONOCHROME1 and JPEG 2000 change how pixels are stored, not what a model or a reader is given."""
    pixels = np.random.default_rng(3).integers(0, 256, (80, 70)).astype(np.uint8)
    plain, other = (prepare_file(file_bytes(dx(orders(1, 1)[0], pixels, NOON, one)), 1, IMAGENET) for one in (MORNING, look))
    assert np.abs(plain - other).max() < 0.02


def test_a_second_image_of_a_study_is_another_object() -> None:
    """Same study and series, an instance of its own."""
    order = orders(1, 1)[0]
    first, second = (dx(order, np.zeros((3, 3), np.uint8), NOON, number=number) for number in (1, 2))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_an_unreadable_image_has_whole_tags_and_no_pixels() -> None:
    """It is a proper object to store, and nobody can decode it."""
    image = unreadable(dx(orders(1, 1)[0], np.zeros((30, 30), np.uint8), NOON))
    assert image.AccessionNumber
    with pytest.raises(DicomError):
        prepare_file(file_bytes(image), 1, IMAGENET)


def test_the_file_can_be_read_back() -> None:
    """The bytes are a DICOM file with its meta information."""
    order = orders(1, 1)[0]
    image = dx(order, np.zeros((3, 3), np.uint8), NOON, EARLIER)
    path_free = file_bytes(image)
    assert path_free[128:132] == b"DICM"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("look", [
    MORNING, EARLIER, Look(view="PA"), Look(view="LL"), Look(size=(250, 312), inverted=True), Look(size=(250, 312), compressed=True),
    Look(inverted=True, compressed=True),
])
def test_dciodvfy_finds_no_error(look: Look, tmp_path: Path) -> None:
    """The IOD is complete by the judgement of a validator that is not ours."""
    path = tmp_path / "image.dcm"
    path.write_bytes(file_bytes(dx(orders(3, 1)[0], np.zeros((224, 224), np.uint8), NOON, look)))
    checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "Error" not in checked.stderr


def shape(image: Dataset) -> dict[str, str]:
    """Return every tag's value but those that must differ between any two patients."""
    own = {
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "PatientAge",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "AccessionNumber",
        "StudyID",
        "PixelData",
        "RequestAttributesSequence",
    }
    return {element.keyword: str(element.value) for element in image if element.keyword not in own}


def test_tags_are_the_same_whatever_the_radiograph_shows() -> None:
    """Two pictures as different as can be give objects that differ in pixels and identity only, also in length."""
    one, other = orders(5, 2)
    noise = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    images = [dx(one, np.zeros((224, 224), np.uint8), NOON), dx(other, noise, NOON)]
    assert shape(images[0]) == shape(images[1])
    assert len(images[0].PixelData) == len(images[1].PixelData)


def test_identity_is_drawn_without_the_truth() -> None:
    """The generators of children and orders take a seed and a count, so UIDs and numbers cannot follow the label."""
    first, again = orders(9, 50), orders(9, 50)
    assert first == again
    assert len({order.study_uid for order in first}) == 50
    assert [order.accession for order in first] == sorted(order.accession for order in first)


@pytest.mark.parametrize("leaky", ["StudyDescription", "AccessionNumber", "PatientComments"])
def test_the_look_for_leaks_bites(leaky: str) -> None:
    """A tag that follows the label separates the classes, and the search for such tags finds it."""
    truth = [bool(bit) for bit in np.random.default_rng(2).integers(0, 2, 60)]
    images = [dx(order, np.zeros((2, 2), np.uint8), NOON) for order in orders(11, 60)]
    assert leaks(images, truth) == set()
    for image, positive in zip(images, truth, strict=True):
        setattr(image, leaky, f"{str(getattr(image, leaky, ''))[:15]}{'X' if positive else 'Y'}")
    assert leaky in leaks(images, truth)


def leaks(images: Sequence[Dataset], truth: list[bool]) -> set[str]:
    """Return the tags of which some character position, or the mere presence, tells the two classes apart."""
    found: set[str] = set()
    for keyword in {element.keyword for image in images for element in image} - {"PixelData"}:
        for place in range(-16, 16):
            seen: dict[bool, set[str]] = {True: set(), False: set()}
            for image, positive in zip(images, truth, strict=True):
                text = str(getattr(image, keyword, ""))
                seen[positive].add(text[place : place + 1 or None][:1])
            if not seen[True] & seen[False]:
                found.add(keyword)
    return found


def test_a_written_file_reads_the_same(tmp_path: Path) -> None:
    """What was built is what a receiver reads."""
    image = dx(orders(1, 1)[0], np.eye(5, dtype=np.uint8) * 200, NOON)
    path = tmp_path / "one"
    path.write_bytes(file_bytes(image))
    assert (dcmread(path).pixel_array == image.pixel_array).all()
