"""A morning, played: what goes out, in which order, and that a storage SCP of another make takes the objects."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.workbench.hospital.messages import Envelope
from radloop.workbench.hospital.morning import Lines, Morning, Step, steps
from radloop.workbench.hospital.objects import dx
from radloop.workbench.hospital.orders import Order, book, schedule
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.sender import MllpLine, Modality

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORDERS = book(4, children(4, 5, NOON.date()), 1, NOON, timedelta(minutes=3))


class Line(MllpLine):
    """An HL7 line that keeps what was sent and accepts it."""

    def __init__(self) -> None:
        """Start with nothing sent."""
        super().__init__("127.0.0.1", 0)
        self.messages: list[bytes] = []

    def send(self, message: bytes) -> dict[str, str]:
        """Keep the message and accept it."""
        self.messages.append(message)
        return {"MSA-1": "AA"}


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


def picture(order: Order, at: datetime) -> FileDataset:
    """Return a small image."""
    return dx(order, np.zeros((8, 8), np.uint8), at)


@pytest.fixture
def archive() -> Iterator[tuple[int, list[str], list[int]]]:
    """Run a pynetdicom storage SCP: its port, what it stored, and the statuses it is told to answer."""
    stored: list[str] = []
    statuses: list[int] = []

    def take(event: evt.Event) -> int:
        stored.append(event.dataset.AccessionNumber)
        return statuses.pop(0) if statuses else 0x0000

    entity = ApplicationEntity("ARCHIVE")
    entity.add_supported_context(DigitalXRayImageStorageForPresentation)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])
    assert server is not None
    yield server.server_address[1], stored, statuses
    server.shutdown()


def test_an_order_always_goes_out_before_its_images() -> None:
    """Whatever the schedule, no image is sent whose order was not."""
    planned = steps(schedule(4, ORDERS, 1.0))
    at = {(step.order.accession, step.what): place for place, step in enumerate(planned)}
    assert all(at[order.accession, "order"] < at[order.accession, "images"] for order in ORDERS)


def test_a_morning_reaches_hl7_images_and_the_ehr(archive: tuple[int, list[str], list[int]]) -> None:
    """Every order is sent once and filed in the EHR, every image is stored once, and progress is told step by step."""
    port, stored, _ = archive
    line, chart, told = Line(), Chart(), list[Step]()
    with Modality("127.0.0.1", port, called="ARCHIVE") as modality:
        morning = Morning(Lines(line, modality, chart, Envelope()), picture, SystemClock(), told.append)
        morning.play(schedule(4, ORDERS, 0.01))
    assert sorted(stored) == [order.accession for order in ORDERS]
    assert len(line.messages) == len(ORDERS)
    assert len(chart.told) == len(told) == 2 * len(ORDERS)
    assert set(morning.stored) == set(stored)


def test_a_refused_image_is_said(archive: tuple[int, list[str], list[int]]) -> None:
    """A DICOM failure status is an error, nobody listening is a passing one."""
    port, _, statuses = archive
    statuses.append(0xA700)
    with Modality("127.0.0.1", port, called="ARCHIVE") as modality, pytest.raises(Permanent, match="0xa700"):
        modality.store(picture(ORDERS[0], NOON))
    with Modality("127.0.0.1", 1) as modality, pytest.raises(Transient):
        modality.store(picture(ORDERS[0], NOON))
