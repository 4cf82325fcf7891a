"""What the worklist needs from outside, and what its page may ask of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from radloop.events.common import Actor, Code
from radloop.events.reading import FindingAnswer
from radloop.worklist.domain.screen import Row, Screen, Serving, View


@dataclass(frozen=True, kw_only=True)
class Image:
    """A frame ready to be drawn: unsigned 16-bit little-endian pixels, row by row; value = pixel * slope + intercept.

    The window is in values; `inverted` says that high values are dark (MONOCHROME1).
    """

    rows: int
    columns: int
    stored_rows: int
    stored_columns: int
    window_center: float
    window_width: float
    slope: float
    intercept: float
    low: float
    high: float
    inverted: bool
    photometric: str
    spacing_mm: float | None = None
    pixels: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Where a model saw a finding: `values` 0 to 1, rows × columns over the whole of the named stored frame."""

    sop_instance_uid: str
    frame: int
    rows: int
    columns: int
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What was on the screen when something was done: case, revision, prediction, and which request it answers."""

    case_id: str
    revision: int
    prediction_id: str = ""
    ai_shown: bool = False
    request_id: str = ""


@dataclass(frozen=True, kw_only=True)
class VerdictGiven:
    """A verdict as the page hands it over; the page makes its id, so that sent twice it is one."""

    verdict_id: str
    reader: Actor
    kind: str
    answers: tuple[FindingAnswer, ...]
    shown: Shown
    seconds_spent: float


@dataclass(frozen=True, kw_only=True)
class Done:
    """Whether what was asked was done; if not, why not, in words for the reader."""

    done: bool
    reason: str = ""


class Answers(Protocol):
    """Where verdicts are recorded. Raise Transient where it is away, Permanent for what it can never take."""

    def record(self, verdict: VerdictGiven) -> Done:
        """Record one verdict; the same id again gets the same answer."""
        ...

    def take_back(self, command_id: str, reader: Actor, case_id: str, verdict_id: str) -> Done:
        """Take a verdict back."""
        ...


class Places(Protocol):
    """Where the order of the list is decided. Raise Transient where it is away."""

    def undo(self, command_id: str, actor: Actor, case_id: str) -> Done:
        """Give a case its own place back."""
        ...


class Page(Protocol):
    """What the page asks for. Each may raise Transient (a dependency is away) or Permanent (never as it is)."""

    def serving(self) -> Serving:
        """Return which model version speaks on the list."""
        ...

    def now(self) -> datetime:
        """Return the present instant."""
        ...

    def rows(self, view: View) -> Sequence[Row]:
        """Return a list in its order."""
        ...

    def find(self, accession: str) -> Sequence[str]:
        """Return the cases that an accession number names."""
        ...

    def screen(self, case_id: str, request_id: str) -> Screen | None:
        """Return one case as it may be shown, None where there is none with images."""
        ...

    def image(self, case_id: str, sop_instance_uid: str, frame: int, longest: int) -> Image | None:
        """Return one frame, reduced to at most `longest` rows and columns."""
        ...

    def evidence(self, case_id: str, request_id: str, finding: Code) -> Evidence | None:
        """Return where the model saw a finding, None where nothing may be shown."""
        ...

    def open_case(self, command_id: str, reader: Actor, shown: Shown) -> Done:
        """Note that a reader has this on the screen."""
        ...

    def record_verdict(self, verdict: VerdictGiven) -> Done:
        """Hand a verdict on, unless what it was about has been replaced."""
        ...

    def take_back(self, command_id: str, reader: Actor, case_id: str, verdict_id: str) -> Done:
        """Take a verdict back."""
        ...

    def undo_reordering(self, command_id: str, actor: Actor, case_id: str) -> Done:
        """Give a case its own place back."""
        ...

    def quarantine(self, body: bytes, reason: str) -> None:
        """Keep what came as a verdict and is none."""
        ...

    def listen(self, tell: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Have `tell` called with the cases of each committed change (from any thread); call the result to end it."""
        ...
