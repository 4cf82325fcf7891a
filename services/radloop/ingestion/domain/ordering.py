"""What an order message does to the chart: orders placed, changed, cancelled; the sender's latest word holds.

Latest by the sender's own clock, not by arrival: a message that was overtaken on its way adds what was missing, and undoes
nothing. An order never changes its patient by an order message, and a cancel is for good.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from radloop.events.common import Code
from radloop.ingestion.domain.chart import Chart, same
from radloop.ingestion.domain.files import URGENCY, OrderFile
from radloop.ingestion.domain.joining import Mint
from radloop.ingestion.domain.people import Person, number, person
from radloop.standards.hl7 import model as hl7
from radloop.standards.hl7.errors import ErrorCode, Hl7Error, Location

T = TypeVar("T")

AHEAD = timedelta(minutes=15)
"""So far a sender's clock may be ahead of ours."""

NOT_KNOWN = "this order is not known here"
OTHERS_NUMBER = (
    "this number is that of another patient's open order, which stays as it is: if the two are one person, merge them"
    " (ADT^A40) and send this again; if not, cancel the order and place it under a number of its own"
)
OTHERS_ACCESSION = "another patient's order has this accession number: place the order under an accession number of its own"
USED_NUMBER = "the order with this number was cancelled: place a new one under a number of its own"
CANCELLED = "this order was cancelled and cannot be changed: place a new one under a number of its own"


@dataclass(frozen=True, kw_only=True)
class Word:
    """One order of a message: what is told, of whom, which of the message it is (from 1), by whom, and when they said so.

    `echo` marks the echo of a change of ours: the priority in it is no clinician's.
    """

    told: hl7.Order
    who: Person
    place: int
    by: str
    at: datetime | None
    echo: bool

    def overtaken(self, known: OrderFile) -> bool:
        """Whether the same sender has said something later, by its own clock, that came first; two clocks cannot be compared."""
        last = dict(known.told).get(self.by)
        return self.at is not None and last is not None and self.at < last

    def noted(self, known: tuple[tuple[str, datetime], ...] = ()) -> tuple[tuple[str, datetime], ...]:
        """When each sender last spoke of the order, this word included."""
        told = dict(known)
        if self.at is not None:
            told[self.by] = max(self.at, told.get(self.by, self.at))
        return tuple(sorted(told.items()))

    def refused(self, reason: str, code: ErrorCode = "205", segment: str = "ORC", field: int = 2) -> Hl7Error:
        """Why it cannot be taken, and where that stands."""
        return Hl7Error(code, reason, Location(segment, self.place, field))


def take(
    chart: Chart, message: hl7.OrderMessage, at: datetime, mint: Mint, own_names: AbstractSet[str] = frozenset(),
) -> tuple[Chart, frozenset[str]]:
    """Return the chart with the message's orders, and which of them it touched; raise Hl7Error where one cannot be."""
    header = message.header
    who, sender = chart.known(person(message.patient)), f"{header.sending_app}|{header.sending_facility}"
    touched: set[str] = set()
    for place, told in enumerate(message.orders):
        word = Word(
            told=told, who=who, place=place + 1, by=sender, at=_said_at(header.at or told.placed_at, at),
            echo=bool(own_names & {header.sending_app, told.actor}),
        )
        known = _meant(chart, word)
        order = _changed(known, word) if known else _placed(word, at, mint(f"number {place}"))
        _refuse_a_stranger(chart, order, word)
        chart = chart.with_order(order)
        touched.add(order.order_id)
    return chart, frozenset(touched)


def _said_at(told: datetime | None, received: datetime) -> datetime | None:
    """When a message was said by its sender's clock; one far ahead is not believed, or it would silence all that follow."""
    return received if told is not None and told > received + AHEAD else told


