"""A shift: radiologists read the list from the top at their own pace, sign, and answer questions between two cases."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from radloop.kit.clock import Clock
from radloop.kit.errors import Transient
from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.messages import Envelope, report_message
from radloop.workbench.hospital.morning import renamed
from radloop.workbench.hospital.orders import Order
from radloop.workbench.hospital.planning import CLEARED_AFTER, HOUR, READERS_COME_AFTER
from radloop.workbench.hospital.reading_room import Desk, Given, ReadingRoom
from radloop.workbench.hospital.sender import MllpLine
from radloop.workbench.hospital.tempo import Day

REVIEWS_PER_HOUR = 6
STAT = "stat"
UNNOTICED = 0.3
"""Real seconds for which the platform may keep a reader without costing them time: they click while they think."""
_CLICKS = 0.15  # real seconds before the end of a reading at which the verdict is given, so that the report is signed in time
_LOOK_AGAIN = 0.2  # real seconds: nothing on the list may be opened yet


@dataclass(frozen=True)
class Turn:
    """One case read from the list; all instants in simulated seconds since the morning began.

    `taken` when the reader turned to the case, `opened` when it was on the screen, `signed` when the report was acknowledged (None:
    there was no order to sign for).
    """

    reader: str
    accession: str
    urgency: str
    taken: float
    opened: float
    signed: float | None


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

    def give_back(self, question: tuple[str, str]) -> None:
        """Put one back that could not be answered."""
        with self._lock:
            self._waiting.insert(0, question)

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
    """Readers at work, each in a thread of their own; `turns` and the desks keep what they did.

    A reader's time is their own, drawn: they turn to the next case when the one before is done, and are done with it so many
    seconds later, clicks included. Only what the platform keeps them waiting for beyond that costs them more.
    """

    def __init__(self, desks: Sequence[Desk], place: Place, questions: Questions) -> None:
        self._place, self._questions, self._desks = place, questions, desks
        self._lock = threading.Lock()
        self._taken: set[str] = set()
        self._hands = ThreadPoolExecutor(len(desks), thread_name_prefix="reader")
        self._working: list[Future[None]] = []
        self.turns: list[Turn] = []

    def start(self) -> None:
        """Sit down when readers come."""
        self._working = [self._hands.submit(self._work, desk) for desk in self._desks]

    def check(self) -> None:
        """Raise what made a reader stop."""
        for working in self._working:
            if working.done():
                working.result()

    @property
    def over(self) -> bool:
        """Say whether everything is read that will be."""
        return all(working.done() for working in self._working)

    def stop(self) -> None:
        """Wait for the readers; the day must be over."""
        self._hands.shutdown(cancel_futures=True)

    def read(self) -> int:
        """Return how many studies have been read."""
        with self._lock:
            return len(self.turns)

    def _work(self, desk: Desk) -> None:
        day = self._place.day
        if not day.wait(READERS_COME_AFTER):
            return
        free = asks_from = READERS_COME_AFTER
        with self._place.page() as room, self._place.hl7() as hl7:
            while not (day.over.is_set() or (self._all_read() and not self._questions.left)):
                try:
                    row, stat_waits = self._next(room)
                    if row is not None:
                        free = self._read(desk, row, self._noticed(max(free, self._cleared_at(row))), hl7)
                        stat_waits = self._stat_waits(self._rows(room))
                    if day.now() >= asks_from and not stat_waits and (asked := self._answer(desk, self._noticed(free))) is not None:
                        free, asks_from = asked, asked + HOUR / REVIEWS_PER_HOUR
                    elif row is None:
                        time.sleep(_LOOK_AGAIN)
                except Transient:
                    time.sleep(_LOOK_AGAIN)

    def _noticed(self, at: float) -> float:
        """Return an instant, or the latest that a reader who is kept waiting would not notice having missed it by."""
        day = self._place.day
        return max(at, day.now() - day.tempo.simulated(UNNOTICED))

    def _all_read(self) -> bool:
        with self._lock:
            read = {turn.accession for turn in self.turns}
        return all(accession in read or accession in self._place.cancelled for accession in self._place.entries)

    def _next(self, room: ReadingRoom) -> tuple[dict[str, Any] | None, bool]:
        """Take the first case that may be opened; say also whether a STAT waits that nobody has taken."""
        with self._lock:
            rows = self._rows(room)
            row = next((one for one in rows if self._cleared_at(one) <= self._place.day.now()), None)
            if row is not None:
                self._taken.add(row["case_id"])
            return row, self._stat_waits(rows)

    def _rows(self, room: ReadingRoom) -> list[dict[str, Any]]:
        """Return our own cases on the list that nobody has taken, in its order."""
        return [
            row for row in room.rows("reading")
            if row["person"]["id"] in self._place.patients and row["case_id"] not in self._taken
        ]

    def _stat_waits(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        return any(row["urgency"] == STAT for row in rows)

    def _cleared_at(self, row: Mapping[str, Any]) -> float:
        """Return when the technologist has let a case go, in simulated seconds."""
        since = (self._place.clock.now() - datetime.fromisoformat(str(row["arrived_at"]))).total_seconds()
        day = self._place.day
        return day.now() - day.tempo.simulated(since) + CLEARED_AFTER

    def _read(self, desk: Desk, row: Mapping[str, Any], taken: float, hl7: MllpLine) -> float:
        """Read a case from when it was taken up, and sign; return when the reader is free again."""
        day, opened = self._place.day, self._place.day.now()
        at_hand = day.tempo.simulated(_CLICKS)
        try:
            given = desk.answer(
                row["case_id"], str(row["request_id"]) if row["ai_hidden"] else "", lambda seconds: day.wait(taken + seconds - at_hand),
            )
        except Transient:  # something was away: the case is for whoever comes to the list next
            with self._lock:
                self._taken.discard(row["case_id"])
            raise
        if given.kind == "reject":
            self._place.rejected(given.case_id)
        entry = self._place.entries.get(given.accession)
        signed = None
        if entry is not None and entry.irregular != "wrong-patient":
            self._sign(hl7, renamed(entry), given)
            signed = day.now()
        with self._lock:
            self.turns.append(Turn(given.reader, given.accession, str(row["urgency"]), taken, opened, signed))
        return self._noticed(taken + given.seconds)

    def _sign(self, hl7: MllpLine, order: Order, given: Given) -> None:
        """Send the report; where nobody takes it, the same again: the case is read, and only its report is outstanding."""
        present = None if given.opinion == "cannot-say" else given.opinion == "present"
        report = report_message(order, present, given.reader, f"S{order.placer}", self._place.clock.now(), Envelope())
        while not self._place.day.over.is_set():
            try:
                hl7.must(report)
            except Transient:
                time.sleep(_LOOK_AGAIN)
            else:
                return

    def _answer(self, desk: Desk, taken: float) -> float | None:
        """Answer the next question from when it was taken up; return when the reader is free again, None where none waits."""
        question = self._questions.take()
        if question is None:
            return None
        try:
            given = desk.answer(*question, lambda seconds: self._place.day.wait(taken + seconds))
        except Transient:
            self._questions.give_back(question)
            raise
        self._questions.answered()
        return self._noticed(taken + given.seconds)
