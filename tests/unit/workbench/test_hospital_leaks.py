"""Nothing that leaves the simulated hospital follows the truth: turned round, it sends the same bytes."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from radloop.workbench.hospital.books import Books, Entry, enrol
from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.messages import Envelope, order_message
from radloop.workbench.hospital.morning import Pictures
from radloop.workbench.hospital.objects import file_bytes, looks
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.planning import plan
from radloop.workbench.hospital.sources import Candidate, Pixels

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEED = 5
Picture = Callable[[Books, Entry], FileDataset]


class Grey:
    """A source whose images show nothing."""

    name = "grey"

    def training(self) -> Sequence[tuple[str, bool, tuple[str, ...]]]:
        return []

    def test(self) -> Sequence[Candidate]:
        return []

    def pixels(self, image: str) -> Pixels:
        return np.full((64, 64), len(image), np.uint8)


def cohort(count: int = 14) -> Cohort:
    """Return a cohort of a morning, every other one positive."""
    drawn = tuple(Candidate(f"K{place}", place % 2 == 0, f"i{place}") for place in range(count + 11))
    return Cohort(seeds=(), acceptance=(), pool=(), gate=(), morning=drawn[:count], irregular=drawn[count:], test=())


def turned(drawn: Cohort) -> Cohort:
    """Return the same people with the opposite of everything that is true of them."""
    return replace(drawn, **{
        part.name: tuple(replace(one, positive=not one.positive) for one in getattr(drawn, part.name)) for part in fields(drawn)
    })


def honest(books: Books, entry: Entry) -> FileDataset:
    """Return the image that the modality makes, small."""
    small = {accession: replace(look, size=(64, 80)) for accession, look in looks(SEED, books.morning).items()}
    return Pictures(Grey(), small, children(99, 1, NOON.date())[0]).of(entry, NOON)


def sent(drawn: Cohort, picture: Picture = honest) -> list[bytes]:
    """Return every byte that a morning of this cohort sends, and when it does."""
    books = enrol(SEED, drawn, NOON)
    out = [f"{step.after} {step.what} {step.entry.order.accession}".encode() for step in plan(SEED, books.morning, 2)]
    out += [order_message(entry.order, f"O{entry.order.placer}", NOON, Envelope()) for entry in books.morning]
    return out + [file_bytes(picture(books, entry)) for entry in books.morning]


def test_the_truth_leaks_into_no_tag_message_or_time() -> None:
    """With every truth reversed the hospital sends the same orders and objects, byte for byte, at the same times."""
    assert sent(cohort()) == sent(turned(cohort()))


@pytest.mark.parametrize("tag", ["StudyDescription", "PatientComments", "InstanceNumber", "WindowCenter"])
def test_a_truth_built_into_a_tag_is_found(tag: str) -> None:
    """The comparison bites: one tag that follows the truth makes the two mornings differ."""
    def leaky(books: Books, entry: Entry) -> FileDataset:
        image = honest(books, entry)
        setattr(image, tag, "1" if books.truth[entry.order.accession] else "2")
        return image

    assert sent(cohort(), leaky) != sent(turned(cohort()), leaky)


def test_an_entry_does_not_tell_the_truth_in_words() -> None:
    """What is handed round in the hospital names the image nowhere that a log or a message would print it."""
    entry = enrol(SEED, cohort(), NOON).morning[0]
    assert entry.image not in repr(entry)
