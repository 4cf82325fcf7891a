"""The counterfactual: the same arrivals and reading times, first in, first out within the clinician's own priority.

Nothing in it is measured on the platform: when each study could be opened follows from when it came, and how long it takes whoever
takes it is what that reader's time was drawn as. Nobody asks questions in it. So what the platform costs its readers, by being slow
or by asking, counts against it; and with no model the real list must come to these very waits.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One study as the queue meets it, in simulated seconds since the morning began.

    `complete` its images, `available` when it may be opened, `stat_from` since when it is a STAT (None: never).
    """

    accession: str
    complete: float
    available: float
    stat_from: float | None


def first_in_first_out(
    jobs: Sequence[Job], readers: Sequence[str], seconds: Callable[[str, str], float], begin: float,
) -> dict[str, float]:
    """Return when each study is signed if readers take the STAT that came first, else the study that came first.

    `seconds` tells how long a reader takes for a study; `begin` is when they sit down.
    """
    free = [(begin, name) for name in sorted(readers)]
    heapq.heapify(free)
    waiting = sorted(jobs, key=lambda job: (job.complete, job.accession))
    signed: dict[str, float] = {}
    while waiting:
        now, reader = heapq.heappop(free)
        now = max(now, min(job.available for job in waiting))
        job = next((one for one in waiting if one.available <= now and _stat(one, now)), None)
        job = job or next(one for one in waiting if one.available <= now)
        waiting.remove(job)
        signed[job.accession] = now + seconds(reader, job.accession)
        heapq.heappush(free, (signed[job.accession], reader))
    return signed


def _stat(job: Job, now: float) -> bool:
    return job.stat_from is not None and job.stat_from <= now
