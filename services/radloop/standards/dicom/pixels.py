"""A frame as a model wants it: `prepare(dataset, frame, preparation)`; as a reader sees it: `frame_grey`."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from radloop.standards.dicom.curves import Grey, to_grey
from radloop.standards.dicom.decode import shape, stored_values
from radloop.standards.dicom.elements import open_file
from radloop.standards.dicom.errors import Undecodable
from radloop.standards.package import Preparation


def frame_grey(dataset: Dataset, frame: int = 1) -> Grey:
    """Return a frame (from 1) as the object itself asks to be seen: grey 0 to 1, float32 [rows, columns].

    Raise DicomError, naming the attribute, where the object cannot be shown.
    """
    return _grey(dataset, frame, full_range=False)


def prepare(dataset: Dataset, frame: int, preparation: Preparation) -> NDArray[np.float32]:
    """Return a frame (from 1) in the model's terms: float32 [channels, rows, columns], normalised.

    Raise DicomError, naming the attribute, where the object cannot be read; never a repaired or guessed image.
    """
    grey = _grey(dataset, frame, full_range=preparation.voi == "full-range")
    small = resize(grey, preparation.rows, preparation.columns, preparation.resize)
    if not np.isfinite(small).all():
        raise Undecodable("PixelData", "a pixel is not a finite number")
    mean = np.asarray(preparation.mean, np.float32)[:, None, None]
    std = np.asarray(preparation.std, np.float32)[:, None, None]
    return (small[None] - mean) / std


def prepare_file(file: bytes, frame: int, preparation: Preparation) -> NDArray[np.float32]:
    """Prepare a frame of a DICOM file's bytes; see `prepare`."""
    return prepare(open_file(file), frame, preparation)


def resize(grey: Grey, rows: int, columns: int, method: str = "area") -> Grey:
    """Return grey values resized whole, aspect ratio not kept; `area` averages what each pixel covers.

    Both methods filter over the whole footprint (no aliasing); enlarging is bilinear, as an area has nothing to average.
    """
    if grey.shape == (rows, columns):
        return grey
    shrinks = grey.shape[0] >= rows and grey.shape[1] >= columns
    how = Image.Resampling.BOX if method == "area" and shrinks else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(grey).resize((columns, rows), how), np.float32)


def _grey(dataset: Dataset, frame: int, *, full_range: bool) -> Grey:
    form = shape(dataset)
    stored = stored_values(dataset, form, frame)
    return to_grey(dataset, form, stored, frame, "full-range" if full_range else "stored")
