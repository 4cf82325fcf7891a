"""An evidence map as a blob: where in one frame the model found what it answers, small enough to keep for every reading.

The blob is an npz of one array a finding could be redrawn from and of the frame it belongs to:

    map      float32 [findings, h, w], at least 0, in the model's own units; the frame's whole area, top left first
    geometry int32 [rows, columns, frame]: stored Rows × Columns of the frame (from 1) the map belongs to
    instance uint8: the SOP Instance UID in ASCII

The model saw the frame resized whole, so cell (y, x) covers rows y/h to (y+1)/h and columns x/w to (x+1)/w of it.
`overlay` draws it in stored Rows × Columns.
"""

from dataclasses import dataclass
from io import BytesIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from radloop.kit.errors import Permanent


@dataclass(frozen=True)
class EvidenceMap:
    """The class evidence of one frame, findings in the order of the model's outputs."""

    sop_instance_uid: str
    frame: int
    rows: int
    columns: int
    values: NDArray[np.float32]
    """[findings, h, w]"""


def write(evidence: EvidenceMap) -> bytes:
    """Return the blob; Permanent where a value is not finite."""
    if not np.isfinite(evidence.values).all():
        raise Permanent("an evidence map with values that are not finite is not kept")
    out = BytesIO()
    np.savez(
        out,
        map=evidence.values.astype(np.float32),
        geometry=np.array([evidence.rows, evidence.columns, evidence.frame], np.int32),
        instance=np.frombuffer(evidence.sop_instance_uid.encode("ascii"), np.uint8),
    )
    return out.getvalue()


def read(blob: bytes) -> EvidenceMap:
    """Return the map of a blob; Permanent where it is none."""
    try:
        with np.load(BytesIO(blob), allow_pickle=False) as stored:
            rows, columns, frame = (int(number) for number in stored["geometry"])
            return EvidenceMap(bytes(stored["instance"]).decode("ascii"), frame, rows, columns, stored["map"])
    except (BadZipFile, KeyError, ValueError, OSError, EOFError) as broken:
        raise Permanent("not an evidence map") from broken


def overlay(evidence: EvidenceMap, finding: int = 0, longest: int | None = None) -> NDArray[np.uint8]:
    """Return one finding's evidence as uint8 [rows, columns] in the frame's stored geometry, 255 where it is strongest.

    `longest` bounds the longer side, the aspect ratio kept, where a page wants less than a whole radiograph.
    """
    values = np.maximum(evidence.values[finding], 0.0)
    top = float(values.max())
    scaled = np.ascontiguousarray(values / top if top > 0 else values, np.float32)
    share = min(1.0, longest / max(evidence.rows, evidence.columns)) if longest else 1.0
    size = (max(1, round(evidence.columns * share)), max(1, round(evidence.rows * share)))
    drawn = np.asarray(Image.fromarray(scaled).resize(size, Image.Resampling.BICUBIC))
    levels: NDArray[np.uint8] = np.rint(np.clip(drawn, 0.0, 1.0) * 255).astype(np.uint8)
    return levels
