"""A morning, played: orders, images and what goes wrong with them leave the hospital at their planned times."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from pydicom.dataset import FileDataset

from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent
from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.messages import Envelope, order_message, update_message
from radloop.workbench.hospital.objects import Look, dx, unreadable
from radloop.workbench.hospital.orders import Order
from radloop.workbench.hospital.patients import Child
from radloop.workbench.hospital.planning import Step
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.sources import Source
from radloop.workbench.hospital.tempo import Day

NEW_NAME = "Winter"
"""The family name that the patient of the A08 goes by afterwards, in every system."""
_AHEAD = 3  # images that are being made while the ones before them are sent


class Chart(Protocol):
    """The hospital's EHR, as the hospital itself fills it."""

    def file_order(self, order: Order) -> None:
        """Put in the patient and the ServiceRequest."""
        ...

    def file_study(self, order: Order) -> None:
        """Put in the ImagingStudy."""
        ...


@dataclass(frozen=True)
class Lines:
    """The hospital's lines out: HL7, images, and its own EHR."""

    hl7: MllpLine
    modality: Modality
    chart: Chart
    envelope: Envelope


@dataclass(frozen=True)
class Pictures:
    """What the modality makes: the images of the morning, how each is written, and the stranger of the wrong-patient study."""

    source: Source
    looks: Mapping[str, Look]
    stranger: Child

    def of(self, entry: Entry, taken: datetime, number: int = 1) -> FileDataset:
        """Return one image of a study as it leaves the modality."""
        order, look = renamed(entry), self.looks[entry.order.accession]
        if entry.irregular == "wrong-patient":
            order = replace(order, patient=self.stranger, study_uid=f"{order.study_uid}1"[:64])
        if entry.irregular == "unreadable-image":
            look = replace(look, compressed=False)
        image = dx(order, self.source.pixels(entry.image), taken, look, number)
        return unreadable(image) if entry.irregular == "unreadable-image" else image


@dataclass
class Told:
    """What the hospital keeps of its own morning: real instants, simulated seconds, and answers, by accession number.

    `stored` when the images of a study were accepted, `complete` the same in simulated seconds; `cancelled` and `raised` in simulated
    seconds too; `answers` what the HL7 door said to an order and to its repeat.
    """

    stored: dict[str, datetime] = field(default_factory=dict)
    complete: dict[str, float] = field(default_factory=dict)
    cancelled: dict[str, float] = field(default_factory=dict)
    raised: dict[str, float] = field(default_factory=dict)
    answers: dict[str, list[Mapping[str, str]]] = field(default_factory=dict)


def renamed(entry: Entry) -> Order:
    """Return an order with its patient as everybody knows them once the A08 has come."""
    if entry.irregular != "update-between":
        return entry.order
    return replace(entry.order, patient=replace(entry.order.patient, family=NEW_NAME))


class Morning:
    """Plays a plan over the hospital's lines and keeps what was told when."""

    def __init__(self, lines: Lines, pictures: Pictures, clock: Clock, day: Day) -> None:
        self._lines, self._pictures, self._clock, self._day = lines, pictures, clock, day
        self._sent: dict[str, FileDataset] = {}
        self._messages: dict[str, bytes] = {}
        self.told = Told()

    def play(self, steps: Sequence[Step]) -> None:
        """Play to the end, or until the day is over; raise Transient or Permanent where a line refuses."""
        with ThreadPoolExecutor(1, thread_name_prefix="modality") as modality:
            pictured = [step for step in steps if step.what in {"images", "second-image"}]
            made: dict[Step, Future[FileDataset]] = {}
            for step in steps:
                # A large image takes a while to make, above all a compressed one: nobody's cancel shall wait for it.
                for coming in [one for one in pictured if one not in made][: max(0, _AHEAD - len(made))]:
                    made[coming] = modality.submit(self._picture, coming)
                if not self._day.wait(self._due(step, steps)):
                    modality.shutdown(wait=False, cancel_futures=True)
                    return
                image = made.pop(step).result() if step in made else None
                if image is not None:
                    pictured.remove(step)
                self._do(step, image)

    def _due(self, step: Step, steps: Sequence[Step]) -> float:
        """Return when a step is due: what follows a study's images follows them also where these were late."""
        accession = step.entry.order.accession
        stored = self.told.complete.get(accession)
        if stored is None or step.what == "images":
            return step.after
        planned = next(one.after for one in steps if one.what == "images" and one.entry is step.entry)
        return step.after + max(0.0, stored - planned)

    def _picture(self, step: Step) -> FileDataset:
        return self._pictures.of(step.entry, self._clock.now(), number=2 if step.what == "second-image" else 1)

    def _do(self, step: Step, image: FileDataset | None) -> None:
        entry, order = step.entry, step.entry.order
        if step.what in {"order", "order-again"}:
            self._order(entry)
        elif step.what == "images" and image is not None:
            self._images(entry, image)
        elif step.what == "images-again":
            self._lines.modality.store(self._sent[order.accession])
        elif step.what == "second-image" and image is not None:
            self._lines.modality.store(image)
        elif step.what == "update":
            message = update_message(renamed(entry).patient, f"U{order.placer}", self._clock.now(), self._lines.envelope)
            self._lines.hl7.must(message)
        elif step.what == "cancel":
            self.told.cancelled[order.accession] = self._day.now()
            self._lines.hl7.must(order_message(order, f"C{order.placer}", self._clock.now(), self._lines.envelope, "CA"))
        else:
            stat = replace(order, priority="S")
            self.told.raised[order.accession] = self._day.now()
            self._lines.hl7.must(order_message(stat, f"X{order.placer}", self._clock.now(), self._lines.envelope, "XO"))

    def _order(self, entry: Entry) -> None:
        """Send an order, or send it again byte for byte; its answers are kept."""
        order = entry.order
        if order.accession not in self._messages:
            self._lines.chart.file_order(order)
            self._messages[order.accession] = order_message(order, f"O{order.placer}", self._clock.now(), self._lines.envelope)
        answer = self._lines.hl7.send(self._messages[order.accession])
        if answer.get("MSA-1") != "AA":
            raise Permanent(f"an order was refused: {answer.get('MSA-1')} {answer.get('MSA-3', '')}")
        self.told.answers.setdefault(order.accession, []).append(answer)

    def _images(self, entry: Entry, image: FileDataset) -> None:
        order = entry.order
        if entry.irregular != "wrong-patient":
            self._lines.chart.file_study(order)
        self._lines.modality.store(image)
        if entry.irregular == "object-twice":
            self._sent[order.accession] = image
        self.told.stored[order.accession] = self._clock.now()
        self.told.complete[order.accession] = self._day.now()
