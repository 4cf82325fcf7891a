"""DICOM objects: their facts, their pixels, and why they are refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from tests.dicom_making import encoded, file_of, radiograph

from radloop.standards.dicom import header
from radloop.standards.dicom.decode import is_plain
from radloop.standards.dicom.elements import is_dicom, open_file
from radloop.standards.dicom.errors import BadTag, DicomError, MissingTag, NotDicom, Undecodable, Unfit
from radloop.standards.dicom.pixels import frame_grey, prepare_file, resize
from radloop.standards.dicom.write import as_file
from radloop.standards.package import IMAGENET

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def grey(pixels: np.ndarray | None = None, **changes: Any) -> np.ndarray:
    """Return what a radiograph with these elements looks like."""
    return frame_grey(open_file(file_of(radiograph(pixels, **changes))))


def sample_files() -> list[Path]:
    """Return the DICOM samples at hand: those of pydicom's wheel and, where there is one, of the data directory."""
    import os

    found = [path for path in Path(pydicom.data.__file__).parent.joinpath("test_files").rglob("*") if path.is_file()]
    data = os.environ.get("RADLOOP_DATA", "")
    return sorted(found) + sorted(path for path in Path(data, "dicom_samples").rglob("*.dcm") if data)


@pytest.mark.parametrize(("file", "said"), [
    (file_of(radiograph()), True), (b"\0" * 128 + b"DICM", True), (b"\0" * 127 + b"DICM", False), (b"\x89PNG" + b"\0" * 200, False),
    (b"DICM", False), (b"", False),
])
def test_a_dicom_file_is_known_by_its_prefix(file: bytes, said: bool) -> None:
    """What comes as an image may be a picture as well: the four letters stand after 128 bytes, whatever those are."""
    assert is_dicom(file) is said


def test_facts_are_read_from_the_header() -> None:
    """Everything a study is judged by is in the facts of its instances."""
    facts = header.read(file_of(radiograph()))
    assert (facts.modality, facts.body_part, facts.view, facts.sex) == ("DX", "CHEST", "AP", "F")
    assert (facts.patient_id, facts.patient_issuer, facts.family, facts.given) == ("EX-0001", "HOSP", "Example", "Erin")
    assert (facts.birth_date, facts.study_date, facts.age_years) == ("2019-05-04", "2026-03-02", 6.0)
    assert (facts.rows, facts.columns, facts.frames, facts.is_acquired_image) == (64, 48, 1, True)


@pytest.mark.parametrize(("changes", "years"), [
    ({"PatientAge": "018M", "PatientBirthDate": ""}, 1.5),
    ({"PatientAge": "005D", "PatientBirthDate": ""}, 5 / 365.25),
    ({"PatientAge": None}, pytest.approx(6.83, abs=0.01)),
    ({"PatientAge": "81", "PatientBirthDate": ""}, None),
    ({"PatientAge": "047Y"}, None),
    ({"PatientAge": "24"}, None),
    ({"PatientAge": "24y"}, None),
    ({"PatientAge": "7"}, pytest.approx(6.83, abs=0.01)),
    ({"PatientAge": "six"}, pytest.approx(6.83, abs=0.01)),
    ({"PatientAge": None, "StudyDate": ""}, None),
])
def test_an_age_is_known_or_none(changes: dict[str, Any], years: float | None) -> None:
    """An age without unit, or one that contradicts the birth date, is unknown, never guessed."""
    assert header.read(file_of(radiograph(**changes))).age_years == years


