"""What was played and what came of it, as data: the terminal's summary and the page are both told from this, and from nothing else."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from radloop.workbench.hospital.irregular import Became
from radloop.workbench.hospital.scores import Interval
from radloop.workbench.hospital.waits import Waited

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class Point:
    """One version on the learning curve: how many labels it was trained on, its AUC on the test split; `chance` for random labels."""

    name: str
    labels: int
    auc: Interval
    chance: bool = False


@dataclass(frozen=True)
class Learning:
    """What the answers were worth: the curve, the paired gain over the first version, and over the same number of random labels."""

    points: tuple[Point, ...]
    gain: Interval
    over_chance: Interval
    patients: int
    images: int


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
    """Whether readers say what the screen says: answers to requests where the model was wrong, shown and hidden (the audit slice).

    Each pair is (said the same, of how many); `chance` is how often so large a difference comes about by chance.
    """

    shown: tuple[int, int]
    hidden: tuple[int, int]
    chance: float
    words: str


@dataclass(frozen=True)
class Labels:
    """How many labels the serving version was trained on, how many there are in all, and by where they came from.

    Sources: seed, chosen and audit (answers to questions), live (verdicts on the morning's own studies), acceptance, gate.
    """

    training: int
    everything: int
    sources: Mapping[str, int]


@dataclass(frozen=True)
class Story:
    """One play."""

    source: str
    seed: int
    speed: float
    ordinary: int
    ai: bool
    anchoring: float
    prevalence: float
    figures: Figures
    problems: tuple[str, ...]
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

    def write(self, file: Path) -> None:
        """Leave it as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1))
