"""Publishing over a real Postgres, an EHR that we did not write, and a RIS that answers over MLLP."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from examples.publishing import triaged, verdict
from examples.shared import SITE, completed, ordered, predicted

from radloop.events import common
from radloop.events.order import OrderRecorded
from radloop.kit.deliveries import Deliveries, Owed
from radloop.kit.flow import Event
from radloop.standards.fhir.references import check
from radloop.workbench.hospital.ehr import Chart, Published, Server, patient_of, request_of
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.ris import Ris
from tests.integration.publishing.house import House, await_

pytestmark = pytest.mark.stack
AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A sekmet of its own."""
    running = Server.start(tmp_path_factory.mktemp("ehr"))
    yield running
    running.stop()


@pytest.fixture
def chart(server: Server) -> Iterator[Chart]:
    """The EHR as its own hospital sees it."""
    opened = Chart(server.base_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def orders() -> Iterator[Order]:
    """Orders of the simulated hospital, one after the other."""
    return iter(book(7, children(7, 40, date(2026, 3, 2)), 1, AT, timedelta(minutes=1)))


@pytest.fixture
def ris() -> Iterator[Ris]:
    """A RIS that changes what it is asked to change."""
    with Ris(refuses=0.0) as running:
        yield running


@pytest.fixture
def house(database: str, server: Server, ris: Ris) -> Iterator[House]:
    """The room at work."""
    opened = House(database, server.base_url, ris.port)
    opened.deliveries.start()
    yield opened
    opened.deliveries.stop()
    opened.runner.store.close()


def morning(order: Order, case: str) -> tuple[Event, ...]:
    """What the room hears of one order, its study and its reading."""
    def named(value: str) -> common.Identity:
        return common.Identity(site=SITE, issuer=order.patient.issuer, value=value)

    patient = common.Patient(
        id=named(order.patient.mrn), family=order.patient.family, given=order.patient.given,
        birth_date=order.patient.birth_date.isoformat(), sex=order.patient.sex, key="p",
    )
    placed = replace(
        ordered().order, patient=patient.id, placer=named(order.placer), filler=named(order.filler), accession=named(order.accession),
    )
    return tuple(
        replace(event, id=f"{case}-{number}", subject=case) for number, event in enumerate((
            replace(ordered(), order=placed, patient=patient), completed(study_uid=order.study_uid, patient=patient), predicted(),
        ))
    )


def status(chart: Chart, case: str) -> str:
    """The status of a case's report at the EHR, empty where there is none."""
    report = chart.report(case)
    return report.status if report else ""


def only(chart: Chart, case: str) -> Published:
    """The one report of a case."""
    (report,) = chart.of_case(case)
    return report


def test_a_case_is_published_and_withdrawn_within_five_seconds(house: House, chart: Chart, orders: Iterator[Order]) -> None:
    """From facts to the EHR's own search, with references of the right types, and a reject that says so in time."""
    order, case = next(orders), "case-published"
    chart.fill([order])
    house.hear(*morning(order, case))
    await_(lambda: status(chart, case) == "partial")
    report = only(chart, case).resource
    assert {"Patient", "ServiceRequest"} == {report["subject"]["type"], report["basedOn"][0]["type"]}
    assert all("reference" in one for one in (report["subject"], report["basedOn"][0], report["imagingStudy"][0]))
    assert check(chart.collection()) == ()
    begun = time.monotonic()
    house.hear(replace(verdict("reject"), id=f"{case}-v", subject=case, prediction_id=f"{case}-2"))
    await_(lambda: status(chart, case) == "entered-in-error")
    assert time.monotonic() - begun < 5
    assert only(chart, case).versions == 2
    await_(lambda: len(house.said()) == 2)
    assert house.said() == [("ehr", "report", "delivered"), ("ehr", "correction", "delivered")]


def test_what_the_ehr_does_not_know_is_named_and_never_created(house: House, chart: Chart, orders: Iterator[Order]) -> None:
    """The report stands with identifiers alone; no Patient appears."""
    order, case = next(orders), "case-unknown"
    house.hear(*morning(order, case))
    await_(lambda: status(chart, case) == "partial")
    subject = only(chart, case).resource["subject"]
    assert "reference" not in subject
    assert (subject["type"], subject["identifier"]["value"]) == ("Patient", order.patient.mrn)
    assert check(chart.collection()) == ()


def test_a_report_is_based_on_both_orders_of_a_case(house: House, chart: Chart, orders: Iterator[Order]) -> None:
    """Two requests at the EHR share an accession number: each is found by its own numbers, and both are referred to."""
    first, case = next(orders), "case-two-orders"
    second = replace(first, placer=f"{first.placer}B", filler=f"{first.filler}B")
    chart.fill([first])
    patient = chart._once("Patient", patient_of(first))
    chart._http.post("/ServiceRequest", json=request_of(second, patient)).raise_for_status()
    placed, images, reading = morning(first, case)
    (other, _, _) = morning(second, case)
    assert isinstance(placed, OrderRecorded)
    assert isinstance(other, OrderRecorded)
    house.hear(replace(placed, other_orders=(other.order,)), images, reading)
    await_(lambda: status(chart, case) == "partial")
    based_on = only(chart, case).resource["basedOn"]
    assert len({one["reference"] for one in based_on}) == 2
    assert [one["identifier"]["value"] for one in based_on] == [first.placer, second.placer]
    assert check(chart.collection()) == ()


def test_a_lift_reaches_the_ris_once_and_is_given_back(house: House, chart: Chart, ris: Ris, orders: Iterator[Order]) -> None:
    """XO with XR, then the clinician's own priority; the RIS's log is what counts."""
    order, case = next(orders), "case-lifted"
    chart.fill([order])
    lift = replace(triaged(), id=f"{case}-t", subject=case, prediction_id=f"{case}-2")
    house.hear(*morning(order, case), lift)
    await_(lambda: ris.changed() == 1)
    house.hear(replace(triaged(2, lifted=False, code="R", undone=True), id=f"{case}-u", subject=case))
    await_(lambda: ris.changed() == 2)
    asked = [(line.filler, line.priority) for line in ris.heard()]
    assert asked == [(order.filler, "A"), (order.filler, "R")]
    assert ris.twice() == 0
    await_(lambda: len(house.said()) == 3)
    assert [one for one in house.said() if one[0] == "ris"] == [("ris", "priority", "delivered"), ("ris", "priority-undo", "delivered")]


def test_a_ris_that_refuses_is_heard_and_left_alone(database: str, server: Server, orders: Iterator[Order]) -> None:
    """UX is said as refused, once."""
    with Ris(refuses=1.0) as ris:
        house = House(database, server.base_url, ris.port)
        house.deliveries.start()
        order, case = next(orders), "case-refused"
        house.hear(*morning(order, case), replace(triaged(), id=f"{case}-t", subject=case))
        await_(lambda: len(house.said()) == 2)
        said = house.said()
        house.deliveries.stop()
        house.runner.store.close()
        assert ("ris", "priority", "refused") in said
        assert (ris.refused(), ris.repeats()) == (1, 0)


def test_killed_between_the_answer_and_the_commit_a_resend_changes_nothing(
    house: House, chart: Chart, ris: Ris, orders: Iterator[Order], monkeypatch: pytest.MonkeyPatch,
) -> None:
    """EHR and RIS see the same bytes again: no new version, the same answer, no second change."""
    order, case = next(orders), "case-killed"
    chart.fill([order])
    forgotten: list[str] = []
    answered = Deliveries._answered

    def forget_once(self: Deliveries, row: Owed, answer: Any) -> None:
        if row.delivery.kind == "look-up" or row.delivery.key in forgotten:
            answered(self, row, answer)
            return
        forgotten.append(row.delivery.key)
        with self._runner.store.connection() as connection:
            connection.execute("update delivery set leased_until = null where id = %s", (row.id,))

    monkeypatch.setattr(Deliveries, "_answered", forget_once)
    house.hear(*morning(order, case), replace(triaged(), id=f"{case}-t", subject=case))
    await_(lambda: len(house.said()) == 2)
    assert len(forgotten) == 2
    assert only(chart, case).versions == 1
    assert (ris.changed(), ris.repeats(), ris.twice()) == (1, 1, 0)


def test_while_the_ehr_is_away_deliveries_wait_and_readiness_says_so(
    database: str, tmp_path: Path, ris: Ris, orders: Iterator[Order],
) -> None:
    """Nothing is lost, nothing is counted against the message; a case cancelled meanwhile leaves nothing behind."""
    server = Server.start(tmp_path)
    port = int(server.base_url.split(":")[2].split("/")[0])
    server.stop()
    house = House(database, server.base_url, ris.port)
    house.deliveries.start()
    kept, cancelled = next(orders), next(orders)
    house.hear(*morning(kept, "case-kept"), *morning(cancelled, "case-gone"))
    await_(lambda: any(ready() for ready in house.furnishing.ready))
    first = morning(cancelled, "case-gone")[0]
    assert isinstance(first, type(ordered()))
    house.hear(replace(first, id="cancel", change="cancelled", order_revision=2, order=replace(first.order, status="cancelled")))
    back = Server.start(tmp_path, port)
    chart = Chart(back.base_url)
    try:
        await_(lambda: house.deliveries_by_state().get("waiting", 0) == 0)
        assert status(chart, "case-kept") == "partial"
        assert chart.of_case("case-gone") == ()
        assert not any(ready() for ready in house.furnishing.ready)
    finally:
        house.deliveries.stop()
        house.runner.store.close()
        chart.close()
        back.stop()
