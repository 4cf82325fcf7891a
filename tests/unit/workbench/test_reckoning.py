"""What came of a play, counted from what the far ends, the readers and the list each kept for themselves."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from radloop.cli.grpc import Cycle
from radloop.workbench.grpc import Fact, Row, Version
from radloop.workbench.hospital.books import Books, Entry
from radloop.workbench.hospital.ehr import Published
from radloop.workbench.hospital.figures import Counted
from radloop.workbench.hospital.morning import Told
from radloop.workbench.hospital.orders import book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.planning import CLEARED_AFTER, MINUTE, READERS_COME_AFTER
from radloop.workbench.hospital.readers import Radiologist
from radloop.workbench.hospital.reading_room import Desk, Given, ReadingRoom
from radloop.workbench.hospital.ris import Heard
from radloop.workbench.hospital.shift import Turn
from radloop.workbench.hospital.tempo import o_clock
from radloop.workbench.hospital.waits import MISSED, NEGATIVE, POINTED_OUT
from radloop.workbench.hospital.watch import Seen
from radloop.workbench.play.cycles import Said
from radloop.workbench.play.reckoning import Reckoning
from radloop.workbench.telling import Teller

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CYCLE = Cycle(
    id="c1", state="released", progress=1.0, version=2, evidence=("233604007: AUC: +0.9, passed", "calibrated on 200 cases"),
    labels={"pool": 75},
)
ORDERS = tuple(replace(order, priority="R") for order in book(4, children(4, 6, NOON.date()), 1, NOON, timedelta(minutes=3)))
NAMES = tuple(order.accession for order in ORDERS)
TRUTH = dict(zip(NAMES, (True, True, False, False, True, False), strict=True))
CAME = dict(zip(NAMES, (60.0, 120.0, 180.0, 240.0, 2400.0, 3000.0), strict=True))
READ_IN = 300.0


def test_a_cycle_is_told_once_and_by_the_findings_name() -> None:
    """Asked again it may hold more labels; it is the same cycle."""
    out, said = StringIO(), Said()
    for cycle in (CYCLE, replace(CYCLE, labels={"pool": 99})):
        said.tell_cycle(cycle, Teller(out))
    assert (said.released, len(said.cycles)) == ((2,), 1)
    told = out.getvalue()
    assert told.count("version 2: released") == 1
    assert "pneumonia: AUC: +0.9" in told
    assert "233604007" not in told


def test_a_version_of_a_cycle_that_began_by_itself_is_told_in_the_end() -> None:
    """Released or not; the one that was added by hand, and those told before, are not told again."""
    out, said = StringIO(), Said()
    said.tell_cycle(CYCLE, Teller(out))
    said.tell_versions((
        Version(1, "retired", 20, False, ("added by hand: no gate was held",)), Version(2, "retired", 95, True, ("again",)),
        Version(3, "candidate", 120, False, ("AUC failed",)), Version(4, "production", 130, True, ("AUC passed",)),
    ), Teller(out))
    told = out.getvalue()
    assert told.count("version 2") == 1
    assert "version 3: not released" in told
    assert "version 4: production" in told
    assert "version 1" not in told


def test_every_version_that_speaks_is_told_with_its_gate_while_the_morning_is_played() -> None:
    """The second began by itself and spoke first; its cycle, asked for later, is told no more, and one on its way not yet."""
    out, said = StringIO(), Said()
    gate = ("233604007: AUC: +0.0700, needed -0.0200: held",)
    versions = [
        Version(1, "retired", 20, False, ("added by hand: no gate was held",)), Version(2, "production", 95, True, gate),
        Version(3, "candidate", 120, True, gate),
    ]
    for _ in range(2):
        said.tell_speaking([(2, 300.0)], 0, lambda: versions, Teller(out))
    said.tell_cycle(CYCLE, Teller(out))
    assert (told(out), said.released) == ([
        "version 2: production", "    pneumonia: AUC: +0.0700, needed -0.0200: held",
        f"{o_clock(300.0)}  version 2 speaks on the list: lifts begin",
    ], (2,))
    versions[1:] = [Version(2, "retired", 95, True, gate), Version(3, "production", 120, True, gate)]
    said.tell_speaking([(2, 300.0), (3, 900.0)], 0, lambda: versions, Teller(out))
    said.tell_versions(versions, Teller(out))
    assert told(out)[3:] == [
        "version 3: production", "    pneumonia: AUC: +0.0700, needed -0.0200: held", f"{o_clock(900.0)}  version 3 speaks on the list"]


def test_a_version_that_spoke_before_the_morning_does_not_begin_to() -> None:
    """Nor do lifts begin with the next one."""
    out, said = StringIO(), Said()
    said.tell_speaking([(4, 0.0)], 4, tuple, Teller(out))
    said.tell_speaking([(4, 0.0), (5, 60.0)], 4, tuple, Teller(out))
    assert told(out) == [f"{o_clock(60.0)}  version 5 speaks on the list"]


def told(out: StringIO) -> list[str]:
    """Return what was told, without the seconds."""
    return [line.split(" s  ", 1)[1] for line in out.getvalue().splitlines()]


class Steady(Radiologist):
    """A reader who takes five minutes for everything."""

    def seconds(self, accession: str, *, review: bool = False) -> float:
        return READ_IN


class FarEnds:
    """Rooms, EHR and RIS with what they are told to have."""

    def __init__(self) -> None:
        self.reports: dict[str, list[str]] = {}
        self.facts: list[Fact] = []
        self.log: list[Heard] = []

    def rows(self) -> tuple[Row, ...]:
        return tuple(Row(f"c-{name}", "routine", "signed", "chest", 2) for name in NAMES)

    def trace(self, room: str, case: str) -> tuple[Fact, ...]:
        return tuple(self.facts)

    def models(self) -> tuple[Version, ...]:
        return (Version(1, "retired", 20, False, ()), Version(2, "production", 95, True, ()), Version(3, "production", 99, True, ()))

    def of_case(self, case: str) -> tuple[Published, ...]:
        return tuple(Published(case, status, 1, {}) for status in self.reports.get(case, []))

    def heard(self) -> tuple[Heard, ...]:
        return tuple(self.log)


class Watched:
    """What the list showed."""

    def __init__(self) -> None:
        self.seen = {
            f"c-{name}": Seen(triaged=NOON, triaged_after=CAME[name] + 60, version=2, answer="absent", urgency="routine", standing="signed")
            for name in NAMES
        }
        self.speaks = [(2, 100.0)]


def reckoning(*, turns: tuple[Turn, ...] | None = None, away: tuple[float, float] | None = None) -> Reckoning:
    """Return the reckoning of six studies that one reader read as they came, five minutes each, without a pause."""
    begin = READERS_COME_AFTER
    if turns is None:
        turns = tuple(
            Turn("r1", name, "routine", begin + READ_IN * place, begin + READ_IN * place, begin + READ_IN * (place + 1))
            for place, name in enumerate(NAMES)
        )
    ends = FarEnds()
    books = Books((), tuple(Entry(order, "morning", "i") for order in ORDERS), TRUTH)
    told = Told(stored={name: NOON - timedelta(seconds=1) for name in NAMES}, complete=dict(CAME))
    return Reckoning(
        {name: (f"c-{name}",) for name in NAMES}, frozenset(), ends, ends, ends,  # type: ignore[arg-type]  # fakes
        (Desk(Steady("r1", 1, TRUTH), ReadingRoom("127.0.0.1:1")),),
        Watched(), books, told, turns, away, 2000.0, 180.0, (0.0, 0.0), ai=True,  # type: ignore[arg-type]  # a fake
    )


def test_read_as_they_came_everybody_waits_as_first_in_first_out() -> None:
    """The queue is worked out from arrivals and the reader's own times alone, and comes to the same."""
    told = reckoning()
    waited = told.waited(told.studies())
    assert [one.minutes for one in waited] == pytest.approx([one.fifo for one in waited])
    assert waited[0].minutes == pytest.approx((READERS_COME_AFTER + READ_IN - CAME[NAMES[0]]) / MINUTE)
    late = {one.accession: one.fifo for one in waited}[NAMES[5]]
    assert late >= (CLEARED_AFTER + READ_IN) / MINUTE, "nobody is read before the technologist lets them go"


