"""What came of a demo: asked of the EHR, the RIS, Triton and the readers, who all kept their own count."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from radloop.standards.codes import FINDINGS
from radloop.standards.fhir.references import check
from radloop.standards.fhir.values import resource_id
from radloop.workbench.grpc import Cycle, Rooms, Row
from radloop.workbench.hospital.books import Books
from radloop.workbench.hospital.ehr import Chart
from radloop.workbench.hospital.figures import WITHDRAWN_WITHIN_S, Played, count, percentile, unexplained
from radloop.workbench.hospital.reading_room import Desk, ReadingRoom
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.scores import served
from radloop.workbench.hospital.watch import Watch
from radloop.workbench.loop import Loop
from radloop.workbench.telling import Teller
from radloop.workbench.workshop import MODEL

_RAISED = "A"


@dataclass
class Said:
    """What the stages learned while the demo was played."""

    auc_before: float = 0.0
    auc_after: float = 0.0
    released: int = 0
    cycles: list[Cycle] = field(default_factory=list)
    stored: Mapping[str, datetime] = field(default_factory=dict)

    def tell_cycle(self, cycle: Cycle, teller: Teller) -> None:
        """Keep how a cycle ended and say it with its evidence, once."""
        if cycle.id in {one.id for one in self.cycles}:
            return
        self.cycles.append(cycle)
        self.released += cycle.state == "released"
        teller.line(f"version {cycle.version}: {cycle.state}" if cycle.version else f"the cycle ended: {cycle.state}")
        for sentence in cycle.evidence:
            teller.line(f"    {_named(sentence)}")


def _named(sentence: str) -> str:
    """Return a sentence of the evidence with the finding's name before its code's place."""
    code, colon, rest = sentence.partition(":")
    return next((f"{one.display.lower()}{colon}{rest}" for one in FINDINGS if one.value == code), sentence)


@dataclass(frozen=True)
class Reckoning:
    """Counts at the far end; `earlier` maps the backfilled accession numbers to their cases."""

    rooms: Rooms
    loop: Loop
    page: ReadingRoom
    chart: Chart
    ris: Ris
    desk: Desk
    watch: Watch
    books: Books
    earlier: Mapping[str, str]

    def settle(self) -> None:
        """Wait until everything that was said has been heard and sent."""
        self.loop.until(lambda: self.loop.heard() and self.rooms.backlog("publishing") == 0, 60, "publishing has sent all it has")
        self.loop.until(lambda: self.watch.waiting() == 0, 10, "the EHR has heard of the rejections")

    def played(self) -> tuple[Played, ...]:
        """Return every case of the morning as the outside knows it."""
        cases = [self.page.find(entry.order.accession) for entry in self.books.morning]
        rows = {row.case_id: row for row in self.rooms.rows()}
        rejected = {given.case_id for given in self.desk.given if given.kind == "reject"}
        return tuple(self._case(case, rows.get(case), case in rejected) for found in cases for case in found)

    def _case(self, case: str, row: Row | None, rejected: bool) -> Played:
        reports = tuple(report.status for report in self.chart.of_case(case))
        facts = () if reports else self.rooms.trace("publishing", case)
        closed = any(fact.what == "ehr report" and "superseded" in fact.detail for fact in facts)
        predicted = row is not None and bool(row.model)
        refused = not (reports or closed or predicted) and any(
            fact.what == "prediction-failed" for fact in self.rooms.trace("inference", case)
        )
        reason = "signed first" if closed else "no version read it" if refused else ""
        return Played(case, predicted, closed, rejected, reports, reason)

    def figures(
        self, said: Said, triton_http: str, bundle: Path, seconds: float,
    ) -> tuple[dict[str, float], Sequence[str]]:
        """Return the figures by name and what does not hold beyond them; write the Bundle."""
        played = self.played()
        ours = {resource_id(one.case_id, "report") for one in played}
        reports = self.chart.reports()
        counted = count(played, sum(report.id not in ours for report in reports))
        collection = self.chart.collection()
        bundle.write_text(json.dumps(collection, indent=1))
        problems = [f"{one.resource} {one.element} {one.wrong}" for one in check(collection)]
        problems += [
            f"case {one.case_id} fits nothing: {one.reports or one.reason or 'no reason'}" for one in played if unexplained(one)
        ]
        if self.watch.waiting() or any(late > WITHDRAWN_WITHIN_S for late in self.watch.withdrawn.values()):
            problems.append("the EHR did not hear of a rejection within 5 s")
        if self.ris.twice() or self.ris.repeats():
            problems.append(f"the RIS heard {self.ris.twice()} changes twice, {self.ris.repeats()} messages again")
        raised = [line for line in self.ris.heard() if line.priority == _RAISED]
        problems += self._lifts(Counter(line.placer for line in raised))
        asked = [given for given in self.desk.given if given.request_id]
        waits = self._waits(said)
        versions = served(triton_http, MODEL)
        live = set(self.watch.versions.values())
        released = {one.number for one in self.rooms.models() if one.gate_passed and one.stage in {"production", "retired"}}
        return {
            "studies": len(self.books.morning),
            "read_by_model": counted.read_by_model,
            "reports_in_ehr": counted.reports_in_ehr,
            "reports_lost": counted.reports_lost,
            "reports_twice": counted.reports_twice,
            "unexplained": counted.unexplained,
            "priority_changes": sum(line.answer == "XR" for line in raised),
            "priority_refused": sum(line.answer == "UX" for line in raised),
            "labels_asked": len(asked),
            "labels_audit": sum(given.hidden for given in asked),
            "model_versions_released": len({one for one in released & live if versions.get(one, 1)}),
            "auc_before": round(said.auc_before, 4),
            "auc_after": round(said.auc_after, 4),
            "auc_gain": round(said.auc_after - said.auc_before, 4),
            "stored_to_triaged_p50_ms": round(percentile(waits, 50), 1),
            "stored_to_triaged_p95_ms": round(percentile(waits, 95), 1),
            "seconds": round(seconds, 1),
        }, problems

    def _lifts(self, told: Counter[str]) -> list[str]:
        """Return the lifts that did not reach the RIS once; one overtaken before its first try never had to."""
        wrong = []
        for entry in self.books.morning:
            lifted = [case for case in self.page.find(entry.order.accession) if case in self.watch.lifted]
            times = told[entry.order.placer]
            overtaken = any(
                fact.what == "ris priority" and "superseded" in fact.detail
                for case in lifted if not times for fact in self.rooms.trace("publishing", case)
            )
            if times > 1 or (lifted and not times and not overtaken):
                wrong.append(f"a lift reached the RIS {times} times")
        return wrong

    def _waits(self, said: Said) -> list[float]:
        """Return milliseconds from the accepted image to the list that names the model, quiet period included."""
        cases = {accession: self.page.find(accession) for accession in said.stored}
        return [
            (self.watch.triaged[case] - said.stored[accession]).total_seconds() * 1000
            for accession, found in cases.items() for case in found if case in self.watch.triaged
        ]

    def _slowest(self) -> float:
        return max(self.watch.withdrawn.values(), default=0.0)

    def summary(self, said: Said, figures: Mapping[str, float], serving: int, teller: Teller) -> None:
        """Say in words what came of it."""
        by_model = f"{figures['read_by_model']:g} read by a model"
        released = sorted(one.version for one in said.cycles if one.state == "released")
        names = f"version {', '.join(map(str, released))}" if released else "none"
        teller.line("")
        for text in (
            f"studies            {figures['studies']:g} played, {by_model}",
            (f"stored to triaged  {figures['stored_to_triaged_p50_ms']:.0f} ms (median),"
            f" {figures['stored_to_triaged_p95_ms']:.0f} ms (95th percentile), the quiet period included"),
            (f"reports in the EHR {figures['reports_in_ehr']:g}; lost {figures['reports_lost']:g},"
            f" twice {figures['reports_twice']:g}"),
            f"rejected           {len(self.watch.withdrawn)}; the EHR said so after {self._slowest():.1f} s at most",
            f"priority changes   {figures['priority_changes']:g} made by the RIS, {figures['priority_refused']:g} refused",
            f"labels asked       {figures['labels_asked']:g}, of these {figures['labels_audit']:g} with the AI hidden",
            f"AUC on the test    {figures['auc_before']:.3f} before, {figures['auc_after']:.3f} after",
            f"released           {names}; {figures['model_versions_released']:g} of them read cases of the morning",
            f"now serving        version {serving}" if serving else "now serving        none: the first model stays in shadow",
        ):
            teller.line(text)
