"""What a join means for each of the two cases that are told of it."""

import pytest
from examples.shared import CASE, PATIENT, envelope, order

from radloop.events.order import CaseJoined

ORDERS = "9a1d0a52-8b0b-5f6e-9d57-4b1f6f9b7c02"


@pytest.mark.parametrize(("subject", "order_case", "undone", "has_order", "moved_away"), [
    (CASE, ORDERS, False, True, False),
    (ORDERS, ORDERS, False, False, True),
    (CASE, ORDERS, True, False, False),
    (ORDERS, ORDERS, True, True, False),
    (CASE, CASE, False, True, False),
], ids=["the study's", "the order's", "the study's, undone", "the order's, undone", "an order that had no case"])
def test_a_join_says_where_the_order_is_now(
    subject: str, order_case: str, undone: bool, has_order: bool, moved_away: bool,
) -> None:
    """Joined, it is with the study's case and the order's is empty; undone, it is with its own case again."""
    event = CaseJoined(
        **envelope("joined", 1, subject), study_case=CASE, order_case=order_case, order=order(), patient=PATIENT,
        order_revision=2, undone=undone,
    )
    assert (event.has_order, event.moved_away) == (has_order, moved_away)
