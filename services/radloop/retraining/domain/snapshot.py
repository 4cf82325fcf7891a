"""The dataset snapshot: which labels and embeddings a version was trained on, as bytes that never change.

The bytes are canonical (rows in order of case and finding, JSON without spaces, little-endian float32, a zip without
dates), so the same content has the same SHA-256 wherever it is made, and a version's training set can be proved later.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats, Singles, Truths

_FORMAT = "radloop-snapshot-1"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One label: its case, pseudonymous patient key, finding code, value, weight, where it came from, how it was drawn."""

    case_id: str
    patient_key: str
    finding: str
    present: bool
    weight: float
    source: str
    drawn: str
    label_id: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Rows in canonical order and their embeddings [N, D], float32."""

    rows: tuple[Row, ...]
    embeddings: Singles

    def of(self, finding: str) -> tuple[Singles, Truths, Floats, tuple[str, ...]]:
        """Return embeddings, labels, weights and patient keys of one finding's rows."""
        places = [place for place, row in enumerate(self.rows) if row.finding == finding]
        rows = [self.rows[place] for place in places]
        return (
            self.embeddings[places], np.array([row.present for row in rows], dtype=np.bool_),
            np.array([row.weight for row in rows], dtype=np.float64), tuple(row.patient_key for row in rows),
        )

    @property
    def patients(self) -> frozenset[str]:
        """Return the patient keys that trained."""
        return frozenset(row.patient_key for row in self.rows)

    @property
    def labels(self) -> int:
        """Return the number of labels."""
        return len(self.rows)


def take(rows: Iterable[tuple[Row, Sequence[float] | Singles]]) -> Snapshot:
    """Put labelled rows in canonical order; raise Permanent for two labels of one case and finding, or a bad number."""
    ordered = sorted(rows, key=lambda pair: (pair[0].case_id, pair[0].finding))
    if len({(row.case_id, row.finding) for row, _ in ordered}) != len(ordered):
        msg = "a snapshot holds one label per case and finding"
        raise Permanent(msg)
    if not ordered:
        msg = "a snapshot without labels"
        raise Permanent(msg)
    embeddings = np.stack([np.asarray(embedding, dtype="<f4") for _, embedding in ordered])
    if not np.isfinite(embeddings).all() or not all(np.isfinite(row.weight) and row.weight > 0 for row, _ in ordered):
        msg = "a snapshot takes finite embeddings and positive weights only"
        raise Permanent(msg)
    return Snapshot(tuple(row for row, _ in ordered), embeddings)


def to_bytes(snapshot: Snapshot) -> bytes:
    """Return the canonical bytes: an .npz of `rows` (UTF-8 JSON) and `embeddings` (float32 [N, D])."""
    head = {"format": _FORMAT, "rows": [asdict(row) for row in snapshot.rows]}
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    file = io.BytesIO()
    np.savez(file, rows=np.frombuffer(text, dtype=np.uint8), embeddings=snapshot.embeddings.astype("<f4"))
    return file.getvalue()


def from_bytes(data: bytes) -> Snapshot:
    """Read canonical bytes back; raise Permanent where they are not a snapshot."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            head = json.loads(file["rows"].tobytes())
            embeddings = file["embeddings"]
        rows = {_FORMAT: head["rows"]}[head["format"]]
        return take(zip((Row(**row) for row in rows), embeddings, strict=True))
    except (KeyError, ValueError, TypeError, OSError) as broken:
        msg = "not a dataset snapshot"
        raise Permanent(msg) from broken


def name_of(data: bytes) -> str:
    """Return the SHA-256 that names a snapshot's bytes."""
    return hashlib.sha256(data).hexdigest()
