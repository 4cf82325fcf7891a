"""Leaving: everybody is asked at once, who takes too long is not waited for, and a process that cannot end is ended."""

import subprocess
import sys
import threading
import time

import pytest

from radloop.kit.closing import LEAVE_S, PARTS_S, RELAY_S, close_together

GRACE_S = 30.0
"""What the chart gives a room: terminationGracePeriodSeconds."""
STUCK = """
import sys, threading
from radloop.kit.closing import leave_in_time
leave_in_time(0.5)
print("leaving", flush=True)
threading.Event().wait()
"""


def test_all_are_asked_before_any_is_waited_for() -> None:
    """Three parts that end only once all three have been asked do end."""
    asked = threading.Barrier(3)
    assert close_together([lambda: asked.wait(10)] * 3, 20)


def test_who_takes_too_long_is_not_waited_for() -> None:
    """The others have ended, and it is said that one has not."""
    ended, never = list[str](), threading.Event()
    began = time.monotonic()
    assert not close_together([lambda: ended.append("quick"), never.wait], 0.2)
    assert time.monotonic() - began < 5
    assert ended == ["quick"]
    never.set()


def test_what_a_part_raises_is_raised() -> None:
    """A part that cannot be closed does not hide it."""
    with pytest.raises(ZeroDivisionError):
        close_together([lambda: 1 / 0], 5)


def test_a_process_that_cannot_end_is_ended() -> None:
    """Whatever it is still waiting for, its time is over before it would be killed."""
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"leaving\n"
    assert process.wait(20) == 1
    assert b"not closed in time" in process.communicate()[1]


def test_the_times_fit_into_what_kubernetes_gives() -> None:
    """Parts, relay and what is closed after them, one after the other, end before the process is ended, and that before it is killed."""
    assert PARTS_S + RELAY_S + 2.0 < LEAVE_S < GRACE_S
