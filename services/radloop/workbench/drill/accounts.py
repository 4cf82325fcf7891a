"""Holds the books against each other: what was accepted, what became of it, and every promise that was not kept, in words.

A study is accepted when all that its story sends was acknowledged. It must end in one of three ways: its report stands in the EHR
(delivered), a cancel or a signature overtook the report (superseded), or it waits in quarantine. What ends in none is lost.
A duplicate is a second effect outside: two reports of one case, a version of a report that no delivery explains, one change of
priority under two control ids. The same bytes again are no second effect; they are counted as resent.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from radloop.workbench.drill.books import Ledger, Said
from radloop.workbench.drill.stories import Image, Kind, Message, Story
from radloop.workbench.drill.stream import Told

K = TypeVar("K")
V = TypeVar("V")

_SERVING = frozenset({"canary", "production"})
_REPORTS = frozenset({"report", "correction"})
_WITHDRAWN = "entered-in-error"
_SHOWN = 120
_PLAIN = frozenset({"ordinary", "image-first", "two-images", "renamed"})
"""Stories in which nothing takes a lift back or overtakes it."""
_UNREAD = frozenset({"refused", "unreadable"})
"""Stories of which something belongs into quarantine."""
_STANDING: Mapping[Kind, str] = {"cancelled-late": "cancelled", "signed-early": "signed", "signed-late": "signed"}
_PRIORITY = {"R": "routine", "A": "asap", "S": "stat"}


@dataclass(frozen=True)
class Account:
    """What came of it all; `ends` has the way each accepted study ended, by its name."""

    accepted: int
    delivered: int
    superseded: int
    quarantined: int
    lost: int
    duplicated: int
    resent: int
    taken_again: int
    broken: tuple[str, ...]
    ends: Mapping[str, str] = field(default_factory=dict)


def account(told: Sequence[Told], books: Ledger, earlier: Sequence[Told] = ()) -> Account:
    """Hold the hospital's memory against the books; what was told in earlier rounds must hold still, and is not counted again."""
    view = _View(books)
    accepted = [one for one in (*earlier, *told) if one.whole]
    ends = {one.story.name: _end(one.story, view) for one in accepted}
    now = {one.story.name for one in told if one.whole}
    count = Counter(end for name, end in ends.items() if name in now)
    lost = [f"{name}: accepted, and nothing came of it" for name, end in ends.items() if end == "lost"]
    twice = [*_reported_twice(view), *_changed_twice(view)]
    everyone = (*earlier, *told)
    broken = [
        *lost, *twice, *_refused(told), *_acknowledged(everyone, view), *_ended(accepted, ends, view), *_told_last(accepted, view),
        *_put_aside(everyone, view), *_heard(books), *_in_order(books), *_once(view), *_raised(accepted, view), *books.waiting,
    ]
    return Account(
        accepted=len(now), delivered=count["delivered"], superseded=count["superseded"], quarantined=count["quarantined"],
        lost=len(lost), duplicated=len(twice), taken_again=sum(one.again for one in told),
        resent=books.repeats + sum(max(0, one.tries - 1) for one in books.deliveries if one.receiver == "ehr" and one.state == "delivered"),
        broken=tuple(broken), ends={name: end for name, end in ends.items() if name in now},
    )


class _View:
    """The books, by case."""

    def __init__(self, books: Ledger) -> None:
        self.books = books
        self.reports = _by((one.case, one) for one in books.reports)
        self.deliveries = _by((one.case, one) for one in books.deliveries if one.room == "publishing")
        self.said = _by((one.key, one) for one in books.said)
        self.buried = frozenset(one.subject for one in books.buried if one.room != "ingestion")
        self.changes = _by((one.placer, one) for one in books.changes)
        self.placed = {case: [one for one in said if one.topic == "case-triaged"] for case, said in self.said.items()}
        self.completed = {case: [one for one in said if one.topic == "study-completed"] for case, said in self.said.items()}

    def case(self, story: Story) -> str:
        """Return the case of a story, empty where there is none."""
        return self.books.cases.get(story.order.study_uid, "")


def _end(story: Story, view: _View) -> str:
    """Say how an accepted study ended."""
    if story.kind == "refused":
        messages = [step for step in story.steps if isinstance(step, Message)]
        return "quarantined" if all(view.books.messages.get(one.digest) == "quarantined" for one in messages) else "lost"
    case = view.case(story)
    if view.reports.get(case):
        return "delivered"
    overtaken = any(one.state == "superseded" and one.kind == "report" for one in view.deliveries.get(case, ()))
    if overtaken or (story.kind.startswith("cancelled") and _read(case, view)):
        return "superseded"
    stuck = any(one.state == "quarantined" for one in view.deliveries.get(case, ()))
    return "quarantined" if case and (case in view.buried or stuck) else "lost"


def _read(case: str, view: _View) -> bool:
    """Say whether a serving version has read the case."""
    return any(one.topic == "prediction-made" and one.facts["stage"] in _SERVING for one in view.said.get(case, ()))


