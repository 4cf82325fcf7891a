"""Snapshots, divisions, plans and change records: what must be provable later."""

from dataclasses import asdict

import numpy as np
import pytest

from radloop.kit.errors import Misconfigured, Permanent
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.division import Labelled, divide
from radloop.retraining.domain.plan import plan_from
from radloop.retraining.domain.record import ChangeRecord, signer
from radloop.retraining.domain.snapshot import Row, from_bytes, name_of, take, to_bytes


def _row(case: str, patient: str = "p", drawn: str = "", *, present: bool = True) -> Row:
    return Row(
        case_id=case, patient_key=patient, finding="233604007", present=present, weight=1.0, source="reader", drawn=drawn,
    )


def _labelled(case: str, patient: str, purpose: str, drawn: str = "", *, cancelled: bool = False) -> Labelled:
    return Labelled(_row(case, patient, drawn), purpose, np.zeros(3, dtype=np.float32), cancelled)


def test_the_order_in_which_labels_came_does_not_change_a_snapshot() -> None:
    """The same labels have the same bytes and name, and come back as they were."""
    pairs = [(_row("b", "q"), np.array([1.0, 2.0])), (_row("a"), np.array([3.0, 4.0]))]
    data, again = to_bytes(take(pairs)), to_bytes(take(reversed(pairs)))
    assert data == again
    assert name_of(data) == name_of(again)
    assert from_bytes(data).rows == (pairs[1][0], pairs[0][0])


def test_one_changed_label_changes_the_name() -> None:
    """Anything that was different has another SHA-256."""
    embedding = np.array([1.0, 2.0])
    said, unsaid = (to_bytes(take([(_row("a", present=present), embedding)])) for present in (True, False))
    assert name_of(said) != name_of(unsaid)


@pytest.mark.parametrize("rows", [
    [], [(_row("a"), [1.0]), (_row("a"), [2.0])], [(_row("a"), [float("nan")])],
])
def test_what_is_no_snapshot_is_refused(rows: list[tuple[Row, list[float]]]) -> None:
    """No labels, two labels of one case, a number that is not finite: none of them can be learned from."""
    with pytest.raises(Permanent):
        take(rows)


def test_other_bytes_are_not_a_snapshot() -> None:
    """Reading refuses what it did not write."""
    with pytest.raises(Permanent):
        from_bytes(b"not a snapshot")


def test_patients_never_cross() -> None:
    """Whatever the purposes, the three parts share no patient and every label left out has a reason."""
    labels = [
        _labelled("1", "a", "live"), _labelled("2", "a", "gate"), _labelled("3", "b", "acceptance"),
        _labelled("4", "b", "gate"), _labelled("5", "c", "acceptance"), _labelled("6", "c", "pool", "chosen"),
        _labelled("7", "d", "pool", "chosen"), _labelled("8", "e", "gate"), _labelled("9", "e", "gate"),
        _labelled("10", "", "live"), _labelled("11", "f", "live", cancelled=True),
    ]
    parts = divide(labels)
    patients = [{one.row.patient_key for one in part} for part in (parts.train, parts.calibrate, parts.measure)]
    assert patients == [{"d"}, {"c"}, {"a", "b", "e"}]
    assert sum(count for _, count in parts.left_out) == len(labels) - sum(
        map(len, (parts.train, parts.calibrate, parts.measure))
    )


def test_who_has_trained_never_measures() -> None:
    """A patient of the predecessor's snapshot is left out of the gate and acceptance sets."""
    labels = [_labelled("1", "a", "gate"), _labelled("2", "b", "acceptance"), _labelled("3", "a", "live")]
    parts = divide(labels, trained=frozenset({"a", "b"}))
    assert (len(parts.train), len(parts.calibrate), len(parts.measure)) == (1, 0, 0)


def test_what_was_chosen_neither_calibrates_nor_measures() -> None:
    """Active learning picks hard cases, which would bias both."""
    parts = divide([_labelled("1", "a", "gate", "chosen"), _labelled("2", "b", "acceptance", "chosen")])
    assert not parts.measure
    assert not parts.calibrate


def test_the_plan_holds_the_margins_agreed() -> None:
    """The packaged plan is readable and says what the promises say."""
    plan = load_plan()
    assert (plan.gate.positives_at_least, plan.gate.negatives_at_least) == (400, 100)
    assert (plan.gate.auc_not_worse_by, plan.gate.sensitivity_not_worse_by) == (0.01, 0.05)
    assert plan.gate.auc_at_least_without_predecessor == 0.85
    assert plan.training.labels_to_start == 25


def test_a_misspelt_margin_is_refused() -> None:
    """A key nobody knows must not pass as a margin that nobody set."""
    with pytest.raises(Misconfigured, match="gate"):
        plan_from({"gate": {"positives_at_leest": 400}, "training": {}, "calibration": {}, "release": {}}, "")


@pytest.mark.parametrize(("key", "value"), [
    ("dice_at_least", 85.0), ("dice_at_least", float("nan")), ("dice_not_worse_by", -0.1), ("adapt_on_at_most", 0), ("steps", 0),
    ("gate_patients_at_least", 0), ("clicks", 0), ("seed", -1),
])
def test_a_number_out_of_range_is_refused(key: str, value: float) -> None:
    """85 for .85 would let nothing pass, and no patients at all would hold no gate."""
    data = asdict(load_plan())
    assert plan_from(data, "").outlines == load_plan().outlines
    with pytest.raises(Misconfigured, match=rf"outlines\.{key}"):
        plan_from({**data, "outlines": {**data["outlines"], key: value}}, "")


def test_the_sites_mix_is_part_of_the_plan() -> None:
    """A share of live studies by the finding's code; what is none is refused, and a plan without it says nothing."""
    data = asdict(load_plan())
    assert load_plan().prevalence == {}
    assert plan_from({**data, "prevalence": {"233604007": 0.1}}, "").prevalence == {"233604007": 0.1}
    for wrong in (0.1, {"233604007": 10}, {"233604007": 1.0}, {233604007: 0.1}, {"233604007": True}, {"233604007": "0.1"}):
        with pytest.raises(Misconfigured, match="prevalence"):
            plan_from({**data, "prevalence": wrong}, "")


def _record(**changed: object) -> ChangeRecord:
    fields = {
        "record_id": "r", "model": "chest", "version": 2, "stage": "production", "previous_stage": "shadow",
        "actor": "service:retraining", "reason": "the gate was passed", "at": "2026-01-01T00:00:00+00:00",
        "plan_sha256": "p", "weights_sha256": "w", "snapshot_sha256": "s", "gate_passed": True, "evidence": ("AUC",),
    }
    return ChangeRecord(**{**fields, **changed})  # type: ignore[arg-type]


def test_a_change_record_shows_tampering() -> None:
    """The signature fits the content and the key, and nothing else."""
    record = _record().signed(signer(b"key"))
    assert record.genuine(signer(b"key"))
    assert not record.genuine(signer(b"other"))
    assert not _record(version=3, signature=record.signature).genuine(signer(b"key"))
