"""What we publish, before the reference validator of the field and on a FHIR server that we did not write."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from radloop.publishing.adapters.fhir import Ehr
from radloop.standards.codes import PNEUMONIA
from radloop.standards.fhir.references import check
from radloop.standards.fhir.results import transaction
from radloop.standards.fhir.values import CaseResult, FindingResult, Identifier, Named, study_identifier, system_of
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.validator import missing, validate

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A sekmet of its own."""
    running = Server.start(tmp_path_factory.mktemp("ehr"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def orders() -> tuple[Order, ...]:
    """Three orders of three children."""
    return book(1, children(1, 3, date(2026, 11, 23)), 1, AT, timedelta(minutes=1))


def result(ehr: Ehr, case: str, order: Order) -> CaseResult:
    """What a model says of an order's study, with references as the EHR answers them."""
    system = system_of(order.patient.issuer, {})
    patient = Named("Patient", (Identifier(system, order.patient.mrn, "MR"),))
    request = Named("ServiceRequest", (Identifier(system, order.accession, "ACSN"),))
    study = Named("ImagingStudy", (study_identifier(order.study_uid),))
    known = ehr.find(patient)
    return CaseResult(
        case=case, revision=1, patient=replace(patient, id=known), orders=(replace(request, id=ehr.find(request, known)),),
        study=replace(study, id=ehr.find(study, known)), model="chest", version=2, issued=AT, recorded=AT,
        effective="2026-11-23", body_part="CHEST",
        findings=(FindingResult(code=PNEUMONIA, probability=0.71, answer="indeterminate", note="The members disagree."),),
    )


def test_a_real_server_keeps_one_report_per_case_and_the_validator_finds_no_error(
    server: Server, orders: tuple[Order, ...], tmp_path: Path,
) -> None:
    """Published, repeated, withdrawn: one resource, two versions, references of the right types, no error of HAPI's."""
    chart, ehr = Chart(server.base_url), Ehr(server.base_url)
    chart.fill(orders[:2])
    said = [result(ehr, f"case-{number}", order) for number, order in enumerate(orders)]
    for one in said:
        assert ehr.put(transaction(one)).written >= 3
        assert ehr.put(transaction(one)).written == 0
    withdrawn = transaction(replace(said[0], withdrawn="rejected by the reader", reader="dr-1", updated=True))
    assert ehr.put(withdrawn).written == 3
    assert ehr.put(withdrawn).written == 0

    assert len(chart.reports()) == 3
    report = chart.report("case-0")
    assert report is not None
    assert (report.status, report.versions) == ("entered-in-error", 2)
    assert [len(chart.of_case(one.case)) for one in said] == [1, 1, 1]
    assert said[2].patient.id == ""
    bundle = chart.collection()
    assert check(bundle) == ()

    if reason := missing():
        pytest.skip(f"HAPI was not asked: {reason}")
    file = tmp_path / "reports.json"
    file.write_text(json.dumps(bundle))
    assert validate([file])[0].errors == ()


def test_the_validator_bites(tmp_path: Path) -> None:
    """A report without a code is found, so a clean answer means something."""
    if reason := missing():
        pytest.skip(f"HAPI was not asked: {reason}")
    file = tmp_path / "wrong.json"
    file.write_text('{"resourceType": "DiagnosticReport", "status": "partial"}')
    assert validate([file])[0].errors
