"""When an order and a study belong together, and what follows when that changes.

They are joined by accession number or Study Instance UID, and only if the patient agrees. The study's case survives: a
join links, it never gives images another case.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from radloop.ingestion.domain.chart import Chart, same
from radloop.ingestion.domain.files import OrderFile, StudyFile

Mint = Callable[[str], str]
"""Names a new case by what it is for."""

NO_ORDER = "no order has its accession number or study UID"
OTHER_PATIENT = "its patient is not the order's"
NOBODY = "its images name no patient"
TAKEN = "another study already answers its order"
UNDONE = "its join was undone"
CANCELLED = "its order was cancelled"


@dataclass(frozen=True, kw_only=True)
class Join:
    """An order that came to a study's case, or left it. `order_case` is the case it had before, or has now."""

    study_case: str
    order_case: str
    undone: bool = False


def named_alike(order: OrderFile, study: StudyFile) -> bool:
    """Whether they share an accession number or the study's UID."""
    return same(order.accession, study.accession) or order.study_uid == study.study_uid


def fits(order: OrderFile, study: StudyFile) -> bool:
    """Whether they belong together: named alike, of one patient, and nobody said otherwise."""
    apart = study.study_uid in order.apart
    return not study.purpose and not apart and named_alike(order, study) and order.person.agrees(study.person)


def why_unmatched(chart: Chart, study: StudyFile) -> str:
    """Why a study has no order, in words without PHI; empty where it has one."""
    if chart.orders_of(study.case_id):
        return ""
    alike = [order for order in chart.orders if named_alike(order, study)]
    if study.person is None:
        return NOBODY
    if not alike:
        return NO_ORDER
    if any(study.study_uid in order.apart for order in alike):
        return UNDONE
    agreeing = [order for order in alike if order.person.agrees(study.person)]
    if not agreeing:
        return OTHER_PATIENT
    return CANCELLED if all(order.status == "cancelled" for order in agreeing) else TAKEN


def settle(chart: Chart, mint: Mint) -> tuple[Chart, tuple[Join, ...]]:
    """Part what no longer belongs together, join what now does, and give whatever is left a case of its own."""
    joins: list[Join] = []
    for study in sorted(chart.studies, key=lambda one: one.arrived_at):
        if study.case_id:
            chart = _part(chart, study, mint, joins)
    for study in sorted(chart.studies, key=lambda one: one.arrived_at):
        if not study.purpose and not chart.orders_of(study.case_id):
            chart = _join(chart, study, joins)
    for study in chart.studies:
        if not study.case_id:
            chart = chart.with_study(replace(study, case_id=mint(f"study {study.study_uid}")))
    for order in chart.orders:
        if not order.case_id:
            chart = _case_for(chart, order, mint)
    return chart, tuple(joins)


def part(chart: Chart, study: StudyFile, leaving: tuple[OrderFile, ...], mint: Mint) -> tuple[Chart, Join]:
    """Give orders that joined a study their own case again, or one of their own; the study's case stays the study's."""
    own = next((one.own_case for one in leaving if one.own_case), "") or mint(f"parted from {study.case_id}")
    for order in leaving:
        chart = chart.with_order(replace(order, case_id=own, own_case=""))
    return chart, Join(study_case=study.case_id, order_case=own, undone=True)


def _part(chart: Chart, study: StudyFile, mint: Mint, joins: list[Join]) -> Chart:
    wrong = tuple(order for order in chart.orders_of(study.case_id) if not fits(order, study))
    if wrong:
        chart, parted = part(chart, study, wrong, mint)
        joins.append(parted)
    return chart


def _join(chart: Chart, study: StudyFile, joins: list[Join]) -> Chart:
    for order in sorted(chart.orders, key=lambda one: one.rank):
        if order.status == "cancelled" or not fits(order, study) or chart.study_of(order.case_id):
            continue
        if not study.case_id and order.case_id:
            return chart.with_study(replace(study, case_id=order.case_id))
        if not study.case_id:
            return chart
        joined = chart.orders_of(order.case_id) if order.case_id else (order,)
        for one in joined:
            chart = chart.with_order(replace(one, case_id=study.case_id, own_case=one.case_id))
        joins.append(Join(study_case=study.case_id, order_case=order.case_id or study.case_id))
        return chart
    return chart


def _case_for(chart: Chart, order: OrderFile, mint: Mint) -> Chart:
    """One more order for a study answers the study's case, one more of an accession number the same case; else its own."""
    taken_in = next((one.case_id for one in chart.studies if one.case_id and fits(order, one)), "")
    sibling = next(
        (one.case_id for one in chart.orders if one.case_id and same(one.accession, order.accession)
         and one.person.agrees(order.person) and one.apart == order.apart),
        "",
    )
    return chart.with_order(replace(order, case_id=taken_in or sibling or mint(f"order {order.order_id}")))
