"""What reaches the canvas is the stored image: every value, its window and its polarity."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from radloop.standards.dicom.errors import DicomError
from radloop.worklist.adapters import pictures
from radloop.worklist.adapters.pictures import DRAWN_AT_ONCE, Pictures, image_of
from tests.adapters.dicom_file import file


def test_unsigned_values_arrive_as_they_are_with_their_window() -> None:
    """Pixels, window and sizes are the object's own."""
    values = np.arange(200, dtype="<u2").reshape(10, 20) * 20
    image = image_of(file(values, WindowCenter=[1000, 5], WindowWidth=[500, 6]), 1, 2048)
    assert np.array_equal(np.frombuffer(image.pixels, "<u2").reshape(image.rows, image.columns), values)
    assert (image.window_center, image.window_width, image.low, image.high) == (1000, 500, 0, 3980)
    assert not image.inverted


def test_signed_and_rescaled_values_are_told_by_a_line() -> None:
    """A value is pixel * slope + intercept, also where stored values are negative."""
    values = np.array([[-1000, 0], [500, 1000]], "<i2")
    image = image_of(file(values, RescaleSlope=2, RescaleIntercept=-10), 1, 2048)
    pixels = np.frombuffer(image.pixels, "<u2").reshape(2, 2)
    assert np.allclose(pixels * image.slope + image.intercept, values * 2.0 - 10)
    assert (image.low, image.high) == (-2010, 1990)
    assert (image.window_center, image.window_width) == (-10, 4000)


def test_monochrome1_is_said_to_be_inverted() -> None:
    """High values are dark there."""
    assert image_of(file(np.zeros((4, 4), "<u2"), PhotometricInterpretation="MONOCHROME1"), 1, 64).inverted


def test_a_large_frame_is_reduced_and_keeps_its_shape() -> None:
    """The longer side is what was asked for, the stored size is still told."""
    image = image_of(file(np.full((3000, 2000), 7, "<u2")), 1, 1024)
    assert (image.rows, image.columns, image.stored_rows, image.stored_columns) == (1024, 683, 3000, 2000)
    assert set(np.frombuffer(image.pixels, "<u2")) == {7}


def test_a_sigmoid_window_is_drawn_as_the_object_asks() -> None:
    """What no line and window can say is shown as the object's own grey, window over all of it."""
    values = np.linspace(0, 4095, 64).astype("<u2").reshape(8, 8)
    image = image_of(file(values, VOILUTFunction="SIGMOID", WindowCenter=2048, WindowWidth=2000), 1, 64)
    pixels = np.frombuffer(image.pixels, "<u2").astype(float)
    assert np.all(np.diff(pixels) >= 0)
    assert (image.window_width, image.slope) == (65535, 1)


def test_what_cannot_be_decoded_says_so() -> None:
    """A broken image is an error with its attribute, never a grey square."""
    broken = file(np.zeros((4, 4), "<u2"), Rows=400)
    with pytest.raises(DicomError):
        image_of(broken, 1, 64)


class Shelf:
    """Blobs that are the same image under every name, and how many are being drawn at once."""

    def __init__(self) -> None:
        self.file = file(np.zeros((100, 100), "<u2"))
        self.asked, self.most = list[str](), 0
        self.together = threading.Semaphore(0)
        self._now, self._lock = 0, threading.Lock()

    def get(self, sha256: str) -> bytes:
        """Return the image."""
        with self._lock:
            self.asked.append(sha256)
        return self.file

    def put(self, _data: bytes) -> None:
        """Keep nothing."""

    def draw(self, *_: object) -> object:
        """Stand in for the drawing: note how many do it at once."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.together.acquire(timeout=0.05)
        with self._lock:
            self._now -= 1
        return DRAWN


DRAWN = image_of(file(np.zeros((100, 100), "<u2")), 1, 100)


def test_the_last_frames_are_kept_as_far_as_their_bytes_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was drawn lately is not drawn again; what goes beyond the bound is forgotten, the oldest first."""
    monkeypatch.setattr(pictures, "KEPT_BYTES", 3 * 20_000)
    shelf = Shelf()
    kept = Pictures(shelf)  # type: ignore[arg-type]  # a blob here has no size
    for name in ("a", "b", "c", "a", "d", "a", "b"):
        assert len(kept.image(name, 1, 100).pixels) == 20_000
    assert shelf.asked == ["a", "b", "c", "d", "b"]


def test_few_are_drawn_at_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn at the same time is bounded; all are answered, most of them with what was drawn for others."""
    shelf = Shelf()
    monkeypatch.setattr(pictures, "image_of", shelf.draw)
    kept = Pictures(shelf)  # type: ignore[arg-type]  # see above
    with ThreadPoolExecutor(16) as readers:
        asked = [readers.submit(kept.image, str(number % 8), 1, 100) for number in range(32)]
        assert all(one.result(30) is DRAWN for one in asked)
    assert shelf.most == DRAWN_AT_ONCE
    assert len(shelf.asked) <= 8 * DRAWN_AT_ONCE
