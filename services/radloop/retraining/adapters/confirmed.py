"""Confirmed masks as they are handed over: a tar of images, their masks by the same names, and whose they are.

    images/<name>.{png,jpg,dcm}     masks/<name>.png     patients.csv (name,patient)

Without patients.csv a DICOM object's PatientID says whose it is, and any other image counts as a patient of its own.
Names and patients are compared as text, whatever bytes a system writes an accent in.
In a mask 255 is inside and all else outside. Structures are the connected parts of a mask, each to be outlined on its own.
"""

import csv
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Singles, Truths
from radloop.retraining.domain.outlines import SIDE
from radloop.standards.dicom.elements import is_dicom, open_file, text
from radloop.standards.dicom.pixels import frame_grey, resize
from radloop.standards.masks import Mask
from radloop.standards.names import composed
from radloop.standards.pictures import grey_of

_SMALLEST_SHARE = 0.01
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Pair:
    """One image, grey 0 to 1 [256, 256], and its structures' masks [S, 256, 256], the largest first."""

    name: str
    patient: str
    grey: Singles
    structures: Truths
    alone: bool = False
    """Nobody said whose it is, so it counts as a patient of its own."""


def count(archive: bytes) -> int:
    """Count the pairs of an archive, without looking into an image; raise Permanent where it is not in order."""
    images, _, _ = _paired(archive)
    return len(images)


def pairs(archive: bytes) -> Iterator[Pair]:
    """Yield the pairs of an archive in the order of their names; raise Permanent, with the number in that order, where one is not in order.

    Images are decoded here: for a job's process, which may end over one, and not for the room's.
    """
    images, masks, patients = _paired(archive)
    # A file's name may be a patient's: in what is said of it, it has a number.
    for number, name in enumerate(sorted(images), start=1):
        structures = _structures(_mask(f"image {number}", masks[name]))
        if len(structures):
            seen = grey(f"image {number}", images[name])
            patient = patients[name] if patients is not None else _patient_of(images[name])
            yield Pair(name, patient or name, seen, structures, alone=patients is None and not patient)


def _paired(archive: bytes) -> tuple[dict[str, bytes], dict[str, bytes], dict[str, str] | None]:
    images, masks, patients = _files(archive)
    if not images:
        raise Permanent("the archive holds no images/<name>.png, .jpg or .dcm")
    if missing := sorted(set(images) ^ set(masks)):
        raise Permanent(f"an image needs a mask of the same name, and a mask an image: {len(missing)} have none")
    if patients is not None and (unlisted := set(images) - set(patients)):
        # Each would be a patient of its own, and one patient could teach and judge.
        raise Permanent(f"patients.csv lists {len(unlisted)} of the images not: its names are without their endings")
    if patients is not None and not all(patients[name] for name in images):
        raise Permanent("patients.csv names an image without its patient")
    return images, masks, patients


def _patient_of(data: bytes) -> str:
    """Return the PatientID that an image names, empty where it names none."""
    return composed(text(open_file(data, pixels=False), "PatientID")) if is_dicom(data) else ""


def _files(archive: bytes) -> tuple[dict[str, bytes], dict[str, bytes], dict[str, str] | None]:
    images: dict[str, bytes] = {}
    masks: dict[str, bytes] = {}
    patients: dict[str, str] | None = None
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for entry in tar:
                held = tar.extractfile(entry) if entry.isfile() and entry.size <= _MOST_BYTES else None
                if held is None:
                    raise Permanent(f"the archive holds something that is no file, or one of more than {_MOST_BYTES >> 20} MB")
                path = PurePosixPath(entry.name)
                if path.name == "patients.csv":
                    patients = _listed(held.read())
                elif path.parent.name in {"images", "masks"}:
                    into = images if path.parent.name == "images" else masks
                    name = composed(path.stem)
                    if name in into:
                        raise Permanent(f"two {path.parent.name} have the same name")
                    into[name] = held.read()
    except (tarfile.TarError, EOFError, OSError) as broken:
        raise Permanent("the confirmed masks are no tar") from broken
    return images, masks, patients


def _listed(data: bytes) -> dict[str, str]:
    """Return whose each name is, as spreadsheets write such a list: with a mark at its head, or without."""
    found: dict[str, str] = {}
    try:
        for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig", errors="replace"), newline="")):
            name, patient = (composed(row.get(column) or "") for column in ("name", "patient"))
            if found.setdefault(name, patient) != patient:
                raise Permanent("patients.csv lists a name twice, with different patients")
    except csv.Error as broken:
        raise Permanent("patients.csv is no table of values with commas between") from broken
    return found


def grey(name: str, data: bytes) -> Singles:
    """Return an image as the segmenter sees it: grey 0 to 1, resized whole to [256, 256]; raise Permanent where it is none."""
    try:
        return resize(frame_grey(open_file(data)) if is_dicom(data) else grey_of(data), SIDE, SIDE)
    except Permanent as broken:
        raise Permanent(f"{name}: {broken.reason}") from broken


def _mask(name: str, data: bytes) -> Mask:
    try:
        inside = grey_of(data) >= 1.0
    except Permanent as broken:
        raise Permanent(f"the mask of {name}: {broken.reason}") from broken
    share = resize(inside.astype(np.float32), SIDE, SIDE)
    return np.asarray(share > 0.5)


def _structures(mask: Mask) -> Truths:
    """Return the connected parts of a mask that are no specks, the largest first [S, 256, 256]."""
    _, places, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    kept = [at + 1 for at in np.argsort(-sizes, kind="stable") if sizes[at] >= _SMALLEST_SHARE * SIDE * SIDE]
    return np.stack([places == at for at in kept]) if kept else np.zeros((0, SIDE, SIDE), np.bool_)
