"""Nothing that leaves the simulated hospital follows the truth: turned round, it sends the same bytes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from radloop.workbench.hospital.backfill import REPORTED, Archive, hand_over
from radloop.workbench.hospital.books import Books, Entry, enrol
from radloop.workbench.hospital.cohort import Cohort, draw, sizes
from radloop.workbench.hospital.messages import Envelope
from radloop.workbench.hospital.morning import Lines, Morning, Pictures
from radloop.workbench.hospital.objects import file_bytes, looks
from radloop.workbench.hospital.orders import Order
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.planning import plan
from radloop.workbench.hospital.readers import CONSENSUS, Radiologist
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.sources import Candidate, Phantoms, Pixels
from radloop.workbench.hospital.tempo import Day, Tempo
from tests.adapters.grey_source import Grey

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEED = 5
Picture = Callable[[Books, Entry], FileDataset]


class Named(Grey):
    """Images that are called what they show, as the real files are; each shows its number, whatever it is called."""

    def pixels(self, image: str) -> Pixels:
        return np.full((64, 64), int(image.rpartition("-")[2]), np.uint8)


def somebody(place: int, positive: bool) -> Candidate:
    """Return a candidate whose key and file name tell the class, as those of the real data do."""
    return Candidate(f"{'PNEUMONIA' if positive else 'NORMAL'}-{place}", positive, f"train/{'P' if positive else 'N'}/image-{place}")


def cohort(*, turned: bool = False) -> Cohort:
    """Return a cohort in which every other one is positive; turned, the same people with the opposite of all that is true of them."""
    drawn = tuple(somebody(place, (place % 2 == 0) != turned) for place in range(37))
    return Cohort(
        seeds=(), acceptance=drawn[25:29], pool=drawn[29:33], gate=drawn[33:], morning=drawn[:14], irregular=drawn[14:25], test=(),
    )


def honest(books: Books, entry: Entry) -> FileDataset:
    """Return the image that the modality makes, small."""
    small = {accession: replace(look, size=(64, 80)) for accession, look in looks(SEED, books.morning).items()}
    return Pictures(Named(), small, children(99, 1, NOON.date())[0]).of(entry, NOON)


class Line(MllpLine):
    """An HL7 line that keeps what was sent."""

    def __init__(self, out: list[bytes]) -> None:
        super().__init__("127.0.0.1", 0)
        self._out = out

    def send(self, message: bytes) -> dict[str, str]:
        self._out.append(message)
        return {"MSA-1": "AA"}


class Scu(Modality):
    """A modality that keeps what was sent."""

    def __init__(self, out: list[bytes]) -> None:
        super().__init__("127.0.0.1", 1)
        self._out = out

    def store(self, image: FileDataset) -> None:
        self._out.append(file_bytes(image))


class Nobody:
    """An EHR that forgets what it is told, and a clock that stands."""

    def file_order(self, order: Order) -> None:
        """Forget."""

    def file_study(self, order: Order) -> None:
        """Forget."""

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


def sent(drawn: Cohort, picture: Picture = honest) -> list[bytes]:
    """Return every byte that a morning of this cohort sends, in order, and when each step is."""
    books = enrol(SEED, drawn, NOON)
    steps = plan(SEED, books.morning, 2)
    out = [f"{step.after} {step.what} {step.entry.order.accession}".encode() for step in steps]

    class Making(Pictures):
        def of(self, entry: Entry, taken: datetime, number: int = 1) -> FileDataset:
            return picture(books, entry)

    making = Making(Named(), {}, children(99, 1, NOON.date())[0])
    Morning(Lines(Line(out), Scu(out), Nobody(), Envelope()), making, Nobody(), Day(Tempo(240), began=-1e9)).play(steps)
    return out


def handed_over(drawn: Cohort) -> dict[str, tuple[bytes, str]]:
    """Return the object of each earlier study and what it is handed over for, by accession number."""
    books = enrol(SEED, drawn, NOON)
    taken: dict[str, tuple[bytes, str]] = {}

    class Door:
        def backfill(self, file: bytes, purpose: str) -> str:
            taken[str(dcmread(BytesIO(file)).AccessionNumber)] = file, purpose
            return "case"

    unreported = [entry for entry in books.earlier if entry.part not in REPORTED]
    signer = Radiologist("consensus", SEED, books.truth, CONSENSUS)
    archive = Archive(Named(), signer, ("127.0.0.1", 1), Envelope(), Nobody())
    hand_over(unreported, archive, Door(), lambda _: None)
    for entry in books.earlier:  # these are reported too, which needs an HL7 line: the object is made the same way
        if entry.part in REPORTED:
            hand_over([replace(entry, part="pool")], archive, Door(), lambda _: None)
    return taken


def test_the_truth_leaks_into_no_tag_message_or_time() -> None:
    """With every truth reversed, and every key and file name that tells it, the hospital sends the same bytes at the same times."""
    assert sent(cohort()) == sent(cohort(turned=True))


def test_the_truth_leaks_into_no_earlier_study() -> None:
    """The objects of pool, acceptance and gate are as blind."""
    told = handed_over(cohort())
    assert len(told) == 12
    assert told == handed_over(cohort(turned=True))


@pytest.mark.parametrize("tag", ["StudyDescription", "PatientComments", "InstanceNumber", "WindowCenter"])
def test_a_truth_built_into_a_tag_is_found(tag: str) -> None:
    """The comparison bites: one tag that follows the truth makes the two mornings differ."""
    def leaky(books: Books, entry: Entry) -> FileDataset:
        image = honest(books, entry)
        setattr(image, tag, "1" if books.truth[entry.order.accession] else "2")
        return image

    assert sent(cohort(), leaky) != sent(cohort(turned=True), leaky)


def test_a_file_name_built_into_a_tag_is_found() -> None:
    """The names of the source's files tell the class: one in a tag is a leak like any other."""
    def leaky(books: Books, entry: Entry) -> FileDataset:
        image = honest(books, entry)
        image.StudyDescription = entry.image
        return image

    assert sent(cohort(), leaky) != sent(cohort(turned=True), leaky)


@pytest.mark.parametrize("part", ["acceptance", "gate", "pool", "morning"])
def test_accession_numbers_do_not_follow_the_truth(part: str) -> None:
    """Neither by who comes first in a part, nor by which irregularity: over seeds positives come as early as negatives."""
    places = []
    for seed in range(12):
        drawn = draw(Phantoms(seed), seed, sizes(60, 100))
        books = enrol(seed, drawn, NOON)
        mine = [entry for entry in (*books.earlier, *books.morning) if entry.part == part]
        truth = np.array([books.truth[entry.order.accession] for entry in sorted(mine, key=lambda one: one.order.accession)])
        places.append(np.flatnonzero(truth).mean() / (len(truth) - 1))
    assert abs(np.mean(places) - 0.5) < 0.08


def test_an_entry_does_not_tell_the_truth_in_words() -> None:
    """What is handed round in the hospital names the image nowhere that a log or a message would print it."""
    entry = enrol(SEED, cohort(), NOON).morning[0]
    assert entry.image not in repr(entry)
