"""The grammar of a room: inputs arrive, a handler decides, a consequence is named by its cause.

Three kinds of input: an Event (Kafka), a Command (a door that wants an answer), a Due (a timer). A handler is a plain
function `(seen, state) -> Decision`; `on(...)` puts it in the room's typed table of routes. Nothing here performs anything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeAlias, TypeVar, overload
from uuid import UUID, uuid5

_CAUSES = UUID("6f0e3c52-8f0f-5d0c-9d5e-2b8f3a3d7c11")


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who asked: kind is reader, service or system."""

    kind: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Input:
    """What a room can be told. `id` makes a repeat recognisable, `at` is when it happened (data, not the clock)."""

    id: str
    subject: str
    site: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Event(Input):
    """Something that happened, past tense, from Kafka; `subject` is the case (or model) it is keyed by."""


@dataclass(frozen=True, kw_only=True)
class Command(Input):
    """Something asked of this room, imperative; its id comes from outside, so that a repeat gets the stored answer."""

    actor: Actor


@dataclass(frozen=True, kw_only=True)
class Due(Input):
    """A timer that is due; `subject` is the key it was set under, `at` the instant it was set to."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Deliver:
    """One message that must reach one outside receiver: ready-made bytes, sent until they are answered.

    `key` is its identity for good (idempotency); `always` marks a correction, which goes even when the case has closed.
    """

    key: str
    receiver: str
    subject: str
    kind: str
    body: bytes
    content_type: str
    revision: int = 0
    always: bool = False


@dataclass(frozen=True, kw_only=True)
class DeliveryAnswered(Command):
    """What became of a delivery: outcome is delivered, refused, unconfirmed, superseded or quarantined."""

    delivery: Deliver
    outcome: str
    reason: str = ""
    answer: bytes = b""


@dataclass(frozen=True)
class At:
    """A timer: the same name replaces, None cancels. `key` is the state's key unless it says otherwise.

    `bulk` marks what nobody waits for and what may come by the thousand: it is settled after all others that are due.
    """

    when: datetime | None
    name: str
    key: str = ""
    bulk: bool = False


@dataclass(frozen=True, kw_only=True)
class StartJob:
    """Work longer than half a minute, done by a child process that holds a lease; `spec` is JSON text."""

    job_id: str
    name: str
    spec: str


@dataclass(frozen=True, kw_only=True)
class JobEnded(Command):
    """What became of a job: `result` is JSON text where it succeeded, `reason` says why it did not."""

    job_id: str
    name: str
    succeeded: bool
    result: str = ""
    reason: str = ""


S = TypeVar("S")
I = TypeVar("I", bound=Input)  # noqa: E741 - I for input, as S for state
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Record(Generic[S]):
    """Keep all of it, or none of it. A state of None leaves what is stored as it is."""

    state: S | None
    emit: tuple[Event, ...] = ()
    deliver: tuple[Deliver, ...] = ()
    timers: tuple[At, ...] = ()
    jobs: tuple[StartJob, ...] = ()
    answer: object = None


@dataclass(frozen=True)
class Skip:
    """Nothing to do, on purpose."""

    reason: str
    answer: object = None


@dataclass(frozen=True)
class Reject:
    """It can never succeed as it is: quarantine, and the door answers with the reason."""

    reason: str
    emit: tuple[Event, ...] = ()
    answer: object = None


Decision: TypeAlias = Record[S] | Skip | Reject
Keys: TypeAlias = str | tuple[str, ...]


def subject_of(seen: Input) -> str:
    """Return the key most routes use: the case."""
    return seen.subject


@dataclass(frozen=True)
class Route(Generic[S]):
    """One line of a room's contents page. Made by `on` and `on_timer`, which check the types."""

    name: str
    hears: type[Input]
    decide: Callable[[Any, Any], Decision[S]]
    keeps: type[S]
    key: Callable[[Any], Keys] = subject_of
    observe: Callable[[Any], Any] | None = None
    answers: type[object] | None = None
    timer: str = ""

    def hears_this(self, seen: Input) -> bool:
        """Say whether this input is for this route; timers are told apart by their name up to the first colon."""
        if type(seen) is not self.hears:
            return False
        return not isinstance(seen, Due) or seen.name.partition(":")[0] == self.timer

    def keys(self, seen: Input) -> tuple[str, ...]:
        """Return the keys to lock, in a fixed order so that two inputs never wait for each other."""
        keys = self.key(seen)
        return (keys,) if isinstance(keys, str) else tuple(sorted(set(keys)))


