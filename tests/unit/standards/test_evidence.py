"""Evidence maps: kept small, drawn in the stored geometry of their frame."""

import numpy as np
import pytest

from radloop.kit.errors import Permanent
from radloop.standards import evidence
from radloop.standards.evidence import EvidenceMap

SOMEWHERE = np.zeros((1, 7, 7), np.float32)
SOMEWHERE[0, 1, 5] = 3.0


def test_a_map_survives_its_blob() -> None:
    """What was kept names its instance, frame and geometry."""
    kept = evidence.read(evidence.write(EvidenceMap("2.25.7", 1, 2500, 2000, SOMEWHERE)))
    assert (kept.sop_instance_uid, kept.frame, kept.rows, kept.columns) == ("2.25.7", 1, 2500, 2000)
    assert (kept.values == SOMEWHERE).all()


def test_the_overlay_lies_where_the_evidence_is() -> None:
    """The strongest cell is drawn in its own place of stored Rows × Columns."""
    drawn = evidence.overlay(EvidenceMap("2.25.7", 1, 700, 1400, SOMEWHERE))
    assert drawn.shape == (700, 1400)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert (row // 100, column // 200) == (1, 5)
    assert evidence.overlay(EvidenceMap("2.25.7", 1, 700, 1400, SOMEWHERE), longest=140).shape == (70, 140)


def test_a_map_that_is_not_finite_is_not_kept() -> None:
    """A value that is no number is rejected, never repaired."""
    with pytest.raises(Permanent):
        evidence.write(EvidenceMap("2.25.7", 1, 7, 7, np.full((1, 7, 7), np.nan, np.float32)))


def test_other_bytes_are_no_map() -> None:
    """What is not a map is refused."""
    for rubbish in (b"", b"PK\x03\x04", b"\x93NUMPY"):
        with pytest.raises(Permanent):
            evidence.read(rubbish)
