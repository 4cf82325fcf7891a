"""The counterfactual: the same arrivals and the same work, read first in, first out within the clinician's own priority.

What is kept of the real morning is what depends on the case and its reader, not on the order: when it could be opened, how long
it kept its reader's hands, and how long the reader stayed away afterwards. With no model the real list is this very queue, so
the two must agree; a test and every `--no-ai` run hold them against each other.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One study as the queue meets it, in simulated seconds since the morning began.

    `complete` its images, `available` when it may be opened, `stat_from` since when it is a STAT (None: never), `reader` who
    had it in hand for `hands` and came back to the list `away` later.
    """

    accession: str
    complete: float
    available: float
    stat_from: float | None
    reader: str
    hands: float
    away: float


def first_in_first_out(jobs: Sequence[Job], paces: dict[str, float], begin: float) -> dict[str, float]:
    """Return when each study is signed if readers take the STAT that came first, else the study that came first.

    `paces` are the readers, each with the factor on the work's duration; `begin` is when they sit down.
    """
    free = [(begin, name) for name in sorted(paces)]
    heapq.heapify(free)
    waiting = sorted(jobs, key=lambda job: (job.complete, job.accession))
    signed: dict[str, float] = {}
    while waiting:
        now, reader = heapq.heappop(free)
        now = max(now, min(job.available for job in waiting))
        job = next((one for one in waiting if one.available <= now and _stat(one, now)), None)
        job = job or next(one for one in waiting if one.available <= now)
        waiting.remove(job)
        share = paces[reader] / paces[job.reader] if job.reader in paces else 1.0
        signed[job.accession] = now + job.hands * share
        heapq.heappush(free, (signed[job.accession] + job.away, reader))
    return signed


def _stat(job: Job, now: float) -> bool:
    return job.stat_from is not None and job.stat_from <= now
