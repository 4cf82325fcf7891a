"""Whether an image may be read by a model as it is stored: its polarity is certain, it lies as the model was taught.

Nothing is turned, mirrored or inverted on a guess. Patient Orientation alone says how the stored rows and columns lie; Field of
View Horizontal Flip and Rotation tell what was done between detector and image, which is how a PA image comes to lie right.
"""

from collections.abc import Collection
from typing import Final

from pydicom.dataset import Dataset

from radloop.standards.dicom.decode import Shape
from radloop.standards.dicom.elements import text, texts
from radloop.standards.dicom.errors import BadTag, Unfit

_SHAPES: Final = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
_LONGEST: Final = 7
"""Three letters, a backslash, three letters."""


def require_certain(dataset: Dataset, form: Shape) -> None:
    """Raise BadTag where the object contradicts itself about what is white, or is for something else than presentation."""
    said = text(dataset, "PresentationLUTShape").upper()
    wanted = _SHAPES.get(form.photometric, "IDENTITY")
    if said and said not in _SHAPES.values():
        raise BadTag("PresentationLUTShape", "neither IDENTITY nor INVERSE")
    if said and said != wanted:
        # PS3.3 C.7.6.1 pairs them. dcmtk follows the one, many viewers the other: one of them shows a negative.
        raise BadTag("PresentationLUTShape", f"{said} contradicts Photometric Interpretation {form.photometric}: which end is white?")
    intent = text(dataset, "PresentationIntentType").upper()
    if intent not in {"", "FOR PRESENTATION"}:
        raise BadTag("PresentationIntentType", "not FOR PRESENTATION")


def require_orientation(dataset: Dataset, allowed: Collection[str]) -> None:
    r"""Raise Unfit where Patient Orientation is stated and is not one of `allowed` (`L\F`); an empty `allowed` asks nothing.

    Most images of older readers state none: they are stored as they are hung.
    """
    stated = "\\".join(value.upper() for value in texts(dataset, "PatientOrientation")).strip("\\")
    if not allowed or not stated or stated in allowed:
        return
    quoted = stated if len(stated) <= _LONGEST and set(stated) <= set("LRAPHF\\") else "no such code"
    raise Unfit("PatientOrientation", f"{quoted}, the model reads {', '.join(allowed)}, and no image is turned for it")
