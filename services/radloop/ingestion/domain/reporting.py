"""Which case a signed report is about, and what it states in code."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from radloop.events.report import CodedObservation
from radloop.events.common import Code
from radloop.ingestion.domain.chart import Chart, same
from radloop.ingestion.domain.people import Person, number, person
from radloop.standards.hl7 import model as hl7
from radloop.standards.hl7.errors import Hl7Error, Location


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A final report of one case."""

    case_id: str
    who: Person
    signed_at: datetime | None
    signer: str
    findings: tuple[CodedObservation, ...]
    purpose: str


def signed(chart: Chart, message: hl7.ReportMessage) -> tuple[Signed, ...]:
    """Return the final reports of a message by case; raise Hl7Error where one is about nothing known of that patient."""
    told_of = chart.known(person(message.patient))
    found: dict[str, Signed] = {}
    for place, report in enumerate(message.reports, start=1):
        if not report.final:
            continue
        case_id, who = _about(chart, report, told_of, place)
        study = chart.study_of(case_id)
        before = found[case_id].findings if case_id in found else ()
        said = tuple(
            CodedObservation(code=Code(system=one.code.system, value=one.code.value, display=one.code.display), value=one.value)
            for one in report.observations
        )
        found[case_id] = Signed(
            case_id=case_id, who=who, signed_at=report.signed_at or message.header.at, signer=report.signer,
            findings=(*before, *said), purpose=study.purpose if study else "",
        )
    return tuple(found.values())


def _about(chart: Chart, report: hl7.Report, who: Person, place: int) -> tuple[str, Person]:
    strangers = False
    for case_id, patient in _candidates(chart, report):
        if who.agrees(patient):
            return case_id, patient or who
        strangers = True
    if strangers:
        raise Hl7Error("204", "the report's patient is not that of its order or study", Location("PID", 1, 3))
    raise Hl7Error("204", "the report's order and study are not known here", Location("OBR", place, 3))


def _candidates(chart: Chart, report: hl7.Report) -> Iterator[tuple[str, Person | None]]:
    """The cases a report may be about: its study's, its order's by number, then whatever has its accession number."""
    accession = number(report.accession)
    study = chart.study(report.study_uid)
    if study:
        yield study.case_id, study.person
    yield from ((one.case_id, one.person) for one in chart.orders_named(report))
    yield from ((one.case_id, one.person) for one in chart.orders if same(one.accession, accession))
    yield from ((one.case_id, one.person) for one in chart.studies if same(one.accession, accession))
