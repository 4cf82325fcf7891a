"""Reading elements of a dataset without trusting them: a value that cannot be read is absent, or a typed error.

pydicom converts a value when it is first looked at, and raises what the conversion happened to raise; here is the one
place that knows those exceptions. Its validation and its warnings are off while reading, because they quote values.
"""

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from io import BytesIO
from typing import Final

from pydicom import config, dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue

from radloop.standards.dicom.errors import BadTag, MissingTag, NotDicom

config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"pydicom\..*")

UNREADABLE: Final = (
    ValueError, TypeError, KeyError, AttributeError, NotImplementedError, EOFError, OverflowError, IndexError, LookupError,
    RecursionError, AssertionError, MemoryError, struct.error, zlib.error, OSError, BytesLengthException,
)
"""What pydicom raises for bytes that do not make sense."""

_PREFIX_AT: Final = 128
_UID_LENGTH: Final = 64


def is_dicom(file: bytes) -> bool:
    """Say whether these bytes call themselves a DICOM file (PS3.10 section 7.1), as no PNG or JPEG does."""
    return file[_PREFIX_AT:_PREFIX_AT + 4] == b"DICM"


def open_file(file: bytes, *, pixels: bool = True) -> FileDataset:
    """Return the dataset of a DICOM file's bytes, without its pixel data where `pixels` is false.

    Raise NotDicom where the bytes are no DICOM file or break off, MissingTag where they name no transfer syntax.
    """
    if not is_dicom(file):
        raise NotDicom("FileMetaInformationGroupLength", "no DICM prefix: this is no DICOM file (PS3.10 section 7.1)")
    try:
        dataset = dcmread(BytesIO(file), stop_before_pixels=not pixels)
        syntax = dataset.file_meta.get("TransferSyntaxUID")
    except (InvalidDicomError, *UNREADABLE) as broken:
        raise NotDicom(
            "FileMetaInformationGroupLength", f"the file cannot be parsed ({type(broken).__name__})"
        ) from broken
    if not syntax:
        raise MissingTag("TransferSyntaxUID", "the file does not say how it is encoded")
    return dataset


def has(dataset: Dataset, keyword: str) -> bool:
    """Say whether the element is there with a value."""
    with suppress(*UNREADABLE):
        element = dataset.get_item(keyword)
        return element is not None and (isinstance(element.value, int | float) or len(element.value or b"") > 0)
    return False


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values of an element as stripped strings, empty where absent or unreadable."""
    try:
        value = dataset.get(keyword)
        values = value if isinstance(value, MultiValue | list | tuple) else [value]
        return tuple(str(item).strip(" \0") for item in values if item is not None)
    except UNREADABLE:
        return ()


def text(dataset: Dataset, keyword: str) -> str:
    """Return the first value of an element as a stripped string, empty where absent or unreadable."""
    return next(iter(texts(dataset, keyword)), "")


def uid(dataset: Dataset, keyword: str) -> str:
    """Return a UID that must be there (PS3.5 section 9); MissingTag or BadTag where it is not one."""
    value = text(dataset, keyword)
    if not value:
        raise MissingTag(keyword, "an object without it cannot be told from others")
    if len(value) > _UID_LENGTH or not all(part.isdigit() for part in value.split(".")):
        raise BadTag(keyword, "not a UID (PS3.5 section 9)")
    return value


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the values of a numeric element, empty where absent; BadTag where one is not a finite number."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return ()
        values = value if isinstance(value, MultiValue | list | tuple) else [value]
        found = tuple(float(item) for item in values)
    except UNREADABLE as broken:
        raise BadTag(keyword, "not a number") from broken
    if any(number != number or abs(number) == float("inf") for number in found):  # noqa: PLR0124 - NaN
        raise BadTag(keyword, "not a finite number")
    return found


def integer(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """Return an integer; MissingTag where absent and no default is given, BadTag where it is not a whole number."""
    found = numbers(dataset, keyword)
    if not found:
        if default is None:
            raise MissingTag(keyword, "the pixels cannot be read without it")
        return default
    if found[0] != int(found[0]):
        raise BadTag(keyword, "not a whole number")
    return int(found[0])


def items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    """Yield the items of a sequence, none where absent or unreadable."""
    with suppress(*UNREADABLE):
        value = dataset.get(keyword)
        if value is not None:
            yield from (item for item in value if isinstance(item, Dataset))


def day(dataset: Dataset, keyword: str) -> date | None:
    """Return a date (DA, also in the form of ACR-NEMA with dots), None where absent or not a date."""
    digits = text(dataset, keyword).replace(".", "")[:8]
    if len(digits) != len("YYYYMMDD") or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
