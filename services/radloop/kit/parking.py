"""Where an input waits that holds others up: in the room's schema, later ones of its key behind it, tried again by a worker."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Arrived
from radloop.kit.runner import Parked, Runner
from radloop.kit.worker import Worker, back_off

log = logging.getLogger(__name__)

IDLE_S = 0.5
PAGE = 20
"""So many are looked at in one turn; each may be an event of the largest kind."""


class Parking:
    """One per room, for all its consumers."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.worker = Worker("parked", self._turn)

    def start(self) -> None:
        """Begin to try what is parked."""
        self.worker.start()

    def stop(self) -> None:
        """Finish the one in hand."""
        self.worker.stop()

    def park(self, arrived: Arrived, reason: str) -> None:
        """Keep an input to be tried again, for each of its routes that has not settled it; its offset may move on."""
        for route in self._runner.routes:
            if route.hears_this(arrived.seen) and self._runner.store.settled(route, arrived.seen.id) is None:
                self._runner.store.park(route.name, route.keys(arrived.seen), arrived, reason)
        log.warning("parked", extra={"input": arrived.seen.id, "reason": reason})
        self.worker.wake()

    def _turn(self) -> float:
        moved = False
        for parked_id, type_name, source, headers, payload, tries in self._due():
            if self.worker.stopping:
                break
            try:
                arrived = self._runner.read(type_name, source, headers, bytes(payload))
                self._runner.settle_stubbornly(replace(arrived, careful=True))
                settled = True
            except Permanent as unreadable:
                self._runner.quarantine_unread(source, headers, bytes(payload), unreadable.reason)
                settled = True
            except (Transient, Parked):
                settled = False
            moved |= settled
            if settled:
                self._let_go(parked_id)
            else:
                self._put_off(parked_id, back_off(tries))
        return 0.0 if moved else IDLE_S

    def _due(self) -> Iterable[Any]:
        """Return the parked inputs, where it is time, that have none of their keys parked before them."""
        with self._runner.store.connection() as connection:
            return connection.execute(
                "select id, type, source, headers, payload, tries from parked as head where not_before <= now() and not exists ("
                " select from parked as before where before.route = head.route and before.keys && head.keys and before.id < head.id)"
                " order by id limit %s", (PAGE,),
            ).fetchall()

    def _let_go(self, parked_id: int) -> None:
        """Let those behind it go on: it is settled."""
        with self._runner.store.connection() as connection:
            connection.execute("delete from parked where id = %s", (parked_id,))

    def _put_off(self, parked_id: int, seconds: float) -> None:
        """Try it again after that long."""
        with self._runner.store.connection() as connection:
            connection.execute(
                "update parked set tries = tries + 1, not_before = now() + make_interval(secs => %s) where id = %s", (seconds, parked_id),
            )
