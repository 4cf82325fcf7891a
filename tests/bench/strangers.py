"""Images that a model of children's chests does not know, in the form of those that it does; and what their tags say of age.

The radiographs it was trained on are 224 × 224 JPEGs. A stranger is told by what it shows, not by sharper edges, only where it went
through the same: resized whole (the product's own resize) and compressed alike.
"""

import csv
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from radloop.events.common import Blob, Instance
from radloop.inference.domain.case import Images
from radloop.inference.domain.fitness import refusal
from radloop.standards.dicom import header
from radloop.standards.dicom.elements import open_file
from radloop.standards.dicom.errors import DicomError
from radloop.standards.dicom.pixels import frame_grey, resize
from radloop.workbench.hospital.sources import KERMANY
from radloop.workbench.workshop import READS

Pixels = NDArray[np.uint8]
SIDE, QUALITY = 224, 75
ADULT = 18
# What is smaller shows next to nothing: the samples hold many thumbnails of 16 × 16.
_LEAST = 64
# Thumbnails that agree this far are the same picture in another transfer syntax.
_SAME = 0.95
NOT_CHEST = ("CT", "MR", "US", "NM")
_LATERAL = ("LL", "RL", "LATERAL", "LAT")


@dataclass(frozen=True)
class Sample:
    """A DICOM file among the samples: its name, bytes and dataset."""

    name: str
    file: bytes
    dataset: Dataset


class Pictures:
    """Pixels in memory, as a source of radiographs hands them over."""

    name = "pictures"

    def __init__(self, pixels: Sequence[Pixels]) -> None:
        self._pixels = pixels

    def pixels(self, image: str) -> Pixels:
        """Return the image of this number."""
        return self._pixels[int(image)]


def compressed(grey: NDArray[np.float32]) -> Pixels:
    """Return grey values 0 to 1 resized and compressed as the training images are: 224 × 224, three equal channels, JPEG."""
    file = BytesIO()
    Image.fromarray(resized(grey)).convert("RGB").save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("L"))


def resized(grey: NDArray[np.float32]) -> Pixels:
    """Return grey values 0 to 1 as 224 × 224 pixels, not compressed."""
    return (resize(grey.astype(np.float32), SIDE, SIDE) * 255).round().clip(0, 255).astype(np.uint8)


def same_form(data: Path, images: Sequence[str]) -> None:
    """Stop where the training images are not of the size, quantisation and subsampling that `compressed` gives."""
    file = BytesIO()
    Image.new("RGB", (SIDE, SIDE)).save(file, "JPEG", quality=QUALITY)
    ours = Image.open(file)
    for image in images:
        with Image.open(data / KERMANY / image) as theirs:
            if (theirs.size, theirs.quantization, theirs.layer) != (ours.size, ours.quantization, ours.layer):
                raise SystemExit(f"{image} is no JPEG of quality {QUALITY}: strangers would differ in form")


def covid(data: Path) -> list[Pixels]:
    """Return the COVID collection: adults, as far as one can see; it says no ages."""
    found = []
    for path in sorted((data / "covid_cxr_open_1024" / "images").iterdir()):
        with Image.open(path) as image:
            found.append(compressed(np.asarray(image.convert("L"), np.float32) / 255))
    return found


def twins(data: Path) -> list[NDArray[np.float32]]:
    """Return radiographs of children who neither train nor test, resized from the originals by other hands and hardly compressed.

    They are no strangers: what the distances make of them is what a change of path alone does. 256 × 256, JPEG of quality 90. Those
    left out of training may be patients of the publisher's test split; of those, patients of the part that is here are left out, too.
    """
    folder = data / "kermany_lung_masks_256"
    with (data / KERMANY / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tested = {row["patient_key_from_filename"] for row in rows if row["split"] == "test"}
    left_out = {
        Path(row["file"]).stem for row in rows
        if row["split"] == "train" and row["patient_also_in_test"] and row["patient_key_from_filename"] not in tested
    }
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["name"] in left_out]
    return [np.asarray(Image.open(folder / "images" / f"{name}.jpg").convert("L"), np.float32) / 255 for name in names]


def samples(data: Path) -> Iterator[Sample]:
    """Yield every file with pixels that reads as DICOM, of the samples and of pydicom's own."""
    for folder in (data / "dicom_samples", Path(pydicom.__file__).parent / "data" / "test_files"):
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            file = path.read_bytes()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # many are malformed on purpose
                try:
                    dataset = open_file(file)
                except DicomError:
                    continue
            if "Rows" in dataset:
                yield Sample(path.name, file, dataset)


def _large(dataset: Dataset) -> bool:
    return min(int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)) >= _LEAST


def pictures(found: Sequence[Sample], modalities: Sequence[str]) -> list[Sample]:
    """Return the single frames of these modalities that the product decodes, each picture once."""
    kept, thumbs = list[Sample](), list[NDArray[np.float32]]()
    for one in found:
        frames = str(one.dataset.get("NumberOfFrames") or "1").strip()
        if one.dataset.get("Modality") not in modalities or frames != "1" or not _large(one.dataset):
            continue
        try:
            thumb = resize(frame_grey(one.dataset), 16, 16).ravel()
        except DicomError:
            continue  # some are damaged on purpose, some in syntaxes that nothing here decodes
        if not any(np.corrcoef(thumb, other)[0, 1] > _SAME for other in thumbs):
            kept.append(one)
            thumbs.append(thumb)
    return kept


def laterals(found: Sequence[Sample]) -> int:
    """Return how many lateral chest radiographs the samples hold."""
    return sum(
        str(one.dataset.get("ViewPosition") or "").upper() in _LATERAL and _large(one.dataset)
        and str(one.dataset.get("BodyPartExamined") or "").upper() in {"CHEST", "THORAX"}
        for one in found
    )


def _age(dataset: Dataset) -> float | None:
    """Return an age as a person would read it from the tags: far more forgiving than the product, which this holds to account."""
    stated = str(dataset.get("PatientAge") or "").strip().upper()
    digits = stated.rstrip("YMWD")
    if digits.isdigit():
        return int(digits) / {"M": 12.0, "W": 52.2, "D": 365.25}.get(stated[-1], 1.0)
    born, studied = (str(dataset.get(name) or "")[:4] for name in ("PatientBirthDate", "StudyDate"))
    return float(studied) - float(born) if born.isdigit() and studied.isdigit() else None


def adult_samples(found: Sequence[Sample]) -> list[Sample]:
    """Return the samples whose tags say, to a person, that the patient is an adult."""
    return [one for one in found if (_age(one.dataset) or 0.0) >= ADULT]


def refused(age_years: float | None) -> str:
    """Return why the product refuses a frontal chest radiograph of this age: nothing but the age can be the reason."""
    chest = Instance(sop_instance_uid="1", sop_class_uid="1", series_uid="1", blob=Blob(sha256="0" * 64, size=1), modality="DX",
                     body_part="CHEST", view="AP")
    return refusal(Images(revision=1, instances=(chest,), arrived_at=datetime.now(UTC), age_years=age_years), "", READS)


def age_as_read(sample: Sample) -> float | None:
    """Return the age as the product reads it, None where it reads none, or not even the object."""
    try:
        return header.read(sample.file).age_years
    except DicomError:
        return None
