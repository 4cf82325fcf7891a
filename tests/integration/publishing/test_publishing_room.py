"""Publishing over a real Postgres, an EHR that we did not write, and a RIS that answers over MLLP."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from examples.publishing import triaged, verdict
from examples.shared import SITE, completed, ordered, predicted

from radloop.events import common
from radloop.events.wire import Wire
from radloop.kit.clock import SystemClock
from radloop.kit.deliveries import Deliveries
from radloop.kit.flow import Event
from radloop.publishing.config import Settings
from radloop.publishing.main import build
from radloop.standards.fhir.references import check
from radloop.workbench.hospital.ehr import Chart, Published, Server
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.ris import Ris

pytestmark = pytest.mark.stack
AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
SECONDS = 20.0


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


class House:
    """The room's runner and its deliveries, with every answer from outside real."""

    def __init__(self, database: str, ehr: str, ris: int) -> None:
        settings = Settings(
            postgres=database, kafka="127.0.0.1:1", blobs="unused", site=SITE, ehr=ehr, ris=f"127.0.0.1:{ris}", timeout_seconds=2,
        )
        self.room = build(settings)
        self.runner = self.room.runner()
        self.furnishing = self.room.furnish(self.runner)
        assert self.furnishing.check is not None
        self.deliveries = Deliveries(self.runner, self.furnishing.receivers, self.furnishing.check, SystemClock(), SITE)
        self.runner.after_commit(self.deliveries.worker.wake)

    def hear(self, *events: Event) -> None:
        """Settle events as they come from Kafka."""
        for event in events:
            message = Wire().encode(event, "test")
            self.runner.settle(self.runner.read(message.headers["ce_type"], f"topic:{message.topic}", message.headers, message.value))

    def said(self) -> list[tuple[str, str, str]]:
        """What result-published says: receiver, kind, outcome, in order."""
        with self.runner.store.connection() as connection:
            rows = connection.execute("select headers, value from outbox where topic = 'result-published' order by id").fetchall()
        events: list[Any] = [Wire().decode(headers, bytes(value)) for headers, value in rows]
        return [(event.receiver, event.kind, event.outcome) for event in events]

    def deliveries_by_state(self) -> dict[str, int]:
        """How many deliveries are in which state."""
        with self.runner.store.connection() as connection:
            return dict(connection.execute("select state, count(*) from delivery group by state").fetchall())


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


def await_(look: Callable[[], object]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + SECONDS
    while not look():
        assert time.monotonic() < deadline, "it did not become so in time"
        threading.Event().wait(0.02)


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

    def forget_once(self: Deliveries, row_id: int, delivery: Any, answer: Any, trace: str) -> None:
        if delivery.kind == "look-up" or delivery.key in forgotten:
            answered(self, row_id, delivery, answer, trace)
            return
        forgotten.append(delivery.key)
        with self._runner.store.connection() as connection:
            connection.execute("update delivery set leased_until = null where id = %s", (row_id,))

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
