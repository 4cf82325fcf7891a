"""What is made of the waits: groups, means, ratios, and what is said where nobody waited."""

import pytest

from radloop.workbench.hospital.waits import GROUPS, MISSED, NEGATIVE, POINTED_OUT, UNREAD, Waited, ratios, summed, table
from radloop.workbench.hospital.watch import Seen
from radloop.workbench.play.reckoning import group_of

MORNING = (
    Waited("a", POINTED_OUT, 10, 40), Waited("b", MISSED, 44, 40), Waited("c", UNREAD, 20, 20), Waited("d", NEGATIVE, 60, 50),
)


def test_ratios_are_of_means_over_positives_and_of_maxima_over_all() -> None:
    """Every positive counts, whatever the model made of it."""
    assert ratios(MORNING) == pytest.approx({
        "wait_positive_over_fifo": (10 + 44 + 20) / (40 + 40 + 20), "wait_missed_over_fifo": 1.1, "wait_max_over_fifo": 60 / 50,
    })


def test_where_nobody_was_missed_the_ratio_is_one() -> None:
    """And so it is where nobody waited at all."""
    assert ratios(MORNING[:1])["wait_missed_over_fifo"] == 1.0
    assert set(ratios(()).values()) == {1.0}


def test_the_table_has_every_group_and_all() -> None:
    """With its count, for whoever reads it."""
    told = table(MORNING)
    assert list(told) == [*GROUPS, "all"]
    assert told["all"][0].count == 4
    assert told[MISSED][0].mean == 44
    assert summed(()).count == 0


@pytest.mark.parametrize(("seen", "positive", "group"), [
    (Seen(version=2, answer="present"), True, POINTED_OUT),
    (Seen(version=2, answer="present", unsure=True), True, MISSED),
    (Seen(version=2, answer="present", abstained=True), True, MISSED),
    (Seen(version=2, answer="absent"), True, MISSED),
    (Seen(), True, UNREAD),
    (Seen(version=2, answer="present"), False, NEGATIVE),
])
def test_a_positive_is_missed_unless_the_model_was_sure(seen: Seen, positive: bool, group: str) -> None:
    """An unsure model lifts nothing, so for the patient it has missed."""
    assert group_of(seen, positive=positive) == group
