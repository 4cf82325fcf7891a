"""A morning, played: orders go out, images follow, and the hospital's own EHR is told of both, at their planned times."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pydicom.dataset import FileDataset

from radloop.kit.clock import Clock
from radloop.workbench.hospital.messages import Envelope, order_message
from radloop.workbench.hospital.orders import Arrival, Order
from radloop.workbench.hospital.sender import MllpLine, Modality


class Chart(Protocol):
    """The hospital's EHR, as the hospital itself fills it."""

    def file_order(self, order: Order) -> None:
        """Put in the patient and the ServiceRequest."""
        ...

    def file_study(self, order: Order) -> None:
        """Put in the ImagingStudy."""
        ...


@dataclass(frozen=True)
class Step:
    """One thing that happens, so many seconds after the start."""

    after: float
    what: Literal["order", "images"]
    order: Order


@dataclass(frozen=True)
class Lines:
    """The hospital's lines out: HL7, images, and its own EHR."""

    hl7: MllpLine
    modality: Modality
    chart: Chart
    envelope: Envelope


def steps(arrivals: Sequence[Arrival]) -> tuple[Step, ...]:
    """Return what happens, in time order; an order always comes before its images."""
    planned = [Step(one.ordered_after, "order", one.order) for one in arrivals]
    planned += [Step(one.imaged_after, "images", one.order) for one in arrivals]
    return tuple(sorted(planned, key=lambda step: step.after))


class Morning:
    """Plays a schedule over the hospital's lines; `stored` keeps when each study's image was accepted."""

    def __init__(
        self,
        lines: Lines,
        picture: Callable[[Order, datetime], FileDataset],
        clock: Clock,
        tell: Callable[[Step], None] = lambda _: None,
    ) -> None:
        self._lines = lines
        self._picture = picture
        self._clock = clock
        self._tell = tell
        self._stop = threading.Event()
        self.stored: dict[str, datetime] = {}

    def play(self, arrivals: Sequence[Arrival]) -> None:
        """Play to the end, or until `stop`; raise Transient or Permanent where a line refuses."""
        begun = self._clock.monotonic()
        for step in steps(arrivals):
            if self._stop.wait(max(0.0, begun + step.after - self._clock.monotonic())):
                return
            if step.what == "order":
                self._send_order(step.order)
            else:
                self._send_images(step.order)
            self._tell(step)

    def stop(self) -> None:
        """End before the next step."""
        self._stop.set()

    def _send_order(self, order: Order) -> None:
        self._lines.chart.file_order(order)
        message = order_message(order, f"O{order.placer}", self._clock.now(), self._lines.envelope)
        self._lines.hl7.must(message)

    def _send_images(self, order: Order) -> None:
        image = self._picture(order, self._clock.now())
        self._lines.chart.file_study(order)
        self._lines.modality.store(image)
        self.stored[order.accession] = self._clock.now()