def _refused(told: Sequence[Told]) -> Iterator[str]:
    for one in told:
        if one.refused:
            yield f"{one.story.name}: {one.refused}"


def _acknowledged(told: Sequence[Told], view: _View) -> Iterator[str]:
    """Everything acknowledged is in ingestion's books, also of stories that were broken off."""
    for one in told:
        missing = [digest for digest in one.messages if digest not in view.books.messages]
        gone = one.images - view.books.objects
        if missing:
            yield f"{one.story.name}: {len(missing)} messages were acknowledged and are not in ingestion's books"
        if gone:
            yield f"{one.story.name}: {len(gone)} images were acknowledged and are not in ingestion's books"


def _put_aside(told: Sequence[Told], view: _View) -> Iterator[str]:
    """Nothing lies in quarantine but what belongs there: nobody has to repair anything after a kill."""
    unread = [one for one in told if one.story.kind in _UNREAD]
    messages = {step.digest for one in unread for step in one.story.steps if isinstance(step, Message)}
    cases = {view.case(one.story) for one in unread} - {""}
    for buried in view.books.buried:
        unreadable = buried.room == "inference" and buried.subject in cases
        if buried.digest not in messages and not unreadable:
            yield f"{buried.subject}: {buried.input_id} lies in {buried.room}'s quarantine: {buried.reason[:_SHOWN]}"
    for delivery in view.books.deliveries:
        if delivery.state == "quarantined":
            yield f"case {delivery.case}: its {delivery.kind} for the {delivery.receiver} lies in quarantine"


def _ended(accepted: Sequence[Told], ends: Mapping[str, str], view: _View) -> Iterator[str]:
    """Every study ended in a way that its story allows, its report says what it should, and the reading list has it."""
    for one in accepted:
        story, end = one.story, ends[one.story.name]
        case = view.case(story)
        if end != "lost" and end not in story.ends:
            yield f"{story.name}, case {case}: it ended as {end}"
        if story.kind == "refused":
            continue
        if story.kind in _PLAIN and not view.placed.get(case):
            yield f"{story.name}, case {case}: it was never placed on the list"
        if story.kind != "unreadable" and not _read(case, view):
            yield f"{story.name}, case {case}: the serving version has not read it"
        for report in view.reports.get(case, ()):
            if (report.status == _WITHDRAWN) is not story.kind.startswith("cancelled"):
                yield f"{story.name}, case {case}: its report stands as {report.status}"


def _told_last(accepted: Sequence[Told], view: _View) -> Iterator[str]:
    """What was told last of a study is what the reading list, the readings and the report say: order, name, images, signature."""
    for one in accepted:
        story, case = one.story, view.case(one.story)
        if story.kind == "refused":
            continue
        for what in (*_listed_as_told(story, case, view), *_read_as_told(story, case, view)):
            yield f"{story.name}, case {case}: {what}"


def _listed_as_told(story: Story, case: str, view: _View) -> Iterator[str]:
    listed, order = view.books.listed.get(case), story.order
    if listed is None:
        yield "it is not on the reading list"
        return
    standing = _STANDING.get(story.kind, "waiting")
    if listed.standing != standing:
        yield f"the reading list has it as {listed.standing}, not {standing}"
    # A study whose order was cancelled before it came answers none.
    priority = {"ordinary": _PRIORITY[order.priority], "changed": "asap", "cancelled-early": ""}.get(story.kind, "routine")
    if listed.priority != priority:
        yield f"the reading list has its order as {listed.priority or 'none'}, not {priority or 'none'}"
    if story.kind == "renamed" and listed.given != f"{order.patient.given}a":
        yield "the reading list has its patient under the earlier name"
    if view.placed.get(case) and listed.place != view.placed[case][-1].facts["revision"]:
        yield f"its place on the reading list is number {listed.place}, not triage's last"


def _read_as_told(story: Story, case: str, view: _View) -> Iterator[str]:
    images = sum(isinstance(step, Image) for step in story.steps)
    completed = view.completed.get(case, [])
    if not completed or completed[-1].facts["images"] != images:
        yield f"it was never complete with its {images} images"
        return
    read = [said for said in view.said[case] if said.topic == "prediction-made" and said.facts["stage"] in _SERVING]
    if read and read[-1].facts["revision"] != completed[-1].facts["revision"]:
        yield "its last revision was not read"
    issued = [one.issued for one in view.deliveries.get(case, ()) if one.state == "delivered" and one.kind in _REPORTS and one.issued]
    if any(report.issued != issued[-1] for report in view.reports.get(case, ()) if issued):
        yield "the report that stands is not the one that was sent last"


def _reported_twice(view: _View) -> Iterator[str]:
    for case, reports in view.reports.items():
        if not case:
            yield from (f"report {one.id} at the EHR is of no case of ours" for one in reports)
            continue
        if len(reports) > 1:
            yield f"case {case}: {len(reports)} reports at the EHR"
        sent = sum(one.kind in _REPORTS and one.state == "delivered" for one in view.deliveries.get(case, ()) if one.receiver == "ehr")
        for report in reports:
            if report.versions != sent:
                yield f"case {case}: its report went through {report.versions} versions, and {sent} were sent"