@pytest.mark.parametrize(("changes", "why"), [
    ({"Modality": "SR"}, "modality SR"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4", "Modality": "SEG"}, "modality SEG"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
    ({"ImageType": ["DERIVED", "SECONDARY"]}, "derived"),
    ({"ImageType": ["DERIVED", "PRIMARY"], "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, "derived"),
    ({"ImageType": ["ORIGINAL", "SECONDARY"]}, "secondary"),
    ({"PresentationIntentType": "FOR PROCESSING"}, "for processing"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, "for processing"),
    ({"Manufacturer": "radloop"}, "made by this platform"),
    ({"Rows": None}, "no pixels"),
])
def test_only_acquired_images_count(changes: dict[str, Any], why: str) -> None:
    """Reports, masks, derived, secondary, for-processing and our own objects start nothing, and say why."""
    facts = header.read(file_of(radiograph(**changes)))
    assert not facts.is_acquired_image
    assert re.match(r"\([0-9A-F]{4},[0-9A-F]{4}\) ", facts.not_acquired), "the attribute is named first"
    assert why in facts.not_acquired


def test_the_processed_image_that_is_meant_to_be_read_is_acquired() -> None:
    r"""Many makers mark their DX image for presentation DERIVED\PRIMARY: it starts its study all the same."""
    assert header.read(file_of(radiograph(ImageType=["DERIVED", "PRIMARY"]))).is_acquired_image


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_an_object_without_its_uids_is_refused(keyword: str) -> None:
    """A missing or malformed UID is named."""
    for value, error in ((None, MissingTag), ("not a uid", BadTag)):
        with pytest.raises(error) as refused:
            header.read(file_of(radiograph(**{keyword: value}), sop_class_uid="1.2", sop_instance_uid="1.2"))
        assert refused.value.tag.startswith("(00")


def test_bytes_that_are_no_dicom_are_refused() -> None:
    """A text, an empty file and a truncated prefix are no DICOM files."""
    for rubbish in (b"", b"hello", b"\0" * 128 + b"DIC", b"%PDF-1.4" * 40):
        with pytest.raises(NotDicom):
            header.read(rubbish)


@pytest.mark.parametrize("path", sample_files(), ids=lambda path: path.name)
def test_every_sample_is_prepared_or_refused_with_the_tag(path: Path) -> None:
    """No file of other people's makes anything but an image in the model's terms or a typed error that names a tag."""
    file = path.read_bytes()
    try:
        header.read(file)
        prepared = prepare_file(file, 1, IMAGENET)
    except DicomError as refused:
        assert refused.tag.startswith("(")  # noqa: PT017 - either outcome is right
        assert refused.reason.startswith(refused.tag)  # noqa: PT017 - see above
    else:
        assert prepared.shape == (3, 224, 224)
        assert prepared.dtype == np.float32
        assert np.isfinite(prepared).all()


@given(st.binary(max_size=400), st.integers(0, 1200))
def test_damaged_files_never_raise_anything_else(noise: bytes, at: int) -> None:
    """Whatever bytes are written over a good file, the answer is an image or a DicomError."""
    file = bytearray(file_of(radiograph()))
    file[at:at + len(noise)] = noise
    try:
        header.read(bytes(file))
        prepare_file(bytes(file), 1, IMAGENET)
    except DicomError as refused:
        assert refused.tag  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(("function", "expected"), [
    ("LINEAR", lambda x: np.clip((x - 999.5) / 1999 + 0.5, 0, 1)),
    ("LINEAR_EXACT", lambda x: np.clip((x - 1000) / 2000 + 0.5, 0, 1)),
    ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 1000) / 2000))),
])
def test_windows_follow_the_standard(function: str, expected: Any) -> None:
    """The three functions are those of PS3.3 C.11.2.1.2 and C.11.2.1.3, after the rescale."""
    seen = grey(RAMP, WindowCenter=1000, WindowWidth=2000, VOILUTFunction=function, RescaleSlope=2, RescaleIntercept=-100)
    assert seen == pytest.approx(expected(RAMP.astype(float) * 2 - 100), abs=1e-5)


def test_monochrome1_is_inverted() -> None:
    """In MONOCHROME1 the lowest value is white."""
    assert grey(RAMP, PhotometricInterpretation="MONOCHROME1") == pytest.approx(1 - grey(RAMP), abs=1e-6)


def test_a_voi_lut_comes_before_a_window() -> None:
    """The object's own table decides, with its first value mapped and its bits."""
    table = Dataset()
    table.LUTDescriptor = [256, 1000, 8]
    table.LUTData = bytes(range(255, -1, -1))
    table["LUTData"].VR = "OW"
    seen = grey(RAMP, VOILUTSequence=[table], WindowCenter=1, WindowWidth=1)
    assert seen.ravel()[[0, 1000, 1100, 1255, 4095]] == pytest.approx([1, 1, 155 / 255, 0, 0], abs=1e-6)


def test_a_modality_lut_is_applied() -> None:
    """A modality table replaces the rescale."""
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = (RAMP.ravel()[::-1].astype("<u2")).tobytes()
    table["LUTData"].VR = "OW"
    table.ModalityLUTType = "US"
    assert grey(RAMP, ModalityLUTSequence=[table]) == pytest.approx(1 - grey(RAMP), abs=1e-6)


def test_bits_are_taken_from_where_they_are_stored() -> None:
    """Values stored in the high bits, with overlay bits below the sign, are the same numbers."""
    shifted = (RAMP << 4) | 0x000F
    assert grey(shifted, BitsStored=12, HighBit=15) == pytest.approx(grey(RAMP))
    dirty = RAMP | 0xF000
    assert grey(dirty) == pytest.approx(grey(RAMP))
    signed = ((RAMP.astype(np.int32) - 2048) & 0x0FFF).astype(np.uint16)
    assert grey(signed, PixelRepresentation=1) == pytest.approx(grey(RAMP))


