"""Every DICOM file at hand, as the platform takes it: its facts, whether the chest model reads it, and its pixels all the same."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite
from tests.examples.inference import package
from tests.examples.shared import at
from tests.unit.standards.test_dicom import sample_files

from radloop.events.common import Blob, Instance
from radloop.inference.domain.case import Images
from radloop.inference.domain.fitness import refusal
from radloop.standards.dicom import header
from radloop.standards.dicom.elements import open_file
from radloop.standards.dicom.errors import DicomError
from radloop.standards.dicom.header import InstanceFacts
from radloop.standards.dicom.pixels import prepare_file

TAG = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\)")
HOW = ("no DICOM object", "no acquired image", "not for this model", "for this model")
PIXELS = ("prepared", "refused")


def door(file: bytes) -> tuple[str, str, InstanceFacts | None]:
    """Return what becomes of a file before anybody looks at its pixels, and why."""
    try:
        facts = header.read(file)
    except DicomError as refused:
        return HOW[0], refused.reason, None
    if facts.not_acquired:
        return HOW[1], facts.not_acquired, facts
    why = refusal(images(facts), facts.procedure_code, package().applicability)
    return HOW[2] if why else HOW[3], why, facts


def images(facts: InstanceFacts) -> Images:
    """Return a study of this one image, as ingestion says it."""
    instance = Instance(
        sop_instance_uid=facts.sop_instance_uid, sop_class_uid=facts.sop_class_uid, series_uid=facts.series_uid,
        blob=Blob("a" * 64, 1), modality=facts.modality, body_part=facts.body_part, view=facts.view, rows=facts.rows,
        columns=facts.columns, frames=facts.frames,
    )
    return Images(revision=1, instances=(instance,), arrived_at=at(0), age_years=facts.age_years, sex=facts.sex)


def pixels(file: bytes) -> tuple[str, str]:
    """Return whether the pixels can be prepared, whatever they show, and why not."""
    try:
        prepared = prepare_file(file, 1, package().preparation, package().applicability.orientations)
    except DicomError as refused:
        return PIXELS[1], refused.reason
    assert (prepared.shape, prepared.dtype) == ((3, 224, 224), np.float32)
    assert np.isfinite(prepared).all()
    assert np.ptp(prepared) > 0, "an image that is all one grey shows nothing"
    return PIXELS[0], ""


def collection(path: Path) -> str:
    """Return which of the collections a file belongs to."""
    return "dicom_samples" if "dicom_samples" in path.parts else "pydicom"


def test_every_file_is_prepared_or_refused_with_the_attribute() -> None:
    """Nothing raises out of the room, whoever made the file; each refusal names what is to blame as (gggg,eeee)."""
    table = Counter[tuple[str, str, str]]()
    for path in sample_files():
        file = path.read_bytes()
        how, why, facts = door(file)
        outcome, complaint = pixels(file)
        assert how == HOW[3] or TAG.search(why), f"{path.name}: {why!r} names no attribute"
        assert outcome == PIXELS[0] or TAG.match(complaint), f"{path.name}: {complaint!r} names no attribute"
        assert facts is None or how != HOW[3] or outcome == PIXELS[0], f"{path.name} is for this model and cannot be prepared"
        table[collection(path), how, outcome] += 1
    print(shown(table))
    assert counted(table, "pydicom", outcome="prepared") >= 80
    assert counted(table, "pydicom", outcome="refused") >= 70
    assert counted(table, "pydicom", how="no acquired image") >= 60
    assert counted(table, "pydicom", how="not for this model") >= 10


def test_the_data_directory_is_among_them() -> None:
    """The samples beside the checkout are looked at too, where there are any."""
    there = [path for path in sample_files() if collection(path) == "dicom_samples"]
    if not there:
        pytest.skip("RADLOOP_DATA has no dicom_samples")
    outcomes = Counter(pixels(path.read_bytes())[0] for path in there)
    assert outcomes["prepared"] >= 30
    assert outcomes["refused"] >= 8


def counted(table: Counter[tuple[str, str, str]], *words: str, how: str = "", outcome: str = "") -> int:
    """Count the files of a collection that ended so."""
    return sum(
        count for (kind, door_said, pixels_said), count in table.items()
        if kind in words and how in {"", door_said} and outcome in {"", pixels_said}
    )


def shown(table: Counter[tuple[str, str, str]]) -> str:
    """Return the table as it is printed."""
    head = f"\n{'':<34}" + "".join(f"{word:>12}" for word in PIXELS)
    rows = [
        f"{kind:<14} {how:<19}" + "".join(f"{table[kind, how, word]:>12}" for word in PIXELS)
        for kind in sorted({one for one, _, _ in table}) for how in HOW
    ]
    return "\n".join([head, *rows])



CHEST = {"ImageType": "ORIGINAL\\PRIMARY", "PatientAge": "006Y", "PatientBirthDate": "", "BodyPartExamined": "CHEST", "ViewPosition": "AP"}


@pytest.mark.parametrize("name", ["RG1_J2KI_cr_chest.dcm", "6154"])
@pytest.mark.parametrize(("changes", "how", "tag"), [
    ({}, "no acquired image", "0008,0008"),
    ({**CHEST, "PatientAge": ""}, "not for this model", "0010,1010"),
    (CHEST, "for this model", ""),
    ({**CHEST, "PatientAge": "041Y"}, "not for this model", "0010,1010"),
    ({**CHEST, "PatientAge": "006Y", "PatientBirthDate": "19500101", "StudyDate": "20200101"}, "not for this model", "0010,1010"),
    ({**CHEST, "ViewPosition": "LL"}, "not for this model", "0018,5101"),
    ({**CHEST, "BodyPartExamined": "KNEE"}, "not for this model", "0018,0015"),
    ({**CHEST, "BodyPartExamined": ""}, "not for this model", "0018,0015"),
    ({**CHEST, "PresentationIntentType": "FOR PROCESSING"}, "no acquired image", "0008,0068"),
])
def test_a_real_radiograph_is_read_for_what_its_header_says(name: str, changes: dict[str, str], how: str, tag: str) -> None:
    """Its own header does not say enough; what is filled in decides, one attribute at a time."""
    path = next((one for one in sample_files() if one.name == name), None)
    if path is None:
        pytest.skip(f"{name} is not at hand")
    dataset = open_file(path.read_bytes())
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    out = DicomBytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    said, why, _ = door(out.getvalue())
    assert (said, tag in why) == (how, True), why
    assert pixels(out.getvalue())[0] == ("refused" if "FOR PROCESSING" in changes.values() else "prepared")


@pytest.mark.parametrize("lies", [["R", "F"], ["A", "F"], ["L", "H"]])
def test_a_real_radiograph_that_lies_otherwise_is_refused(lies: list[str]) -> None:
    """Mirrored, lateral or upside down as its tag says: the pixels are not looked at."""
    path = next(one for one in sample_files() if one.name == "6154")
    dataset = open_file(path.read_bytes())
    dataset.PatientOrientation = lies
    out = DicomBytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    outcome, why = pixels(out.getvalue())
    assert outcome == "refused"
    assert why.startswith("(0020,0020) Patient Orientation")
