"""Images and evidence maps from blobs, as the page draws them."""

import threading
from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radloop.kit.blobs import Blobs
from radloop.standards import evidence
from radloop.standards.dicom.decode import Shape, shape, stored_values
from radloop.standards.dicom.elements import has, numbers, open_file, text
from radloop.standards.dicom.pixels import frame_grey, resize
from radloop.worklist.ports import Evidence, Image

KEPT_BYTES: Final = 64 * 1024 * 1024
DRAWN_AT_ONCE: Final = 2
"""A large radiograph takes some 60 MB while it is drawn, whoever asks; the others wait for their turn."""
_TOP: Final = 65535
_CURVES: Final = (
    "ModalityLUTSequence", "VOILUTSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)
"""Where one of these is there, values are not a line through the stored ones, and the object's own grey is shown."""


class Pictures:
    """Draws from blobs; the last few frames are kept, so that a window and a zoom do not decode again."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._lock, self._drawing = threading.Lock(), threading.BoundedSemaphore(DRAWN_AT_ONCE)
        self._kept: OrderedDict[tuple[str, int, int], Image] = OrderedDict()

    def image(self, sha256: str, frame: int, longest: int) -> Image:
        """Return a frame, its longer side at most `longest`; see `image_of`."""
        key = (sha256, frame, longest)
        if (known := self._remembered(key)) is not None:
            return known
        with self._drawing:
            drawn = self._remembered(key)  # by whom it waited for
            return drawn if drawn is not None else self._remember(key, image_of(self._blobs.get(sha256), frame, longest))

    def _remembered(self, key: tuple[str, int, int]) -> Image | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def _remember(self, key: tuple[str, int, int], image: Image) -> Image:
        with self._lock:
            self._kept[key] = image
            while len(self._kept) > 1 and sum(len(one.pixels) for one in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
        return image

    def evidence(self, sha256: str, finding: int) -> Evidence:
        """Return one finding's map, 1 where it is strongest; raise Permanent where the blob is none."""
        stored = evidence.read(self._blobs.get(sha256))
        values = np.maximum(stored.values[finding], 0.0)
        top = float(values.max())
        scaled = values / top if top > 0 else values
        return Evidence(
            sop_instance_uid=stored.sop_instance_uid, frame=stored.frame, rows=scaled.shape[0], columns=scaled.shape[1],
            values=tuple(tuple(round(float(one), 4) for one in row) for row in scaled),
        )


def image_of(file: bytes, frame: int, longest: int) -> Image:
    """Return a frame (from 1) of a DICOM file, its longer side at most `longest`; raise DicomError where it cannot be shown."""
    dataset = open_file(file)
    form = shape(dataset)
    straight = _straight(dataset, form, frame)
    if straight is None:
        grey = _reduced(frame_grey(dataset, frame), longest)
        return _image(np.rint(grey * _TOP).astype("<u2"), form, window=(_TOP / 2, _TOP), line=(1.0, 0.0), inverted=False)
    values = _reduced(straight.astype(np.float32), longest)
    base = min(0.0, float(np.floor(values.min())))
    slope, intercept = _line(dataset)
    return _image(
        np.rint(values - base).astype("<u2"), form, window=_window(dataset), line=(slope, intercept + base * slope),
        inverted=form.photometric == "MONOCHROME1",
    )


def _straight(dataset: Dataset, form: Shape, frame: int) -> NDArray[np.generic] | None:
    """Return stored values that a line and a window turn into grey, None where it takes more than that."""
    curved = text(dataset, "VOILUTFunction") not in {"", "LINEAR", "LINEAR_EXACT"}
    if not form.grey or curved or any(has(dataset, keyword) for keyword in _CURVES):
        return None
    values = stored_values(dataset, form, frame)
    if not np.issubdtype(values.dtype, np.integer) or int(values.max()) - min(0, int(values.min())) > _TOP:
        return None
    return values


def _line(dataset: Dataset) -> tuple[float, float]:
    slope, intercept = numbers(dataset, "RescaleSlope"), numbers(dataset, "RescaleIntercept")
    return slope[0] if slope and slope[0] else 1.0, intercept[0] if intercept else 0.0


def _window(dataset: Dataset) -> tuple[float, float] | None:
    center, width = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    return (center[0], width[0]) if center and width and width[0] > 0 else None


def _reduced(values: NDArray[np.float32], longest: int) -> NDArray[np.float32]:
    rows, columns = values.shape
    share = min(1.0, longest / max(rows, columns))
    return resize(values, max(1, round(rows * share)), max(1, round(columns * share)))


def _image(
    pixels: NDArray[np.uint16], form: Shape, *, window: tuple[float, float] | None, line: tuple[float, float], inverted: bool,
) -> Image:
    slope, intercept = line
    low, high = sorted(float(end) * slope + intercept for end in (pixels.min(), pixels.max()))
    center, width = window or ((low + high) / 2, max(high - low, 1.0))
    return Image(
        rows=pixels.shape[0], columns=pixels.shape[1], stored_rows=form.rows, stored_columns=form.columns,
        window_center=center, window_width=width, slope=slope, intercept=intercept, low=low, high=high, inverted=inverted,
        photometric=form.photometric, pixels=pixels.tobytes(),
    )
