"""A received dataset as a DICOM file: the bytes as they came, file meta information put before them (PS3.10 section 7.1)."""

from typing import Final

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

IMPLEMENTATION_CLASS_UID: Final = UID("2.25.318274650913847265019283746501928374651")
"""Who wrote the file meta information."""
IMPLEMENTATION_VERSION_NAME: Final = "RADLOOP"


def as_file(dataset: bytes, *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str, source: str = "") -> bytes:
    """Return a file of an encoded dataset, which is not looked into, let alone encoded anew.

    `source` is the calling application entity's title (0002,0016).
    """
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    if source:
        meta.SourceApplicationEntityTitle = source
    out = DicomBytesIO()
    out.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(out, meta)
    out.write(dataset)
    return out.getvalue()
