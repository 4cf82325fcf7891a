"""The facts of a DICOM object that the platform goes by, read once, as plain values.

Required are the four UIDs that place the object (SOP Class, SOP Instance, Series, Study); whatever else is missing or
malformed is empty or None, for a rule to decide on. `not_acquired` says why an object starts nothing.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from pydicom.dataset import Dataset

from radloop.standards.dicom.elements import day, has, integer, items, open_file, text, texts, uid
from radloop.standards.dicom.errors import BadTag, MissingTag, tag_name

OWN_MANUFACTURER: Final = "radloop"
"""(0008,0070) of whatever we make ourselves, exactly: such objects start nothing."""

_NOT_IMAGES: Final = frozenset({
    "SR", "SEG", "PR", "KO", "DOC", "PLAN", "REG", "FID", "ANN", "AU", "ECG", "HD", "RTDOSE", "RTPLAN", "RTRECORD",
    "RTSTRUCT", "RWV", "SMR", "TEXTUREMAP", "M3D", "STAIN",
})
_DERIVED_CLASSES: Final = (
    ("1.2.840.10008.5.1.4.1.1.66", "segmentation or raw data"),
    ("1.2.840.10008.5.1.4.1.1.30", "parametric map"),
    ("1.2.840.10008.5.1.4.1.1.7", "secondary capture"),
    ("1.2.840.10008.5.1.4.1.1.88", "structured report"),
    ("1.2.840.10008.5.1.4.1.1.11", "presentation state"),
)
_FOR_PROCESSING_CLASSES: Final = frozenset({
    "1.2.840.10008.5.1.4.1.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.1.3.1",
})
# DX, mammography and intra-oral images for presentation (PS3.4 B.5).
_FOR_PRESENTATION_CLASSES: Final = frozenset({
    "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.3",
})
_VIEW_CODES: Final = {
    "399348003": "AP", "R-10206": "AP", "272479007": "PA", "R-10214": "PA", "399067008": "LL", "R-10232": "LL",
    "399173006": "LL", "R-10236": "LL", "399198007": "RL", "R-10230": "RL",
}
_REGION_CODES: Final = {"51185008": "CHEST", "T-D3000": "CHEST", "39607008": "LUNG", "T-28000": "LUNG"}
_DAYS_PER_YEAR: Final = 365.25
_AGE_UNITS: Final = {"Y": 1.0, "M": 1 / 12, "W": 7 / _DAYS_PER_YEAR, "D": 1 / _DAYS_PER_YEAR}
_AGES_AGREE_YEARS: Final = 2.0
_LONGEST_AGE: Final = 8


@dataclass(frozen=True)
class InstanceFacts:
    """What one object says of itself. Names, ids and dates of the patient are PHI."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    transfer_syntax: str
    modality: str
    body_part: str
    view: str
    laterality: str
    image_type: tuple[str, ...]
    presentation_intent: str
    rows: int
    """0 where the object has no pixels."""
    columns: int
    frames: int
    patient_id: str
    patient_issuer: str
    family: str
    given: str
    birth_date: str
    """YYYY-MM-DD, empty where unknown."""
    sex: str
    """M, F, O, or empty where unknown."""
    age_years: float | None
    """At the study date; None where unknown or where age and birth date contradict each other."""
    accession: str
    accession_issuer: str
    study_date: str
    procedure_code: str
    study_description: str
    not_acquired: str
    """Why this is no image a modality acquired for reading; empty where it is one."""

    @property
    def is_acquired_image(self) -> bool:
        """Whether it counts: an image as a modality acquired it, for presentation."""
        return not self.not_acquired


def read(file: bytes) -> InstanceFacts:
    """Return the facts of a DICOM file's bytes; the pixel data is not looked at. Raise DicomError."""
    dataset = open_file(file, pixels=False)
    return facts(dataset)


def facts(dataset: Dataset) -> InstanceFacts:
    """Return the facts of a dataset with its file meta information; MissingTag or BadTag where a UID is missing or wrong."""
    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        raise MissingTag("TransferSyntaxUID", "the dataset does not say how it is encoded")
    names = text(dataset, "PatientName").partition("=")[0].split("^")
    born, studied = day(dataset, "PatientBirthDate"), day(dataset, "StudyDate")
    sex = text(dataset, "PatientSex").upper()
    return InstanceFacts(
        sop_instance_uid=uid(dataset, "SOPInstanceUID"),
        sop_class_uid=uid(dataset, "SOPClassUID"),
        series_uid=uid(dataset, "SeriesInstanceUID"),
        study_uid=uid(dataset, "StudyInstanceUID"),
        transfer_syntax=uid(meta, "TransferSyntaxUID"),
        modality=text(dataset, "Modality").upper(),
        body_part=text(dataset, "BodyPartExamined").upper() or _coded(dataset, "AnatomicRegionSequence", _REGION_CODES),
        view=text(dataset, "ViewPosition").upper() or _coded(dataset, "ViewCodeSequence", _VIEW_CODES),
        laterality=(text(dataset, "ImageLaterality") or text(dataset, "Laterality")).upper(),
        image_type=tuple(value.upper() for value in texts(dataset, "ImageType")),
        presentation_intent=text(dataset, "PresentationIntentType").upper(),
        rows=_size(dataset, "Rows", 0),
        columns=_size(dataset, "Columns", 0),
        frames=_size(dataset, "NumberOfFrames", 1),
        patient_id=text(dataset, "PatientID"),
        patient_issuer=text(dataset, "IssuerOfPatientID")
        or _issuer(dataset, "IssuerOfPatientIDQualifiersSequence"),
        family=names[0].strip(),
        given=names[1].strip() if len(names) > 1 else "",
        birth_date=born.isoformat() if born else "",
        sex=sex if sex in {"M", "F", "O"} else "",
        age_years=_age(text(dataset, "PatientAge"), born, studied),
        accession=text(dataset, "AccessionNumber"),
        accession_issuer=_issuer(dataset, "IssuerOfAccessionNumberSequence"),
        study_date=studied.isoformat() if studied else "",
        procedure_code=_procedure(dataset),
        study_description=text(dataset, "StudyDescription"),
        not_acquired=_not_acquired(dataset),
    )


