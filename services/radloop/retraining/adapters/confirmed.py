"""Confirmed masks as they are handed over: a tar of images, their masks by the same names, and whose they are.

    images/<name>.{png,jpg,dcm}     masks/<name>.png     patients.csv (name,patient; without it each image is a patient of its own)

In a mask 0 is background, 255 inside; other values are not judged, and an image with many of them teaches nothing.
Structures are the connected parts of a mask, each to be outlined on its own.
"""

import csv
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Singles, Truths
from radloop.retraining.domain.outlines import SIDE
from radloop.standards.dicom.elements import open_file
from radloop.standards.dicom.pixels import frame_grey, resize
from radloop.standards.masks import Mask

_SMALLEST_SHARE = 0.01
_MOST_BYTES = 64 * 1024 * 1024
_INSIDE = 255
_UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError)


@dataclass(frozen=True)
class Pair:
    """One image, grey 0 to 1 [256, 256], and its structures' masks [S, 256, 256], the largest first."""

    name: str
    patient: str
    grey: Singles
    structures: Truths


def count(archive: bytes) -> int:
    """Count the pairs of an archive, without looking into an image; raise Permanent where it is not in order."""
    images, _, _ = _paired(archive)
    return len(images)


def pairs(archive: bytes) -> Iterator[Pair]:
    """Yield the pairs of an archive in the order of their names; raise Permanent, naming the file, where it is not in order.

    Images are decoded here: for a job's process, which may end over one, and not for the room's.
    """
    images, masks, patients = _paired(archive)
    for name in sorted(images):
        structures = _structures(_mask(name, masks[name]))
        if len(structures):
            yield Pair(name, patients.get(name, name), grey(name, images[name]), structures)


def _paired(archive: bytes) -> tuple[dict[str, bytes], dict[str, bytes], dict[str, str]]:
    images, masks, patients = _files(archive)
    if not images:
        raise Permanent("the archive holds no images/<name>.png, .jpg or .dcm")
    if missing := sorted(set(images) ^ set(masks)):
        raise Permanent(f"{missing[0]}: an image needs a mask of the same name, and a mask an image ({len(missing)} have none)")
    return images, masks, patients


def _files(archive: bytes) -> tuple[dict[str, bytes], dict[str, bytes], dict[str, str]]:
    images: dict[str, bytes] = {}
    masks: dict[str, bytes] = {}
    patients: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
            for entry in tar:
                held = tar.extractfile(entry) if entry.isfile() and entry.size <= _MOST_BYTES else None
                if held is None:
                    raise Permanent(f"{entry.name}: no file, or one of more than {_MOST_BYTES >> 20} MB")
                path = PurePosixPath(entry.name)
                if path.name == "patients.csv":
                    rows = csv.DictReader(io.StringIO(held.read().decode("utf-8", errors="replace")))
                    patients = {row.get("name", ""): row.get("patient", "") for row in rows}
                elif path.parent.name in {"images", "masks"}:
                    (images if path.parent.name == "images" else masks)[path.stem] = held.read()
    except tarfile.TarError as broken:
        raise Permanent("the confirmed masks are no tar") from broken
    return images, masks, patients


def grey(name: str, data: bytes) -> Singles:
    """Return an image as the segmenter sees it: grey 0 to 1, resized whole to [256, 256]; raise Permanent where it is none."""
    if data[128:132] == b"DICM":
        return resize(frame_grey(open_file(data)), SIDE, SIDE)
    try:
        with Image.open(io.BytesIO(data)) as image:
            levels = np.asarray(image.convert("L"), np.float32)
    except _UNREADABLE as broken:
        raise Permanent(f"{name}: not an image that can be read") from broken
    return resize(levels / np.float32(255.0), SIDE, SIDE)


def _mask(name: str, data: bytes) -> Mask:
    try:
        with Image.open(io.BytesIO(data)) as image:
            levels = np.asarray(image.convert("L"))
    except _UNREADABLE as broken:
        raise Permanent(f"{name}: its mask is not an image that can be read") from broken
    share = resize((levels == _INSIDE).astype(np.float32), SIDE, SIDE)
    return np.asarray(share > 0.5)


def _structures(mask: Mask) -> Truths:
    """Return the connected parts of a mask that are no specks, the largest first [S, 256, 256]."""
    _, places, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    kept = [at + 1 for at in np.argsort(-sizes, kind="stable") if sizes[at] >= _SMALLEST_SHARE * SIDE * SIDE]
    return np.stack([places == at for at in kept]) if kept else np.zeros((0, SIDE, SIDE), np.bool_)
