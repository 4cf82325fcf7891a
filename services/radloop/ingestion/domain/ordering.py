"""What an order message does to the chart: orders placed, changed, cancelled; the sender's latest word holds."""

from dataclasses import replace
from datetime import datetime

from radloop.events.common import Code, Identity
from radloop.ingestion.domain.chart import Chart, same
from radloop.ingestion.domain.files import OrderFile
from radloop.ingestion.domain.joining import Mint
from radloop.ingestion.domain.people import Person, identity, person
from radloop.standards.hl7 import model as hl7
from radloop.standards.hl7.errors import Hl7Error, Location

def take(chart: Chart, message: hl7.OrderMessage, at: datetime, mint: Mint) -> tuple[Chart, frozenset[str]]:
    """Return the chart with the message's orders, and which of them it touched; raise Hl7Error where one cannot be."""
    told_of = chart.known(person(message.patient))
    touched: set[str] = set()
    for number, told in enumerate(message.orders):
        known = chart.order_named(_number(told.placer), _number(told.filler))
        order = _changed(known, told, told_of) if known else _placed(told, told_of, at, mint(f"number {number}"))
        _refuse_a_stranger(chart, order, number)
        chart = chart.with_order(order)
        touched.add(order.order_id)
    return chart, frozenset(touched)


def _placed(told: hl7.Order, who: Person, at: datetime, order_id: str) -> OrderFile:
    """A new order; a change or cancel of one we never heard of is refused, unless it tells enough to be one."""
    if told.control == "cancelled" or (told.accession is None and not told.study_uid):
        raise Hl7Error("204", "this order is not known here", Location("ORC", 1, 2))
    return OrderFile(
        order_id=order_id, case_id="", site=who.id.site, person=who, recorded_at=at,
        placer=_number(told.placer), filler=_number(told.filler), accession=_number(told.accession),
        study_uid=told.study_uid, priority=told.priority or "routine", procedure=_procedure(told), modality=told.modality,
        indication=told.indication, placed_at=told.placed_at, status=told.status,
    )


def _changed(known: OrderFile, told: hl7.Order, who: Person) -> OrderFile:
    """A known order by the sender's latest word; what the message leaves unsaid stays."""
    same_patient = known.person.agrees(who)
    return replace(
        known, person=known.person.updated(who) if same_patient else who,
        placer=_number(told.placer) or known.placer, filler=_number(told.filler) or known.filler,
        accession=_number(told.accession) or known.accession, study_uid=told.study_uid or known.study_uid,
        priority=told.priority or known.priority, procedure=_procedure(told) or known.procedure,
        modality=told.modality or known.modality, indication=told.indication or known.indication,
        placed_at=told.placed_at or known.placed_at, status=told.status,
    )


def _refuse_a_stranger(chart: Chart, order: OrderFile, number: int) -> None:
    """One accession number is one patient's: two would publish one's images into the other's record."""
    for other in chart.orders:
        if other.order_id != order.order_id and same(other.accession, order.accession) and not other.person.agrees(order.person):
            raise Hl7Error("205", "another patient's order has this accession number", Location("OBR", number + 1, 18))


def _number(told: hl7.Identity | None) -> Identity | None:
    return identity(told) if told else None


def _procedure(told: hl7.Order) -> Code | None:
    code = told.procedure
    return Code(system=code.system, value=code.value, display=code.display) if code.value or code.display else None
