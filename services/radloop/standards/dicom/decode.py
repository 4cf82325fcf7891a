"""One frame's stored values as numpy, whatever the transfer syntax.

Uncompressed little-endian grey frames, the bulk of radiography, are a view on the received bytes; all else goes through
pydicom's decoders (JPEG, JPEG-LS, JPEG 2000, RLE, deflated, big-endian).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from radloop.standards.dicom.elements import UNREADABLE, has, integer, text
from radloop.standards.dicom.errors import BadTag, DicomError, MissingTag, Undecodable

Stored = NDArray[Any]
"""Stored values: integers or floats [rows, columns], or [rows, columns, 3] of RGB."""

MOST_PIXELS: Final = 200_000_000
"""Of one frame; a header can claim more than any memory holds."""

_PLAIN: Final = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian})
_UNPACKED: Final = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian})
_META_AT, _META_WITHIN = 132, 4096
_META_GROUP, _SYNTAX_ELEMENT = 0x0002, 0x0010
_LONG: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"})
"""Value representations whose length takes four bytes (PS3.5 section 7.1.2)."""
_GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
_KINDS: Final = _GREY | {"PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"}
_RAW: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True)
class Shape:
    """How the pixels of a dataset are laid out (PS3.3 C.7.6.3), checked as far as can be without decoding."""

    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    syntax: UID

    @property
    def grey(self) -> bool:
        """Whether a value is a grey level."""
        return self.photometric in _GREY


def is_plain(file: bytes) -> bool:
    """Whether the pixels of a DICOM file lie in it as little-endian numbers, so that no decoder is needed.

    A walk through the file meta information, which is always explicit little-endian (PS3.10 section 7.1), to its end: of two transfer
    syntaxes pydicom believes the last. Unsure is no. What stands in the preamble is anybody's.
    """
    at, syntaxes = _META_AT, list[str]()
    while at + 12 <= min(len(file), _META_WITHIN):
        group, element = int.from_bytes(file[at:at + 2], "little"), int.from_bytes(file[at + 2:at + 4], "little")
        if group != _META_GROUP:
            return len(syntaxes) == 1 and syntaxes[0] in _UNPACKED
        kind = file[at + 4:at + 6]
        if not (kind.isalpha() and kind.isupper()):  # pydicom would take it for implicit, and walk otherwise
            return False
        long = kind in _LONG
        begins = at + (12 if long else 8)
        length = int.from_bytes(file[begins - (4 if long else 2):begins], "little")
        if element == _SYNTAX_ELEMENT:
            syntaxes.append(file[begins:begins + length].rstrip(b"\0 ").decode("ascii", "replace"))
        at = begins + length
    return False


def shape(dataset: Dataset) -> Shape:
    """Return the layout; MissingTag or BadTag where an attribute is absent, malformed or contradicts another."""
    if not any(has(dataset, keyword) for keyword in _RAW):
        raise MissingTag("PixelData", "the object has no pixels")
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    for keyword, side in (("Rows", rows), ("Columns", columns)):
        if side < 1:
            raise BadTag(keyword, "not a positive number")
    if rows * columns > MOST_PIXELS:
        raise BadTag("Rows", f"a frame of more than {MOST_PIXELS} pixels is not read")
    photometric = text(dataset, "PhotometricInterpretation").upper()
    if not photometric:
        raise MissingTag("PhotometricInterpretation", "the meaning of a pixel value is not known without it")
    if photometric not in _KINDS:
        raise BadTag("PhotometricInterpretation", "not one that is read")
    allocated = integer(dataset, "BitsAllocated")
    stored = integer(dataset, "BitsStored", allocated)
    if not 1 <= stored <= allocated <= 64:
        raise BadTag("BitsStored", f"{stored} bits stored do not fit in {allocated} allocated")
    high_bit = integer(dataset, "HighBit", stored - 1)
    if not stored - 1 <= high_bit < allocated:
        raise BadTag("HighBit", f"bit {high_bit} cannot be the highest of {stored} in {allocated}")
    signed = integer(dataset, "PixelRepresentation") if has(dataset, "PixelData") else 1
    if signed not in {0, 1}:
        raise BadTag("PixelRepresentation", "neither 0 (unsigned) nor 1 (signed)")
    return Shape(
        rows, columns, max(integer(dataset, "NumberOfFrames", 1), 1), integer(dataset, "SamplesPerPixel", 1), photometric,
        allocated, stored, high_bit, bool(signed),
        UID(text(dataset.file_meta, "TransferSyntaxUID")),
    )


def stored_values(dataset: Dataset, form: Shape, frame: int) -> Stored:
    """Return the stored values of a frame (from 1): [rows, columns], or RGB [rows, columns, 3] where it is in colour.

    Raise BadTag for a frame that is not there and Undecodable, with the decoder's complaint, where there are no pixels.
    """
    if not 1 <= frame <= form.frames:
        raise BadTag("NumberOfFrames", f"there is no frame {frame} of {form.frames}")
    try:
        if form.grey and form.samples == 1 and form.syntax in _PLAIN and form.allocated in {8, 16} and "PixelData" in dataset:
            return _plain(dataset, form, frame)
        return _decoded(dataset, form, frame)
    except DicomError:
        raise
    except (RuntimeError, *UNREADABLE) as failed:
        raise Undecodable("PixelData", _complaint(failed, form)) from failed


def _complaint(failed: Exception, form: Shape) -> str:
    """Return a decoder's complaint in one line; decoders speak of bits and markers, never of the patient."""
    said = " ".join(str(failed).split())[:300] or type(failed).__name__
    return f"cannot be decoded ({form.syntax.name}): {said}"


def _plain(dataset: Dataset, form: Shape, frame: int) -> Stored:
    data = dataset.PixelData
    count = form.rows * form.columns
    width = form.allocated // 8
    start = (frame - 1) * count * width
    if len(data) < start + count * width:
        raise Undecodable("PixelData", f"{len(data)} bytes are too few for frame {frame} of {form.rows} × {form.columns}")
    values = np.frombuffer(data, "<u1" if width == 1 else "<u2", count, start).reshape(form.rows, form.columns)
    return _bits(values, form)


def _bits(values: Stored, form: Shape) -> Stored:
    """Return the bits stored as numbers: shifted down from the high bit, masked (overlays lived above), sign extended."""
    shift = form.high_bit + 1 - form.stored
    if shift:
        values = values >> shift
    if form.stored < form.allocated:
        values = values & ((1 << form.stored) - 1)
    if form.signed:
        unused = form.allocated - form.stored
        values = (values << unused).view(f"<i{form.allocated // 8}") >> unused
    return values


def _decoded(dataset: Dataset, form: Shape, frame: int) -> Stored:
    values: Stored = pixel_array(dataset, index=frame - 1)
    if form.photometric == "PALETTE COLOR":
        values = apply_color_lut(values, dataset)[..., :3]
    if form.grey and form.samples == 1 and not form.syntax.is_compressed and np.issubdtype(values.dtype, np.integer):
        unshifted = form.high_bit + 1 - form.stored
        values = values >> unshifted if unshifted else values
    if form.grey and form.signed and form.stored < form.allocated and np.issubdtype(values.dtype, np.signedinteger):
        # Some decoders of JPEG-LS leave the bits above the stored ones empty: there the sign is at the highest bit stored.
        unused = 8 * values.dtype.itemsize - form.stored
        values = (values << unused) >> unused
    expected = (form.rows, form.columns) if form.grey else (form.rows, form.columns, 3)
    if values.shape != expected:
        raise Undecodable("PixelData", f"decodes to {values.shape}, the header says {expected}")
    return values
