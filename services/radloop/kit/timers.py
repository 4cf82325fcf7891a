"""Timers: one worker per room turns what is due into inputs; nothing sleeps towards a deadline."""

from datetime import timedelta
from typing import Any

from radloop.kit.clock import Clock
from radloop.kit.courtesy import LONGEST_S
from radloop.kit.errors import Transient
from radloop.kit.flow import Due, timer_id
from radloop.kit.leader import Leader
from radloop.kit.runner import Parked, Runner
from radloop.kit.worker import Worker, back_off

IDLE_S = 1.0
BATCH = 10
"""So many before it is looked again what else is due; bulk ones (`flow.At`) after all others, and slowly while these are expected."""


class Timers:
    """Settles the room's due timers, as long as it holds the room's lock for it."""

    def __init__(self, runner: Runner, clock: Clock) -> None:
        self._runner, self._clock = runner, clock
        self._leader = Leader(runner.store, "timers")
        self._bulk_from = clock.monotonic()
        self.worker = Worker("timers", self._turn)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """Finish the timer in hand and give the lock back."""
        self.worker.stop()
        self._leader.let_go()

    def _turn(self) -> float:
        if not self._leader.holds():
            return IDLE_S
        if self._settle_due(bulk=False, most=BATCH):
            return 0.0
        calm = self._runner.courtesy.calm
        if (calm or self._clock.monotonic() >= self._bulk_from) and self._settle_due(bulk=True, most=BATCH if calm else 1):
            self._bulk_from = self._clock.monotonic() + LONGEST_S
            if calm:
                return 0.0
        with self._runner.store.connection() as connection:
            row = connection.execute("select min(greatest(due, not_before)) from timer where %s or not bulk", (calm,)).fetchone()
        if row is None or row[0] is None:
            return IDLE_S
        return float(min(IDLE_S, max(0.0, (row[0] - self._clock.now()).total_seconds())))

    def _settle_due(self, *, bulk: bool, most: int) -> int:
        """Settle what is due, the longest due first; return how many that was."""
        now = self._clock.now()
        with self._runner.store.connection() as connection:
            rows = connection.execute(
                "select key, name, due, site, trace from timer where due <= %(now)s and (not_before is null or not_before <= %(now)s)"
                " and bulk = %(bulk)s order by due limit %(most)s", {"now": now, "bulk": bulk, "most": most},
            ).fetchall()
        for key, name, due, site, trace in rows:
            if self.worker.stopping:
                break
            self._settle(key, name, due, site, trace)
        return len(rows)

    def _settle(self, key: str, name: str, due: Any, site: str, trace: str) -> None:
        timer = Due(id=timer_id(self._runner.store.room, key, name, due), subject=key, site=site, at=due, name=name)
        try:
            self._runner.due(timer, trace, revocable=True)
        except (Transient, Parked):
            # Others must not wait for this one. It keeps its instant, which is its identity: the commit may have reached the store.
            with self._runner.store.connection() as connection:
                connection.execute(
                    "update timer set not_before = %s where key = %s and name = %s and due = %s",
                    (self._clock.now() + timedelta(seconds=back_off(3)), key, name, due),
                )
            return
        # Not in the decision's transaction: killed in between, the same instant is the same input, and is skipped.
        with self._runner.store.connection() as connection:
            connection.execute("delete from timer where key = %s and name = %s and due = %s", (key, name, due))
