"""Strikes: each waits for what it is to strike, and says so where there is none."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from radloop.workbench.drill.schedule import SHORT, Outages
from radloop.workbench.drill.strikes import Ground, Missed, strikes


@dataclass
class Stack:
    """Parts that run or not, and what was killed."""

    running: dict[str, int | None]
    killed: list[str] = field(default_factory=list)

    def pid(self, part: str) -> int | None:
        """The process id of a part while it runs."""
        return self.running.get(part)

    def hold(self, part: str) -> None:
        """Keep it from coming back."""
        assert self.running[part]

    def kill(self, part: str) -> None:
        """Kill it."""
        assert self.running[part]
        self.killed.append(part)


@dataclass
class Stage:
    """A stage with nothing but a stack and no Apache Kafka."""

    stack: Stack
    kafka: None = None


def ground(**running: int | None) -> tuple[Ground, Stack]:
    """A ground on which these parts run under these process ids."""
    stage: Any = Stage(Stack(running))
    return Ground(stage, Outages.of(0.1, full=False), threading.Event()), stage.stack


def test_what_runs_is_killed() -> None:
    """One part, or two at once."""
    on, stack = ground(triage=1, inference=2, kafka=3)
    for name in ("kill triage", "kill kafka", "kill inference and triage"):
        assert strikes()[name].act(on) == ""
    assert stack.killed == ["triage", "kafka", "inference", "triage"]


def test_what_is_on_its_way_up_is_waited_for() -> None:
    """A part that a strike before took away is killed once it runs again: else nothing would have been struck."""
    on, stack = ground(triage=None)
    threading.Timer(0.2, lambda: stack.running.update(triage=7)).start()
    assert strikes()["kill triage"].act(on) == ""
    assert stack.killed == ["triage"]


@pytest.mark.parametrize("name", [
    "kill triage", "kill kafka", "kill inference and triage", "kill postgres", "kafka hangs", "kafka is away", "postgres hangs",
    "postgres is away",
])
def test_what_never_runs_is_missed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, and counts as no kill."""
    monkeypatch.setattr("radloop.workbench.drill.strikes._UP", 0.05)
    on, stack = ground(inference=2)
    assert isinstance(strikes()[name].act(on), Missed)
    assert stack.killed == []


def test_the_short_set_has_the_moment_that_makes_duplicates() -> None:
    """Both far ends die between their commit and their answer; and every name is a strike."""
    assert {"ehr commits, then dies before it answers", "ris commits, then dies before it answers"} < set(SHORT)
    assert set(SHORT) < set(strikes())
