"""Readers at the list: from the top, each case once, signed, and asked only when nobody urgent waits."""

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Self

import pytest

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Transient
from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.messages import read
from radloop.workbench.hospital.orders import book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.planning import MINUTE
from radloop.workbench.hospital.readers import Radiologist, Skill
from radloop.workbench.hospital.reading_room import Desk, ReadingRoom
from radloop.workbench.hospital.sender import MllpLine
from radloop.workbench.hospital.shift import Place, Questions, Shift
from radloop.workbench.hospital.tempo import Day, Tempo

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PEOPLE = children(4, 6, NOON.date())
ORDERS = book(4, PEOPLE, 1, NOON, timedelta(minutes=3))
FAST = Skill(sensitivity=0.0, specificity=0.0, cannot_say=0.0, pace=0.2)
"""Quick, and often wrong."""


class Room(ReadingRoom):
    """A page whose list holds these cases in this order until they are signed."""

    def __init__(self, urgent: Mapping[str, str] | None = None) -> None:
        """Show everybody, long since cleared."""
        super().__init__("127.0.0.1:1")
        self.waiting = {order.accession: order for order in ORDERS}
        self.urgent = dict(urgent or {})
        self.arrived = dict.fromkeys(self.waiting, datetime.now(UTC) - timedelta(hours=2))
        self.opened: list[str] = []
        self.answered: list[tuple[str, str]] = []
        self.asked_at: list[float] = []
        self.fails = self.fails_questions = 0

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        """Stay: the test looks at it."""

    def rows(self, view: str) -> list[dict[str, Any]]:
        """Return a STAT first, then as they came."""
        rows = [
            {
                "case_id": name, "request_id": "", "ai_hidden": False, "urgency": self.urgent.get(name, "routine"),
                "arrived_at": self.arrived[name].isoformat(), "person": {"id": order.patient.mrn},
            }
            for name, order in self.waiting.items()
        ]
        return sorted(rows, key=lambda row: row["urgency"] != "stat")

    def screen(self, case: str, request: str = "") -> Mapping[str, Any] | None:
        """Show a case of which the model says that there is nothing."""
        row = {"case_id": case, "request_id": request, "revision": 1, "prediction_id": "", "asked": bool(request),
               "ai_hidden": False, "said": [{"answer": "absent"}]}
        return {"row": row, "accession": case.removeprefix("pool-"), "ai_shown": True}

    def open(self, case: str, body: Mapping[str, object]) -> str:
        """Keep who was opened."""
        if self.fails and not body["request_id"]:
            self.fails -= 1
            raise Transient("the page is away")
        if self.fails_questions and body["request_id"]:
            self.fails_questions -= 1
            raise Transient("the page is away")
        self.opened.append(case)
        return ""

    def verdict(self, case: str, body: Mapping[str, object]) -> str:
        """Take every answer."""
        self.answered.append((case, str(body["request_id"])))
        if body["request_id"]:
            self.asked_at.append(240 * time.monotonic())
        return ""


class Line(MllpLine):
    """An HL7 line; what is signed leaves the list."""

    def __init__(self, room: Room) -> None:
        super().__init__("127.0.0.1", 0)
        self._room = room
        self.signed: list[str] = []
        self.findings: dict[str, str] = {}
        self.fails = 0

    def must(self, message: bytes) -> None:
        """Take the report off the list."""
        if self.fails:
            self.fails -= 1
            raise Transient("the line is down")
        told = read(message)
        accession = told["OBR-18"]
        self.findings[accession] = told["OBX-5"].split("^")[1].lower()
        self.signed.append(accession)
        self._room.waiting.pop(accession, None)


def shift(room: Room, *, readers: int = 1, expected: int = 0, kinds: Mapping[str, str] | None = None) -> tuple[Shift, Line, Questions]:
    """Return readers at a list, on a day that began long ago."""
    truth = {order.accession: False for order in ORDERS}
    desks = [Desk(Radiologist(f"r{number}", 6, truth, FAST), room) for number in range(readers)]
    entries = {order.accession: Entry(order, "morning", "i", (kinds or {}).get(order.accession, "")) for order in ORDERS}
    line, questions = Line(room), Questions(expected)
    place = Place(
        lambda: room, lambda: line, entries, frozenset(one.mrn for one in PEOPLE), {}, Day(Tempo(240), time.monotonic() - 1e4),
        SystemClock(), lambda _: None,
    )
    return Shift(desks, place, questions), line, questions


def until_over(at_work: Shift) -> None:
    """Let them work to the end."""
    at_work.start()
    deadline = time.monotonic() + 30
    while not at_work.over and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert at_work.over
    at_work.stop()
    at_work.check()


def test_the_list_is_read_from_the_top_and_every_case_is_signed() -> None:
    """A STAT first, then in the list's order; each once."""
    names = [order.accession for order in ORDERS]
    room = Room({names[3]: "stat"})
    at_work, line, _ = shift(room)
    until_over(at_work)
    assert room.opened == [names[3], *names[:3], *names[4:]]
    assert line.signed == room.opened
    assert [turn.accession for turn in at_work.turns] == room.opened
    assert all(turn.opened <= (turn.signed or 0) for turn in at_work.turns)


