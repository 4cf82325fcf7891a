"""The hospital's own EHR: what happens is filed in order, also while it is away, and it comes back on the same data."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from radloop.kit.errors import Permanent
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.outage import BACK_OFF, Clerk, Outage
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.tempo import Day, Tempo

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORDERS = book(4, children(4, 3, NOON.date()), 1, NOON, timedelta(minutes=3))


class Absent:
    """An EHR that is away for the first calls, and may refuse one."""

    def __init__(self, away: int = 0, refuses: str = "") -> None:
        self.away, self.refuses = away, refuses
        self.filed: list[tuple[str, str]] = []

    def file_order(self, order: Order) -> None:
        self._file("order", order)

    def file_study(self, order: Order) -> None:
        self._file("study", order)

    def _file(self, what: str, order: Order) -> None:
        if self.away:
            self.away -= 1
            raise httpx.ConnectError("nobody is there")
        if order.accession == self.refuses:
            answer = httpx.Response(422, request=httpx.Request("POST", "http://ehr"))
            raise httpx.HTTPStatusError("no", request=answer.request, response=answer)
        self.filed.append((what, order.accession))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert condition()


def test_what_happens_meanwhile_is_filed_in_order_when_the_ehr_is_back() -> None:
    """Nobody waits, nothing is lost, the order is kept."""
    ehr = Absent(away=2)
    clerk = Clerk(ehr)
    for order in ORDERS:
        clerk.file_order(order)
    clerk.file_study(ORDERS[0])
    until(clerk.settled)
    clerk.stop()
    assert ehr.filed == [*(("order", order.accession) for order in ORDERS), ("study", ORDERS[0].accession)]


def test_a_refusal_is_said_and_holds_up_nothing() -> None:
    """What the EHR will not take is an error for whoever asks how it stands."""
    ehr = Absent(refuses=ORDERS[0].accession)
    clerk = Clerk(ehr)
    for order in ORDERS:
        clerk.file_order(order)
    until(lambda: len(ehr.filed) == 2)
    with pytest.raises(Permanent, match="refused what was filed"):
        clerk.settled()
    clerk.stop()


def test_an_outage_takes_the_ehr_away_and_brings_it_back_with_what_it_had(tmp_path: Path) -> None:
    """For real: the process ends, nobody answers, and the same data is there afterwards."""
    server = Server.start(tmp_path / "ehr")
    chart = Chart(server.base_url)
    try:
        chart.file_order(ORDERS[0])
        before = server.pid
        day = Day(Tempo(60))
        outage = Outage(server, day, at=0.0, seconds=1.0)
        outage.start()
        until(lambda: outage.away is not None)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.base_url}/metadata", timeout=1)
        outage.join()
        assert server.pid != before
        assert outage.back is not None
        assert outage.back > (outage.away or 0.0)
        assert outage.span[1] - outage.span[0] > BACK_OFF
        chart.file_order(ORDERS[0])
        found = httpx.get(f"{server.base_url}/ServiceRequest").json()
        assert len(found["entry"]) == 1
    finally:
        server.stop()


def test_a_day_that_ends_first_leaves_the_ehr_alone(tmp_path: Path) -> None:
    """Whoever stops the play early finds it as it was."""
    day = Day(Tempo(60))
    outage = Outage(Server(tmp_path, 1), day, at=1e9)
    outage.start()
    day.over.set()
    outage.join()
    assert outage.away is None
