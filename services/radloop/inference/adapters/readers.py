"""The readers: threads that take the most urgent reading, look, and hand the result to the runner as a command.

One of them takes only what somebody waits for, so that a STAT never waits for a backfill to end; while anything urgent is
being read, and a moment longer, nothing that can wait is begun: the processor is the patient's who waits. When the room
comes up, a STAT may lie behind thousands of others that it has not heard of yet: until it has, only STATs are read. A reading
that ends its process is counted by its takes; one that fails in a way nobody foresaw is tried five times by the runner. Either
way the study says in the end that it was not read.

Where many wait, a reader reads as many of them together as half a second is enough for, the one for urgent work half of that: they
share a batch of each version's that reads them, and a transaction. A STAT is read alone, and so is an encoding, and what was
begun before and not ended: it may be what ends its process.
"""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from radloop.inference.adapters.measuring import measure
from radloop.inference.adapters.postgres import LEASE_S, Taken
from radloop.inference.domain.case import CLASSES, STAT, URGENT, Role
from radloop.inference.domain.reading import SYSTEM, AbandonReading, ReadStudy
from radloop.kit import telemetry
from radloop.kit.clock import Clock
from radloop.kit.errors import Transient
from radloop.kit.flow import Command, Outcome
from radloop.kit.runner import Parked
from radloop.kit.worker import Worker, back_off

log = logging.getLogger(__name__)

_IDLE_S = 1.0
_TAKES = 5
_LONGEST_DELAY_S = 10.0
_CATCH_UP_S = 60.0
"""So long a room that has come up reads only STATs, where it cannot hear what else waits."""
_LONGEST_S = 120.0
"""A reader that is at one reading for longer is stuck: its lease is renewed no more. Another process tries; this one gives it up."""
_TOGETHER_S, _URGENT_TOGETHER_S = 0.5, 0.25
_PACE_LEARNED, _QUICKEST_S = 0.2, 0.001
_MOMENT_S = 0.5
"""After an urgent reading its case is placed, published and listed, by rooms that may be on this very machine."""


class Queue(Protocol):
    """Where readings wait."""

    def take(self, below_rank: int, held: Collection[str]) -> Taken | None:
        """Lease the most urgent one of a rank below this that is not held already."""
        ...

    def renew(self, reading_ids: Collection[str]) -> None:
        """Lease these for as long again."""
        ...

    def take_beside(self, taken: Taken, most: int, held: Collection[str]) -> tuple[Taken, ...]:
        """Lease up to so many more of the same role and rank that nobody has begun before."""
        ...

    def give_back(self, taken: Taken, after_seconds: float) -> None:
        """Put one back for a while."""
        ...

    def end_all(self, ended: Collection[tuple[Taken, str]]) -> None:
        """End some for good, each with its outcome."""
        ...

    def end(self, taken: Taken, outcome: str) -> None:
        """End one for good."""
        ...


Together = Callable[[Sequence[tuple[ReadStudy, str]]], dict[str, Outcome]]
"""Studies with their traceparents to outcomes by the commands' ids: of all, or of none where they are to be read alone."""


