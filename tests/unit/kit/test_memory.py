"""A process that prepares radiographs keeps the memory it does so in."""

import subprocess
import sys

import pytest

TWICE = """
import resource, sys, threading
import numpy as np
from radloop.kit.memory import keep_memory

if len(sys.argv) > 1 and not keep_memory(however_large=sys.argv[1] == "job"):
    raise SystemExit("no glibc")

def prepare():
    blocks = [np.ones(5_000_000, np.uint8), np.ones(20_000_000 if "job" in sys.argv else 5_000_000, np.float32)]
    return sum(int(block[-1]) for block in blocks)

def faults():
    thread = threading.Thread(target=prepare)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread.start(); thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), faults())
"""


def faults(*arguments: str) -> tuple[int, int]:
    """Return the page faults of preparing twice, each time in a thread of its own."""
    done = subprocess.run([sys.executable, "-c", TWICE, *arguments], capture_output=True, text=True, check=False)
    if "no glibc" in done.stderr:
        pytest.skip("this C library is not glibc")
    first, second = done.stdout.split()
    return int(first), int(second)


def test_pages_are_asked_of_the_kernel_once() -> None:
    """The second radiograph finds the first one's memory, whichever thread prepares it; without asking, it does not."""
    first, second = faults("keep")
    assert second < first / 10
    assert faults()[1] > first / 10


def test_a_job_keeps_large_blocks_too() -> None:
    """What an encoder takes for one image is there for the next: blocks of 80 MB are asked of the kernel once."""
    first, second = faults("job")
    assert second < first / 10
