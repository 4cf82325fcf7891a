"""A radiograph as a DX image for presentation (PS3.3 A.26), as a modality of the simulated hospital would send it.

Everything here comes from the patient, the order and the pixels. The truth is not an argument, and nothing derived from
the source file (its name, size or compression) is written, because a file's size can betray what it shows.
"""

import math
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.orders import PROCEDURE, Order

MANUFACTURER = "radloop simulated hospital"
_IMPLEMENTATION = UID("2.25.196563219337428379148264571823349105823")
# The source states no ratio, and a true one would differ with the content: one nominal figure for all.
_NOMINAL_RATIO = "10"
_FIELD_MM = 313.6  # what the detector sees, along each side

# Of every hundred studies of the morning so many are written inverted, and so many compressed: at least one of each.
_INVERTED, _COMPRESSED = 15, 15
_SIDES = ((1950, 2050), (2450, 2550))
_VIEWS = {
    "AP": ("399348003", "antero-posterior"), "PA": ("272479007", "postero-anterior"), "LL": ("399198007", "left lateral"),
}


@dataclass(frozen=True)
class Look:
    """How the modality writes its pixels: stored bits of 8 or 16 allocated, the view, and what follows.

    `inverted` is MONOCHROME1, `compressed` JPEG 2000 without loss, `size` rows and columns (None: as they come).
    """

    bits_stored: int = 12
    view: str = "AP"
    inverted: bool = False
    compressed: bool = False
    size: tuple[int, int] | None = None


MORNING = Look()
EARLIER = Look(bits_stored=8)


def looks(seed: int, entries: Many[Entry]) -> dict[str, Look]:
    """Return how each study of a morning is written, by accession number: drawn by seed alone, blind to what it shows."""
    rng = np.random.default_rng([seed, 0xC6])
    inverted, compressed = (
        {int(place) for place in rng.permutation(len(entries))[: math.ceil(len(entries) * share / 100)]}
        for share in (_INVERTED, _COMPRESSED)
    )
    found = {}
    for place, entry in enumerate(entries):
        rows, columns = (int(rng.integers(low, high)) for low, high in _SIDES)
        look = Look(inverted=place in inverted, compressed=place in compressed, size=(rows, columns))
        found[entry.order.accession] = replace(look, view="LL") if entry.irregular == "lateral-view" else look
    return found


def dx(order: Order, pixels: NDArray[np.uint8], taken: datetime, look: Look = MORNING, number: int = 1) -> FileDataset:
    """Return the DX object of one order; pixels are uint8 [rows, columns], UIDs follow from the study's drawn UID.

    `number` counts the images of the study.
    """
    entropy = [order.study_uid, "image", *([] if number == 1 else [str(number)])]
    sop = generate_uid(prefix="2.25.", entropy_srcs=entropy)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = sop
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION
    # Said outright: whoever sends it would else take it for implicit VR, and put a compressed object into an uncompressed context.
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False, is_little_endian=True)
    image.SOPClassUID = DigitalXRayImageStorageForPresentation
    image.SOPInstanceUID = sop
    _patient(image, order, taken)
    _study(image, order, taken)
    _series(image, order, taken, number)
    _equipment(image)
    _detector(image)
    _anatomy(image, look)
    _pixels(image, pixels, look)
    if look.compressed:
        image.compress(JPEG2000Lossless, generate_instance_uid=False)
    return image


def unreadable(image: FileDataset) -> FileDataset:
    """Return the object as if it had been damaged where it was compressed: its tags are whole, its one frame is no code stream."""
    image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    image.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(4_092)])
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    return image


def file_bytes(image: FileDataset) -> bytes:
    """Return an object as a DICOM file (PS3.10)."""
    out = BytesIO()
    image.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _patient(image: Dataset, order: Order, taken: datetime) -> None:
    child = order.patient
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName = f"{child.family}^{child.given}"
    image.PatientID = child.mrn
    image.IssuerOfPatientID = child.issuer
    image.PatientBirthDate = child.birth_date.strftime("%Y%m%d")
    image.PatientSex = child.sex
    image.PatientAge = child.age(taken.date())


