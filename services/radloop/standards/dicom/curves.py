"""From stored values to grey from 0 to 1: modality LUT, VOI LUT or window, MONOCHROME1 (PS3.3 C.11.1, C.11.2, C.7.6.3).

Everything that is not linear in a pixel is a function of one stored value; it is worked out once per value and looked up
for each pixel, so that a window costs a frame of ten megabytes some eight milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from radloop.standards.dicom.decode import Shape, Stored
from radloop.standards.dicom.elements import UNREADABLE, items, numbers, text
from radloop.standards.dicom.errors import BadTag, MissingTag, Undecodable

Grey = NDArray[np.float32]
"""Grey values from 0 (black) to 1 (white), float32 [rows, columns]."""

_Values = NDArray[np.float64]
_Curve = Callable[[_Values], _Values]
_TABLE_BITS: Final = 16
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601."""


@dataclass(frozen=True)
class _Table:
    """A lookup table: values of `first`, `first` + 1, … and the largest value an entry can have."""

    first: int
    entries: _Values
    top: float

    def of(self, values: _Values) -> _Values:
        """Return the entries of values; those beyond either end have its entry."""
        at = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.intp)
        found: _Values = self.entries[at]
        return found


def to_grey(dataset: Dataset, form: Shape, stored: Stored, frame: int, voi: Literal["stored", "full-range"]) -> Grey:
    """Return grey values of a frame's stored values; DicomError where the dataset's own curves make no sense."""
    if not form.grey:
        return _luminance(stored, form)
    padding = _padding(dataset, stored)
    modality = _modality(dataset, form, frame)
    window = _voi(dataset, form, frame) if voi == "stored" else None
    if window is None:
        window = _full_range(_inside(stored) if padding is None else stored[~padding], modality)

    def curve(values: _Values) -> _Values:
        grey = np.clip(window(modality(values)), 0.0, 1.0)
        return 1.0 - grey if form.photometric == "MONOCHROME1" else grey

    grey = _apply(curve, stored)
    if padding is not None:
        grey[padding] = 0.0
    return grey


def _apply(curve: _Curve, stored: Stored) -> Grey:
    """Return the curve's value for every pixel, by a table where the stored values are few."""
    if not np.issubdtype(stored.dtype, np.integer):
        return curve(stored.astype(np.float64)).astype(np.float32)
    low, high = int(stored.min()), int(stored.max())
    if high - low >= 1 << _TABLE_BITS:
        return curve(stored.astype(np.float64)).astype(np.float32)
    table = curve(np.arange(low, high + 1, dtype=np.float64)).astype(np.float32)
    looked_up: Grey = table.take(stored if low == 0 else stored.astype(np.intp) - low)
    return looked_up


def _luminance(stored: Stored, form: Shape) -> Grey:
    """Return the luminance of RGB; windows do not apply to colour (PS3.3 C.11.2)."""
    top = np.iinfo(stored.dtype).max if form.photometric == "PALETTE COLOR" else (1 << form.stored) - 1
    grey: Grey = np.clip(stored.astype(np.float32) @ _LUMA / np.float32(top), 0, 1)
    return grey


def _padding(dataset: Dataset, stored: Stored) -> NDArray[np.bool_] | None:
    """Return which pixels are padding (0028,0120), None where none is."""
    value = numbers(dataset, "PixelPaddingValue")
    if not value:
        return None
    limit = numbers(dataset, "PixelPaddingRangeLimit") or value
    low, high = sorted((value[0], limit[0]))
    padded: NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return padded if padded.any() and not padded.all() else None


def _groups(dataset: Dataset, frame: int, macro: str) -> list[Dataset]:
    """Return where a macro's attributes may stand: the frame's functional group, the shared one, the dataset itself."""
    shared = [inner for group in items(dataset, "SharedFunctionalGroupsSequence") for inner in items(group, macro)]
    for at, group in enumerate(items(dataset, "PerFrameFunctionalGroupsSequence"), start=1):
        if at == frame:
            return [*items(group, macro), *shared, dataset]
    return [*shared, dataset]


def _modality(dataset: Dataset, form: Shape, frame: int) -> _Curve:
    for table in items(dataset, "ModalityLUTSequence"):
        return _table(table, form, signed=form.signed).of
    for group in _groups(dataset, frame, "PixelValueTransformationSequence"):
        slope, intercept = numbers(group, "RescaleSlope"), numbers(group, "RescaleIntercept")
        if slope:
            if slope[0] == 0:
                raise BadTag("RescaleSlope", "a slope of zero makes all pixels alike")
            by, plus = slope[0], (intercept or (0.0,))[0]
            return lambda values: values * by + plus
    return lambda values: values