class Readers:
    """A bounded pool; `wake` after each commit, so that a reading wanted now is taken now."""

    def __init__(
        self, queue: Queue, submit: Callable[[Command], Outcome], clock: Clock, others: int,
        caught_up: Callable[[], bool] = lambda: True, together: Together = lambda _: {}, most: int = 1,
    ) -> None:
        """`caught_up` says whether the room knows of everything that waits: until then only STATs are read.

        At `most` so many studies are read `together`.
        """
        self._queue, self._submit, self._clock, self._caught_up = queue, submit, clock, caught_up
        self._together, self._most = together, most
        self._pace: dict[Role, float] = {}
        """Seconds that one study takes."""
        self._known_by = clock.monotonic() + _CATCH_UP_S
        self._taking = threading.Lock()
        self._held: dict[str, float] = {}
        self._batched = set[str]()
        self._owed: list[Callable[[], None]] = []
        """What the queue is still to be told."""
        self._urgent, self._calm_at = set[str](), clock.monotonic()
        self._workers = (
            Worker("reader-urgent", lambda: self._turn(URGENT, _URGENT_TOGETHER_S)),
            *(Worker(f"reader-{number}", self._turn) for number in range(1, others + 1)),
        )
        self._leases = Worker("reading-leases", self._renew)

    def start(self) -> None:
        """Begin to read."""
        for worker in (*self._workers, self._leases):
            worker.start()

    def stop(self) -> None:
        """Finish what is being read; what cannot be finished in time is taken up by another when its lease ends."""
        for worker in self._workers:
            worker.ask_to_stop()
        for worker in (*self._workers, self._leases):
            worker.stop()
        with suppress(Transient):
            self._pay()

    def wake(self) -> None:
        """Look for readings at once."""
        for worker in self._workers:
            worker.wake()

    def _turn(self, below: int = len(CLASSES), seconds: float = _TOGETHER_S) -> float:
        """Take a reading of a rank below this, and what these seconds are enough for beside it.

        While an urgent one is being read, only another urgent one.
        """
        with self._taking:  # all are woken at once: nobody may begin what can wait before it is known what cannot
            self._pay()
            known = self._caught_up() or self._clock.monotonic() > self._known_by
            hold = _IDLE_S if self._urgent or not known else self._calm_at - self._clock.monotonic()
            taken = self._taken(below if hold <= 0 else URGENT if known else STAT, seconds)
            # Of a batch that is stuck nobody knows which one it is: each is tried alone, and given up if it hangs alone too.
            hangs = bool(taken) and taken[0].reading_id in self._held and taken[0].reading_id not in self._batched
            ids = [one.reading_id for one in taken]
            self._batched.difference_update(ids)
            if not hangs:
                self._held |= dict.fromkeys(ids, self._clock.monotonic())
            urgent = bool(taken) and taken[0].rank < URGENT
            if urgent:
                self._urgent.update(ids)
        if not taken:
            return min(_IDLE_S, hold) if hold > 0 else _IDLE_S
        try:
            return self._see_through(taken, hangs=hangs)
        finally:
            with self._taking:
                if not hangs:
                    for reading in ids:
                        self._held.pop(reading, None)
                if urgent:
                    self._urgent.difference_update(ids)  # also of a reader that hangs: nobody waits for it any more
                    self._calm_at = self._clock.monotonic() + _MOMENT_S
            if urgent:
                self.wake()

    def _taken(self, below: int, seconds: float) -> list[Taken]:
        """Take the most urgent reading of a rank below this, and as many of its rank as may be read together with it."""
        first = self._queue.take(below, self._being_read())
        if first is None:
            return []
        most = min(self._most, int(seconds / max(self._pace.get(first.role, seconds), _QUICKEST_S)))
        if first.rank < STAT or first.takes > 1 or first.role == "encode" or most < 2:
            return [first]
        taken, beside = {first.case_id: first}, tuple[Taken, ...]()
        with suppress(Transient):  # what was taken is read, or put back
            beside = self._queue.take_beside(first, most - 1, self._being_read())
        for one in beside:
            if one.case_id in taken:  # one transaction settles a case once
                self._owed.append(partial(self._queue.give_back, one, 0.0))
            else:
                taken[one.case_id] = one
        return list(taken.values())

    def _renew(self) -> float:
        """Keep what is being read from being taken by others, who take it soon after this process died."""
        with self._taking:
            held = self._being_read()
        if held:
            self._queue.renew(held)
        return LEASE_S / 3

    def _being_read(self) -> list[str]:
        begun = self._clock.monotonic() - _LONGEST_S
        return [reading for reading, since in self._held.items() if since > begun]

    def _see_through(self, taken: Sequence[Taken], *, hangs: bool) -> float:
        """Read, and end the readings or put them back; return at once for the next."""
        started = self._clock.monotonic()
        first: Transient | None = None
        alone = self._seen_together(taken) if len(taken) > 1 else list(taken)
        for place, one in enumerate(alone):
            if len(taken) > 1:
                self._hold(alone[place:], only=taken)  # their own time begins now, and what was put back is nobody's
            try:
                self._seen_alone(one, hangs=hangs)
            except Transient as away:  # of its own version, perhaps: the others may be read
                first = first or away
        if first is not None:
            raise first
        each = (self._clock.monotonic() - started) / len(taken)
        role = taken[0].role
        known = self._pace.get(role)
        self._pace[role] = each if known is None else known + _PACE_LEARNED * (each - known)
        for one in taken:
            telemetry.observe("radloop_reading_seconds", each, reading_class=CLASSES[one.rank])
        return 0.0

    def _hold(self, left: Sequence[Taken], only: Sequence[Taken]) -> None:
        """Hold what is left to be read of what was taken, from now on, and no other of it."""
        with self._taking:
            for one in only:
                self._held.pop(one.reading_id, None)
            self._held |= dict.fromkeys((one.reading_id for one in left), self._clock.monotonic())

    def _seen_together(self, taken: Sequence[Taken]) -> list[Taken]:
        """Read several studies together, and end their readings; return those that are to be read alone."""
        batch = {one.reading_id for one in taken}
        with self._taking:
            self._batched |= batch
        try:
            with telemetry.span("readings", taken[0].trace, reading_class=CLASSES[taken[0].rank], readings=len(taken)):
                outcomes = self._together([(self._command(one), one.trace) for one in taken])
        finally:
            with self._taking:
                self._batched -= batch
        for outcome in outcomes.values():
            measure(outcome)
        ended = [(one, outcomes[one.reading_id].kind) for one in taken if one.reading_id in outcomes]
        with suppress(Transient):  # it is told before the next is taken; the others must still be read, or put back
            self._tell(partial(self._queue.end_all, ended))
        return [one for one in taken if one.reading_id not in outcomes]

    def _seen_alone(self, taken: Taken, *, hangs: bool) -> None:
        with telemetry.span("reading", taken.trace, role=taken.role, reading_class=CLASSES[taken.rank]):
            try:
                outcome = self._read(taken, hangs=hangs)
            except Parked:
                self._tell(partial(self._queue.give_back, taken, back_off(taken.delays)))
                return
            except Transient as away:
                # Longer each time: what waits for a version that cannot be loaded must not keep others from being taken.
                wait = max(away.after or 0.0, min(back_off(taken.delays), _LONGEST_DELAY_S))
                self._tell(partial(self._queue.give_back, taken, wait))
                raise Transient(away.reason, after=wait) from away
            self._tell(partial(self._queue.end, taken, outcome))

    def _tell(self, word: Callable[[], None]) -> None:
        """Tell the queue something; where the store is away, before anything else is taken.

        Else a reading that ended, or was put back, would be taken again and counted as one that ended its process.
        """
        try:
            word()
        except Transient:
            self._owed.append(word)
            raise

    def _pay(self) -> None:
        while self._owed:
            word = self._owed.pop(0)
            try:
                word()
            except Transient:  # any other failure is of this word alone, whose reading is taken again once its lease ends
                self._owed.insert(0, word)
                raise

    def _command(self, taken: Taken) -> ReadStudy:
        return ReadStudy(
            id=taken.reading_id, subject=taken.case_id, site=taken.site, at=self._clock.now(), actor=SYSTEM, role=taken.role,
            revision=taken.revision,
        )

    def _read(self, taken: Taken, *, hangs: bool) -> str:
        """Return how the reading ended."""
        if hangs:  # one reader is stuck with it: a second would leave none for all the others
            return self._abandon(taken, f"a reader was at it for more than {_LONGEST_S:.0f} s")
        if taken.takes > _TAKES:
            return self._abandon(taken, "its process died while reading it, again and again")
        outcome = self._submit(self._command(taken))
        measure(outcome)
        if outcome.kind == "quarantined":
            return self._abandon(taken, f"it could not be read: {outcome.reason}")
        return outcome.kind

    def _abandon(self, taken: Taken, reason: str) -> str:
        """Say that it was not read, unless it was after all; return how it ended."""
        outcome = self._submit(AbandonReading(
            id=f"{taken.reading_id}/abandoned", subject=taken.case_id, site=taken.site, at=self._clock.now(), actor=SYSTEM,
            role=taken.role, revision=taken.revision, reason=reason,
        ))
        if outcome.kind == "skipped":
            return self._submit(self._command(taken)).kind  # which it was: what is settled is not looked at again
        log.warning("a reading was abandoned", extra={"reading": taken.reading_id, "reason": reason})
        return "abandoned"
