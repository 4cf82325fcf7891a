"""What can be wrong with a DICOM object, each error naming the attribute that is to blame.

The reasons carry no value of an attribute that may name a person.
"""

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.tag import Tag

from radloop.kit.errors import Permanent


def tag_name(keyword: str) -> str:
    """Return a keyword as people look it up: `(0028,0010) Rows`."""
    number = tag_for_keyword(keyword)
    if number is None:
        return keyword
    tag = Tag(number)
    return f"({tag.group:04X},{tag.element:04X}) {dictionary_description(tag)}"


class DicomError(Permanent):
    """An object that cannot be used; `tag` names the attribute, `reason` begins with it."""

    def __init__(self, keyword: str, problem: str) -> None:
        self.keyword = keyword
        self.tag = tag_name(keyword)
        self.problem = problem
        super().__init__(f"{self.tag}: {problem}")


class NotDicom(DicomError):  # noqa: N818 - the vocabulary of kit.errors
    """Bytes that are no DICOM file (PS3.10), or end in the middle of an element."""


class MissingTag(DicomError):  # noqa: N818 - the vocabulary of kit.errors
    """An attribute that must be there is absent or empty."""


class BadTag(DicomError):  # noqa: N818 - the vocabulary of kit.errors
    """An attribute has a value that DICOM does not allow, or that contradicts another."""


class Undecodable(DicomError):  # noqa: N818 - the vocabulary of kit.errors
    """The pixel data cannot be turned into pixels."""


class Unfit(DicomError):  # noqa: N818 - the vocabulary of kit.errors
    """An image in good order that a model was not made for, as it is stored."""
