"""The page in a real browser on the real stack, after a morning: what is done there is looked for in the rooms' own books.

The stack of the demo that was just played is started again on its home, and new children come, through the doors a
hospital has.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from selenium import webdriver

from radloop.cli.addresses import addresses
from radloop.cli.grpc import Rooms
from radloop.kit.clock import SystemClock
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.stack import Stack
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.irregular import STUDIES as IRREGULAR
from radloop.workbench.hospital.messages import Envelope, order_message
from radloop.workbench.hospital.morning import Lines
from radloop.workbench.hospital.objects import dx
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.reading_room import ReadingRoom
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.sources import Source
from radloop.workbench.hospital.tempo import Tempo
from radloop.workbench.play.settings import settings
from tests.browser import Reader, chromium, needs_chromium
from tests.conftest import wait_until
from tests.e2e.conftest import SPEED, STUDIES, Played, radiographs

FIRST_NUMBER = 9001
# By HL7 code and whether the finding is there: whoever came last stands first, so that the order is more than arrival.
COMING = (("R", False), ("R", False), ("R", True), ("R", True), ("A", False), ("S", False))
READER = "dr-lovelace"
pytestmark = [
    pytest.mark.demo, pytest.mark.stack, pytest.mark.browser, needs_chromium,
    pytest.mark.parametrize("played", ["radiographs" if radiographs() else "phantoms"], indirect=True),
]


@dataclass
class Hospital:
    """A hospital on the stack's doors. `orders` are those who came for these tests, `late` the STAT that comes during one.

    `left` are the cases that the morning left on the list: images of the wrong patient, which nobody signs.
    """

    rooms: Rooms
    page: ReadingRoom
    page_at: str
    lines: Lines
    pictures: Callable[[Order], FileDataset]
    left: tuple[str, ...]
    orders: tuple[Order, ...]
    late: Order
    stored: set[str] = field(default_factory=set)

    def case(self, order: Order) -> str:
        """Return the case of an order."""
        (case,) = self.rooms.resolve(order.accession)
        return case

    def send(self, *orders: Order) -> None:
        """Order and take images, one child after the other."""
        for order in orders:
            self.lines.chart.file_study(order)
            self.lines.hl7.must(order_message(order, f"O{order.placer}", order.placed, self.lines.envelope))
            self.lines.modality.store(self.pictures(order))
            self.stored.add(order.accession)

    def triaged(self, case: str) -> Mapping[str, Any]:
        """Return the last that triage said of a case, asked of triage itself."""
        said = self._said("triage", "case-triaged", case)
        return max(said, key=lambda one: int(one["triage_revision"]), default={})

    def verdicts(self, case: str) -> list[Mapping[str, Any]]:
        """Return what readers answered of a case, from feedback's own book."""
        return self._said("feedback", "verdict-recorded", case)

    def order_by_triage(self) -> list[str]:
        """Return who waits in the order triage gave them: STAT, then read_by, then arrival."""
        places = {case: self.triaged(case) for case in (*self.left, *map(self.case, self.came()))}
        return sorted(places, key=lambda case: (
            places[case]["urgency"] != "stat", _instant(places[case]["read_by"]), _instant(places[case]["arrived_at"]),
        ))

    def came(self) -> list[Order]:
        """Return whose images were stored."""
        return [one for one in (*self.orders, self.late) if one.accession in self.stored]

    def read(self) -> bool:
        """Say whether the serving version has read everybody who came, and triage and the page have heard of it."""
        cases = {case for one in self.came() for case in self.rooms.resolve(one.accession)}
        shown = {row["case_id"] for row in self.page.rows("reading") if row["said"]}
        return len(cases) == len(self.came()) and cases <= shown and all(self.triaged(case).get("prediction_id") for case in cases)

    def most_likely(self) -> str:
        """Return the case of which the model is surest that the finding is there."""
        came = [row for row in self.page.rows("reading") if row["case_id"] not in self.left]
        return str(max(came, key=lambda one: one["said"][0]["probability"])["case_id"])

    def _said(self, room: str, topic: str, case: str) -> list[Mapping[str, Any]]:
        return [json.loads(fact.facts) for fact in self.rooms.trace(room, case) if (fact.kind, fact.what) == ("said", topic)]


def coming(source: Source, now: datetime) -> tuple[tuple[Order, ...], Mapping[str, str]]:
    """Return orders of new children, and the image of each accession number: from the test split, which nobody learned from."""
    booked = book(FIRST_NUMBER, children(FIRST_NUMBER, len(COMING), now.date()), FIRST_NUMBER, now, timedelta(seconds=1))
    piles = {truth: iter([one.image for one in source.test() if one.positive is truth]) for truth in (True, False)}
    orders = tuple(replace(order, priority=priority) for order, (priority, _) in zip(booked, COMING, strict=True))
    return orders, {order.accession: next(piles[truth]) for order, (_, truth) in zip(orders, COMING, strict=True)}


