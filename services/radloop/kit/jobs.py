"""Work longer than half a minute: a row that a child process leases and renews; killed, another child resumes it.

The child runs `python -m <room's main> job <job id>`; its result comes back to the room as a command.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from radloop.kit import telemetry
from radloop.kit.clock import Clock
from radloop.kit.errors import Misconfigured, Permanent, Transient
from radloop.kit.flow import Actor, JobEnded
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.kit.worker import Worker

log = logging.getLogger(__name__)

LEASE_S = 20
TRIES = 5


@dataclass(frozen=True)
class Progress:
    """How a job tells how far it is: share from 0 to 1, and a note without PHI."""

    tell: Callable[[float, str], None]


Job = Callable[[str, Progress], str]
"""A job: JSON spec and progress in, JSON result out; may be started again from the beginning after a kill."""


class Jobs:
    """Keeps one child process at work on the room's jobs."""

    def __init__(self, store: Store, module: str) -> None:
        self._store, self._module = store, module
        self._child: subprocess.Popen[bytes] | None = None
        self._job_id = ""
        self.worker = Worker("jobs", self._turn)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """Stop the child; its lease runs out and the next start resumes the job."""
        self.worker.stop()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(3)
            except subprocess.TimeoutExpired:
                self._child.kill()

    def _turn(self) -> float:
        if self._child is not None and self._child.poll() is None:
            _lease(self._store, self._job_id)  # also while the child still imports what it needs
            return LEASE_S / 4
        with self._store.connection() as connection:
            row = connection.execute(
                "update job set state = 'running', tries = tries + 1, leased_until = now() + make_interval(secs => %s)"
                " where job_id = (select job_id from job where state = 'waiting'"
                "  or (state = 'running' and leased_until < now()) order by created_at limit 1 for update skip locked)"
                " returning job_id", (LEASE_S,),
            ).fetchone()
        if row is None:
            return 1.0
        self._job_id = row[0]
        self._child = subprocess.Popen([sys.executable, "-m", self._module, "job", row[0]], env=os.environ)  # noqa: S603 - ourselves
        return 0.5


def run_job(job_id: str, runner: Runner, jobs: Mapping[str, Job], clock: Clock, site: str) -> None:
    """Run one leased job in this (child) process and hand its result to the room as a command."""
    store = runner.store
    with store.connection() as connection:
        row = connection.execute("select name, subject, spec, tries, trace from job where job_id = %s", (job_id,)).fetchone()
    if row is None:
        raise Permanent("no such job")
    name, subject, spec, tries, trace = row
    over = threading.Event()
    renewing = threading.Thread(target=_renew, args=(store, job_id, over), daemon=True)
    renewing.start()

    def tell(share: float, note: str) -> None:
        with suppress(Transient), store.connection() as connection:
            connection.execute("update job set progress = %s, note = %s where job_id = %s", (share, note, job_id))

    def ended(*, succeeded: bool, result: str = "", reason: str = "") -> None:
        runner.submit(JobEnded(
            id=f"job:{job_id}", subject=subject, site=site, at=clock.now(), actor=Actor(kind="system", id="job"),
            job_id=job_id, name=name, succeeded=succeeded, result=result, reason=reason,
        ))

    try:
        with telemetry.span(f"{store.room} · job · {name}", trace):
            if tries > TRIES:
                ended(succeeded=False, reason="its process died again and again")
            else:
                try:
                    ended(succeeded=True, result=jobs[name](spec, Progress(tell)))
                except (Permanent, Misconfigured) as never:
                    ended(succeeded=False, reason=never.reason)
                except Transient as away:
                    # It waits and did not fail: the try is taken back, and the lease runs out into the next one.
                    log.warning("the job waits for a dependency", extra={"job": job_id, "reason": away.reason})
                    with store.connection() as connection:
                        connection.execute("update job set tries = tries - 1 where job_id = %s", (job_id,))
                    return
    finally:
        over.set()
        renewing.join()
    with store.connection() as connection:
        connection.execute("update job set state = 'done', progress = 1, ended_at = now() where job_id = %s", (job_id,))


def _renew(store: Store, job_id: str, over: threading.Event) -> None:
    while not over.wait(LEASE_S / 4):
        try:
            _lease(store, job_id)
        except Transient as away:
            log.warning("lease not renewed", extra={"reason": away.reason})


def _lease(store: Store, job_id: str) -> None:
    with store.connection() as connection:
        connection.execute("update job set leased_until = now() + make_interval(secs => %s) where job_id = %s", (LEASE_S, job_id))


def progress_of(store: Store, job_id: str) -> tuple[str, float, str]:
    """Return a job's state, share done and note; ('none', 0, '') where there is no such job."""
    with store.connection() as connection:
        row: Any = connection.execute("select state, progress, note from job where job_id = %s", (job_id,)).fetchone()
    return row or ("none", 0.0, "")
