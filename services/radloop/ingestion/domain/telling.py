"""What the other rooms are told: the order of a case as it now is, and joins made or undone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from radloop.events.order import CaseJoined, OrderRecorded
from radloop.ingestion.domain.chart import Chart
from radloop.ingestion.domain.joining import Join
from radloop.ingestion.domain.people import as_event
from radloop.kit.flow import Event, Input, caused_by


@dataclass(frozen=True, kw_only=True)
class Told:
    """The chart after something was said (revisions counted on), and what was said."""

    chart: Chart
    events: tuple[Event, ...] = ()


def tell(cause: Input, before: Chart, chart: Chart, touched: Iterable[str], joins: tuple[Join, ...], change: str) -> Told:
    """Say every case that was touched once, by its order, then the joins; `change` is what the message itself did."""
    told = Told(chart=chart)
    parted = tuple(join.order_case for join in joins if join.undone)
    for case_id in sorted({*touched, *parted}):
        told = _order(told, cause, before, case_id, change)
    for join in joins:
        if not join.undone and join.order_case == join.study_case and not _said_before(before, join):
            continue
        for subject in dict.fromkeys((join.study_case, join.order_case)):
            told = _joined(told, cause, join, subject)
    return told


def _said_before(before: Chart, join: Join) -> bool:
    """Whether anybody heard of the study without its order; if not, there is nothing to correct."""
    study = before.study_of(join.study_case)
    return study is not None and study.revision > 0


def _order(told: Told, cause: Input, before: Chart, case_id: str, change: str) -> Told:
    orders, study = told.chart.orders_of(case_id), told.chart.study_of(case_id)
    if orders:
        leading, who, site = orders[0].as_event(), orders[0].person, orders[0].site
    elif study and study.person and study.revision:
        leading, who, site = study.as_order(study.person), study.person, study.site
    else:
        return told
    said = change
    if change in {"new", "changed", "cancelled"}:
        first_of_case = not before.orders_of(case_id)
        said = "cancelled" if leading.status == "cancelled" else "new" if first_of_case else "changed"
    case = told.chart.case(case_id, site)
    case = replace(case, order_revision=case.order_revision + 1)
    event = OrderRecorded(
        id=caused_by(cause, "order-recorded", case_id), subject=case_id, site=cause.site, at=cause.at, change=said,
        order=leading, patient=as_event(who, told.chart.salt), order_revision=case.order_revision,
        other_orders=tuple(one.as_event() for one in orders[1:]),
    )
    return Told(chart=told.chart.with_case(case), events=(*told.events, event))


def _joined(told: Told, cause: Input, join: Join, subject: str) -> Told:
    orders = told.chart.orders_of(join.order_case if join.undone else join.study_case)
    if not orders:
        return told
    leading = orders[0]
    case = told.chart.case(subject, leading.site)
    case = replace(case, order_revision=case.order_revision + 1)
    event = CaseJoined(
        id=caused_by(cause, f"case-joined {join.study_case} {join.order_case} {join.undone}", subject), subject=subject,
        site=cause.site, at=cause.at, study_case=join.study_case, order_case=join.order_case,
        order=leading.as_event(), patient=as_event(leading.person, told.chart.salt), order_revision=case.order_revision,
        undone=join.undone, other_orders=tuple(one.as_event() for one in orders[1:]),
    )
    return Told(chart=told.chart.with_case(case), events=(*told.events, event))
