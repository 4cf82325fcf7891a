"""Grey levels held against dcmtk's own rendering, of every DICOM sample at hand that both can read."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSLossless, JPEGLSNearLossless
from tests.dicom_making import file_of, radiograph
from tests.unit.standards.test_dicom import sample_files

from radloop.standards.dicom.elements import open_file
from radloop.standards.dicom.errors import DicomError
from radloop.standards.dicom.pixels import frame_grey

BT_601 = np.array([0.299, 0.587, 0.114])
LEVEL = 1.0
ROUNDING = 0.01


needs_dcmtk = pytest.mark.skipif(not shutil.which("dcmj2pnm"), reason="DCMTK (dcmj2pnm, dcmdjpeg) is not installed")


@needs_dcmtk
def test_grey_levels_are_those_of_dcmtk(tmp_path: Path) -> None:
    """Within one of 256 levels for each pixel; of lossy JPEG as dcmtk decodes it, and the decoders within one stored value."""
    compared, differing = {"pydicom": 0, "dicom_samples": 0}, []
    for file in sample_files():
        ours = rendered(file)
        theirs = rendered_by_dcmtk(file, ours[0]) if ours else None
        if ours is None or theirs is None or swapped_by_halves(ours[0]):
            continue
        dataset, grey = ours
        compared["dicom_samples" if "dicom_samples" in file.parts else "pydicom"] += 1
        if lossy_jpeg(dataset):
            decoded = rendered(decoded_by_dcmtk(file, tmp_path))
            assert decoded, f"{file.name}: what dcmtk has decoded is refused"
            if np.abs(decoded[0].pixel_array.astype(int) - dataset.pixel_array.astype(int)).max() > 1:
                differing.append(f"{file.name}: decoded to other values")
            grey = decoded[1]
        most = float(np.abs(theirs - 255 * grey).max()) if theirs.shape == grey.shape else np.inf
        if most > LEVEL + ROUNDING + rescaling_level(dataset):
            differing.append(f"{file.name}: {most:.1f} levels")
    assert differing == []
    print(f"compared with dcmtk: {compared}")
    assert compared["pydicom"] >= 75
    assert compared["dicom_samples"] >= 32 or not any("dicom_samples" in file.parts for file in sample_files())


@needs_dcmtk
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_what_a_border_surrounds_is_shown_as_dcmtk_shows_that_region(tmp_path: Path, photometric: str) -> None:
    """A film's edge at the highest value takes no contrast away."""
    seen = np.random.default_rng(0).integers(900, 1900, (40, 50)).astype(np.uint16)
    file = tmp_path / "border.dcm"
    image = np.pad(seen, ((6, 9), (3, 5)), constant_values=4095)
    file.write_bytes(file_of(radiograph(image, PhotometricInterpretation=photometric)))
    ours = rendered(file)
    assert ours is not None
    theirs = rendered_by_dcmtk(file, ours[0])
    assert theirs is not None
    assert np.abs(theirs - 255 * ours[1]).max() <= LEVEL + ROUNDING
    assert np.ptp(theirs[6:-9, 3:-5]) >= 254


def rendered(file: Path) -> tuple[Dataset, NDArray[np.float32]] | None:
    """Return the dataset and its first frame as it asks to be seen, None where it is refused."""
    try:
        dataset = open_file(file.read_bytes())
        return dataset, frame_grey(dataset, 1)
    except DicomError:
        return None