def test_two_readers_never_take_the_same_case() -> None:
    """They share one list."""
    room = Room()
    at_work, _, _ = shift(room, readers=2)
    until_over(at_work)
    assert sorted(room.opened) == sorted(order.accession for order in ORDERS)
    assert {turn.reader for turn in at_work.turns} == {"r0", "r1"}


def test_a_study_the_technologist_still_has_is_not_opened() -> None:
    """What has just come waits until it is cleared, though it stands on top."""
    room = Room()
    first = ORDERS[0].accession
    room.arrived[first] = datetime.now(UTC)
    at_work, _, _ = shift(room)
    until_over(at_work)
    assert room.opened[0] != first
    assert first in room.opened


def test_a_stranger_on_the_list_is_left_alone() -> None:
    """A platform may hold cases that are none of ours."""
    room = Room()
    stranger = book(9, children(9, 1, NOON.date()), 900, NOON, timedelta(0))[0]
    room.waiting[stranger.accession] = stranger
    room.arrived[stranger.accession] = NOON
    at_work, _, _ = shift(room)
    until_over(at_work)
    assert stranger.accession not in room.opened


def test_a_study_without_an_order_of_its_own_is_not_signed() -> None:
    """Of the wrong patient: read, and left for whoever puts it right."""
    room = Room()
    wrong = ORDERS[2].accession
    at_work, line, _ = shift(room, kinds={wrong: "wrong-patient"})
    until_over(at_work)
    assert wrong in room.opened
    assert wrong not in line.signed
    assert next(turn for turn in at_work.turns if turn.accession == wrong).signed is None


def test_no_question_is_answered_while_a_stat_waits_and_six_an_hour_at_most() -> None:
    """Questions come between two cases, at least ten simulated minutes apart for each reader."""
    names = [order.accession for order in ORDERS]
    room = Room({names[0]: "stat", names[1]: "stat"})
    at_work, _, questions = shift(room, expected=3)
    questions.ask([(f"pool-{name}", f"q-{name}") for name in names[:3]])
    until_over(at_work)
    asked = [place for place, (case, _) in enumerate(room.answered) if case.startswith("pool-")]
    assert len(asked) == 3
    assert min(asked) >= 2, "both STATs came first"
    assert questions.left == 0
    gaps = [later - earlier for earlier, later in pairwise(room.asked_at)]
    assert min(gaps) >= 9 * MINUTE  # less what the clock of a busy machine is off


def test_a_page_that_is_away_costs_no_case() -> None:
    """What could not be opened is taken up again."""
    room = Room()
    room.fails = 2
    at_work, line, _ = shift(room)
    until_over(at_work)
    assert sorted(line.signed) == sorted(order.accession for order in ORDERS)


def test_a_question_that_could_not_be_asked_is_asked_again() -> None:
    """A page that is away for a moment loses no question, and no case that was read before it."""
    room = Room()
    room.fails_questions = 1
    at_work, line, questions = shift(room, expected=1)
    questions.ask([("pool-" + ORDERS[0].accession, "q")])
    until_over(at_work)
    assert questions.left == 0
    assert len(at_work.turns) == len(line.signed) == len(ORDERS)


def test_a_report_that_nobody_takes_is_sent_until_somebody_does() -> None:
    """The case has been read: it is not read again, and the same report goes out."""
    room = Room()
    at_work, line, _ = shift(room)
    line.fails = 2
    until_over(at_work)
    assert sorted(line.signed) == sorted(room.opened) == sorted(order.accession for order in ORDERS)


def test_what_is_signed_is_what_the_reader_thinks_errors_included() -> None:
    """Neither the verdict nor the report knows the truth better than the reader."""
    room = Room()
    at_work, line, _ = shift(room)
    until_over(at_work)
    reader = at_work._desks[0].reader
    opinions = {order.accession: reader.opinion(order.accession) for order in ORDERS}
    assert len(set(opinions.values())) == 2, "a reader who is never wrong would show nothing"
    assert line.findings == opinions
    assert {given.accession: given.opinion for given in at_work._desks[0].given} == opinions


def test_a_reader_takes_as_long_as_they_take_and_the_platforms_clicks_are_not_added() -> None:
    """From turning to a case to turning to the next: the drawn seconds, whatever the page needs meanwhile (up to a moment)."""
    room = Room()
    at_work, _, _ = shift(room)
    until_over(at_work)
    reader = at_work._desks[0].reader
    for turn, following in pairwise(at_work.turns):
        assert following.taken - turn.taken == pytest.approx(reader.seconds(turn.accession), abs=1.0)


def test_a_shift_that_breaks_says_so() -> None:
    """Whoever waits for the readers is told why they stopped."""
    room = Room()
    at_work, _, _ = shift(room)
    room.verdict = lambda case, body: "never"  # type: ignore[method-assign]  # a page that takes no answer
    with pytest.raises(Exception, match="refused"):
        until_over(at_work)