def _meant(chart: Chart, word: Word) -> OrderFile | None:
    """The known order that is spoken of, None where it is none yet; raise Hl7Error where it is another patient's.

    Placers use their numbers again after years. So the number of an order to which nothing more is to come is free: for
    another patient, and for a new order of the same one for another examination. But for one that was cancelled: a late
    repeat of the order must not bring it back.
    """
    named, filler = chart.orders_named(word.told), number(word.told.filler)
    mine = next((one for one in named if one.person.agrees(word.who)), None)
    theirs = next((one for one in named if not one.person.agrees(word.who) and not chart.closed(one)), None)
    if theirs and (mine is None or (same(theirs.filler, filler) and not same(mine.filler, filler))):
        raise word.refused(OTHERS_NUMBER)
    if mine and word.told.control == "new" and chart.closed(mine) and mine.status != "cancelled":
        return mine if word.overtaken(mine) or not _another_examination(mine, word.told) else None
    return mine


def _another_examination(known: OrderFile, told: hl7.Order) -> bool:
    """Whether the accession number, else the study's UID, says that two orders are for different examinations."""
    accession = number(told.accession)
    if accession and known.accession:
        return not same(accession, known.accession)
    return "" != told.study_uid != known.study_uid != ""


def _placed(word: Word, at: datetime, order_id: str) -> OrderFile:
    """A new order; a change of one we never heard of is refused, unless it tells enough to be one.

    A cancel is kept whatever it tells: the order may be on its way behind it.
    """
    told = word.told
    if told.control == "changed" and told.accession is None and not told.study_uid:
        raise word.refused(NOT_KNOWN, code="204")
    return OrderFile(
        order_id=order_id, case_id="", site=word.who.id.site, person=word.who, recorded_at=at,
        placer=number(told.placer), filler=number(told.filler), accession=number(told.accession),
        study_uid=told.study_uid, priority=_priority("routine", word), procedure=_procedure(told), modality=told.modality,
        indication=told.indication, placed_at=told.placed_at, status=told.status, told=word.noted(),
    )


def _changed(known: OrderFile, word: Word) -> OrderFile:
    """A known order by the sender's latest word; what that leaves unsaid stays, what was overtaken adds what was missing."""
    told, late = word.told, word.overtaken(known)

    def latest(new: T, old: T) -> T:
        return (old or new) if late else (new or old)

    return replace(
        known, person=word.who.updated(known.person) if late else known.person.described(word.who),
        placer=latest(number(told.placer), known.placer), filler=latest(number(told.filler), known.filler),
        accession=latest(number(told.accession), known.accession), study_uid=latest(told.study_uid, known.study_uid),
        priority=_priority(known.priority, word, late=late), procedure=latest(_procedure(told), known.procedure),
        modality=latest(told.modality, known.modality), indication=latest(told.indication, known.indication),
        placed_at=latest(told.placed_at, known.placed_at), status=_status(known, word, late=late),
        told=word.noted(known.told),
    )


def _priority(known: str, word: Word, *, late: bool = False) -> str:
    """The clinician's own priority; what is undefined or was overtaken never lowers it, what we asked for ourselves is none.

    We never ask for STAT: that is a clinician's word whoever passes it on.
    """
    said = "" if word.echo and word.told.priority != "stat" else word.told.priority
    if late or word.told.undefined:
        return min(known, said, key=lambda one: URGENCY.get(one, len(URGENCY)))
    return said or known


def _status(known: OrderFile, word: Word, *, late: bool) -> str:
    """Where the order stands; raise Hl7Error where it was cancelled and this would bring it back."""
    if word.told.status == "cancelled" or (late and known.status == "cancelled"):
        return "cancelled"
    if known.status == "cancelled" and word.told.control == "new":
        raise word.refused(USED_NUMBER)
    if known.status == "cancelled":
        raise word.refused(CANCELLED, code="207", field=1)
    return known.status if late else word.told.status


def _refuse_a_stranger(chart: Chart, order: OrderFile, word: Word) -> None:
    """One accession number is one patient's, for good: two would publish one's images into the other's record."""
    for other in chart.orders:
        if other.order_id != order.order_id and same(other.accession, order.accession) and not other.person.agrees(order.person):
            raise word.refused(OTHERS_ACCESSION, segment="OBR", field=18)


def _procedure(told: hl7.Order) -> Code | None:
    code = told.procedure
    return Code(system=code.system, value=code.value, display=code.display) if code.value or code.display else None