def _size(dataset: Dataset, keyword: str, default: int) -> int:
    """Return a count of rows, columns or frames; a malformed one is the default, and decoding will name it."""
    try:
        return max(integer(dataset, keyword, default), default)
    except BadTag:
        return default


def _coded(dataset: Dataset, keyword: str, known: dict[str, str]) -> str:
    return next((known[code] for item in items(dataset, keyword) if (code := text(item, "CodeValue")) in known), "")


def _issuer(dataset: Dataset, keyword: str) -> str:
    for item in items(dataset, keyword):
        return text(item, "LocalNamespaceEntityID") or text(item, "UniversalEntityID")
    return ""


def _procedure(dataset: Dataset) -> str:
    for keyword in ("ProcedureCodeSequence", "RequestedProcedureCodeSequence"):
        for item in items(dataset, keyword):
            return text(item, "CodeValue")
    for request in items(dataset, "RequestAttributesSequence"):
        for item in items(request, "RequestedProcedureCodeSequence"):
            return text(item, "CodeValue")
    return ""


def _age(stated: str, born: date | None, studied: date | None) -> float | None:
    """Return the age in years from PatientAge (PS3.5 AS), else from the dates; None where the two contradict.

    An age not written as the standard has it ("24", "6y") is no age by itself, as its unit is a guess; but it may contradict the dates.
    """
    number, unit = stated.rstrip("YMWDymwd"), stated[-1:].upper()
    told = int(number) * _AGE_UNITS.get(unit, 1.0) if number.isdecimal() and len(stated) <= _LONGEST_AGE else None
    proper = len(stated) == len("000Y") and len(number) == len("000") and unit == stated[-1:]
    counted = (studied - born).days / _DAYS_PER_YEAR if born and studied and studied >= born else None
    if told is not None and counted is not None and abs(told - counted) > _AGES_AGREE_YEARS:
        return None
    return told if proper and told is not None else counted


def _not_acquired(dataset: Dataset) -> str:
    """Return why the object starts nothing, the attribute first; empty for an acquired image (PS3.3 C.7.6.1.1.2 on Image Type)."""
    sop_class = text(dataset, "SOPClassUID")
    modality = text(dataset, "Modality").upper()
    kind = tuple(value.upper() for value in texts(dataset, "ImageType"))
    if modality in _NOT_IMAGES:
        return f"{tag_name('Modality')}: no image: modality {modality}"
    for root, what in _DERIVED_CLASSES:
        if sop_class == root or sop_class.startswith(root + "."):
            return f"{tag_name('SOPClassUID')}: no acquired image: {what}"
    if not has(dataset, "Rows"):
        return f"{tag_name('Rows')}: no image: it has no pixels"
    if sop_class in _FOR_PROCESSING_CLASSES:
        return f"{tag_name('SOPClassUID')}: for processing, not for presentation"
    if text(dataset, "PresentationIntentType").upper() == "FOR PROCESSING":
        return f"{tag_name('PresentationIntentType')}: for processing, not for presentation"
    # Many makers mark the processed image that is meant to be read DERIVED\\PRIMARY (PS3.3 C.8.11.3.1.1 lets them).
    if kind[:1] == ("DERIVED",) and not (kind[1:2] == ("PRIMARY",) and sop_class in _FOR_PRESENTATION_CLASSES):
        return f"{tag_name('ImageType')}: a derived image"
    if kind[1:2] == ("SECONDARY",):
        return f"{tag_name('ImageType')}: a secondary image"
    if has(dataset, "ConversionType"):
        return f"{tag_name('ConversionType')}: a secondary image"
    makers = (dataset, *items(dataset, "ContributingEquipmentSequence"))
    if any(text(maker, "Manufacturer").lower() == OWN_MANUFACTURER for maker in makers):
        return f"{tag_name('Manufacturer')}: made by this platform"
    return ""