@overload
def on(
    hears: type[I], decide: Callable[[I, S | None], Decision[S]], *, keeps: type[S],
    key: Callable[[I], Keys] = ..., answers: type[object] | None = ..., name: str = ...,
) -> Route[S]: ...
@overload
def on(
    hears: type[I], decide: Callable[[Seen, S | None], Decision[S]], *, keeps: type[S],
    observe: Callable[[I], Seen],
    key: Callable[[I], Keys] = ..., answers: type[object] | None = ..., name: str = ...,
) -> Route[S]: ...
def on(
    hears: type[Any], decide: Callable[[Any, Any], Decision[S]], *, keeps: type[S],
    observe: Callable[[Any], Any] | None = None,
    key: Callable[[Any], Keys] = subject_of, answers: type[object] | None = None, name: str = "",
) -> Route[S]:
    """Route one type of input to a handler.

    `keeps` is the type of state the handler decides on; `observe` is a short look at the world before the transaction,
    whose result the handler gets instead of the input; `answers` is the type of the answer a door stores and gives again.
    """
    return Route(
        name=name or getattr(decide, "__name__", "") or getattr(decide, "func").__name__,  # noqa: B009 - a partial has .func
        hears=hears, decide=decide, keeps=keeps, key=key, observe=observe, answers=answers,
    )


def on_timer(
    timer: str, decide: Callable[[Due, S | None], Decision[S]], *, keeps: type[S], name: str = "",
) -> Route[S]:
    """Route the timers of one name (up to the first colon) to a handler."""
    return Route(
        name=name or getattr(decide, "__name__", "") or getattr(decide, "func").__name__,  # noqa: B009 - see on
        hears=Due, decide=decide, keeps=keeps, timer=timer,
    )


def caused_by(cause: Input, name: str, subject: str = "") -> str:
    """Name a consequence by its cause (uuid5 of cause, name and subject), so that a replay says the same thing."""
    return str(uuid5(_CAUSES, f"{cause.id}|{name}|{subject or cause.subject}"))


def timer_id(room: str, key: str, name: str, when: datetime) -> str:
    """Name a timer's input: the same timer set to the same instant is the same input."""
    return str(uuid5(_CAUSES, f"timer|{room}|{key}|{name}|{when.isoformat()}"))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an input was settled: recorded, skipped, rejected, quarantined or parked; a repeat gets the same."""

    kind: str
    reason: str = ""
    answer: Any = None
    repeated: bool = False


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """An input on its way to its handler, with what is needed to keep, repeat and trace it.

    `route` names the one route it is for, empty for all that hear it. `along` is kept with its outcome: it is called in the
    same transaction once the keys are locked, and returns False where somebody else has settled the matter meanwhile.
    """

    seen: Input
    payload: bytes
    source: str
    type_name: str
    headers: dict[str, str] = field(default_factory=dict)
    careful: bool = False
    revocable: bool = False
    route: str = ""
    along: Callable[[Any], bool] | None = None


Kept = Literal["state", "event", "delivery", "timer", "job"]


def what_it_keeps(decision: Record[Any] | Skip | Reject) -> frozenset[Kept]:
    """Say what a decision keeps, for those who wait for it."""
    match decision:
        case Record():
            said: dict[Kept, bool] = {
                "state": decision.state is not None, "event": bool(decision.emit), "delivery": bool(decision.deliver),
                "timer": any(timer.when for timer in decision.timers), "job": bool(decision.jobs),
            }
            return frozenset(what for what, kept in said.items() if kept)
        case Reject():
            return frozenset({"event"} if decision.emit else ())
        case Skip():
            return frozenset()
