"""Pruning: what is older than the retention is deleted in small batches while everything goes on; one worker per room."""

import logging
from datetime import timedelta

from radloop.kit.clock import Clock
from radloop.kit.leader import Leader
from radloop.kit.outbox import Outbox, prune_inbox
from radloop.kit.retention import Retention
from radloop.kit.store import Store
from radloop.kit.worker import Worker

log = logging.getLogger(__name__)

IDLE_S, BREATH_S = 600.0, 0.2
SKEW = timedelta(days=1)
"""Two machines' clocks may differ: an inbox forgets later than its hearer stops believing what comes."""


class Pruning:
    """Deletes what the room no longer needs, as long as it holds the room's lock for it."""

    def __init__(self, store: Store, retention: Retention, clock: Clock) -> None:
        self._store, self._retention, self._clock = store, retention, clock
        self._leader, self._outbox = Leader(store, "pruning"), Outbox(store)
        self.worker = Worker("pruning", self._turn)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """Finish the batch in hand and give the lock back."""
        self.worker.stop()
        self._leader.let_go()

    def _turn(self) -> float:
        if not self._leader.holds():
            return IDLE_S
        now = self._clock.now()
        # The outbox first: as long as something can be sent again, the inboxes must know it.
        gone = self._outbox.prune(now - timedelta(days=self._retention.outbox))
        gone += prune_inbox(self._store, now - self._retention.horizon - SKEW)
        if gone:
            log.info("pruned", extra={"count": gone})
        return BREATH_S if gone else IDLE_S
