"""What ingestion says of orders."""

from dataclasses import dataclass

from radloop.events.common import Order, Patient
from radloop.kit.flow import Event


@dataclass(frozen=True, kw_only=True)
class OrderRecorded(Event):
    """An order was placed, changed or cancelled, or its patient was updated or merged.

    Change is new, changed, cancelled, patient-updated or patient-merged. `order_revision` counts what ingestion said
    of this case's order: the higher holds. `order` speaks for the case; `other_orders` are the rest it answers.
    """

    change: str
    order: Order
    patient: Patient
    order_revision: int
    other_orders: tuple[Order, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CaseJoined(Event):
    """An unmatched study found its order, or a wrong join was undone; said to both cases.

    `order_case` is the case the order had before, equal to `study_case` where it had none of its own. `other_orders`
    came or left with it.
    """

    study_case: str
    order_case: str
    order: Order
    patient: Patient
    order_revision: int
    undone: bool = False
    other_orders: tuple[Order, ...] = ()

    @property
    def has_order(self) -> bool:
        """Whether the order is now with the case that this is said to: the study's when joined, the order's own when undone."""
        return (self.subject == self.study_case) != self.undone

    @property
    def moved_away(self) -> bool:
        """Whether the case that this is said to gave its order to the study's case, and has nothing left to be read."""
        return self.subject != self.study_case and not self.undone
