"""The guardian: a small process that outlives its supervisor only to clean up after it.

The supervisor writes one line per child process group and shared memory prefix. When the pipe closes while groups are
still listed (the supervisor was killed), the guardian stops them as the supervisor would have. It runs as a script with
`python -I -S`, so this module imports the standard library alone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the kernel's own place for POSIX shared memory, not a temporary file
PATIENCE = 6.0


class Guardian:
    """The supervisor's end of the pipe; a guardian that died is done without (the children die by parent signal)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, text=True,
        )
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """Return the guardian's own process id."""
        return self._process.pid

    def watch(self, group: int, stop_signal: int) -> None:
        """Have this process group stopped by this signal if the supervisor dies."""
        self._tell(f"watch {group} {stop_signal}")

    def forget(self, group: int) -> None:
        """Say that this process group is gone."""
        self._tell(f"forget {group}")

    def sweep(self, prefix: str) -> None:
        """Have shared memory regions with this prefix removed if the supervisor dies."""
        self._tell(f"sweep {prefix}")

    def close(self) -> None:
        """Let the guardian go: whatever it still watches is stopped."""
        with self._lock:
            if self._process.stdin and not self._process.stdin.closed:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            if self._process.stdin and not self._process.stdin.closed:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()


def remove_shared_memory(prefix: str) -> list[str]:
    """Remove the shared memory regions with this prefix and return their names."""
    removed = []
    if prefix and SHARED_MEMORY.is_dir():
        for region in SHARED_MEMORY.glob(f"{prefix}*"):
            region.unlink(missing_ok=True)
            removed.append(region.name)
    return removed


def signal_group(group: int, number: int) -> bool:
    """Signal a process group; False where nobody is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Listen until the supervisor is gone, then stop what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, int] = {}
    prefixes: list[str] = []
    for line in sys.stdin:
        match line.split():
            case ["watch", group, how]:
                groups[int(group)] = int(how)
            case ["forget", group]:
                groups.pop(int(group), None)
            case ["sweep", prefix]:
                prefixes.append(prefix)
    left = {group for group, stop_signal in groups.items() if signal_group(group, stop_signal)}
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        left = {group for group in left if signal_group(group, 0)}
        time.sleep(0.05)
    for group in groups:
        signal_group(group, signal.SIGKILL)
    if groups:
        for prefix in prefixes:
            remove_shared_memory(prefix)


if __name__ == "__main__":
    main()