def test_padding_does_not_stretch_the_range() -> None:
    """Padding around an image is black and has no say in its range."""
    padded = RAMP.copy()
    padded[:8] = 4095
    seen = grey(padded, PixelPaddingValue=4095)
    assert (seen[:8] == 0).all()
    assert seen[-1, -2] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("changes", "error", "tag"), [
    ({"WindowCenter": 10, "WindowWidth": 0}, BadTag, "0028,1051"),
    ({"WindowCenter": 10}, MissingTag, "0028,1051"),
    ({"WindowCenter": 10, "WindowWidth": 5, "VOILUTFunction": "CUBIC"}, BadTag, "0028,1056"),
    ({"RescaleSlope": 0, "RescaleIntercept": 0}, BadTag, "0028,1053"),
    ({"BitsStored": 20}, BadTag, "0028,0101"),
    ({"PixelRepresentation": 2}, BadTag, "0028,0103"),
    ({"PixelRepresentation": None}, MissingTag, "0028,0103"),
    ({"PhotometricInterpretation": None}, MissingTag, "0028,0004"),
    ({"Rows": 60000, "Columns": 60000}, BadTag, "0028,0010"),
    ({"Rows": 65}, Undecodable, "7FE0,0010"),
])
def test_what_makes_no_sense_is_refused_by_name(changes: dict[str, Any], error: type[DicomError], tag: str) -> None:
    """Nothing is guessed where the header is wrong: the attribute is named."""
    with pytest.raises(error) as refused:
        grey(RAMP, **changes)
    assert tag in refused.value.tag


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE"), ("MONOCHROME2", "LIN OD")])
def test_an_image_that_may_be_a_negative_is_not_read(photometric: str, shape: str) -> None:
    """Where Photometric Interpretation and Presentation LUT Shape disagree, viewers do too; the reader is still shown it."""
    file = file_of(radiograph(PhotometricInterpretation=photometric, PresentationLUTShape=shape))
    with pytest.raises(BadTag, match=r"\(2050,0020\)"):
        prepare_file(file, 1, IMAGENET)
    assert frame_grey(open_file(file)).shape == (64, 48)


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")])
def test_a_presentation_lut_shape_that_agrees_changes_nothing(photometric: str, shape: str) -> None:
    """INVERSE says again what MONOCHROME1 has said: one inversion, not two."""
    plain, said = (file_of(radiograph(PhotometricInterpretation=photometric, PresentationLUTShape=one)) for one in (None, shape))
    assert np.array_equal(prepare_file(plain, 1, IMAGENET), prepare_file(said, 1, IMAGENET))


@pytest.mark.parametrize("lies", [["R", "F"], ["L", "H"], ["F", "L"], ["A", "F"], ["P", "F"], ["Doe", "Jane"], ["L"], ["L", "F", "H"]])
def test_an_image_that_lies_otherwise_than_the_model_was_taught_is_not_read(lies: list[str]) -> None:
    """Mirrored, upside down, turned, lateral, or no code at all: refused by name, never turned, and nothing quoted that is no code."""
    with pytest.raises(Unfit, match=r"\(0020,0020\) Patient Orientation") as refused:
        prepare_file(file_of(radiograph(PatientOrientation=lies)), 1, IMAGENET, ("L\\F",))
    assert "DOE" not in refused.value.reason
    prepare_file(file_of(radiograph(PatientOrientation=lies)), 1, IMAGENET)


@pytest.mark.parametrize("lies", [["L", "F"], ["l", "f"], [], None])
def test_an_image_that_lies_right_or_does_not_say_is_read(lies: list[str] | None) -> None:
    """A detector's flip is no mirrored image: it tells how a PA image came to lie right."""
    image = radiograph(PatientOrientation=lies, FieldOfViewHorizontalFlip="YES", FieldOfViewRotation=180)
    assert prepare_file(file_of(image), 1, IMAGENET, ("L\\F",)).shape == (3, 224, 224)


def test_pixels_that_are_not_square_come_to_the_same_image() -> None:
    """The whole image is resized to the model's sides, whatever its own: twice as many, half as wide columns show the same."""
    scene = np.add.outer(np.arange(448), np.arange(448)).astype(np.uint16)
    square = prepare_file(file_of(radiograph(scene, PixelSpacing=[0.2, 0.2])), 1, IMAGENET)
    oblong = prepare_file(file_of(radiograph(np.repeat(scene, 2, axis=1), PixelAspectRatio=[2, 1])), 1, IMAGENET)
    assert oblong == pytest.approx(square, abs=1e-5)


