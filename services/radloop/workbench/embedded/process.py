"""One child process in a process group of its own: started, probed until ready, restarted with back-off when it dies."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from radloop.workbench.embedded.guardian import Guardian, signal_group
from radloop.workbench.embedded.report import Listener, Said, State

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# A child that was ready for this long has earned a quick restart again.
SETTLED = 60.0
PROBE_EVERY = 0.1


@dataclass(frozen=True)
class Program:
    """What to run for a part, and how to know that it is ready."""

    part: str
    argv: tuple[str, ...]
    is_ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    cwd: Path | None = None
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 6.0
    address: str = ""
    # What it waits for, in its own words, empty where it has none.
    excuse: Callable[[], str] = lambda: ""

    def environment(self) -> dict[str, str]:
        """Return our environment without what the program must not see, and with what it must."""
        return {name: value for name, value in os.environ.items() if name not in self.without} | dict(self.env)

    def command(self) -> list[str]:
        """Return the command line: where setpriv is (util-linux), the kernel tells the child when its parent dies."""
        setpriv = shutil.which("setpriv")
        switch = ["--reuid", self.user, "--regid", self.user, "--init-groups"] if self.user else []
        if setpriv:
            return [setpriv, *switch, "--pdeathsig", self.stop_signal.name.removeprefix("SIG"), *self.argv]
        return list(self.argv)


class Child:
    """The keeper of one program: a thread that starts it, waits for it and starts it again.

    The thread lives as long as the child is wanted: the kernel's parent-death signal follows the thread that forked.
    """

    def __init__(self, program: Program, log_file: Path, guardian: Guardian, listener: Listener) -> None:
        self.program = program
        self.log_file = log_file
        self.ready = threading.Event()
        self.restarts = 0
        self._guardian = guardian
        self._listener = listener
        self._stopping = threading.Event()
        self._may_run = threading.Event()
        self._may_run.set()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_since: float | None = None
        self._forgiven = False
        self._thread = threading.Thread(target=self._keep, name=f"keeper-{program.part}", daemon=True)

    @property
    def pid(self) -> int | None:
        """Return the process id while the process runs."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    def start(self) -> None:
        """Start the program and its keeper; return at once."""
        self._say("starting")
        self._thread.start()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal the process alone, as an accident would: the keeper restarts it, and holds an accident of ours not against it."""
        if (pid := self.pid) is not None:
            self._forgiven = True
            self.ready.clear()
            os.kill(pid, number)

    def hold(self) -> None:
        """Keep the program from being started again when it dies next, until `release`."""
        self._may_run.clear()

    def release(self) -> None:
        """Have a held program started again."""
        self._may_run.set()

    def ask_to_stop(self) -> None:
        """Send the stop signal to the group and let the keeper end; return at once."""
        self._stopping.set()
        self._may_run.set()
        if (pid := self.pid) is not None:
            self._say("stopping")
            signal_group(pid, self.program.stop_signal)

    def finish(self, deadline: float) -> None:
        """Wait until `deadline` (time.monotonic) for the process to end, then kill what is left of its group."""
        if not self._thread.ident:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive() and (pid := self.pid) is not None:
            self._say("stopping", "killed, as it took too long")
            signal_group(pid, signal.SIGKILL)
        self._thread.join()
        self._say("stopped")

    def last_words(self, lines: int = 8) -> str:
        """Return the end of the part's log."""
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            code = self._live()
            self.ready.clear()
            if self._stopping.is_set():
                return
            settled = self._ready_since is not None and time.monotonic() - self._ready_since > SETTLED
            if settled or self._forgiven:
                pause = FIRST_PAUSE
            self._ready_since, self._forgiven = None, False
            self.restarts += 1
            self._say("restarting", f"{_told(code)}; starting again in {pause:g} s (restart {self.restarts})")
            self._stopping.wait(pause)
            self._may_run.wait()
            pause = min(pause * 2, LONGEST_PAUSE)

    def _live(self) -> int:
        """Run the program once, from start to end, and return its exit status."""
        with self.log_file.open("ab") as output:
            process = subprocess.Popen(
                self.program.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=self.program.environment(), cwd=self.program.cwd, start_new_session=True,
            )
        self._process = process
        self._guardian.watch(process.pid, self.program.stop_signal)
        if self._stopping.is_set():
            # Asked to stop between the check and the start.
            signal_group(process.pid, self.program.stop_signal)
        began = time.monotonic()
        while process.poll() is None and not self._stopping.is_set():
            if self.program.is_ready():
                self._ready_since = time.monotonic()
                self.ready.set()
                self._say("ready", f"{self._ready_since - began:.1f} s")
                break
            self._stopping.wait(PROBE_EVERY)
        code = process.wait()
        # Whatever it started itself must not outlive it.
        signal_group(process.pid, signal.SIGKILL)
        self._guardian.forget(process.pid)
        return code

    def _say(self, state: State, text: str = "") -> None:
        self._listener(Said(self.program.part, state, text))


def _told(code: int) -> str:
    if code < 0:
        return f"died of {signal.Signals(-code).name}"
    return f"ended with exit status {code}"