def _study(image: Dataset, order: Order, taken: datetime) -> None:
    image.StudyInstanceUID = order.study_uid
    image.StudyDate = taken.strftime("%Y%m%d")
    image.StudyTime = taken.strftime("%H%M%S")
    image.ReferringPhysicianName = ""
    image.StudyID = order.filler
    image.AccessionNumber = order.accession
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = order.patient.issuer
    image.IssuerOfAccessionNumberSequence = Sequence([issuer])
    image.StudyDescription = PROCEDURE[1]


def _series(image: Dataset, order: Order, taken: datetime, number: int) -> None:
    image.Modality = "DX"
    image.SeriesInstanceUID = generate_uid(prefix="2.25.", entropy_srcs=[order.study_uid, "series"])
    image.SeriesNumber = "1"
    image.PresentationIntentType = "FOR PRESENTATION"
    moment = taken + timedelta(seconds=2)
    image.InstanceNumber = str(number)
    image.ContentDate = image.AcquisitionDate = moment.strftime("%Y%m%d")
    image.ContentTime = image.AcquisitionTime = moment.strftime("%H%M%S")
    image.AcquisitionNumber = str(number)
    requested = Dataset()
    requested.RequestedProcedureID = order.filler
    requested.ScheduledProcedureStepID = order.filler
    image.RequestAttributesSequence = Sequence([requested])


def _equipment(image: Dataset) -> None:
    image.Manufacturer = MANUFACTURER
    image.InstitutionName = "Simulated Children's Hospital"
    image.StationName = "SIMDX1"
    image.ManufacturerModelName = "workbench"
    image.DeviceSerialNumber = "1"
    image.SoftwareVersions = "1"


def _detector(image: Dataset) -> None:
    image.DetectorType = "SCINTILLATOR"
    image.KVP = "70"
    image.PositionerType = "NONE"


def _anatomy(image: Dataset, look: Look) -> None:
    image.BodyPartExamined = "CHEST"
    image.ViewPosition = look.view
    image.PatientOrientation = ["A", "F"] if look.view == "LL" else ["L", "F"]
    image.ImageLaterality = "U"
    image.AnatomicRegionSequence = Sequence([_code("51185008", "SCT", "Thorax")])
    value, meaning = _VIEWS[look.view]
    projection = _code(value, "SCT", meaning)
    projection.ViewModifierCodeSequence = Sequence([])
    image.ViewCodeSequence = Sequence([projection])
    image.AcquisitionContextSequence = Sequence([])


def _pixels(image: Dataset, pixels: NDArray[np.uint8], look: Look) -> None:
    allocated = 8 if look.bits_stored == 8 else 16
    top = (1 << look.bits_stored) - 1
    grey = _sized(pixels, look.size) * np.float32(top / 255.0)
    stored = np.rint(top - grey if look.inverted else grey)
    image.ImageType = ["ORIGINAL", "PRIMARY", ""]
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME1" if look.inverted else "MONOCHROME2"
    image.Rows, image.Columns = (int(side) for side in stored.shape)
    image.ImagerPixelSpacing = [round(_FIELD_MM / side, 4) for side in stored.shape]
    image.BitsAllocated = allocated
    image.BitsStored = look.bits_stored
    image.HighBit = look.bits_stored - 1
    image.PixelRepresentation = 0
    image.PixelIntensityRelationship = "LOG"
    image.PixelIntensityRelationshipSign = 1 if look.inverted else -1
    image.RescaleIntercept = "0"
    image.RescaleSlope = "1"
    image.RescaleType = "US"
    image.PresentationLUTShape = "INVERSE" if look.inverted else "IDENTITY"
    image.WindowCenter = str((top + 1) // 2)
    image.WindowWidth = str(top + 1)
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "01"
    image.LossyImageCompressionRatio = _NOMINAL_RATIO
    image.LossyImageCompressionMethod = "ISO_10918_1"
    data = stored.astype("<u2" if allocated == 16 else np.uint8).tobytes()
    image.PixelData = data + b"\0" * (len(data) % 2)
    image["PixelData"].VR = "OB" if allocated == 8 else "OW"


def _sized(pixels: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.float32]:
    """Return pixels at a size, between 0 and 255, with the greys between two of the source's eight bits."""
    grey = pixels.astype(np.float32)
    if size is None:
        return grey
    rows, columns = size
    return np.asarray(Image.fromarray(grey).resize((columns, rows), Image.Resampling.BICUBIC), dtype=np.float32).clip(0, 255)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
