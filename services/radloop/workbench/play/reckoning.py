"""What came of a play: asked of the EHR, the RIS, Triton and the readers, who all kept their own count."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radloop.standards.fhir.references import check
from radloop.standards.fhir.values import resource_id
from radloop.workbench.grpc import Rooms, Row
from radloop.workbench.hospital.became import became, known_of, of_the_ehr, of_the_ris
from radloop.workbench.hospital.books import Books, Entry
from radloop.workbench.hospital.ehr import Chart
from radloop.workbench.hospital.figures import WITHDRAWN_WITHIN_S, Counted, Played, count, percentile, unexplained
from radloop.workbench.hospital.irregular import UNFIT, Became
from radloop.workbench.hospital.morning import Told
from radloop.workbench.hospital.planning import CLEARED_AFTER, MINUTE, READERS_COME_AFTER
from radloop.workbench.hospital.queueing import Job, first_in_first_out
from radloop.workbench.hospital.reading_room import Desk
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.shift import Turn
from radloop.workbench.hospital.waits import MISSED, NEGATIVE, POINTED_OUT, UNREAD, Waited, minutes, ratios
from radloop.workbench.hospital.watch import Seen, Watch
from radloop.workbench.play.cycles import RELEASED
from radloop.workbench.play.story import ReaderDid, Study

_RAISED = "A"
# From the list that names the model to the report at the EHR (look-up and transaction), in simulated seconds.
_ON_ITS_WAY = 3 * MINUTE


@dataclass(frozen=True)
class Reckoning:
    """Counts at the far end, once everything has arrived.

    `cases` are those of every study of the morning by accession number, `earlier` the reports that the EHR had before. In simulated
    seconds: `away` when the EHR was, `back_off` how long after that deliveries may still wait, `on_its_way` how long a report may take
    from list to EHR. `span` is the absence and the back-off as monotonic instants.
    """

    cases: Mapping[str, tuple[str, ...]]
    earlier: frozenset[str]
    rooms: Rooms
    chart: Chart
    ris: Ris
    desks: Sequence[Desk]
    watch: Watch
    books: Books
    told: Told
    turns: Sequence[Turn]
    away: tuple[float, float] | None
    back_off: float
    on_its_way: float
    span: tuple[float, float]
    ai: bool
    served_before: int = 0

    def played(self) -> dict[str, tuple[Played, ...]]:
        """Return every case of the morning as the outside knows it, by accession number."""
        rows = {row.case_id: row for row in self.rooms.rows()}
        rejected = {given.case_id for desk in self.desks for given in desk.given if given.kind == "reject"}
        closed = {turn.accession: turn.signed for turn in self.turns if turn.signed is not None} | dict(self.told.cancelled)
        strangers = {entry.order.accession for entry in self.books.morning if entry.irregular == "wrong-patient"}
        return {
            accession: tuple(
                self._case(
                    case, rows.get(case), closed.get(accession), taken_back=case in rejected or accession in self.told.cancelled,
                    stranger=accession in strangers,
                )
                for case in cases
            )
            for accession, cases in self.cases.items()
        }

    def _case(self, case: str, row: Row | None, closed_at: float | None, *, taken_back: bool, stranger: bool) -> Played:
        reports = tuple(report.status for report in self.chart.of_case(case))
        facts = () if reports else self.rooms.trace("publishing", case)
        closed = any(fact.what.startswith("ehr ") and "superseded" in fact.detail for fact in facts)
        predicted = row is not None and bool(row.model)
        seen = self.watch.seen.get(case, Seen())
        refused = not (reports or closed or predicted) and any(
            fact.what == "prediction-failed" for fact in self.rooms.trace("inference", case)
        )
        reason = (
            "unmatched" if stranger and seen.unmatched else "signed first" if closed else "cancelled first" if seen.standing == "cancelled"
            else "no version read it" if refused else "" if self.ai else "no model is installed"
        )
        # The platform's word that a report came too late is taken only where it can be so.
        closed = (closed or seen.standing == "cancelled") and not reports and self._too_late(seen, closed_at)
        return Played(case, predicted, closed, taken_back, reports, reason, matched=not (stranger and seen.unmatched))

    def _too_late(self, seen: Seen, closed_at: float | None) -> bool:
        """Say whether a case was signed or cancelled before its report can have gone out, by the hospital's own clock."""
        if closed_at is None:
            return False
        on_its_way = max(_ON_ITS_WAY, self.on_its_way)
        if seen.triaged is None or closed_at < seen.triaged_after + on_its_way:
            return True
        if self.away is None or closed_at < self.away[0]:
            return False
        return self.away[0] - on_its_way < seen.triaged_after < self.away[1] + self.back_off

    def counted(self, played: Mapping[str, Sequence[Played]], bundle: Path) -> tuple[Counted, list[str]]:
        """Return how reports stand, and what does not hold of what the far ends hold; write the Bundle."""
        everything = [one for ones in played.values() for one in ones]
        ours = {resource_id(one.case_id, "report") for one in everything}
        counted = count(everything, sum(report.id not in ours for report in self.chart.reports() if report.id not in self.earlier))
        collection = self.chart.collection()
        bundle.write_text(json.dumps(collection, indent=1))
        problems = [f"{one.resource} {one.element} {one.wrong}" for one in check(collection)]
        problems += [
            f"case {one.case_id} fits nothing: {one.reports or one.reason or 'no reason'}" for one in everything if unexplained(one)
        ]
        if self.watch.waiting() or self.watch.late(WITHDRAWN_WITHIN_S, self.span):
            problems.append("the EHR did not hear of a rejection within 5 s")
        if self.ris.twice() or self.ris.repeats():
            problems.append(f"the RIS heard {self.ris.twice()} changes twice, {self.ris.repeats()} messages again")
        raised = Counter(line.placer for line in self.ris.heard() if line.priority == _RAISED)
        return counted, problems + self._lifts(raised)

    def _lifts(self, told: Counter[str]) -> list[str]:
        """Return the lifts that did not reach the RIS once; one overtaken before its first try never had to."""
        wrong = []
        for entry in self.books.morning:
            if entry.irregular == "wrong-patient":
                continue  # lifted on the list, and no order of theirs that a RIS could change
            lifted = [case for case in self.cases[entry.order.accession] if self.watch.seen.get(case, Seen()).lifted]
            times = told[entry.order.placer]
            overtaken = any(
                fact.what == "ris priority" and "superseded" in fact.detail
                for case in lifted if not times for fact in self.rooms.trace("publishing", case)
            )
            if times > 1 or (lifted and not times and not overtaken):
                wrong.append(f"a lift reached the RIS {times} times")
        return wrong

    def studies(self) -> tuple[Study, ...]:
        """Return what happened to every study of the morning that came."""
        turns = {turn.accession: turn for turn in self.turns}
        return tuple(
            self._study(entry, self.cases[entry.order.accession], turns.get(entry.order.accession))
            for entry in self.books.morning if entry.order.accession in self.told.complete
        )

    def _study(self, entry: Entry, cases: Sequence[str], turn: Turn | None) -> Study:
        accession = entry.order.accession
        seen = self.watch.seen.get(cases[0], Seen()) if cases else Seen()
        positive = self.books.truth[accession]
        return Study(
            accession=accession, complete=self.told.complete[accession], opened=turn.opened if turn else None,
            signed=turn.signed if turn else None, positive=positive, group=group_of(seen, positive=positive), lifted=seen.lifted,
            urgency=seen.urgency, version=seen.version, probability=seen.probability if seen.version else None,
            irregular=entry.irregular, reader=turn.reader if turn else "",
        )

    def waited(self, studies: Sequence[Study]) -> tuple[Waited, ...]:
        """Return the waits of everything that was signed, beside the same morning first in, first out."""
        known = {study.accession: study for study in studies}
        jobs = [self._job(known[turn.accession]) for turn in self.turns if turn.accession in known]
        staff = {desk.reader.name: desk.reader for desk in self.desks}
        fifo = first_in_first_out(
            jobs, tuple(staff), lambda name, accession: staff[name].seconds(accession), READERS_COME_AFTER,
        )
        return tuple(
            Waited(one.accession, one.group, minutes(one.signed - one.complete), minutes(fifo[one.accession] - one.complete))
            for one in studies if one.signed is not None
        )

    def _job(self, study: Study) -> Job:
        placed = next(entry.order.priority for entry in self.books.morning if entry.order.accession == study.accession)
        stat = study.complete if placed == "S" else self.told.raised.get(study.accession)
        return Job(study.accession, study.complete, study.complete + CLEARED_AFTER, stat)

    def unread(self) -> list[str]:
        """Return, as a sentence, how many studies that were not cancelled nobody read; nothing where all were."""
        read = {turn.accession for turn in self.turns} | self.told.cancelled.keys()
        left = sum(entry.order.accession not in read for entry in self.books.morning)
        return [f"{left} studies were never read"] if left else []

    def before_opened(self, studies: Sequence[Study]) -> tuple[int, int]:
        """Return how many of the studies that a serving version could read were triaged with a prediction before they were opened."""
        if not self.watch.speaks:
            return 0, 0
        first = min(at for _, at in self.watch.speaks)
        could = [
            one for one in studies if one.complete > first and one.irregular not in UNFIT and one.opened is not None
        ]
        seen = {one.accession: self.watch.seen.get(next(iter(self.cases[one.accession]), ""), Seen()) for one in could}
        return sum(
            seen[one.accession].triaged is not None and seen[one.accession].triaged_after < (one.opened or 0.0) for one in could
        ), len(could)

    def irregularities(self, played: Mapping[str, tuple[Played, ...]], counted: Counted, behind: int) -> tuple[Became, ...]:
        """Return what became of each."""
        found = []
        for entry in self.books.morning:
            if entry.irregular:
                ours = played[entry.order.accession]
                seen = self.watch.seen.get(ours[0].case_id, Seen()) if ours else Seen()
                found.append(became(known_of(entry, ours, seen, self.told, self.turns, ai=self.ai)))
        refused = {line.placer for line in self.ris.heard() if line.answer == "UX"}
        of = [case for entry in self.books.morning if entry.order.placer in refused for case in self.cases[entry.order.accession]]
        everything = self.watch.seen.values()
        due = sum(bool(self.away and seen.version and self.away[0] < seen.triaged_after < self.away[1]) for seen in everything)
        return (
            *found, of_the_ris(of, self.watch.seen, sum(seen.lifted for seen in everything)),
            of_the_ehr(self.away, due, counted.reports_lost, counted.reports_twice, behind),
        )

    def readers(self) -> tuple[ReaderDid, ...]:
        """Return what each reader did, and how right they were."""
        return tuple(_did(desk, self.books.truth) for desk in self.desks)

    def released(self, counts: Mapping[int, int]) -> int:
        """Count the released versions that read cases of the morning: the list showed it, and Triton counted it where it is loaded."""
        shown = {seen.version for seen in self.watch.seen.values() if seen.version}
        passed = {one.number for one in self.rooms.models() if one.gate_passed and one.stage in RELEASED} - {self.served_before}
        return sum(counts.get(one, 1) > 0 for one in passed & shown)

    def figures(self, counted: Counted, studies: Sequence[Study], waited: Sequence[Waited], fates: Sequence[Became]) -> dict[str, float]:
        """Return the figures by name, but for what was learned."""
        raised = [line for line in self.ris.heard() if line.priority == _RAISED]
        asked = [given for desk in self.desks for given in desk.given if given.request_id]
        waits = self._milliseconds()
        lifts = [one for one in studies if one.lifted]
        read = [one for one in studies if one.opened is not None]
        return {
            "studies": sum(not entry.irregular for entry in self.books.morning),
            "studies_irregular": sum(bool(entry.irregular) for entry in self.books.morning),
            "read_by_model": counted.read_by_model, "reports_in_ehr": counted.reports_in_ehr,
            "reports_lost": counted.reports_lost, "reports_twice": counted.reports_twice, "unexplained": counted.unexplained,
            "priority_changes": sum(line.answer == "XR" for line in raised),
            "priority_refused": sum(line.answer == "UX" for line in raised),
            "labels_asked": len(asked), "labels_audit": sum(given.hidden for given in asked),
            "stored_to_triaged_p50_ms": round(percentile(waits, 50), 1),
            "stored_to_triaged_p95_ms": round(percentile(waits, 95), 1),
            **{name: round(value, 3) for name, value in ratios(waited).items()},
            "lifts_per_100": round(100 * len(lifts) / len(read), 1) if read else 0.0,
            "lift_ppv": round(sum(one.positive for one in lifts) / len(lifts), 3) if lifts else 0.0,
            "positives": sum(one.positive for one in studies if one.signed is not None),
            "missed": sum(one.group == MISSED for one in waited),
            "irregularities": sum(one.played for one in fates),
            "irregularities_as_expected": sum(one.played and one.as_expected for one in fates),
        }

    def _milliseconds(self) -> list[float]:
        """Return milliseconds from the accepted image to the list that names the model, quiet period included."""
        found = []
        for accession, cases in self.cases.items():
            for case in cases:
                triaged = self.watch.seen.get(case, Seen()).triaged
                if triaged is not None and accession in self.told.stored:
                    found.append((triaged - self.told.stored[accession]).total_seconds() * 1000)
        return found


def group_of(seen: Seen, *, positive: bool) -> str:
    """Say to which group a study belongs.

    A positive is pointed out only where the model was sure that it shows the finding: where it was not, triage abstains, and the
    patient waits as if nothing had been said.
    """
    if not positive:
        return NEGATIVE
    if not seen.version:
        return UNREAD
    return POINTED_OUT if seen.answer == "present" and not (seen.unsure or seen.abstained) else MISSED


def _did(desk: Desk, truth: Mapping[str, bool]) -> ReaderDid:
    read = [one for one in desk.given if not one.request_id]
    answers = [one for one in desk.given if one.request_id]
    said = [one for one in desk.given if one.opinion != "cannot-say"]
    positive = [one for one in said if truth[one.accession]]
    negative = [one for one in said if not truth[one.accession]]
    return ReaderDid(
        desk.reader.name, len(read), minutes(float(np.sum([one.seconds for one in read]))), len(answers),
        minutes(float(np.sum([one.seconds for one in answers]))),
        (sum(one.opinion == "present" for one in positive), len(positive)),
        (sum(one.opinion == "absent" for one in negative), len(negative)), len(desk.given) - len(said),
    )
