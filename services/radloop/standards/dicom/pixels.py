"""A frame as a model wants it: `prepare(dataset, frame, preparation)`; as a reader sees it: `frame_grey`."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from radloop.standards.dicom.curves import Grey, to_grey
from radloop.standards.dicom.decode import shape, stored_values
from radloop.standards.dicom.elements import open_file
from radloop.standards.dicom.errors import Undecodable
from radloop.standards.dicom.stance import require_certain, require_orientation
from radloop.standards.package import Preparation


def frame_grey(dataset: Dataset, frame: int = 1) -> Grey:
    """Return a frame (from 1) as the object itself asks to be seen: grey 0 to 1, float32 [rows, columns].

    Raise DicomError, naming the attribute, where the object cannot be shown.
    """
    form = shape(dataset)
    return to_grey(dataset, form, stored_values(dataset, form, frame), frame, "stored")


def prepare(
    dataset: Dataset, frame: int, preparation: Preparation, orientations: Collection[str] = (),
) -> NDArray[np.float32]:
    r"""Return a frame (from 1) in the model's terms: float32 [channels, rows, columns], normalised.

    Raise DicomError, naming the attribute, where the object cannot be read; never a repaired or guessed image. Unfit where
    the object says that it lies otherwise than `orientations` (`L\F`) allow. The image is resized whole, so that pixels
    which are not square (Pixel Aspect Ratio, Pixel Spacing) come to the same as square ones of the same field.
    """
    form = shape(dataset)
    require_certain(dataset, form)
    require_orientation(dataset, orientations)
    grey = to_grey(dataset, form, stored_values(dataset, form, frame), frame, preparation.voi)
    if grey.min() == grey.max():
        raise Undecodable("PixelData", "blank: every pixel is shown as the same grey")
    small = resize(grey, preparation.rows, preparation.columns, preparation.resize)
    if not np.isfinite(small).all():
        raise Undecodable("PixelData", "a pixel is not a finite number")
    mean = np.asarray(preparation.mean, np.float32)[:, None, None]
    std = np.asarray(preparation.std, np.float32)[:, None, None]
    return (small[None] - mean) / std


def prepare_file(
    file: bytes, frame: int, preparation: Preparation, orientations: Collection[str] = (),
) -> NDArray[np.float32]:
    """Prepare a frame of a DICOM file's bytes; see `prepare`."""
    return prepare(open_file(file), frame, preparation, orientations)


def resize(grey: Grey, rows: int, columns: int, method: str = "area") -> Grey:
    """Return grey values resized whole, aspect ratio not kept; `area` averages what each pixel covers.

    Both methods filter over the whole footprint (no aliasing); enlarging is bilinear, as an area has nothing to average.
    """
    if grey.shape == (rows, columns):
        return grey
    shrinks = grey.shape[0] >= rows and grey.shape[1] >= columns
    how = Image.Resampling.BOX if method == "area" and shrinks else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(grey).resize((columns, rows), how), np.float32)
