"""What became of each irregularity: the documented end is recognised, and anything else is not taken for it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from radloop.workbench.hospital.became import Known, became, known_of, of_the_ehr, of_the_ris
from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.figures import Played
from radloop.workbench.hospital.irregular import STUDIES
from radloop.workbench.hospital.morning import Told
from radloop.workbench.hospital.orders import book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.shift import Turn
from radloop.workbench.hospital.watch import Seen

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORDER = book(4, children(4, 1, NOON.date()), 1, NOON, timedelta(0))[0]
SAME = {"MSA-1": "AA", "MSA-2": "O1"}


def turn(accession: str, opened: float, urgency: str = "routine") -> Turn:
    return Turn("r", accession, urgency, opened - 1, opened, opened + 250)


OURS = turn(ORDER.accession, 1000, "stat")
READ = Played("c", predicted=True, closed_first=False, taken_back=False, reports=("partial",))
UNREAD = replace(READ, predicted=False, reports=(), reason="no version read it")
ONE = Seen(version=2, revision=1, read_revision=1, standing="signed")
GOOD: dict[str, Known] = {
    kind: Known(Entry(ORDER, "morning", "i", kind), (played,), seen, OURS, raised=900.0, answers=(SAME, SAME))
    for kind, played, seen in (
        ("image-before-order", READ, replace(ONE, was_unmatched=True)),
        ("raised-to-stat", READ, replace(ONE, urgency="stat")),
        ("late-second-image", READ, replace(ONE, revision=2, read_revision=2)),
        ("lateral-view", UNREAD, Seen(unread="ViewPosition is LL")),
        ("adult", UNREAD, Seen(unread="PatientAge is outside 0 to 18 years")),
        ("unreadable-image", UNREAD, Seen(unread="cannot be decoded")),
        ("wrong-patient", replace(READ, reports=(), matched=False), Seen(version=2, unmatched=True, was_unmatched=True)),
        ("update-between", READ, replace(ONE, name="Winter, Ada")),
        ("resent-message", READ, ONE),
        ("object-twice", READ, ONE),
    )
}
GOOD["cancel-after-images"] = Known(
    Entry(ORDER, "morning", "i", "cancel-after-images"), (replace(READ, taken_back=True, reports=("entered-in-error",)),),
    replace(ONE, standing="cancelled"), None,
)


@pytest.mark.parametrize("kind", STUDIES)
def test_the_documented_end_is_as_expected(kind: str) -> None:
    """Every kind has one."""
    told = became(GOOD[kind])
    assert told.as_expected, told.words


@pytest.mark.parametrize("kind", STUDIES)
def test_a_study_nobody_knows_is_not(kind: str) -> None:
    """Lost is never as expected."""
    assert not became(replace(GOOD[kind], played=())).as_expected


@pytest.mark.parametrize(("kind", "wrong"), [
    ("image-before-order", {"seen": ONE}),
    ("image-before-order", {"seen": replace(ONE, was_unmatched=True, unmatched=True)}),
    ("image-before-order", {"played": (READ, READ)}),
    ("cancel-after-images", {"seen": ONE}),
    ("cancel-after-images", {"played": (READ,)}),
    ("cancel-after-images", {"turn": OURS}),
    ("raised-to-stat", {"before": 1}),
    ("raised-to-stat", {"turn": None}),
    ("raised-to-stat", {"seen": ONE}),
    ("late-second-image", {"seen": ONE}),
    ("late-second-image", {"seen": replace(ONE, revision=2, read_revision=1)}),
    ("late-second-image", {"played": (replace(READ, reports=("partial", "partial")),)}),
    ("lateral-view", {"seen": ONE}),
    ("lateral-view", {"played": (READ,)}),
    ("adult", {"turn": None}),
    ("unreadable-image", {"seen": Seen()}),
    ("wrong-patient", {"played": (READ,)}),
    ("wrong-patient", {"seen": ONE}),
    ("update-between", {"seen": replace(ONE, name="Oldname, Ada")}),
    ("resent-message", {"answers": (SAME, {**SAME, "MSA-1": "AE"})}),
    ("resent-message", {"answers": (SAME,)}),
    ("resent-message", {"played": (READ, READ)}),
    ("object-twice", {"seen": replace(ONE, revision=2)}),
    ("object-twice", {"played": (replace(READ, reports=()),)}),
])
def test_any_other_end_is_not(kind: str, wrong: dict[str, object]) -> None:
    """Each promise of the documented end, broken alone, is seen."""
    assert not became(replace(GOOD[kind], **wrong)).as_expected  # type: ignore[arg-type]  # fields by name


def test_others_opened_before_a_raised_study_are_counted_once_the_list_can_know() -> None:
    """What was opened before the technologist let it go, or within two minutes of that, had been taken already; a STAT may pass."""
    told = Told(raised={ORDER.accession: 500.0}, complete={ORDER.accession: 400.0})
    turns = (turn("A", 700), turn("B", 900, "stat"), turn("C", 900), OURS, turn("D", 1200))
    entry = Entry(ORDER, "morning", "i", "raised-to-stat")
    assert known_of(entry, (READ,), ONE, told, turns).before == 1


@pytest.mark.parametrize(("refused", "seen", "good"), [
    (("c",), {"c": Seen(ris="refused", lifted=True)}, True),
    (("c",), {"c": Seen(ris="delivered", lifted=True)}, False),
    (("c",), {"c": Seen(ris="refused")}, False),
    (("c", "d"), {"c": Seen(ris="refused", lifted=True)}, False),
])
def test_a_refusal_by_the_ris_is_on_the_list_and_moves_nothing(refused: Sequence[str], seen: dict[str, Seen], good: bool) -> None:
    """The list says it, and the case stands where triage put it."""
    assert of_the_ris(refused, seen, 3).as_expected is good


def test_a_ris_that_refused_nothing_was_not_played_without_lifts_and_is_wrong_with_them() -> None:
    """Where lifts were made, one of them should have been refused."""
    assert not of_the_ris((), {}, 0).played
    assert of_the_ris((), {}, 2) == replace(of_the_ris((), {}, 2), played=True, as_expected=False)


def test_an_absent_ehr_loses_nothing() -> None:
    """And an EHR that is not ours is not switched off."""
    assert of_the_ehr((10.0, 40.0), 3, 0, 0, 0).as_expected
    for wrong in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        assert not of_the_ehr((10.0, 40.0), 3, *wrong).as_expected
    assert not of_the_ehr((10.0, 40.0), 0, 0, 0, 0).played, "nothing was due, so nothing was shown"
    assert not of_the_ehr(None, 3, 0, 0, 0).played
