"""The room between an EHR and a RIS that lie: nothing is lost, nothing is said twice, nobody waits for somebody else's trouble."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from examples.publishing import triaged, verdict
from examples.shared import at, completed, ordered, predicted

from radloop.kit.deliveries import give_back
from radloop.kit.flow import Event
from tests.integration.publishing.far_ends import LyingEhr, LyingRis, acknowledged, http
from tests.integration.publishing.house import House, await_

pytestmark = pytest.mark.stack
STEP_S = 0.3


@pytest.fixture
def ehr() -> Iterator[LyingEhr]:
    """An EHR, honest until it is told a lie."""
    with LyingEhr() as server:
        yield server


@pytest.fixture
def ris() -> Iterator[LyingRis]:
    """A RIS, honest until it is told a lie."""
    with LyingRis() as server:
        yield server


@pytest.fixture
def house(database: str, ehr: LyingEhr, ris: LyingRis) -> Iterator[House]:
    """The room at work."""
    opened = House(database, ehr.url, ris.port, STEP_S)
    opened.deliveries.start()
    yield opened
    opened.close()


def of(case: str, *events: Event) -> tuple[Event, ...]:
    """The same events of another case."""
    return tuple(replace(event, id=f"{case}-{event.id}", subject=case) for event in events)


READ: tuple[Event, ...] = (ordered(), completed(), predicted())


def test_an_ehr_that_hangs_holds_up_no_priority(house: House, ehr: LyingEhr, ris: LyingRis) -> None:
    """Every hand that writes to the EHR is taken; the RIS has hands of its own. Later each report is there once."""
    ehr.lie, ehr.at = lambda line: line.hang(), "read"
    for number in range(4):
        house.hear(*of(f"case-{number}", *READ))
    await_(lambda: any("EHR" in why for why in house.ready()))
    house.hear(*of("case-0", triaged()))
    await_(lambda: house.said() == [("ris", "priority", "delivered")])
    ehr.lie = None
    await_(lambda: len(house.said()) == 5)
    assert ehr.honest.versions("DiagnosticReport") == [1, 1, 1, 1]
    assert house.deliveries_by_state() == {"delivered": 9}
    assert house.ready() == []


def test_a_ris_that_hangs_holds_up_no_report(house: House, ehr: LyingEhr, ris: LyingRis) -> None:
    """And its own deliveries wait: one change for each case when it is back."""
    ris.lie = lambda line: line.hang()
    for number in range(3):
        house.hear(*of(f"case-{number}", *READ, triaged()))
    await_(lambda: house.said().count(("ehr", "report", "delivered")) == 3)
    await_(lambda: any("RIS" in why for why in house.ready()))
    ris.lie = None
    await_(lambda: house.said().count(("ris", "priority", "delivered")) == 3)
    assert ris.changes == 3


def test_a_report_that_is_refused_stands_in_nobodys_way(house: House, ehr: LyingEhr) -> None:
    """It is quarantined with its reason; the next case's is delivered, and so is what comes later of this one."""
    ehr.lie, ehr.at = http(422), "write"
    house.hear(*of("case-a", *READ))
    await_(lambda: len(house.results()) == 1)
    assert house.results()[0].outcome == "quarantined"
    assert house.results()[0].reason.startswith("the EHR answered 422: it is not sent again as it is")
    ehr.lie = None
    house.hear(*of("case-b", *READ), *of("case-a", predicted(0.4, "again", 90, read_at=at(90))))
    await_(lambda: house.said().count(("ehr", "report", "delivered")) == 2)
    assert ehr.honest.versions("DiagnosticReport") == [1, 1]


def given_back(house: House) -> str:
    """Give back the one delivery that waits in quarantine, and return how it went."""
    with house.runner.store.connection() as connection:
        ((item, subject),) = connection.execute("select id, subject from quarantine where state = 'waiting'").fetchall()
    return give_back(house.runner, item, subject).kind


def test_a_report_given_back_after_repair_is_published(house: House, ehr: LyingEhr) -> None:
    """The list hears that it was refused, and then that it is there."""
    ehr.lie, ehr.at = http(422), "write"
    house.hear(*of("case-a", *READ))
    await_(lambda: house.said() == [("ehr", "report", "quarantined")])
    ehr.lie = None
    assert given_back(house) == "waiting"
    await_(lambda: house.said() == [("ehr", "report", "quarantined"), ("ehr", "report", "delivered")])
    assert ehr.honest.versions("DiagnosticReport") == [1]


def test_a_correction_given_back_does_not_undo_what_was_published_since(house: House, ehr: LyingEhr) -> None:
    """A withdrawal that was refused, then a new reading that was taken: the report stands as the new reading has it."""
    house.hear(*of("case-a", *READ))
    await_(lambda: house.said() == [("ehr", "report", "delivered")])
    ehr.lie, ehr.at = http(422), "write"
    house.hear(*of("case-a", verdict("reject", prediction_id="case-a-example-predicted")))
    await_(lambda: ("ehr", "correction", "quarantined") in house.said())
    ehr.lie = None
    house.hear(*of("case-a", predicted(0.4, "again", 90, read_at=at(90))))
    await_(lambda: house.said().count(("ehr", "report", "delivered")) == 2)
    assert given_back(house) == "waiting"
    await_(lambda: house.said()[-1] == ("ehr", "correction", "superseded"))
    assert ehr.honest.versions("DiagnosticReport") == [2]


def test_a_ris_that_only_acknowledges_is_asked_once_and_the_list_is_told(house: House, ris: LyingRis) -> None:
    """Not confirmed is what the list shows; triage saying it again asks nothing again; an undo is sent."""
    ris.answers = acknowledged
    house.hear(*of("case-a", *READ, triaged(), triaged(2, code="")))
    await_(lambda: ("ris", "priority", "unconfirmed") in house.said())
    told = next(one for one in house.results() if one.receiver == "ris")
    assert told.reason.startswith("not confirmed: the RIS took the message")
    assert told.priority_code == "A"
    house.hear(*of("case-a", triaged(3, code="")))
    await_(lambda: house.deliveries_by_state().get("waiting", 0) == 0)
    assert len(ris.heard) == 1
    house.hear(*of("case-a", triaged(4, lifted=False, code="R", undone=True)))
    await_(lambda: ("ris", "priority-undo", "unconfirmed") in house.said())
    assert len(ris.heard) == ris.changes == 2


def test_garbage_from_a_ris_is_no_answer_and_no_end(house: House, ris: LyingRis) -> None:
    """The same message waits, with its reason; when the RIS is itself again the order is changed once."""
    ris.lie = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    house.hear(*of("case-a", *READ, triaged()))
    await_(lambda: len(ris.heard) >= 2)
    assert ("ris", "priority", "quarantined") not in house.said()
    ris.lie = None
    await_(lambda: ("ris", "priority", "delivered") in house.said())
    assert ris.changes == 1