def _changed_twice(view: _View) -> Iterator[str]:
    """One change under two control ids, or a message at the RIS that no delivery explains."""
    known = {one.control: number for number, one in enumerate(view.books.deliveries) if one.receiver == "ris"}
    for changes in view.changes.values():
        numbers = [known[one.control] for one in changes if one.control in known]
        if numbers != sorted(numbers):
            yield f"the RIS heard {', '.join(one.control for one in changes)}, which is not the order they were said in"
        made = [one for one in changes if one.answer == "XR"]
        for before, after in pairwise(made):
            if before.priority == after.priority:
                yield f"the RIS made the change {before.control} again as {after.control}"
        for one in changes:
            if one.control not in known:
                yield f"the RIS heard {one.control}, which publishing knows nothing of"
            if one.changed:
                yield f"the RIS heard {one.control} again with other bytes"


def _raised(accepted: Sequence[Told], view: _View) -> Iterator[str]:
    """What publishing sent, the RIS has; what triage lifted and nothing overtook was changed there, once."""
    heard = {one.control: one for one in view.books.changes}
    for one in view.books.deliveries:
        if one.receiver == "ris" and one.state == "delivered" and one.control not in heard:
            yield f"case {one.case}: the change {one.control} is delivered, and the RIS never heard it"
    for told in accepted:
        case, changes = view.case(told.story), view.changes.get(told.story.order.placer, [])
        ours = {one.control for one in view.deliveries.get(case, ()) if one.receiver == "ris"}
        for change in changes:
            if change.control not in ours:
                yield f"{told.story.name}, case {case}: the RIS changed its order by {change.control}, which is of another case"
            if change.answer != "XR":
                yield f"{told.story.name}, case {case}: the RIS answered {change.control} with {change.answer}"
        placed = view.placed.get(case, [])
        if told.story.kind in _PLAIN and placed:
            lifted = bool(placed[-1].facts["lifted"])
            if len(changes) != int(lifted):
                yield f"{told.story.name}, case {case}: triage {'lifted' if lifted else 'left'} it, and the RIS made {len(changes)} changes"
            elif changes and changes[-1].priority != placed[-1].facts["code"]:
                yield f"{told.story.name}, case {case}: the RIS has it as {changes[-1].priority}, triage as {placed[-1].facts['code']}"


def _heard(books: Ledger) -> Iterator[str]:
    """Every event was settled in every room that must hear it, by every route there that hears its kind."""
    routes: dict[tuple[str, str], set[str]] = defaultdict(set)
    topic_of = {one.event_id: one.topic for one in books.said}
    settled: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in books.settled:
        settled[one.room, one.input_id].add(one.route)
        if one.input_id in topic_of:
            routes[one.room, topic_of[one.input_id]].add(one.route)
    for event in books.said:
        for room in books.hears.get(event.topic, ()):
            missed = (routes[room, event.topic] or {"any"}) - settled[room, event.event_id]
            if missed:
                yield f"case {event.key}: {room} never settled {event.topic} of {event.room} ({', '.join(sorted(missed))})"


def _in_order(books: Ledger) -> Iterator[str]:
    """What one room said of a case on one topic, every hearer settled in that order."""
    at = {(one.room, one.route, one.input_id): one for one in books.settled}
    chains: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for event in sorted(books.said, key=lambda one: one.number):
        chains[event.topic, event.key].append(event)
    hearers: dict[str, set[str]] = defaultdict(set)
    for one in books.settled:
        hearers[one.room].add(one.route)
    for (topic, key), chain in chains.items():
        if len(chain) < 2:
            continue
        for room in books.hears.get(topic, ()):
            for route in hearers[room]:
                times = [at[room, route, one.event_id].at for one in chain if (room, route, one.event_id) in at]
                if times != sorted(times):
                    yield f"case {key}: {room} settled {topic} out of order ({route})"


def _once(view: _View) -> Iterator[str]:
    """A study's quiet timer fires once, a version reads a revision once, and triage says each place once."""
    for case, events in view.completed.items():
        revisions = [int(one.facts["revision"]) for one in events]
        images = [int(one.facts["images"]) for one in events]
        if revisions != list(range(1, len(events) + 1)) or any(later <= before for before, later in pairwise(images)):
            yield f"case {case}: completed as revisions {revisions} with {images} images: a timer fired twice"
    for case, events in view.placed.items():
        revisions = [int(one.facts["revision"]) for one in events]
        if revisions != list(range(1, len(events) + 1)):
            yield f"case {case}: placed as revisions {revisions}"
    for case, said in view.said.items():
        read = Counter(tuple(one.facts.items()) for one in said if one.topic == "prediction-made")
        if any(times > 1 for times in read.values()):
            yield f"case {case}: one version read one revision more than once"


def _by(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    found: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found
