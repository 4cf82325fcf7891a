"""What may befall a process at a point of its work: it is killed, its store is away for once, its broker loses its tail."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from radloop.kit.errors import Transient


class Killed(BaseException):
    """The process ends here: nothing catches it, and nothing is done after it."""


class Fate:
    """Strikes once, at the point that was chosen, and counts it in `struck`; a process that was killed stays dead until `live`."""

    def __init__(self) -> None:
        self.lose: Callable[[], None] = lambda: None
        self.struck: Counter[str] = Counter()
        self._kind, self._left, self._dead = "", 0, False

    def arm(self, kind: str, after: int) -> None:
        """Choose what happens (kill, away, lose, or nothing) and at which of the points that come."""
        self._kind, self._left = kind, after

    def live(self) -> None:
        """Begin anew, out of danger."""
        self._kind, self._dead = "", False

    def at(self, point: str) -> None:
        """Pass a point."""
        if self._dead:
            raise Killed(point)
        if not self._kind or (self._kind == "away" and not point.endswith(("transaction", "commit"))):
            return
        self._left -= 1
        if self._left >= 0:
            return
        kind, self._kind = self._kind, ""
        self.struck[kind] += 1
        if kind == "kill":
            self._dead = True
            raise Killed(point)
        if kind == "away":
            raise Transient(f"the store was away {point}")
        self.lose()


class Mortal:
    """Makes a store of either kind pass a point before each transaction, before its commit, and after it."""

    fate: Fate

    @contextmanager
    def connection(self) -> Iterator[Any]:
        self.fate.at("before a transaction")
        with super().connection() as lent:  # type: ignore[misc]
            yield lent
            self.fate.at("before a commit")
        self.fate.at("after a commit")