def test_a_platform_that_keeps_readers_waiting_pays_for_it() -> None:
    """Every case signed a minute late is a longer wait than first in, first out: no delay of ours is forgiven."""
    slow = tuple(replace(turn, signed=(turn.signed or 0) + 60 * (place + 1)) for place, turn in enumerate(reckoning().turns))
    told = reckoning(turns=slow)
    for place, one in enumerate(told.waited(told.studies())):
        assert one.minutes - one.fifo == pytest.approx(place + 1)


def test_a_study_raised_to_stat_is_first_in_both() -> None:
    """The clinician's own priority is no achievement of the model's."""
    told = reckoning()
    told.told.raised[NAMES[3]] = 300.0
    fifo = {one.accession: one.fifo + CAME[one.accession] / MINUTE for one in told.waited(told.studies())}
    assert min(fifo, key=lambda name: fifo[name]) == NAMES[3]


def test_what_was_triaged_before_it_was_opened_is_counted_of_what_could_be() -> None:
    """Studies that came after the first release, and that a version can read: of these, those the list had placed before."""
    told = reckoning()
    assert told.before_opened(told.studies()) == (5, 5), "the first came before a version spoke"
    told.watch.seen[f"c-{NAMES[4]}"].triaged_after = 1e6
    assert told.before_opened(told.studies()) == (4, 5)
    told.watch.seen[f"c-{NAMES[5]}"] = Seen()
    assert told.before_opened(told.studies()) == (3, 5)
    told.watch.speaks.clear()
    assert told.before_opened(told.studies()) == (0, 0)


