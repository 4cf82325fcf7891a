"""What happens to the studies of a drill, drawn by seed: most are ordinary, some are changed, cancelled, signed, or cannot be read.

A story is a plan and nothing is sent here. Its messages are bytes made once, so that whatever is sent again is the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

import numpy as np

from radloop.workbench.hospital.messages import Envelope, order_message, report_message, update_message
from radloop.workbench.hospital.orders import Order, book
from radloop.workbench.hospital.patients import children

Kind = Literal[
    "ordinary", "image-first", "two-images", "changed", "cancelled-early", "cancelled-late", "signed-early", "signed-late",
    "renamed", "unreadable", "refused",
]
SHARES: dict[Kind, int] = {
    "ordinary": 50, "image-first": 8, "two-images": 6, "changed": 7, "cancelled-early": 3, "cancelled-late": 5, "signed-early": 5,
    "signed-late": 6, "renamed": 4, "unreadable": 3, "refused": 3,
}
"""How many of a hundred studies go which way."""
ROUND = 100_000
"""Numbers of one round's orders: rounds on one stack never meet."""
_LATE = 5.0


@dataclass(frozen=True)
class Message:
    """An HL7 message to be sent until it is answered; one that is not `good` is to be answered AE or AR."""

    raw: bytes
    control: str
    good: bool = True

    @property
    def digest(self) -> str:
        """Return the SHA-256 of its bytes."""
        return sha256(self.raw).hexdigest()


@dataclass(frozen=True)
class Image:
    """The so-and-so-many-th image of the study; a damaged one is taken at the door and can be read by nobody."""

    number: int = 1
    damaged: bool = False


@dataclass(frozen=True)
class Pause:
    """Let so many seconds pass."""

    seconds: float


Step = Message | Image | Pause


@dataclass(frozen=True)
class Story:
    """One study: its order, what kind of story it is, and what is done, in this order."""

    number: int
    kind: Kind
    order: Order
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """Return how it is named in a report."""
        return f"study {self.number} ({self.kind})"

    @property
    def ends(self) -> frozenset[str]:
        """Return how it may end: delivered, superseded or quarantined."""
        match self.kind:
            case "refused" | "unreadable":
                return frozenset({"quarantined"})
            case "cancelled-early":
                return frozenset({"superseded"})
            case "cancelled-late" | "signed-early" | "signed-late":
                return frozenset({"delivered", "superseded"})
            case _:
                return frozenset({"delivered"})


def stories(seed: int, now: datetime, first: int, count: int) -> Iterator[Story]:
    """Yield so many stories, numbered from `first` on."""
    rng = np.random.default_rng([seed, 0xD1, first])
    people = children(seed + first, count, now.date(), prefix=f"{first}-")
    orders = book(seed, people, first, now, timedelta(seconds=1), prefix="D")
    kinds, weights = list(SHARES), np.array(list(SHARES.values()), dtype=float)
    drawn = rng.choice(len(kinds), size=count, p=weights / weights.sum())
    for number, order, place in zip(range(first, first + count), orders, drawn, strict=True):
        yield story(number, kinds[int(place)], order)


def story(number: int, kind: Kind, order: Order) -> Story:
    """Tell one story of an order."""
    envelope, at = Envelope(), order.placed
    routine = replace(order, priority="R")

    def ordered(code: str = "NW", of: Order = routine, as_: str = "") -> Message:
        control = f"D{number}{as_ or code}"
        return Message(order_message(of, control, at, envelope, code), control)

    report = Message(report_message(routine, None, "reader-9", f"D{number}R", at, envelope), f"D{number}R")
    update = Message(
        update_message(replace(order.patient, given=f"{order.patient.given}a"), f"D{number}U", at, envelope), f"D{number}U",
    )
    foreign = Message(order_message(routine, f"D{number}T", at, replace(envelope, processing="T")), f"D{number}T", good=False)
    steps: tuple[Step, ...]
    match kind:
        case "image-first":
            steps = (Image(), ordered())
        case "two-images":
            steps = (ordered(), Image(1), Image(2))
        case "changed":
            steps = (ordered(), Image(), ordered("XO", replace(order, priority="A")))
        case "cancelled-early":
            steps = (ordered(), ordered("CA"), Pause(2.0), Image())
        case "cancelled-late":
            steps = (ordered(), Image(), Pause(_LATE), ordered("CA"))
        case "signed-early":
            steps = (ordered(), Image(), report)
        case "signed-late":
            steps = (ordered(), Image(), Pause(_LATE), report)
        case "renamed":
            steps = (ordered(), Image(), update)
        case "unreadable":
            steps = (ordered(), Image(damaged=True))
        case "refused":
            steps = (foreign,)
        case "ordinary":
            steps = (ordered("NW", order), Image())
    return Story(number, kind, order, steps)
