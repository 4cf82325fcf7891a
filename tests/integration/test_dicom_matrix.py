"""One scene, written in every way a modality may write it: bits, sign, polarity, curves and transfer syntax make no difference."""

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless,
)
from tests.dicom_making import file_of, radiograph

from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import Preparation

PLAIN: Final = Preparation(rows=32, columns=32, mean=(0.0,), std=(1.0,), channels=1)
BITS: Final = (8, 10, 12, 16)
CURVES: Final = ("rescale and window", "sigmoid", "VOI LUT", "modality LUT", "range and padding", "range and border", "two windows")
UNCOMPRESSED: Final = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
DCMTK: Final = {
    "JPEG lossless": ("dcmcjpeg", "+e1"), "JPEG lossless, first order": ("dcmcjpeg", "+el"), "JPEG-LS": ("dcmcjpls", "+el"),
    "RLE": ("dcmcrle",),
}
LEVEL: Final = 1 / 255


def scene() -> np.ndarray:
    """Return what is shown, from 0 to 1: a slope with a fine texture, and a black frame that padding and shutters may take."""
    rows, columns = np.mgrid[0:48, 0:48] / 47
    shown = np.clip(0.5 * rows + 0.4 * columns + 0.1 * np.sin(40 * rows) * np.sin(50 * columns), 0, 1)
    shown = (shown - shown.min()) / (shown.max() - shown.min())
    return np.pad(shown, 8)


def written(bits: int, curve: str, *, signed: bool, inverted: bool) -> Dataset:
    """Return the scene as an object with so many bits stored, which the curve and the polarity turn back into itself."""
    top = 2**bits - 1
    shown = 1 - scene() if inverted else scene()
    if curve == "sigmoid":
        shown = np.clip(0.5 + np.log(np.clip(shown, 1e-3, 1 - 1e-3) / (1 - np.clip(shown, 1e-3, 1 - 1e-3))) / 16, 0, 1)
    if curve in {"VOI LUT", "modality LUT"}:
        shown = np.sqrt(shown)
    least = -(2 ** (bits - 1)) if signed else 0
    values = np.rint(shown * top).astype(np.int64) + least
    if curve in {"range and padding", "range and border"}:
        # What is around the image lies far below all that it holds, and has no say in its range.
        values = np.rint((0.75 * shown if inverted else 0.25 + 0.75 * shown) * top).astype(np.int64) + least
        values[:8], values[-8:], values[:, :8], values[:, -8:] = (least + top if inverted else least,) * 4
    changes: dict[str, Any] = {
        "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed),
        "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2",
    }
    if curve in {"rescale and window", "two windows"}:
        centre = 3 * (least + top / 2) - 700
        changes |= {"RescaleSlope": 3, "RescaleIntercept": -700, "VOILUTFunction": "LINEAR_EXACT"}
        changes |= {"WindowCenter": centre, "WindowWidth": 3 * top}
        if curve == "two windows":
            changes |= {"WindowCenter": [centre, 40], "WindowWidth": [3 * top, 400]}
    elif curve == "sigmoid":
        changes |= {"WindowCenter": least + top / 2, "WindowWidth": top / 4, "VOILUTFunction": "SIGMOID"}
    elif curve in {"VOI LUT", "modality LUT"}:
        changes |= {curve.replace(" ", "").replace("modality", "Modality") + "Sequence": [squares(bits, least)]}
    if curve == "range and padding":
        changes |= {"PixelPaddingValue": int(values[0, 0])}
    pixels = (values & top).astype(np.uint8 if bits == 8 else np.uint16)
    return radiograph(pixels, **changes)


def squares(bits: int, least: int) -> Dataset:
    """Return a table that undoes the square root, of an entry for each value."""
    table = Dataset()
    entries = np.rint(np.linspace(0, 1, 2**bits) ** 2 * 65535).astype("<u2")
    table.LUTDescriptor = [len(entries) % 65536, least % 65536 if least >= 0 else least, 16]
    table["LUTDescriptor"].VR = "SS" if least < 0 else "US"
    table.LUTData = entries.tobytes()
    table["LUTData"].VR = "OW"
    table.ModalityLUTType = "US"
    return table


def ways() -> Iterator[tuple[str, Dataset]]:
    """Yield every object of the matrix with its name."""
    for bits, curve, signed, inverted in itertools.product(BITS, CURVES, (False, True), (False, True)):
        name = f"{bits} bits, {'signed' if signed else 'unsigned'}, MONOCHROME{1 if inverted else 2}, {curve}"
        yield name, written(bits, curve, signed=signed, inverted=inverted)


def off(file: bytes, name: str) -> str:
    """Return how far a file's image is from the scene, empty where it is not."""
    most = float(np.abs(prepare_file(file, 1, PLAIN) - PREPARED).max())
    return f"{name}: {most * 255:.1f} levels" if most > 2 * LEVEL else ""


def prepared_scene() -> np.ndarray:
    """Return the scene in the model's size, from an object that needs no curve."""
    values = np.rint(scene() * 65535).astype(np.uint16)
    return prepare_file(file_of(radiograph(values, BitsStored=16, HighBit=15)), 1, PLAIN)


PREPARED: Final = prepared_scene()


def test_what_all_are_held_against_is_the_scene() -> None:
    """It is made by the same code: were that black, so would all others be, and agree."""
    assert PREPARED.min() < 0.05
    assert PREPARED.max() > 0.95
    assert PREPARED.mean() == pytest.approx(scene().mean(), abs=0.02)


def encoded(image: Dataset, syntax: UID) -> bytes:
    """Return the object as a file in a transfer syntax that pydicom writes."""
    dataset = dcmread(BytesIO(file_of(image)))
    if syntax in UNCOMPRESSED:
        if syntax == ExplicitVRBigEndian:
            swap(dataset)
        dataset.file_meta.TransferSyntaxUID = syntax
        out = BytesIO()
        dcmwrite(out, dataset, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
        return out.getvalue()
    dataset.compress(syntax, generate_instance_uid=False)
    out = BytesIO()
    dcmwrite(out, dataset)
    return out.getvalue()


def swap(dataset: Dataset) -> None:
    """Swap the bytes of pixels and lookup tables, which pydicom writes as they are."""
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        for item in dataset.get(keyword, []):
            item.LUTData = np.frombuffer(item.LUTData, "<u2").byteswap().tobytes()
    if dataset.BitsAllocated == 16:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()


@pytest.mark.parametrize("syntax", [*UNCOMPRESSED, RLELossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
def test_every_way_to_write_a_scene_prepares_to_the_same_image(syntax: UID) -> None:
    """Within two grey levels of 255: what eight bits cannot tell, steepened by the curve."""
    names = [name for name, _ in ways()]
    assert len(names) == 112
    assert [told for name, image in ways() if (told := off(encoded(image, syntax), name))] == []


@pytest.mark.skipif(not all(shutil.which(command) for command, *_ in DCMTK.values()), reason="DCMTK is not installed")
@pytest.mark.parametrize("kind", DCMTK)
def test_what_dcmtk_compresses_prepares_to_the_same_image(tmp_path: Path, kind: str) -> None:
    """An independent encoder, of transfer syntaxes that pydicom only reads."""
    came, wrong = 0, []
    for name, image in ways():
        plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
        plain.write_bytes(file_of(image))
        done = subprocess.run([*DCMTK[kind], str(plain), str(packed)], capture_output=True, timeout=60, check=False)
        if done.returncode:
            continue
        came += 1
        wrong += [told] if (told := off(packed.read_bytes(), name)) else []
    assert wrong == []
    assert came >= 100, "an encoder that takes nothing would prove nothing"
