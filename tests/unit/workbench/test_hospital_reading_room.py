"""A reader at the page's public API: what is sent is what was on the screen, and the count is the reader's own."""

from collections.abc import Mapping
from typing import Any

import pytest

from radloop.kit.errors import Permanent
from radloop.workbench.hospital.readers import Radiologist, Skill
from radloop.workbench.hospital.reading_room import Desk, ReadingRoom

PERFECT = Skill(sensitivity=1.0, specificity=1.0)


class Room(ReadingRoom):
    """A page with one case on it that refuses so many verdicts before it takes one."""

    def __init__(self, said: str, *, hidden: bool = False, refuses: int = 0, accession: str = "A1") -> None:
        """Show a case of which the model says this."""
        super().__init__("127.0.0.1:1")
        self.said, self.hidden, self.refuses, self.accession = said, hidden, refuses, accession
        self.sent: list[Mapping[str, object]] = []
        self.prediction = 1
        self.taken = False

    def screen(self, case: str, request: str = "") -> Mapping[str, Any] | None:
        """Show it."""
        hides = self.hidden and not self.taken
        said = [] if hides else [{"answer": self.said}]
        row = {
            "case_id": case, "request_id": request, "revision": 1, "prediction_id": "" if hides else f"p{self.prediction}",
            "asked": bool(request), "ai_hidden": hides, "said": said,
        }
        return {"row": row, "accession": self.accession, "ai_shown": not hides}

    def open(self, case: str, body: Mapping[str, object]) -> str:
        """Take the opening."""
        self.sent.append(body)
        return ""

    def verdict(self, case: str, body: Mapping[str, object]) -> str:
        """Refuse while a newer prediction arrives, then take it."""
        self.sent.append(body)
        if self.refuses:
            self.refuses -= 1
            self.prediction += 1
            return "the model's reading changed while this case was open: look again, then answer"
        self.taken = True
        return ""


def desk(room: Room, *, positive: bool) -> Desk:
    """Seat a reader who never errs."""
    return Desk(Radiologist("r1", 1, {"A1": positive}, PERFECT), room)


@pytest.mark.parametrize(
    ("said", "positive", "kind"),
    [("present", True, "accept"), ("absent", False, "accept"), ("present", False, "reject"), ("absent", True, "refine")],
)
def test_an_answer_is_named_as_the_keys_of_the_page_name_it(said: str, positive: bool, kind: str) -> None:
    """Agreeing accepts, a finding that is not there is rejected, a missed one is edited; the answer is absolute."""
    room = Room(said)
    given = desk(room, positive=positive).answer("c1")
    assert given.kind == kind
    assert room.sent[-1]["answers"][0]["value"] == ("present" if positive else "absent")  # type: ignore[index]  # a body is JSON


def test_a_hidden_ai_is_counted_by_the_reader() -> None:
    """With the AI hidden the answer names no prediction, and the reader's own count says so."""
    room = Room("present", hidden=True)
    given = desk(room, positive=True).answer("c1", "q1")
    assert given.hidden
    assert (given.machine, given.followed) == ("present", False), "what was hidden is looked up once the answer is given"
    assert (room.sent[-1]["prediction_id"], room.sent[-1]["ai_shown"], room.sent[-1]["request_id"]) == ("", False, "q1")


@pytest.mark.parametrize("hidden", [True, False])
def test_what_is_answered_is_the_readers_own_opinion_errors_included(hidden: bool) -> None:
    """With the AI hidden as with it shown: a desk that knew the truth would answer otherwise than this reader."""
    cases = {f"A{number}": number % 2 == 0 for number in range(20)}
    poor = Radiologist("r1", 1, cases, Skill(sensitivity=0.0, specificity=0.0, cannot_say=0.0))
    assert any((poor.opinion(case) == "present") != truth for case, truth in cases.items())
    for case, truth in cases.items():
        room = Room("present" if truth else "absent", hidden=hidden, accession=case)
        assert Desk(poor, room).answer("c1", "q1").opinion == poor.opinion(case)


def test_a_wrong_answer_on_the_screen_may_be_followed() -> None:
    """The answer is then the machine's, and the reader's own count says that it was followed."""
    room = Room("present")
    follower = Desk(Radiologist("r1", 1, {"A1": False}, PERFECT, anchoring=1.0), room)
    given = follower.answer("c1")
    assert (given.kind, given.opinion, given.followed) == ("accept", "present", True)


def test_a_refused_verdict_is_given_again_on_the_new_screen() -> None:
    """What was replaced meanwhile is looked at again: one answer counts, under a new id, for the new prediction."""
    room = Room("present", refuses=2)
    seat = desk(room, positive=True)
    seat.answer("c1")
    assert [one.get("prediction_id") for one in room.sent[1:]] == ["p1", "p2", "p3"]
    assert len({one["verdict_id"] for one in room.sent[1:]}) == 3
    assert len(seat.given) == 1


def test_a_page_that_never_takes_it_is_an_error() -> None:
    """A reader does not answer for ever, and nothing is counted."""
    seat = desk(Room("present", refuses=99), positive=True)
    with pytest.raises(Permanent, match="refused"):
        seat.answer("c1")
    assert seat.given == []
