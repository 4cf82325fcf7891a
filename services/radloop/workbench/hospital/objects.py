"""A radiograph as a DX image for presentation (PS3.3 A.26), as a modality of the simulated hospital would send it.

Everything here comes from the patient, the order and the pixels. The truth is not an argument, and nothing derived from
the source file (its name, size or compression) is written, because a file's size can betray what it shows.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from radloop.workbench.hospital.orders import PROCEDURE, Order

MANUFACTURER = "radloop simulated hospital"
_IMPLEMENTATION = UID("2.25.196563219337428379148264571823349105823")
# The source states no ratio, and a true one would differ with the content: one nominal figure for all.
_NOMINAL_RATIO = "10"
_PIXEL_SPACING_MM = 1.4


@dataclass(frozen=True)
class Look:
    """How the modality writes its pixels: stored bits of 8 or 16 allocated, and the view."""

    bits_stored: int = 12
    view: str = "AP"


MORNING = Look()
EARLIER = Look(bits_stored=8)


def dx(order: Order, pixels: NDArray[np.uint8], taken: datetime, look: Look = MORNING) -> FileDataset:
    """Return the DX object of one order; pixels are uint8 [rows, columns], UIDs follow from the study's drawn UID."""
    sop = generate_uid(prefix="2.25.", entropy_srcs=[order.study_uid, "image"])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = sop
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID = DigitalXRayImageStorageForPresentation
    image.SOPInstanceUID = sop
    _patient(image, order, taken)
    _study(image, order, taken)
    _series(image, order, taken)
    _equipment(image)
    _detector(image)
    _anatomy(image, look)
    _pixels(image, pixels, look)
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


def _series(image: Dataset, order: Order, taken: datetime) -> None:
    image.Modality = "DX"
    image.SeriesInstanceUID = generate_uid(prefix="2.25.", entropy_srcs=[order.study_uid, "series"])
    image.SeriesNumber = "1"
    image.PresentationIntentType = "FOR PRESENTATION"
    moment = taken + timedelta(seconds=2)
    image.InstanceNumber = "1"
    image.ContentDate = image.AcquisitionDate = moment.strftime("%Y%m%d")
    image.ContentTime = image.AcquisitionTime = moment.strftime("%H%M%S")
    image.AcquisitionNumber = "1"
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
    image.ImagerPixelSpacing = [_PIXEL_SPACING_MM, _PIXEL_SPACING_MM]
    image.KVP = "70"
    image.PositionerType = "NONE"


def _anatomy(image: Dataset, look: Look) -> None:
    image.BodyPartExamined = "CHEST"
    image.ViewPosition = look.view
    image.PatientOrientation = ["L", "F"]
    image.ImageLaterality = "U"
    image.AnatomicRegionSequence = Sequence([_code("51185008", "SCT", "Thorax")])
    view = {"AP": ("399348003", "antero-posterior"), "PA": ("272479007", "postero-anterior")}[look.view]
    projection = _code(view[0], "SCT", view[1])
    projection.ViewModifierCodeSequence = Sequence([])
    image.ViewCodeSequence = Sequence([projection])
    image.AcquisitionContextSequence = Sequence([])


def _pixels(image: Dataset, pixels: NDArray[np.uint8], look: Look) -> None:
    allocated = 8 if look.bits_stored == 8 else 16
    top = (1 << look.bits_stored) - 1
    stored = np.rint(pixels.astype(np.float64) * (top / 255.0))
    image.ImageType = ["ORIGINAL", "PRIMARY", ""]
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = (int(side) for side in pixels.shape)
    image.BitsAllocated = allocated
    image.BitsStored = look.bits_stored
    image.HighBit = look.bits_stored - 1
    image.PixelRepresentation = 0
    image.PixelIntensityRelationship = "LOG"
    image.PixelIntensityRelationshipSign = -1
    image.RescaleIntercept = "0"
    image.RescaleSlope = "1"
    image.RescaleType = "US"
    image.PresentationLUTShape = "IDENTITY"
    image.WindowCenter = str((top + 1) // 2)
    image.WindowWidth = str(top + 1)
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "01"
    image.LossyImageCompressionRatio = _NOMINAL_RATIO
    image.LossyImageCompressionMethod = "ISO_10918_1"
    data = stored.astype("<u2" if allocated == 16 else np.uint8).tobytes()
    image.PixelData = data + b"\0" * (len(data) % 2)
    image["PixelData"].VR = "OB" if allocated == 8 else "OW"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
