"""How a batch is shared among the hands that settle it."""

import math

import pytest

from radloop.kit.lanes import TOGETHER, fair_share


@pytest.mark.parametrize(("count", "hands", "share"), [
    (1, 4, 1), (4, 4, 1), (5, 4, 2), (8, 4, 2), (256, 4, 64), (260, 4, 33), (500, 4, 63), (500, 1, 63),
])
def test_every_hand_has_the_same_number_of_transactions(count: int, hands: int, share: int) -> None:
    """No transaction is a small rest, which would cost as much as a full one."""
    assert fair_share(count, hands) == share


def test_no_transaction_is_larger_than_it_may_be_and_no_hand_idles() -> None:
    """Who waits for the last of a transaction waits for all of it."""
    for hands in (1, 4):
        for count in range(1, 700):
            share = fair_share(count, hands)
            rounds = math.ceil(math.ceil(count / share) / hands)
            assert 1 <= share <= TOGETHER
            assert rounds == math.ceil(count / (hands * TOGETHER))
