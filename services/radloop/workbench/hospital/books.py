"""The hospital's books: who of the cohort became which patient with which order, and what is true of them.

The truth is kept by accession number and stays in this process: readers are given it, nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.irregular import STUDIES
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.sources import Candidate

EARLIER_PARTS = ("acceptance", "gate", "pool")
_ADULT_YEARS = 50


@dataclass(frozen=True)
class Entry:
    """One order, the part of the cohort it belongs to, the image that will be taken, and how it is irregular (empty: it is not)."""

    order: Order
    part: str
    image: str = field(repr=False)
    irregular: str = ""


@dataclass(frozen=True)
class Books:
    """Earlier studies in the order they once came, and the morning's, regular and irregular mixed."""

    earlier: tuple[Entry, ...]
    morning: tuple[Entry, ...]
    truth: Mapping[str, bool] = field(repr=False)


def enrol(seed: int, cohort: Cohort, now: datetime, play: int = 0) -> Books:
    """Give everybody a name, a record number and an order; earlier studies of all parts are numbered mixed, in one row.

    `play` makes other people, numbers and UIDs of the same cohort, for a platform that has met an earlier play of the seed.
    """
    rng = np.random.default_rng([seed, 0xC5])
    earlier = [(part, candidate, "") for part in EARLIER_PARTS for candidate in getattr(cohort, part)]
    earlier = [earlier[int(place)] for place in rng.permutation(len(earlier))]
    today = [("morning", candidate, "") for candidate in cohort.morning]
    today += [("morning", candidate, kind) for kind, candidate in zip(STUDIES, cohort.irregular, strict=False)]
    today = [today[int(place)] for place in rng.permutation(len(today))]
    people = children(seed, len(earlier) + len(today), now.date(), f"{play}-" if play else "")
    before = timedelta(days=90) / max(1, len(earlier))
    first = 1 + play
    past = book(seed, people[: len(earlier)], first, now - timedelta(days=91), before)
    new = book(seed, people[len(earlier) :], first + len(earlier), now, timedelta(seconds=1))
    rows: list[tuple[str, Candidate, str]] = [*earlier, *today]
    entries = tuple(
        Entry(_as(kind, order), part, one.image, kind) for order, (part, one, kind) in zip((*past, *new), rows, strict=True)
    )
    return Books(
        earlier=entries[: len(earlier)],
        morning=entries[len(earlier) :],
        truth={entry.order.accession: one.positive for entry, (_, one, _) in zip(entries, rows, strict=True)},
    )


def _as(kind: str, order: Order) -> Order:
    """Return an order as its irregularity wants it: routine at first, and of an adult where it is one."""
    if not kind:
        return order
    born = order.patient.birth_date.replace(year=order.patient.birth_date.year - _ADULT_YEARS, day=1)
    patient = replace(order.patient, birth_date=born) if kind == "adult" else order.patient
    return replace(order, priority="R", patient=patient)
