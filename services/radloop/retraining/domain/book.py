"""The book of one model: its versions and their stages, its cycles, and the records of every change."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from radloop.retraining.domain.record import ChangeRecord, Sign

CLINICAL = ("canary", "production")
STAGES = ("shadow", *CLINICAL, "retired")
TRAINING, GATED_OUT, RELEASING, RELEASED, FAILED, UNCHANGED = "training", "gated-out", "releasing", "released", "failed", "unchanged"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version: its stage, its proof, and where it goes (`wanted`) once its package lies in the model repository."""

    number: int
    stage: str
    package: str
    weights: str
    snapshot: str
    labels: int
    gate_passed: bool
    evidence: tuple[str, ...]
    origin: str
    since: datetime
    published: bool = False
    wanted: str = ""
    wanted_by: str = ""
    change_record: str = ""
    content: str = ""
    """SHA-256 of what its package says but for number, time and cycle; empty of one that no cycle made."""


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """One cycle: training, gated-out, releasing, released, failed or unchanged; `usable` labels were there when it started."""

    cycle_id: str
    version: int
    state: str
    started_at: datetime
    usable: int
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """One stage change that was made, ready to be said."""

    version: Version
    previous_stage: str
    release: int


@dataclass(frozen=True, kw_only=True)
class Book:
    """Everything that was decided about one model; `productions` are the numbers that served and were not rolled back."""

    model: str
    release: int = 0
    versions: tuple[Version, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    records: tuple[ChangeRecord, ...] = ()
    productions: tuple[int, ...] = ()
    # When the answers that wait began to wait; how they interleave with the rest is of no consequence.
    waiting_since: datetime | None = field(default=None, metadata={"counter": True})

    def version(self, number: int) -> Version | None:
        """Return a version by its number."""
        return next((one for one in self.versions if one.number == number), None)

    def of_weights(self, weights: str) -> Version | None:
        """Return the version that holds these weights."""
        return next((one for one in self.versions if one.weights == weights), None)

    def twin(self, content: str) -> Version | None:
        """Return the version of this content that passed its gate, unless it served and was followed by others.

        What was rolled back, or never came out of canary, did not do so without a reason.
        """
        return next((
            one for one in self.versions
            if content and one.content == content and one.gate_passed
            and (one.stage in {"shadow", *CLINICAL} or (one.stage == "retired" and one.number not in self.productions))
        ), None)

    def serving(self) -> Version | None:
        """Return the version in production."""
        return next((one for one in self.versions if one.stage == "production"), None)

    def base(self) -> Version | None:
        """Return the version a new one is built on: the one in production, else the latest in shadow, else the latest."""
        shadows = [one for one in self.versions if one.stage == "shadow"] or list(self.versions)
        return self.serving() or (shadows[-1] if shadows else None)

    def running(self) -> Cycle | None:
        """Return the cycle that is under way."""
        return next((one for one in self.cycles if one.state in {TRAINING, RELEASING}), None)

    def next_number(self) -> int:
        """Return the number of the next version; a failed cycle's number is not used again, that of one that made nothing is."""
        tried = (one.version for one in self.cycles if one.state != UNCHANGED)
        return 1 + max((*(one.number for one in self.versions), *tried), default=0)

    def with_version(self, version: Version) -> "Book":
        """Return the book with this version added, or in the place of its former self."""
        others = [one for one in self.versions if one.number != version.number]
        return replace(self, versions=tuple(sorted((*others, version), key=lambda one: one.number)))

    def with_cycle(self, cycle: Cycle) -> "Book":
        """Return the book with this cycle added, or in the place of its former self."""
        if any(one.cycle_id == cycle.cycle_id for one in self.cycles):
            return replace(self, cycles=tuple(cycle if one.cycle_id == cycle.cycle_id else one for one in self.cycles))
        return replace(self, cycles=(*self.cycles, cycle))


@dataclass(frozen=True, kw_only=True)
class Why:
    """Who changes a stage, why, when, under which plan, and the cause's id that names the records."""

    cause: str
    actor: str
    reason: str
    at: datetime
    plan_sha256: str


def record(book: Book, version: Version, previous_stage: str, why: Why, record_id: str, sign: Sign) -> Book:
    """Return the book with a signed record of what became of a version."""
    return replace(book, records=(*book.records, ChangeRecord(
        record_id=record_id, model=book.model, version=version.number, stage=version.stage, previous_stage=previous_stage,
        actor=why.actor, reason=why.reason, at=why.at.isoformat(), plan_sha256=why.plan_sha256,
        weights_sha256=version.weights, snapshot_sha256=version.snapshot, gate_passed=version.gate_passed,
        evidence=version.evidence,
    ).signed(sign)))


def move(book: Book, number: int, stage: str, why: Why, sign: Sign) -> tuple[Book, tuple[Change, ...]]:
    """Move a version to a stage; one that enters production retires the one that served and every older shadow and canary.

    Returns the book and the changes in the order they are to be said: the new version first, so that something serves at
    every moment.
    """
    leaving: list[int] = []
    if stage == "production":
        leaving = [
            one.number for one in book.versions
            if one.number != number
            and (one.stage == "production" or (one.stage in {"shadow", "canary"} and one.number < number))
        ]
        book = replace(book, productions=(*book.productions, number))
    changes = []
    for moved, to in ((number, stage), *((one, "retired") for one in leaving)):
        version = book.version(moved)
        assert version is not None  # the caller looked it up
        identity = f"{why.cause}:{moved}:{to}"
        before, release = version.stage, book.release + 1
        version = replace(version, stage=to, since=why.at, wanted="", wanted_by="", change_record=identity)
        reason = why.reason if moved == number else f"version {number} took its place"
        book = record(
            replace(book.with_version(version), release=release), version, before, replace(why, reason=reason), identity, sign,
        )
        changes.append(Change(version=version, previous_stage=before, release=release))
    return book, tuple(changes)


def refusal(book: Book, number: int, stage: str) -> str:
    """Return why a version may not move to a stage, empty where it may: no gate passed, no promotion."""
    version = book.version(number)
    if version is None:
        return f"there is no version {number}"
    if stage not in STAGES:
        return f"a version is promoted to one of {', '.join(STAGES)}"
    if version.stage == stage:
        return f"version {number} is in {stage} already"
    if version.wanted:
        return f"version {number} is on its way to {version.wanted}"
    if stage in CLINICAL and not version.gate_passed:
        return f"version {number} has passed no gate"
    return ""


def before_production(book: Book) -> Version | None:
    """Return the version that served before the present one, and may serve again."""
    serving = book.serving()
    for number in reversed(book.productions):
        version = book.version(number)
        if version is not None and version.gate_passed and (serving is None or number != serving.number):
            return version
    return None


def without_last_production(book: Book, number: int) -> Book:
    """Return the book as if what served from this number's last turn on had not: it is rolled back, and nothing returns to it."""
    turn = len(book.productions) - 1 - book.productions[::-1].index(number)
    return replace(book, productions=book.productions[:turn])
