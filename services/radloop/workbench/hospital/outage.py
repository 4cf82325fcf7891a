"""The EHR goes away for a while, for real: its process ends, and is started again on the same data."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import httpx

from radloop.kit.errors import Permanent
from radloop.workbench.hospital.ehr import Server
from radloop.workbench.hospital.morning import Chart
from radloop.workbench.hospital.orders import Order
from radloop.workbench.hospital.tempo import Day

HALF_A_MINUTE = 30.0
# Back-off of deliveries ends at half a minute (DESIGN, "Trying again"): so long after its return a message may still be on its way.
BACK_OFF = 35.0
_AGAIN = 0.2
_PASSING = {429, 500, 502, 503, 504}


class Clerk:
    """Files what happens in the hospital's own EHR, in order, as soon as it is there; nobody waits for it."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._stop = threading.Event()
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="clerk")
        self._due: list[Future[None]] = []

    def file_order(self, order: Order) -> None:
        """File an order, in a moment."""
        self._due.append(self._hand.submit(self._file, self._chart.file_order, order))

    def file_study(self, order: Order) -> None:
        """File a study, in a moment."""
        self._due.append(self._hand.submit(self._file, self._chart.file_study, order))

    def settled(self) -> bool:
        """Say whether everything is filed; raise Permanent where the EHR refused something."""
        for one in self._due:
            if one.done():
                one.result()
        return all(one.done() for one in self._due)

    def stop(self) -> None:
        """Leave what is not filed."""
        self._stop.set()
        self._hand.shutdown(cancel_futures=True)

    def _file(self, put: Callable[[Order], None], order: Order) -> None:
        while not self._stop.is_set():
            try:
                put(order)
                return
            except httpx.HTTPStatusError as refused:
                if refused.response.status_code not in _PASSING:
                    raise Permanent(f"the hospital's own EHR refused what was filed in it: {refused.response.status_code}") from refused
            except httpx.TransportError:
                pass  # away: it is filed when it is back
            self._stop.wait(_AGAIN)


class Outage:
    """One absence of an EHR of ours; instants are simulated seconds (`away`, `back`) and monotonic ones (`span`)."""

    def __init__(self, server: Server, day: Day, at: float, seconds: float = HALF_A_MINUTE) -> None:
        """It is due `at` so many simulated seconds, and lasts so many real ones."""
        self._server, self._day, self._at, self._seconds = server, day, at, seconds
        self.away: float | None = None
        self.back: float | None = None
        self.span = (0.0, 0.0)
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="outage")
        self._happening: Future[None] | None = None

    def start(self) -> None:
        """Have it happen when it is due."""
        self._happening = self._hand.submit(self._run)

    def join(self) -> None:
        """Wait until the EHR is back, where it went; raise Permanent where it does not come back."""
        self._hand.shutdown()
        if self._happening is not None:
            self._happening.result()

    def _run(self) -> None:
        if not self._day.wait(self._at):
            return
        began = time.monotonic()
        self._server.stop()
        self.away = self._day.now()
        if self._day.over.wait(self._seconds):
            return  # the play was ended: whoever ends it wants no EHR any more
        try:
            self._server.start_again()
        except OSError as wrong:  # TimeoutError is one of these
            raise Permanent(f"the hospital's own EHR did not come back: {wrong}") from wrong
        self.back = self._day.now()
        self.span = (began - 1.0, time.monotonic() + BACK_OFF)