@pytest.mark.parametrize("border", [0, 4095])
@pytest.mark.parametrize("sides", [((8, 8), (4, 4)), ((8, 0), (0, 4)), ((0, 0), (0, 1))])
def test_a_border_of_one_value_does_not_crush_the_range(border: int, sides: tuple[tuple[int, int], ...]) -> None:
    """Shutters and the film's edge, on all sides or on one, leave the contrast of what they surround as it is."""
    seen = np.random.default_rng(0).integers(1000, 2000, (48, 40)).astype(np.uint16)
    seen[10, 10:12] = 1000, 1999
    inside = tuple(slice(before, before + side) for (before, _), side in zip(sides, seen.shape, strict=True))
    assert grey(np.pad(seen, sides, constant_values=border))[inside] == pytest.approx(grey(seen), abs=1e-6)


def test_a_patch_on_black_is_no_border() -> None:
    """Where all that is inside has one value, that it differs from the border is what there is to see."""
    patch = np.zeros((64, 64), np.uint16)
    patch[20:40, 20:40] = 1000
    assert set(grey(patch).ravel()) == {0.0, 1.0}


def test_a_blank_image_is_refused() -> None:
    """An image of one value shows nothing that could be read."""
    with pytest.raises(Undecodable, match="same value"):
        grey(np.full((64, 64), 7, np.uint16))


@pytest.mark.parametrize(("changes", "tag"), [
    ({"WindowCenter": 60000, "WindowWidth": 100}, "7FE0,0010"), ({"PresentationIntentType": "FOR PRINT"}, "0008,0068"),
])
def test_what_can_be_shown_but_not_read_is_refused_by_name(changes: dict[str, Any], tag: str) -> None:
    """A window beside all values shows a blank image; an intent nobody knows is not taken for presentation."""
    with pytest.raises(DicomError, match=tag):
        prepare_file(file_of(radiograph(RAMP, **changes)), 1, IMAGENET)


def test_a_frame_that_is_not_there_is_refused() -> None:
    """Frames count from one."""
    for frame in (0, 2):
        with pytest.raises(BadTag, match="no frame"):
            prepare_file(file_of(radiograph()), frame, IMAGENET)


def test_an_image_of_the_models_size_is_taken_as_it_is() -> None:
    """Nothing is filtered where nothing is resized, and twelve bits lose nothing against eight."""
    eight = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    twelve = np.rint(eight * (4095 / 255)).astype(np.uint16)
    prepared = prepare_file(file_of(radiograph(eight, WindowCenter=128, WindowWidth=256)), 1, IMAGENET)
    mean, std = np.array(IMAGENET.mean)[:, None, None], np.array(IMAGENET.std)[:, None, None]
    assert prepared == pytest.approx((eight / 255 - mean) / std, abs=1e-5)
    assert prepare_file(file_of(radiograph(twelve, WindowCenter=2048, WindowWidth=4096)), 1, IMAGENET) == pytest.approx(prepared, abs=2e-3)


def test_shrinking_averages_what_each_pixel_covers() -> None:
    """No aliasing: a chessboard becomes grey."""
    board = (np.indices((896, 896)).sum(axis=0) % 2).astype(np.float32)
    assert resize(board, 224, 224) == pytest.approx(0.5, abs=1e-6)


def test_the_received_bytes_are_not_encoded_anew() -> None:
    """File meta information is put before the dataset, which stays as it came, bit by bit."""
    dataset = encoded(radiograph())
    file = as_file(dataset, sop_class_uid="1.2", sop_instance_uid="1.2.3", transfer_syntax="1.2.840.10008.1.2.1", source="CT1")
    assert file.endswith(dataset)
    meta = open_file(file).file_meta
    assert (meta.SourceApplicationEntityTitle, meta.MediaStorageSOPInstanceUID) == ("CT1", "1.2.3")


def test_a_preamble_cannot_say_how_pixels_are_encoded() -> None:
    """What stands before the file meta information is anybody's; a compressed file that claims otherwise there stays compressed."""
    plain = file_of(radiograph())
    assert is_plain(plain)
    lie = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
    packed = file_of(radiograph(), transfer_syntax=RLELossless)
    assert not is_plain(packed)
    assert not is_plain(lie + packed[len(lie):])
    assert is_plain(lie.replace(b"1.2.1", b"1.2.5") + plain[len(lie):])
    begins = plain.index(b"\x02\x00\x10\x00UI")
    syntax = plain[begins:begins + 28]
    assert not is_plain(plain[:begins] + syntax.replace(b"1.2.1", b"1.2.5") + plain[begins:]), "pydicom believes the last of two"
    end = begins + 28
    assert not is_plain(plain[:end] + syntax.replace(b"1.2.1", b"1.2.5") + plain[end:])
    assert not is_plain(plain[:begins] + b"\x02\x00\x10\x00\x02\0\0\0xx" + plain[begins:]), "an implicit element is read otherwise"
    assert not is_plain(plain[:200])
    assert not is_plain(b"")
