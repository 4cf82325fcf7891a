"""Events of some cases that flow from one room to another while something happens to what is between them."""

import uuid

from conftest import wait_until
from examples.diary import Here, command, order

CASES = 12


class Flow:
    """Events of some cases, one revision of each at a time; they must be heard once, in order."""

    def __init__(self, here: Here, there: Here) -> None:
        self._here, self._there = here, there
        self._cases = [str(uuid.uuid4()) for _ in range(CASES)]
        self._revision = 0

    def more(self, revisions: int = 3) -> None:
        """Say the next revisions of every case."""
        for _ in range(revisions):
            self._revision += 1
            for case in self._cases:
                self._here.runner.submit(command(f"{case}-{self._revision}", event=order(case, self._revision)))

    def heard(self) -> int:
        """Count the lines of all cases."""
        return sum(len(self._there.lines(case)) for case in self._cases)

    def arrives(self, seconds: float = 90) -> None:
        """Wait for all of it, once and in order."""
        expected = tuple(f"order {revision}" for revision in range(1, self._revision + 1))
        wait_until(lambda: self.heard() >= CASES * self._revision, seconds)
        assert [self._there.lines(case) for case in self._cases] == [expected] * CASES
