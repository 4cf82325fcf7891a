"""A queue and a Triton that remember what was asked of them, and what keeps the latter in step."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from tests.examples import inference as example

from radloop.inference.adapters.loading import Loaded
from radloop.inference.adapters.postgres import Taken
from radloop.inference.domain.model import Model
from radloop.kit.clock import ManualClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Outcome


def taken(reading_id: str = "reading-1", rank: int = 1, takes: int = 1, case: str = "case-1") -> Taken:
    """Build a reading in somebody's hands."""
    return Taken(reading_id, case, "site-1", "serving", 1, rank, "", takes, 0)


class Queue:
    """Readings in memory."""

    def __init__(self, *waiting: Taken) -> None:
        self.waiting = sorted(waiting, key=lambda one: one.rank)
        self.ended: list[tuple[str, str]] = []
        self.given_back: list[tuple[str, float]] = []
        self.renewed: list[list[str]] = []

    def take(self, below_rank: int, held: Collection[str]) -> Taken | None:
        fit = [one for one in self.waiting if one.rank < below_rank and one.reading_id not in held]
        if fit:
            self.waiting.remove(fit[0])
        return fit[0] if fit else None

    def take_beside(self, taken: Taken, most: int, held: Collection[str]) -> tuple[Taken, ...]:
        alike = [one for one in self.waiting if (one.rank, one.role) == (taken.rank, taken.role)]
        fit = [one for one in alike if one.takes == 1 and one.reading_id not in held][:most]
        for one in fit:
            self.waiting.remove(one)
        return tuple(fit)

    def end_all(self, ended: Collection[tuple[Taken, str]]) -> None:
        self.ended += [(one.reading_id, outcome) for one, outcome in ended]

    def renew(self, reading_ids: Collection[str]) -> None:
        self.renewed.append(sorted(reading_ids))

    def give_back(self, taken: Taken, after_seconds: float) -> None:
        self.given_back.append((taken.reading_id, after_seconds))

    def end(self, taken: Taken, outcome: str) -> None:
        self.ended.append((taken.reading_id, outcome))


class Runner:
    """Settles what it is given as it is told."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes, self.heard = list(outcomes), []

    def __call__(self, command: Any) -> Outcome:
        self.heard.append(command)
        outcome = self.outcomes.pop(0) if self.outcomes else Outcome(kind="recorded")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Server:
    """A Triton that loads what it is told, and of each version holds a failure until it is loaded anew."""

    def __init__(self, loaded: set[int] | None = None) -> None:
        self.loaded = loaded or set()
        self.loads: list[set[int]] = []
        self.asked: list[tuple[int, int]] = []
        self.within: list[float | None] = []
        self.unloads = 0
        self.failure: Exception | None = None
        self.failing: dict[int, Exception] = {}
        self.refuses: set[int] = set()
        self.loading_elsewhere = False

    def held(self, model: str) -> dict[int, bool]:
        return dict.fromkeys(self.loaded, True)

    def load(self, model: str, versions: set[int], config: Path) -> None:
        if refused := self.refuses & versions:
            raise Permanent(f"triton refused chest {refused}")
        if self.loading_elsewhere:
            raise Transient(f"somebody else loads or unloads {model} at this moment")
        self.loads.append(set(versions))
        for anew in versions - self.loaded:
            self.failing.pop(anew, None)
        self.loaded = set(versions)

    def unload(self, model: str) -> None:
        self.unloads += 1
        self.loaded = set()

    def infer(
        self, model: str, version: int, tensors: Any, outputs: Any, within: float | None = None,
    ) -> dict[str, np.ndarray]:
        if failure := self.failure or self.failing.get(version):
            raise failure
        [images] = tensors.values()
        self.asked.append((version, len(images)))
        self.within.append(within)
        shapes = {"MEMBERS": (2, 1), "EMBEDDING": (example.WIDTH,), "EVIDENCE": (1, 7, 7), "IMAGE_EMBEDDING": (256, 64, 64)}
        return {name: np.zeros((len(images), *shapes.get(name, (2, 1))), np.float32) for name in outputs}


BLANK = np.zeros((1, 3, 224, 224), np.float32)


def clock() -> ManualClock:
    """Return a clock that is moved by hand."""
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def model(*releases: Any) -> Model:
    """Return the chest model after these releases."""
    made = Model(model="chest")
    for release in releases:
        made = made.released(release) or made
    return made


def loaded(server: Server, *releases: Any, time: ManualClock | None = None, name: str = "a:1") -> Loaded:
    """Keep a double of Triton in step with these releases."""
    return Loaded(server, example.Packages(), lambda: (model(*releases),), Path(), time or clock(), name=name)