@pytest.fixture(scope="module")
def hospital(played: Played) -> Iterator[Hospital]:
    """The demo's stack again, with new children whose images were read."""
    clock, source = SystemClock(), played.source()
    orders, images = coming(source, clock.now())
    with ExitStack() as closing:
        ris = closing.enter_context(Ris(refuses=0.0))
        ehr = Server.start(played.home / "ehr")
        closing.callback(ehr.stop)
        stack = closing.enter_context(Stack(played.home, Options(
            usual_ports=False, settings=settings(played.home, ehr.base_url, f"127.0.0.1:{ris.port}", Tempo(SPEED)),
        )))
        stack.start()
        hl7, modality = (of(*_split(stack.address(door))) for of, door in ((MllpLine, "ingestion.mllp"), (Modality, "ingestion.dicom")))
        lines = Lines(closing.enter_context(hl7), closing.enter_context(modality), Chart(ehr.base_url), Envelope())
        page = closing.enter_context(ReadingRoom(stack.address("worklist.http")))
        there = Hospital(
            rooms=closing.enter_context(Rooms(addresses({"RADLOOP_HOME": str(played.home)}), actor="test")),
            page=page, page_at=f"http://{stack.address('worklist.http')}", lines=lines,
            pictures=lambda order: dx(order, source.pixels(images[order.accession]), clock.now()),
            left=tuple(row["case_id"] for row in page.rows("reading")), orders=orders[:-1], late=orders[-1],
        )
        there.send(*there.orders)
        wait_until(there.read, 60)
        yield there


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """A browser for all tests here."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def reader(driver: webdriver.Chrome, hospital: Hospital) -> Iterator[Reader]:
    """A reader in front of the page; what the browser complains about fails the test."""
    somebody = Reader(driver, hospital.page_at).visit(name=READER)
    yield somebody
    assert somebody.complaints() == []


def test_the_list_stands_in_the_order_that_triage_said(reader: Reader, hospital: Hospital) -> None:
    """The page shows who waits as triage's own book has them, which is not how they came; whoever was read before is done."""
    order = hospital.order_by_triage()
    reader.until(lambda: reader.rows() == order)
    assert order != [hospital.case(one) for one in hospital.orders]
    assert all("%" in reader.row(case) for case in order if case not in hospital.left)
    reader.screenshot("stack-list")
    reader.press("3")
    # All of the morning's but the one that nobody signs.
    reader.until(lambda: len(reader.rows()) == STUDIES + len(IRREGULAR) - 1)


def test_the_image_and_its_evidence_map_are_drawn(reader: Reader, hospital: Hospital) -> None:
    """What a modality stored is on the canvas, not blank; O puts the map of the version that read it over it."""
    reader.open(hospital.most_likely())
    greys, _, warmth = reader.pixels()
    assert greys > 50
    assert abs(warmth) < 0.5
    reader.press("o")
    reader.settle()
    assert reader.pixels()[2] > 1
    reader.screenshot("stack-evidence")


def test_a_key_is_a_verdict_in_feedback_and_the_row_changes_without_reload(reader: Reader, hospital: Hospital) -> None:
    """A is in feedback's book, by this reader, of what was on the screen; the row says so on the page that was there before."""
    case = hospital.most_likely()
    reader.open(case)
    reader.driver.execute_script("window.sameDocument = true")
    reader.press("a")
    reader.until(lambda: "✓ accept" in reader.row(case))
    assert reader.driver.execute_script("return window.sameDocument")
    (verdict,) = hospital.verdicts(case)
    assert (verdict["kind"], verdict["reader"]["id"], verdict["ai_shown"]) == ("accept", READER, True)
    assert verdict["prediction_id"] == hospital.triaged(case)["prediction_id"]
    reader.screenshot("stack-verdict")


def test_a_stat_that_re_sorts_the_list_never_moves_a_key_to_another_patient(reader: Reader, hospital: Hospital) -> None:
    """Keys pressed while a STAT comes in above, and after, are answers to the case that is open: in feedback's book as on the screen."""
    case = hospital.order_by_triage()[-1]
    others = {one: len(hospital.verdicts(one)) for one in hospital.order_by_triage() if one != case}
    reader.open(case)
    patient = reader.text("facts")
    hospital.send(hospital.late)
    reader.press("c")
    reader.until(lambda: reader.rows()[0] == hospital.case(hospital.late) and "STAT" in reader.row(reader.rows()[0]))
    reader.press("c")
    reader.until(lambda: len(hospital.verdicts(case)) == 2)
    assert reader.text("facts") == patient
    reader.screenshot("stack-re-sorted")
    assert {one: len(hospital.verdicts(one)) for one in others} == others
    assert hospital.verdicts(hospital.case(hospital.late)) == []
    reader.until(hospital.read)
    reader.until(lambda: reader.rows() == hospital.order_by_triage())


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
