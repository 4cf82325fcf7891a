"""A batch of inputs, settled by a bounded pool: in order per key, those of different keys together, alone where that fails.

A case never holds the others: what has not succeeded within ten seconds is parked, and later inputs of its key behind it.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait

from radloop.kit.clock import Clock
from radloop.kit.errors import Transient
from radloop.kit.flow import Arrived
from radloop.kit.parking import Parking
from radloop.kit.runner import Parked, Runner
from radloop.kit.worker import Worker, back_off

PARK_AFTER_S = 10.0
LANES = 4
MEANWHILE_S = 1.0
TOGETHER = 64
"""So many inputs of different keys share a transaction at most: more saves little, and who waits for the last waits for all."""


class Lane:
    """The inputs of one key, in order; `alone` once its first could not be settled together with others'."""

    def __init__(self) -> None:
        self.inputs: deque[Arrived] = deque()
        self.alone = False


def fair_share(count: int, hands: int) -> int:
    """Return how many of `count` go together, so that every hand has the same number of transactions and none is a small rest."""
    return math.ceil(count / (hands * math.ceil(count / (hands * TOGETHER))))


class Lanes:
    """The hands of one consumer; bulk ones yield to the room's others."""

    def __init__(self, runner: Runner, parking: Parking, clock: Clock, worker: Worker, *, bulk: bool) -> None:
        self._runner, self._parking, self._clock, self._worker, self._bulk = runner, parking, clock, worker, bulk
        self._hands = 1 if bulk else LANES
        self._pool = ThreadPoolExecutor(self._hands, thread_name_prefix="lane-bulk" if bulk else "lane")
        self._lock = threading.Lock()
        self._ready: deque[Lane] = deque()
        self._share = 1
        self._left: list[Lane] = []
        self._away: list[Transient] = []

    def stop(self) -> None:
        """Let the hands go; the worker has been stopped."""
        self._pool.shutdown(wait=True)

    def settle(self, inputs: Iterable[Arrived], meanwhile: Callable[[], None]) -> None:
        """Return when every input is settled or parked, calling `meanwhile` over and over; raise Transient where it is to stop before.

        As long as a dependency is away they are tried again, and the worker says so.
        """
        lanes: dict[str, Lane] = {}
        for one in inputs:
            lanes.setdefault(one.seen.subject, Lane()).inputs.append(one)
        self._ready = deque(lanes.values())
        tries = 0
        while self._ready:
            self._share = fair_share(len(self._ready), self._hands)
            self._left, self._away = [], []
            running = [self._pool.submit(self._work) for _ in range(min(self._hands, len(self._ready)))]
            try:
                while wait(running, timeout=MEANWHILE_S).not_done:
                    meanwhile()
            finally:
                wait(running)  # the next batch may not meet hands that are still at this one
            for one_hand in running:
                one_hand.result()
            if self._worker.stopping and (self._left or self._ready):
                raise Transient("stopping: what is left is read again")
            if self._away:
                self._worker.away = self._away[-1].reason
                deadline = self._clock.monotonic() + back_off(tries)
                tries += 1
                while self._clock.monotonic() < deadline and not self._worker.stopping:
                    meanwhile()
                    self._worker.pause(min(MEANWHILE_S, deadline - self._clock.monotonic()))
            self._ready = deque(self._left)

    def _work(self) -> None:
        """Take lanes and settle their first inputs, until there are none."""
        while not self._worker.stopping and (lanes := self._take()):
            try:
                self._settle_first_of(lanes)
            except Transient as away:
                with self._lock:
                    self._away.append(away)
                    self._left += lanes
                continue
            with self._lock:
                self._ready.extend(lane for lane in lanes if lane.inputs)

    def _take(self) -> list[Lane]:
        """Return one lane, or several that may go together: a fair share of what is ready."""
        most = self._share
        if self._bulk:
            self._runner.courtesy.give_way()
            most = self._share if self._runner.courtesy.calm else 1
        else:
            self._runner.courtesy.live()
        with self._lock:
            if not self._ready:
                return []
            lanes = [self._ready.popleft()]
            while self._ready and len(lanes) < most and not (lanes[0].alone or self._ready[0].alone):
                lanes.append(self._ready.popleft())
        return lanes

    def _settle_first_of(self, lanes: list[Lane]) -> None:
        if len(lanes) > 1:
            together = self._runner.settle_together([lane.inputs[0] for lane in lanes])
            for lane in lanes:
                lane.alone = not together
                if together:
                    lane.inputs.popleft()
            return
        lane = lanes[0]
        self._settle_or_park(lane.inputs[0])
        lane.inputs.popleft()
        lane.alone = False

    def _settle_or_park(self, arrived: Arrived) -> None:
        started = self._clock.monotonic()
        tries = 0
        while True:
            try:
                if self._runner.settle_once(arrived) is not None:
                    return
            except Parked:
                self._parking.park(arrived, "waits behind an earlier one")
                return
            except Transient as away:
                if self._runner.fuse.open:
                    raise  # nothing is wrong with this input: wait with all others, and park none of them
                if self._clock.monotonic() - started > PARK_AFTER_S or self._worker.stopping:
                    self._parking.park(arrived, away.reason)
                    return
            self._worker.pause(min(back_off(tries), 2.0))
            tries += 1
