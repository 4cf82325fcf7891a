"""What was played and what came of it, as data: the terminal's summary and the page are both told from this, and from nothing else."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from radloop.workbench.hospital.irregular import Became, named
from radloop.workbench.hospital.scores import Interval
from radloop.workbench.hospital.waits import Waited

Figures = Mapping[str, float | None]
SOURCES = {
    "seed": "labels to begin with; they train every version",
    "chosen": "answers to questions chosen where an answer teaches most; they train",
    "audit": "answers to questions drawn at random, the AI hidden; they train, and show whether readers follow the model",
    "live": "verdicts on the morning's own studies; they train, where the study was read and not cancelled",
    "acceptance": "signed reports of earlier studies; they calibrate, and never train",
    "gate": "signed reports of earlier studies; they decide on a release, and neither train nor calibrate",
}
"""Where labels come from, and what they are for."""


@dataclass(frozen=True)
class Point:
    """One version on the learning curve: how many labels it was trained on, and its AUC on the test split; `random`: none were chosen."""

    name: str
    labels: int
    auc: Interval
    random: bool = False


@dataclass(frozen=True)
class Learning:
    """What the answers were worth: the curve, the paired gain over the first version, and over the same number of random labels."""

    points: tuple[Point, ...]
    gain: Interval
    over_random: Interval
    patients: int
    images: int

    @property
    def worse(self) -> str:
        """Say that the version that serves is worse than the first, where the interval leaves no doubt; empty where it does."""
        if self.gain.high >= 0:
            return ""
        return (
            f"the version that serves is worse than {self.points[0].name}: few answers, some of them wrong; and a gate that is held while"
            " nothing is in production asks for the plan's least AUC alone"
        )


@dataclass(frozen=True)
class Study:
    """One study of the morning, in simulated seconds since it began; what did not happen is None."""

    accession: str
    complete: float
    opened: float | None
    signed: float | None
    positive: bool
    group: str
    lifted: bool
    urgency: str
    version: int
    probability: float | None
    irregular: str
    reader: str


@dataclass(frozen=True)
class ReaderDid:
    """What one reader did, and how right they were by the truth that only the simulated hospital knows.

    Minutes are simulated. `sensitivity` and `specificity` are (right, of how many) over everything they said.
    """

    name: str
    read: int
    reading_minutes: float
    answered: int
    answering_minutes: float
    sensitivity: tuple[int, int]
    specificity: tuple[int, int]
    cannot_say: int


@dataclass(frozen=True)
class Following:
    """Whether readers say what the screen says: errors where a wrong answer was shown, and in the audit slice, with the AI hidden.

    Each pair is (wrong, of how many); `p_value` is how often so large a difference comes about where there is none.
    """

    shown: tuple[int, int]
    hidden: tuple[int, int]
    p_value: float
    words: str


@dataclass(frozen=True)
class Labels:
    """How many labels the serving version was trained on, how many there are in all, and by where they came from.

    `sources` are counts by the names in SOURCES.
    """

    training: int
    everything: int
    sources: Mapping[str, int]


@dataclass(frozen=True)
class Story:
    """One play.

    `problems` is what does not hold, `before_opened` how many of how many readable studies were triaged before they were opened,
    `served_before` the version that spoke before the morning began (0: none), `lasted` when the last study was signed.
    """

    source: str
    seed: int
    speed: float
    ordinary: int
    ai: bool
    anchoring: float
    prevalence: float
    figures: Figures
    problems: tuple[str, ...]
    before_opened: tuple[int, int]
    served_before: int
    lasted: float
    waited: tuple[Waited, ...]
    studies: tuple[Study, ...]
    speaks: tuple[tuple[int, float], ...]
    away: tuple[float, float] | None
    became: tuple[Became, ...]
    learning: Learning | None
    labels: Labels | None
    readers: tuple[ReaderDid, ...]
    following: Following | None
    versions: tuple[str, ...]

    @property
    def worth_tracing(self) -> str:
        """Return the accession number of the study whose story tells most: read, then signed, then lifted, then with nothing irregular.

        What came before a version served was read in shadow at most. Of equals it is the first; empty where nothing came.
        """
        def tells(one: Study) -> tuple[bool, ...]:
            return one.version > 0, one.signed is not None, one.lifted, not one.irregular

        return max(self.studies, key=tells).accession if self.studies else ""

    @property
    def irregularities(self) -> str:
        """Say what counts as one of those that were played: an irregular study each, and what the hospital's own systems do."""
        played = [one for one in self.became if one.played]
        studies = sum(named(one.kind).study for one in played)
        return f"{studies} irregular studies and {len(played) - studies} of the RIS and the EHR"

    def write(self, file: Path) -> None:
        """Leave it as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1))