def _voi(dataset: Dataset, form: Shape, frame: int) -> _Curve | None:
    """Return the object's own view of its values: the first VOI LUT, else the first window, None where there is neither."""
    for table in items(dataset, "VOILUTSequence"):
        looked_up = _table(table, form, signed=form.signed or any(number < 0 for number in numbers(dataset, "RescaleIntercept")))
        return lambda values: looked_up.of(values) / looked_up.top
    for group in _groups(dataset, frame, "FrameVOILUTSequence"):
        centre, width = numbers(group, "WindowCenter"), numbers(group, "WindowWidth")
        if centre and width:
            return _window(centre[0], width[0], text(group, "VOILUTFunction").upper() or "LINEAR")
        if centre:
            raise MissingTag("WindowWidth", "a window needs a width beside its centre")
    return None


def _window(centre: float, width: float, function: str) -> _Curve:
    """Return a window's curve from 0 to 1 (PS3.3 C.11.2.1.2.1, C.11.2.1.3)."""
    if width < 1 if function == "LINEAR" else width <= 0:
        raise BadTag("WindowWidth", "too narrow for its function (PS3.3 C.11.2.1.2)")
    if function == "SIGMOID":
        return lambda values: 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -500, 500)))
    if function == "LINEAR_EXACT":
        return lambda values: (values - centre) / width + 0.5
    if function != "LINEAR":
        raise BadTag("VOILUTFunction", "not LINEAR, LINEAR_EXACT or SIGMOID")
    if width == 1:
        return lambda values: (values > centre - 0.5).astype(np.float64)
    return lambda values: (values - (centre - 0.5)) / (width - 1.0) + 0.5


def _inside(stored: Stored) -> Stored:
    """Return what a border of one value surrounds: shutters and the film's edge have no say in the range of the image.

    A border is whole rows and columns from the outside in, all of exactly one value: nothing that shows anything is left out.
    """
    inside = stored
    for corner in (0, -1):
        seen = np.not_equal(inside, inside[corner, corner])
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if not len(rows):  # a patch of one value: the border is all there is to tell it from
            return stored
        inside = inside[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    return inside


def _full_range(stored: Stored, modality: _Curve) -> _Curve:
    """Return the curve from the least value to the greatest, for objects that state no view of their own."""
    ends = modality(np.array([stored.min(), stored.max()], np.float64))
    low, high = float(ends.min()), float(ends.max())
    if not np.isfinite(ends).all():
        raise Undecodable("PixelData", "a pixel is not a finite number")
    if low == high:
        raise Undecodable("PixelData", "every pixel has the same value")
    return lambda values: (values - low) / (high - low)


def _table(item: Dataset, form: Shape, *, signed: bool) -> _Table:
    """Return a LUT of a Modality or VOI LUT Sequence item (PS3.3 C.11.1.1.1, C.11.2.1.1).

    `signed`: the values looked up may be negative, which decides how the first value mapped is read.
    """
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) < 3:
        raise MissingTag("LUTDescriptor", "a lookup table needs its three numbers")
    count, first, bits = (int(number) for number in descriptor[:3])
    count = count % 65536 or 65536
    first = first - 65536 if signed and first > 32767 else first
    if not 1 <= bits <= 16:
        raise BadTag("LUTDescriptor", f"entries of {bits} bits are not allowed")
    entries = _entries(item, form, count)
    if not len(entries):
        raise MissingTag("LUTData", "the lookup table is empty")
    return _Table(first, entries[:count], max(float((1 << bits) - 1), float(entries.max())))


def _entries(item: Dataset, form: Shape, count: int) -> _Values:
    try:
        data: Any = item.get("LUTData")
        if isinstance(data, bytes | bytearray):
            order = "<" if form.syntax.is_little_endian else ">"
            return np.frombuffer(data, "u1" if len(data) < 2 * count else f"{order}u2").astype(np.float64)
        listed = data if isinstance(data, MultiValue | list | tuple) else [] if data is None else [data]
        return np.array([int(entry) & 0xFFFF for entry in listed], np.float64)
    except UNREADABLE as broken:
        raise BadTag("LUTData", "not a table of numbers") from broken
