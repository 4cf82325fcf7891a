"""Watching the list from outside: what it showed first stays, what changes is the last, and who is not ours is not looked at."""

from collections.abc import Mapping
from typing import Any

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Transient
from radloop.workbench.hospital.tempo import Day, Tempo
from radloop.workbench.hospital.watch import Watch


class Page:
    """A page with what it is told to show."""

    def __init__(self) -> None:
        self.reading: list[dict[str, Any]] = []
        self.done: list[dict[str, Any]] = []
        self.mode: dict[str, Any] = {"mode": "shadow", "version": None}
        self.away = False

    def rows(self, view: str) -> list[dict[str, Any]]:
        if self.away:
            raise Transient("away")
        return self.reading if view == "reading" else self.done

    def serving(self) -> Mapping[str, Any]:
        return self.mode


def row(**other: Any) -> dict[str, Any]:
    """Return a row as the page has it."""
    return {
        "case_id": "c", "person": {"id": "m1", "name": "Rossi, Ada"}, "model": "", "version": None, "said": [], "move": "",
        "unmatched": False, "unread": "", "revision": 1, "urgency": "routine", "standing": "waiting", "ris": None, **other,
    }


READ = row(model="chest", version=2, said=[{"answer": "present", "unsure": False, "probability": 0.9}], move="lifted", urgency="raised")


def watch(page: Page, status: str = "") -> Watch:
    return Watch(page, lambda _: status, frozenset({"m1"}), Day(Tempo(60)), SystemClock())


def test_the_first_time_it_is_read_stays() -> None:
    """When the list first named the model is not overwritten by what it shows later; a lift that was seen was seen."""
    page = Page()
    look = watch(page)
    page.reading = [READ]
    look._look()
    first = look.seen["c"].triaged
    page.reading, page.done = [], [row(model="chest", version=2, standing="signed", move="")]
    for _ in range(6):
        look._look()
    seen = look.seen["c"]
    assert (seen.triaged, seen.lifted, seen.standing) == (first, True, "signed")
    assert (seen.answer, seen.version) == ("present", 2)


def test_a_study_that_was_unmatched_once_is_remembered() -> None:
    """Though it has found its order since."""
    page = Page()
    look = watch(page)
    for unmatched in (True, False):
        page.reading = [row(unmatched=unmatched)]
        look._look()
    assert (look.seen["c"].was_unmatched, look.seen["c"].unmatched) == (True, False)


def test_other_patients_are_not_looked_at() -> None:
    """A platform may hold more than this play's."""
    page = Page()
    page.reading = [row(person={"id": "m9", "name": "Somebody else"})]
    look = watch(page)
    look._look()
    assert look.seen == {}


def test_when_a_version_begins_to_speak_is_kept_once() -> None:
    """In shadow nobody speaks."""
    page = Page()
    look = watch(page)
    look._look()
    page.mode = {"mode": "production", "version": 2}
    for _ in range(11):
        look._look()
    assert [version for version, _ in look.speaks] == [2]


def test_a_page_that_is_away_is_looked_at_again() -> None:
    """Nothing is forgotten, and nobody falls over."""
    page = Page()
    page.reading = [READ]
    look = watch(page)
    page.away = True
    look._look()
    page.away = False
    look._look()
    assert "c" in look.seen


def test_rejections_are_timed_but_for_those_of_an_absence() -> None:
    """A rejection the EHR heard of late counts as late, unless the EHR was away when it was given."""
    look = watch(Page(), status="entered-in-error")
    look.reject("c")
    assert look.waiting() == 1
    look._look()
    assert look.waiting() == 0
    given = look._rejected["c"]
    look.withdrawn["c"] = 40.0
    assert look.late(5.0, (0.0, 0.0)) == 1
    assert look.late(5.0, (given - 1, given + 1)) == 0


def test_a_rejected_case_of_which_nothing_was_published_is_not_waited_for() -> None:
    """An unmatched study has no report to withdraw; one whose report still stands is waited for."""
    look = watch(Page(), status="")
    look.reject("c")
    look._look()
    assert look.waiting() == 0
    stands = watch(Page(), status="partial")
    stands.reject("c")
    stands._look()
    assert stands.waiting() == 1
