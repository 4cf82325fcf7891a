"""The small demo, as a stranger plays it: the whole loop on a fresh home, once on radiographs and once on phantoms."""

import pytest

from radloop.workbench.hospital import validator
from radloop.workbench.hospital.irregular import KINDS
from radloop.workbench.play.ending import PAGE
from tests.e2e.conftest import POOL, STUDIES, Played, led_astray

NAMES = {
    "studies", "read_by_model", "reports_in_ehr", "reports_lost", "reports_twice", "unexplained", "priority_changes",
    "priority_refused", "labels_asked", "labels_audit", "model_versions_released", "auc_before", "auc_after", "auc_gain",
    "stored_to_triaged_p50_ms", "stored_to_triaged_p95_ms", "seconds", "studies_irregular", "auc_random", "auc_gain_low",
    "wait_positive_over_fifo", "wait_missed_over_fifo", "wait_max_over_fifo", "before_opened_share", "lifts_per_100", "lift_ppv",
    "positives", "missed", "irregularities", "irregularities_as_expected", "labels_training", "labels_all", "studies_before_release",
}


@pytest.mark.demo
@pytest.mark.stack
@pytest.mark.parametrize("played", ["radiographs", "phantoms"], indirect=True)
def test_the_small_demo_holds(played: Played) -> None:
    """Exit status 0, every figure named, nothing lost or twice, and a Bundle that HAPI finds no error in (where Java is)."""
    assert played.said.returncode == 0, played.said.stdout[-4000:] + played.said.stderr[-4000:]
    parts = ("go through the backbone", "heads are trained", "written as ONNX", "is put together", "Triton loads it")
    assert [part for part in parts if f" {part}" not in played.said.stdout] == [], "a part of the first model was not told"
    figures = played.figures
    assert figures.keys() == NAMES
    assert (figures["studies"], figures["labels_asked"]) == (STUDIES, POOL)
    assert figures["reports_lost"] == figures["reports_twice"] == figures["unexplained"] == 0
    assert figures["reports_in_ehr"] == figures["read_by_model"]
    assert figures["irregularities_as_expected"] == figures["irregularities"] >= len(KINDS) - 2, "a small demo may lift nobody"
    assert "<svg" in (played.home / PAGE).read_text()
    if led_astray(played.data):
        assert played.story["following"]["words"].startswith("readers follow the model"), played.story["following"]
    if not validator.missing():
        assert [verdict.errors for verdict in validator.validate([played.home / "bundle.json"])] == [()]