def rendered_by_dcmtk(file: Path, dataset: Dataset) -> NDArray[np.float64] | None:
    """Return dcmtk's rendering of the first frame in levels from 0 to 255, without overlays; None where it has none."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "frame.pnm")
        if dataset.file_meta.TransferSyntaxUID in {JPEGLSLossless, JPEGLSNearLossless}:  # dcmj2pnm itself has no decoder of it
            plain = Path(folder, "plain.dcm")
            subprocess.run(["dcmdjpls", str(file), str(plain)], capture_output=True, timeout=60, check=False)
            file = plain
        subprocess.run(["dcmj2pnm", "-O", *view(dataset), "+op", str(file), str(written)], capture_output=True, timeout=60, check=False)
        if not written.exists():
            return None
        levels = np.asarray(Image.open(written)).astype(np.float64)
    return levels @ BT_601 if levels.ndim == 3 else levels


def view(dataset: Dataset) -> list[str]:
    """Return how dcmtk is told to look: by the object's VOI LUT, its window, its first frame's, or from least to greatest."""
    if not str(dataset.PhotometricInterpretation).startswith("MONOCHROME"):
        return []
    if dataset.get("VOILUTSequence"):
        return ["+Wl", "1"]
    if "WindowCenter" in dataset:
        return ["+Wi", "1"]
    window = frame_window(dataset)
    return ["+Ww", *window] if window else inside(dataset)


def inside(dataset: Dataset) -> list[str]:
    """Return that the range is taken from least to greatest, of what whole rows and columns of one value at the edges surround."""
    values = np.atleast_3d(dataset.pixel_array)
    frame = values[0] if int(dataset.get("NumberOfFrames", 1)) > 1 else values[..., 0]
    top, left, bottom, right = 0, 0, *frame.shape
    for first in (True, False):
        edge = frame[top, left] if first else frame[bottom - 1, right - 1]
        if (frame[top:bottom, left:right] == edge).all():
            return ["+Wm"]
        while (frame[top, left:right] == edge).all():
            top += 1
        while (frame[bottom - 1, left:right] == edge).all():
            bottom -= 1
        while (frame[top:bottom, left] == edge).all():
            left += 1
        while (frame[top:bottom, right - 1] == edge).all():
            right -= 1
    if (top, left, bottom, right) == (0, 0, *frame.shape):
        return ["+Wm"]
    return ["+Wr", *map(str, (left, top, right - left, bottom - top))]


def frame_window(dataset: Dataset) -> list[str]:
    """Return the centre and width that the first frame's functional groups state, nothing where they state none."""
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in dataset.get(keyword, [])[:1]:
            for voi in group.get("FrameVOILUTSequence", []):
                return [str(np.atleast_1d(voi[name].value)[0]) for name in ("WindowCenter", "WindowWidth")]
    return []


def swapped_by_halves(dataset: Dataset) -> bool:
    """Whether dcmtk swaps the 16-bit halves of 32-bit big-endian values, and reads other numbers than were written."""
    return not dataset.file_meta.TransferSyntaxUID.is_little_endian and dataset.BitsAllocated == 32


def rescaling_level(dataset: Dataset) -> float:
    """Return how many levels half a rescaled value makes where the slope is no whole number: dcmtk rounds before it looks."""
    slope, width = float(dataset.get("RescaleSlope", 1.0)), dataset.get("WindowWidth")
    return 0.0 if slope.is_integer() or not width else 0.5 * 255.0 / float(np.atleast_1d(width)[0])


def lossy_jpeg(dataset: Dataset) -> bool:
    """Whether decoders may differ by one stored value, as ISO 10918-2 allows."""
    return dataset.file_meta.TransferSyntaxUID in {JPEGBaseline8Bit, JPEGExtended12Bit}


def decoded_by_dcmtk(file: Path, folder: Path) -> Path:
    """Return the same object without compression."""
    written = folder / "decoded.dcm"
    subprocess.run(["dcmdjpeg", str(file), str(written)], capture_output=True, timeout=60, check=True)
    return written


def test_one_slice_in_many_lossless_syntaxes_is_one_image() -> None:
    """JPEG 2000, which dcmtk does not read, among them: held against the same slice without compression."""
    slices = [path for path in sample_files() if path.name.startswith("CTImage_") and "transfer_syntaxes" in path.parts]
    if not slices:
        pytest.skip("RADLOOP_DATA has no slice in many transfer syntaxes")
    seen = {path.name.split("_")[1]: shown[1] for path in slices if "Loss" in path.name or "Process14" in path.name or "Endian" in path.name
            if (shown := rendered(path)) and "Lossy" not in path.name}
    plain = seen["LittleEndianExplicitTransferSyntax"]
    assert {name: float(np.abs(grey - plain).max()) for name, grey in seen.items()} == dict.fromkeys(seen, 0.0)
    assert len(seen) >= 6
