"""What a patient message does to the chart: data updated, identities merged."""

from dataclasses import replace

from radloop.ingestion.domain.chart import Chart
from radloop.ingestion.domain.people import Merge, Person, identity, person, resolved
from radloop.standards.hl7 import model as hl7


def take(chart: Chart, message: hl7.PatientMessage) -> tuple[Chart, frozenset[str]]:
    """Return the chart with every order and study of the patients brought up to date, and which orders those are."""
    touched: set[str] = set()
    for update in message.updates:
        now = chart.known(person(update.patient))
        retired = tuple(identity(one) for one in update.retired if identity(one) not in now.identities)
        for one in retired:
            chart = chart.with_merge(Merge(retired=one, survivors=now.identities))
        chart = _flattened(chart, now)
        meant = replace(now, identities=(*now.identities, *retired))
        for order in chart.orders:
            if order.person.agrees(meant):
                touched.add(order.order_id)
                chart = chart.with_order(replace(order, person=order.person.updated(now)))
        for study in chart.studies:
            if study.person and study.person.agrees(meant):
                chart = chart.with_study(replace(study, person=study.person.updated(now)))
    return chart, frozenset(touched)


def renamed(before: Chart, after: Chart) -> frozenset[str]:
    """The cases whose patient goes by another identity now, signed, cancelled and earlier ones too: their pseudonym changed."""
    known = {one.order_id: one.person.id for one in before.orders}
    known |= {one.study_uid: one.person.id for one in before.studies if one.person}
    of_orders = (one.case_id for one in after.orders if known[one.order_id] != one.person.id)
    of_studies = (one.case_id for one in after.studies if one.person and known[one.study_uid] != one.person.id)
    return frozenset((*of_orders, *of_studies))


def _flattened(chart: Chart, now: Person) -> Chart:
    """Merges that led to an identity retired since lead to the one that holds now."""
    for merge in chart.merges:
        survivor = Person(identities=merge.survivors)
        latest = resolved(survivor, [one for one in chart.merges if one != merge])
        if latest != survivor and latest.agrees(now):
            chart = chart.with_merge(replace(merge, survivors=latest.identities))
    return chart
