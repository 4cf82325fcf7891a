"""The hospital's books: who of the cohort became which patient with which order, and what is true of them.

The truth is kept by accession number and stays in this process: readers are given it, nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.sources import Candidate

EARLIER_PARTS = ("acceptance", "gate", "pool")


@dataclass(frozen=True)
class Entry:
    """One order, the part of the cohort it belongs to, and the image that will be taken."""

    order: Order
    part: str
    image: str = field(repr=False)


@dataclass(frozen=True)
class Books:
    """Earlier studies in the order they once came, and the morning's."""

    earlier: tuple[Entry, ...]
    morning: tuple[Entry, ...]
    truth: Mapping[str, bool] = field(repr=False)

    def images(self) -> dict[str, str]:
        """Return the image of each accession number."""
        return {entry.order.accession: entry.image for entry in (*self.earlier, *self.morning)}


def enrol(seed: int, cohort: Cohort, now: datetime) -> Books:
    """Give everybody a name, a record number and an order; earlier studies of all parts are numbered mixed, in one row."""
    rng = np.random.default_rng([seed, 0xC5])
    earlier = [(part, candidate) for part in EARLIER_PARTS for candidate in getattr(cohort, part)]
    earlier = [earlier[int(place)] for place in rng.permutation(len(earlier))]
    morning = [("morning", candidate) for candidate in cohort.morning]
    people = children(seed, len(earlier) + len(morning), now.date())
    before = timedelta(days=90) / max(1, len(earlier))
    past = book(seed, people[: len(earlier)], 1, now - timedelta(days=91), before)
    today = book(seed, people[len(earlier) :], 1 + len(earlier), now, timedelta(seconds=1))
    rows: list[tuple[str, Candidate]] = [*earlier, *morning]
    orders = (*past, *today)
    entries = tuple(Entry(order, part, one.image) for order, (part, one) in zip(orders, rows, strict=True))
    return Books(
        earlier=entries[: len(earlier)],
        morning=entries[len(earlier) :],
        truth={entry.order.accession: one.positive for entry, (_, one) in zip(entries, rows, strict=True)},
    )
