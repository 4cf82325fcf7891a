"""A shift: radiologists read the list from the top at their own pace, sign, and answer questions between two cases."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent, Transient
from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.messages import Envelope, report_message
from radloop.workbench.hospital.orders import Order
from radloop.workbench.hospital.planning import CLEARED_AFTER, HOUR, READERS_COME_AFTER
from radloop.workbench.hospital.reading_room import Desk, Given, ReadingRoom
from radloop.workbench.hospital.sender import MllpLine
from radloop.workbench.hospital.tempo import Day

REVIEWS_PER_HOUR = 6
_LOOK_AGAIN = 0.2  # real seconds: nothing on the list may be opened yet
_STAT = "stat"


@dataclass(frozen=True)
class Turn:
    """One case read from the list; all instants in simulated seconds since the morning began.

    `free` when the reader came to the list, `opened`, `signed` (None: there was no order to sign for), and `done` when the
    reader came back to the list, questions answered in between included.
    """

    reader: str
    accession: str
    urgency: str
    free: float
    opened: float
    signed: float | None
    done: float
    given: Given


class Questions:
    """Review requests that wait to be answered between two cases; `expected` is how many there will be, before they are asked."""

    def __init__(self, expected: int = 0) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, str]] = []
        self._left = expected

    def ask(self, questions: Sequence[tuple[str, str]]) -> None:
        """Hand over the questions, each a case and its request."""
        with self._lock:
            self._waiting += questions
            self._left = len(self._waiting)

    def take(self) -> tuple[str, str] | None:
        """Return the next one, None where none waits."""
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None

    def answered(self) -> None:
        """Count one as answered."""
        with self._lock:
            self._left -= 1

    @property
    def left(self) -> int:
        """Return how many are not answered yet."""
        with self._lock:
            return self._left


@dataclass(frozen=True)
class Place:
    """Where readers work: a page and an HL7 line of their own for each, what was ordered, for whom, and what is a day's time.

    Only cases of these patients are read: a list may hold others.
    """

    page: Callable[[], ReadingRoom]
    hl7: Callable[[], MllpLine]
    entries: Mapping[str, Entry]
    patients: frozenset[str]
    cancelled: Mapping[str, float]
    day: Day
    clock: Clock
    rejected: Callable[[str], object]


class Shift:
    """Readers at work, a thread each; `turns` and the desks keep what they did."""

    def __init__(self, desks: Sequence[Desk], place: Place, questions: Questions) -> None:
        self._place, self._questions, self._desks = place, questions, desks
        self._lock = threading.Lock()
        self._taken: set[str] = set()
        self.turns: list[Turn] = []
        self.failed: list[Exception] = []
        self._threads = [threading.Thread(target=self._work, args=(desk,), name=desk.reader.name, daemon=True) for desk in desks]

    def start(self) -> None:
        """Sit down when readers come."""
        for thread in self._threads:
            thread.start()

    @property
    def over(self) -> bool:
        """Say whether everything is read that will be, or somebody had to stop."""
        return bool(self.failed) or not any(thread.is_alive() for thread in self._threads)

    def read(self) -> int:
        """Return how many studies have been read."""
        with self._lock:
            return len(self.turns)

    def _work(self, desk: Desk) -> None:
        day, free, asks_from = self._place.day, READERS_COME_AFTER, READERS_COME_AFTER
        if not day.wait(READERS_COME_AFTER):
            return
        try:
            with self._place.page() as room, self._place.hl7() as hl7:
                while not (day.over.is_set() or self.failed or (self._all_read() and not self._questions.left)):
                    try:
                        row, stat_waits = self._next(room)
                        if row is not None:
                            turn = self._take(desk, row, free, hl7)
                            asks_from = self._between(desk, room, asks_from)
                            free = day.now()
                            self._keep(turn, free)
                        elif not stat_waits and day.now() >= asks_from and self._answer(desk):
                            asks_from = day.now() + HOUR / REVIEWS_PER_HOUR
                            free = day.now()
                        else:
                            time.sleep(_LOOK_AGAIN)
                    except Transient:
                        time.sleep(_LOOK_AGAIN)
        except (Permanent, KeyError, ValueError, OSError) as wrong:  # whoever waits for the shift is told
            self.failed.append(wrong)

    def _all_read(self) -> bool:
        with self._lock:
            read = {turn.accession for turn in self.turns}
        return all(accession in read or accession in self._place.cancelled for accession in self._place.entries)

    def _next(self, room: ReadingRoom) -> tuple[dict[str, Any] | None, bool]:
        """Take the first case that may be opened; say also whether a STAT waits that nobody has taken."""
        with self._lock:
            rows = [
                row for row in room.rows("reading")
                if row["person"]["id"] in self._place.patients and row["case_id"] not in self._taken
            ]
            row = next((one for one in rows if self._cleared(one)), None)
            if row is not None:
                self._taken.add(row["case_id"])
            return row, any(one["urgency"] == _STAT for one in rows)

    def _cleared(self, row: Mapping[str, Any]) -> bool:
        arrived = datetime.fromisoformat(str(row["arrived_at"]))
        return (self._place.clock.now() - arrived).total_seconds() >= self._place.day.tempo.real(CLEARED_AFTER)

    def _take(self, desk: Desk, row: Mapping[str, Any], free: float, hl7: MllpLine) -> Turn:
        try:
            return self._read(desk, row, free, hl7)
        except Transient:  # something was away: the case is for whoever comes to the list next
            with self._lock:
                self._taken.discard(row["case_id"])
            raise

    def _read(self, desk: Desk, row: Mapping[str, Any], free: float, hl7: MllpLine) -> Turn:
        day = self._place.day
        opened = day.now()
        given = desk.answer(row["case_id"], str(row["request_id"]) if row["ai_hidden"] else "", day.rest)
        if given.kind == "reject":
            self._place.rejected(given.case_id)
        entry = self._place.entries.get(given.accession)
        signed = None
        if entry is not None and entry.irregular != "wrong-patient":
            self._sign(hl7, entry.order, given)
            signed = day.now()
        return Turn(given.reader, given.accession, str(row["urgency"]), free, opened, signed, day.now(), given)

    def _sign(self, hl7: MllpLine, order: Order, given: Given) -> None:
        present = None if given.opinion == "cannot-say" else given.opinion == "present"
        hl7.must(report_message(order, present, given.reader, f"S{order.placer}", self._place.clock.now(), Envelope()))

    def _between(self, desk: Desk, room: ReadingRoom, asks_from: float) -> float:
        """Answer a question between two cases, unless a STAT waits or it is too soon; return when the next may be asked."""
        day = self._place.day
        if day.now() < asks_from or not self._questions.left:
            return asks_from
        with self._lock:
            taken = set(self._taken)
        waiting = (row for row in room.rows("reading") if row["person"]["id"] in self._place.patients)
        if any(row["urgency"] == _STAT and row["case_id"] not in taken for row in waiting):
            return asks_from
        return day.now() + HOUR / REVIEWS_PER_HOUR if self._answer(desk) else asks_from

    def _answer(self, desk: Desk) -> bool:
        question = self._questions.take()
        if question is None:
            return False
        desk.answer(*question, self._place.day.rest)
        self._questions.answered()
        return True

    def _keep(self, turn: Turn, done: float) -> None:
        with self._lock:
            self.turns.append(replace(turn, done=done))