def test_lifts_are_counted_of_studies_read_and_by_the_truth() -> None:
    """Two of three lifts were positives; a positive that was not pointed out is missed."""
    told = reckoning()
    for place, answer in ((0, "present"), (1, "present"), (2, "present")):
        told.watch.seen[f"c-{NAMES[place]}"].answer = answer
        told.watch.seen[f"c-{NAMES[place]}"].lifted = True
    studies = told.studies()
    assert [one.group for one in studies] == [POINTED_OUT, POINTED_OUT, NEGATIVE, NEGATIVE, MISSED, NEGATIVE]
    figures = told.figures(Counted(6, 6, 0, 0, 0), studies, told.waited(studies), ())
    assert (figures["lifts_per_100"], figures["lift_ppv"], figures["positives"], figures["missed"]) == (50.0, 0.667, 3, 1)
    assert figures["stored_to_triaged_p50_ms"] == 1000.0


def test_a_study_that_nobody_read_is_said() -> None:
    """Unless its order was cancelled."""
    told = reckoning(turns=reckoning().turns[:4])
    assert told.unread() == ["2 studies were never read"]
    told.told.cancelled[NAMES[4]] = 1.0
    told.told.cancelled[NAMES[5]] = 1.0
    assert told.unread() == []


def superseded(told: Reckoning) -> None:
    """Have publishing say of everything that it was too late."""
    told.rooms.facts.append(Fact("delivered", "ehr report", "superseded: the case is signed"))  # type: ignore[attr-defined]  # a fake


def test_the_platforms_word_that_a_report_came_too_late_is_not_enough() -> None:
    """Signed half an hour after the list named the model, a study is owed its report, whatever publishing says of it."""
    told = reckoning()
    superseded(told)
    owed = {name: one[0].owed for name, one in told.played().items()}
    assert owed[NAMES[0]], "signed long after it was read"
    quick = reckoning(turns=tuple(replace(turn, signed=CAME[turn.accession] + 90) for turn in told.turns))
    superseded(quick)
    assert not any(one[0].owed for one in quick.played().values())


def test_while_the_ehr_was_away_a_report_may_have_come_too_late() -> None:
    """What was read before or during its absence and signed after its beginning."""
    told = reckoning(away=(2300.0, 3700.0))
    superseded(told)
    owed = [one[0].owed for one in told.played().values()]
    assert owed == [True, True, True, True, False, False], "who was read long before it went is owed a report"
    assert told.played()[NAMES[5]][0].reason == "signed first"


def test_the_platforms_word_that_a_study_is_unmatched_is_not_enough() -> None:
    """Only the images of the wrong patient are: an order that finds no study is a loss."""
    told = reckoning()
    for seen in told.watch.seen.values():
        seen.unmatched = True
    assert all(one[0].owed for one in told.played().values())
    strange = replace(told.books.morning[0], irregular="wrong-patient")
    told = replace(told, books=replace(told.books, morning=(strange, *told.books.morning[1:])))
    assert not told.played()[NAMES[0]][0].owed


def test_a_report_at_the_ehr_is_what_counts() -> None:
    """Owed and there; a second one is there too."""
    told = reckoning()
    told.chart.reports = {f"c-{name}": ["partial"] for name in NAMES}  # type: ignore[method-assign, assignment]  # a fake
    assert all(one[0].owed and one[0].reports == ("partial",) for one in told.played().values())


def test_released_versions_are_those_that_read_the_morning() -> None:
    """A version that was released and read nobody does not count, nor one that Triton says has read nothing."""
    assert reckoning().released({2: 40, 3: 0}) == 1
    assert reckoning().released({2: 0}) == 0


def test_what_readers_did_is_held_against_the_truth() -> None:
    """Right answers of how many, questions apart from studies read."""
    told = reckoning()
    desk = told.desks[0]
    answers = (("present", ""), ("absent", "q"), ("absent", ""), ("cannot-say", ""))
    for name, (opinion, request) in zip(NAMES, answers, strict=False):
        desk.given.append(Given("r1", name, f"c-{name}", "accept", opinion, request, False, "", False, 120.0))  # type: ignore[arg-type]  # opinions
    (did,) = told.readers()
    assert (did.read, did.answered, did.sensitivity, did.specificity, did.cannot_say) == (3, 1, (1, 2), (1, 1), 1)
    assert (did.reading_minutes, did.answering_minutes) == (6.0, 2.0)


def test_every_lift_reaches_the_ris_once_but_for_a_study_without_an_order() -> None:
    """Lost or said twice it is a problem; of the wrong patient there is no order whose priority could change."""
    told = reckoning()
    for name in NAMES[:2]:
        told.watch.seen[f"c-{name}"].lifted = True
    once = Counter({ORDERS[0].placer: 1})
    assert told._lifts(once) == ["a lift reached the RIS 0 times"]
    assert told._lifts(Counter({ORDERS[0].placer: 2, ORDERS[1].placer: 1})) == ["a lift reached the RIS 2 times"]
    strange = replace(told.books.morning[1], irregular="wrong-patient")
    told = replace(told, books=replace(told.books, morning=(told.books.morning[0], strange, *told.books.morning[2:])))
    assert told._lifts(once) == []
