"""What we tell the RIS: a change of an order's priority."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from radloop.standards.hl7.write import Interface, control_id, order_message

if TYPE_CHECKING:
    from datetime import datetime

    from radloop.standards.hl7.model import Order, Patient, Priority


def priority_change(
    to: Interface,
    key: str,
    at: datetime,
    patient: Patient,
    order: Order,
    priority: Priority,
    reason: str,
) -> bytes:
    """ORM^O01 (XO) that sets `order`'s priority: TQ1-9, ORC-7.6 and OBR-27.6, both numbers, the reason in NTE.

    `key` is the delivery's idempotency key: MSH-10 is made of it, so a resend with the same `at` is the same bytes.
    """
    changed = replace(order, control="changed", control_code="XO", priority=priority, status="active")
    return order_message(to, control_id(key), at, patient, changed, "ORM", reason)
