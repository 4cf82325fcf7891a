"""Small DICOM objects for tests, built element by element and encoded as a modality would send them."""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from radloop.standards.dicom.write import as_file

DX = "1.2.840.10008.5.1.4.1.1.1.1"
LITTLE = "1.2.840.10008.1.2.1"


def radiograph(pixels: np.ndarray | None = None, **changes: Any) -> Dataset:
    """Build a chest radiograph of a six-year-old; a change of None removes the element."""
    pixels = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48) if pixels is None else pixels
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    known: dict[str, Any] = {
        "SOPClassUID": DX, "SOPInstanceUID": "2.25.1001", "SeriesInstanceUID": "2.25.1002", "StudyInstanceUID": "2.25.1003",
        "Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "AP", "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "PresentationIntentType": "FOR PRESENTATION", "Manufacturer": "Example", "PatientName": "Example^Erin",
        "PatientID": "EX-0001", "IssuerOfPatientID": "HOSP", "PatientBirthDate": "20190504", "PatientSex": "F",
        "PatientAge": "006Y", "StudyDate": "20260302", "AccessionNumber": "ACC-1",
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "Rows": pixels.shape[0], "Columns": pixels.shape[1],
        "BitsAllocated": 8 * pixels.dtype.itemsize, "BitsStored": 8 * pixels.dtype.itemsize if pixels.dtype.itemsize == 1 else 12,
        "PixelRepresentation": 0,
    }
    known["HighBit"] = known["BitsStored"] - 1
    for name, value in {**known, **changes}.items():
        if value is not None:
            setattr(image, name, value)
    data = pixels.tobytes()
    image.PixelData = data + b"\0" * (len(data) % 2)
    image["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    return image


def encoded(image: Dataset) -> bytes:
    """Encode a dataset as Explicit VR Little Endian, as it travels in a C-STORE."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, image)
    return bytes(out.getvalue())


def file_of(image: Dataset, **changes: str) -> bytes:
    """Return a DICOM file."""
    names = {
        "sop_class_uid": str(image.get("SOPClassUID", DX)), "sop_instance_uid": str(image.get("SOPInstanceUID", "2.25.1")),
        "transfer_syntax": LITTLE,
    }
    return as_file(encoded(image), **{**names, **changes})
