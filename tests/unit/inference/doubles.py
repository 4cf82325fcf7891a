"""A queue and a Triton that remember what was asked of them."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from tests.examples.inference import WIDTH

from radloop.inference.adapters.postgres import Taken
from radloop.kit.errors import Permanent


def taken(reading_id: str = "reading-1", rank: int = 1, takes: int = 1) -> Taken:
    """Build a reading in somebody's hands."""
    return Taken(reading_id, "case-1", "site-1", "serving", 1, rank, "", takes, 0)


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

    def renew(self, reading_ids: Collection[str]) -> None:
        self.renewed.append(sorted(reading_ids))

    def give_back(self, taken: Taken, after_seconds: float) -> None:
        self.given_back.append((taken.reading_id, after_seconds))

    def end(self, taken: Taken, outcome: str) -> None:
        self.ended.append((taken.reading_id, outcome))


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

    def held(self, model: str) -> dict[int, bool]:
        return dict.fromkeys(self.loaded, True)

    def load(self, model: str, versions: set[int], config: Path) -> None:
        if refused := self.refuses & versions:
            raise Permanent(f"triton refused chest {refused}")
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
        shapes = {"MEMBERS": (2, 1), "EMBEDDING": (WIDTH,), "EVIDENCE": (1, 7, 7)}
        return {name: np.zeros((len(images), *shapes.get(name, (2, 1))), np.float32) for name in outputs}
