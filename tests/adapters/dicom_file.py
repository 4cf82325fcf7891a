"""A small DICOM file with the pixels a test wants."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian


def file(values: np.ndarray, **attributes: object) -> bytes:
    """Return a DICOM file with these stored values."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    signed = values.dtype.kind == "i"
    known = {
        "Rows": values.shape[0], "Columns": values.shape[1], "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": int(signed),
    }
    for name, value in {**known, **attributes}.items():
        setattr(dataset, name, value)
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW"
    out = DicomBytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()
