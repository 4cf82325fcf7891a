"""The DICOM door, spoken to by DCMTK, which we did not write, and by pynetdicom."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification
from tests.dicom_making import DX, encoded, file_of, radiograph

from radloop.ingestion.adapters.dicom import SUCCESS, Door, StorageScp
from radloop.kit.errors import Misconfigured, Permanent, Transient
from radloop.standards.dicom.elements import open_file

needs_dcmtk = pytest.mark.skipif(not shutil.which("storescu"), reason="DCMTK (storescu, echoscu) is not installed")


class Shelf:
    """Keeps what it is given, or answers as told."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, str]] = []
        self.failure: Exception | None = None

    def __call__(self, file: bytes, caller: str) -> int:
        if self.failure:
            raise self.failure
        self.kept.append((file, caller))
        return SUCCESS


@pytest.fixture
def shelf() -> Shelf:
    """What the door hands on."""
    return Shelf()


@pytest.fixture
def scp(shelf: Shelf) -> Iterator[StorageScp]:
    """Open a door at a free port."""
    door = StorageScp(Door(), shelf)
    door.start()
    yield door
    door.stop()


def dcmtk(tool: str, scp: StorageScp, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's tools against the door."""
    files = [one for one in arguments if Path(one).is_file()]
    options = [one for one in arguments if one not in files]
    return subprocess.run(
        [tool, "-v", "-aet", "MODALITY", *options, "127.0.0.1", str(scp.port), *files], capture_output=True, text=True,
        timeout=60, check=False,
    )


@needs_dcmtk
@pytest.mark.peer
def test_dcmtk_is_echoed(scp: StorageScp) -> None:
    """C-ECHO is answered with success."""
    assert dcmtk("echoscu", scp, "-aec", "RADLOOP").returncode == 0


@needs_dcmtk
@pytest.mark.peer
def test_another_called_title_is_refused(scp: StorageScp) -> None:
    """Who asks for somebody else has the wrong number."""
    assert dcmtk("echoscu", scp, "-aec", "OTHER").returncode != 0


@needs_dcmtk
@pytest.mark.peer
@pytest.mark.parametrize(("name", "option"), [
    ("CT_small.dcm", "-x="), ("MR_small_jp2klossless.dcm", "-xv"), ("MR_small_RLE.dcm", "-xr"), ("test-SR.dcm", "-x="),
])
def test_dcmtk_stores_and_the_dataset_stays_as_it_came(
    scp: StorageScp, shelf: Shelf, tmp_path: Path, name: str, option: str,
) -> None:
    """Plain and compressed objects and reports arrive with the bytes they were sent with."""
    source = Path(pydicom.data.__file__).parent / "test_files" / name
    answered = dcmtk("storescu", scp, "-aec", "RADLOOP", "-R", option, str(source))
    assert answered.returncode == 0, answered.stderr
    assert "Received Store Response (Success)" in answered.stderr
    [(file, caller)] = shelf.kept
    assert caller == "MODALITY"
    sent, kept = dcmread(source), open_file(file)
    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert kept.SOPInstanceUID == kept.file_meta.MediaStorageSOPInstanceUID
    if "PixelData" in sent:
        assert kept.PixelData == sent.PixelData


def send(scp: StorageScp, dataset: object = None) -> object:
    """Send one radiograph with pynetdicom and return the answer."""
    entity = AE("MODALITY")
    entity.add_requested_context(DX, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", scp.port, ae_title="RADLOOP")
    assert association.is_established
    try:
        return association.send_c_store(dataset or open_file(file_of(radiograph())))
    finally:
        association.release()


def test_the_bytes_are_those_of_the_wire(scp: StorageScp, shelf: Shelf) -> None:
    """Nothing is encoded anew: the file ends in the dataset as it was sent."""
    assert send(scp).Status == SUCCESS
    assert shelf.kept[0][0].endswith(encoded(radiograph()))


@pytest.mark.parametrize(("failure", "status"), [(Transient("postgres is away"), 0xA700), (Permanent("no UID"), 0xC000)])
def test_what_cannot_be_kept_is_answered_so(scp: StorageScp, shelf: Shelf, failure: Exception, status: int) -> None:
    """A dependency away means try again; an object that can never be kept says why."""
    shelf.failure = failure
    answer = send(scp)
    assert answer.Status == status
    assert answer.ErrorComment
    shelf.failure = None
    assert send(scp).Status == SUCCESS


def test_a_taken_port_is_said() -> None:
    """The setting to change is named."""
    first = StorageScp(Door(), Shelf())
    first.start()
    try:
        with pytest.raises(Misconfigured, match="cannot listen"):
            StorageScp(Door(port=first.port), Shelf()).start()
    finally:
        first.stop()


def test_unknown_storage_classes_and_more_than_one_object_are_taken(scp: StorageScp, shelf: Shelf) -> None:
    """One association may carry many objects, also of classes of the future."""
    private = "1.2.840.10008.5.1.4.1.1.999"
    entity = AE("MODALITY")
    for context in (private, CTImageStorage, Verification):
        entity.add_requested_context(context, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", scp.port, ae_title="RADLOOP")
    for number in range(3):
        image = open_file(file_of(radiograph(SOPClassUID=private, SOPInstanceUID=f"2.25.{number}"), sop_class_uid=private))
        assert association.send_c_store(image).Status == SUCCESS
    association.release()
    assert len(shelf.kept) == 3
