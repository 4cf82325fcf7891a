"""A morning, played: what goes out, in which order, and that a storage SCP of another make takes the objects."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation, JPEG2000Lossless
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.irregular import STUDIES
from radloop.workbench.hospital.messages import Envelope, read
from radloop.workbench.hospital.morning import NEW_NAME, Lines, Morning, Pictures
from radloop.workbench.hospital.objects import Look, dx
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.planning import plan
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.tempo import Day, Tempo
from tests.adapters.grey_source import Grey

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PEOPLE = children(4, 14, NOON.date())
ENTRIES = tuple(
    Entry(order, "morning", "i", kind)
    for order, kind in zip(book(4, PEOPLE[:13], 1, NOON, timedelta(minutes=3)), ("", "", *STUDIES), strict=True)
)
OF = {entry.irregular: entry.order for entry in ENTRIES}


class Line(MllpLine):
    """An HL7 line that keeps what was sent and answers it."""

    def __init__(self, answer: str = "AA") -> None:
        """Start with nothing sent."""
        super().__init__("127.0.0.1", 0)
        self.messages: list[bytes] = []
        self.answers = answer

    def send(self, message: bytes) -> dict[str, str]:
        """Keep the message and answer it."""
        self.messages.append(message)
        return {"MSA-1": self.answers, "MSA-2": read(message)["MSH-10"]}

    def of(self, order: Order) -> list[Mapping[str, str]]:
        """Return what was sent about an order or its patient."""
        told = [read(message) for message in self.messages]
        return [one for one in told if one.get("ORC-2") == order.placer or (one["MSH-9"].startswith("ADT")
                and one["PID-3"].startswith(order.patient.mrn))]


class Chart:
    """An EHR that keeps what it was told."""

    def __init__(self) -> None:
        """Start empty."""
        self.told: list[tuple[str, str]] = []

    def file_order(self, order: Order) -> None:
        """Keep the order."""
        self.told.append(("order", order.accession))

    def file_study(self, order: Order) -> None:
        """Keep the study."""
        self.told.append(("images", order.accession))


Archive = tuple[int, list[tuple[str, str, str, str]], list[int]]


@pytest.fixture
def archive() -> Iterator[Archive]:
    """Run a pynetdicom storage SCP: its port, what it stored, and the statuses it is told to answer."""
    stored: list[tuple[str, str, str, str]] = []
    statuses: list[int] = []

    def take(event: evt.Event) -> int:
        stored.append((
            event.dataset.AccessionNumber, event.dataset.SOPInstanceUID, event.dataset.PatientID, event.context.transfer_syntax,
        ))
        return statuses.pop(0) if statuses else 0x0000

    entity = ApplicationEntity("ARCHIVE")
    for syntax in ("1.2.840.10008.1.2.1", JPEG2000Lossless):
        entity.add_supported_context(DigitalXRayImageStorageForPresentation, syntax)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])
    assert server is not None
    yield server.server_address[1], stored, statuses
    server.shutdown()


def played(port: int, line: Line, chart: Chart) -> Morning:
    """Play the whole morning at once."""
    looks = {entry.order.accession: Look(compressed=place % 3 == 0) for place, entry in enumerate(ENTRIES)}
    with Modality("127.0.0.1", port, called="ARCHIVE") as modality:
        lines = Lines(line, modality, chart, Envelope())
        morning = Morning(lines, Pictures(Grey(64), looks, PEOPLE[13]), SystemClock(), Day(Tempo(240), began=-1e9))
        morning.play(plan(4, ENTRIES, 2))
    return morning


def test_a_morning_reaches_hl7_images_and_the_ehr(archive: Archive) -> None:
    """Every order is sent and filed in the EHR, every image stored, each syntax in a context of its own."""
    port, stored, _ = archive
    line, chart = Line(), Chart()
    told = played(port, line, chart).told
    everybody = {entry.order.accession for entry in ENTRIES}
    assert {accession for accession, *_ in stored} == set(told.stored) == set(told.complete) == everybody
    assert {accession for what, accession in chart.told if what == "order"} == everybody
    assert ("images", OF["wrong-patient"].accession) not in chart.told
    compressed = {entry.order.accession for place, entry in enumerate(ENTRIES) if place % 3 == 0} | {OF["unreadable-image"].accession}
    assert {accession for accession, *_, syntax in stored if syntax == JPEG2000Lossless} == compressed


def test_each_irregularity_leaves_the_hospital_as_it_is_described(archive: Archive) -> None:
    """What the far ends are given is what the summary says happened."""
    port, stored, _ = archive
    line = Line()
    told = played(port, line, Chart()).told
    count = Counter(accession for accession, *_ in stored)
    objects = {accession: {sop for one, sop, *_ in stored if one == accession} for accession in count}
    assert [one["ORC-1"] for one in line.of(OF["cancel-after-images"])] == ["NW", "CA"]
    assert [(one["ORC-1"], one["TQ1-9"]) for one in line.of(OF["raised-to-stat"])] == [("NW", "R"), ("XO", "S")]
    assert set(told.raised) == {OF["raised-to-stat"].accession}
    assert set(told.cancelled) == {OF["cancel-after-images"].accession}
    resent = OF["resent-message"]
    assert len({one["MSH-10"] for one in line.of(resent)}) == 1
    assert len(line.of(resent)) == len(told.answers[resent.accession]) == 2
    update = [one for one in line.of(OF["update-between"]) if one["MSH-9"].startswith("ADT^A08")]
    assert [one["PID-5"].split("^")[0] for one in update] == [NEW_NAME]
    assert (count[OF["late-second-image"].accession], len(objects[OF["late-second-image"].accession])) == (2, 2)
    assert (count[OF["object-twice"].accession], len(objects[OF["object-twice"].accession])) == (2, 1)
    strangers = {patient for accession, _, patient, _ in stored if accession == OF["wrong-patient"].accession}
    assert strangers == {PEOPLE[13].mrn}


def test_an_order_that_is_refused_ends_the_morning(archive: Archive) -> None:
    """Nothing goes on as if it had been taken."""
    with pytest.raises(Permanent, match="an order was refused: AE"):
        played(archive[0], Line("AE"), Chart())


def test_a_day_that_is_over_sends_no_more(archive: Archive) -> None:
    """Whoever stops the play stops the hospital."""
    port, stored, _ = archive
    day = Day(Tempo(1))
    day.over.set()
    with Modality("127.0.0.1", port, called="ARCHIVE") as modality:
        lines = Lines(Line(), modality, Chart(), Envelope())
        Morning(lines, Pictures(Grey(64), {}, PEOPLE[13]), SystemClock(), day).play(plan(4, ENTRIES, 2))
    assert stored == []


IMAGE = dx(ENTRIES[0].order, np.zeros((8, 8), np.uint8), NOON)


def test_a_refused_image_is_said(archive: Archive) -> None:
    """A DICOM failure status is an error; out of resources and nobody listening are passing ones (PS3.4 table B.2-1)."""
    port, _, statuses = archive
    statuses.append(0xC000)
    with Modality("127.0.0.1", port, called="ARCHIVE") as modality, pytest.raises(Permanent, match="0xc000"):
        modality.store(IMAGE)
    statuses[:] = [0xA700]
    with Modality("127.0.0.1", port, called="ARCHIVE") as modality, pytest.raises(Transient, match="cannot be kept now"):
        modality.store(IMAGE)
    with Modality("127.0.0.1", 1) as modality, pytest.raises(Transient):
        modality.store(IMAGE)
