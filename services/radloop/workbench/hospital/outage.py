"""The EHR goes away for a while, for real: its process ends, and is started again on the same data."""

import threading
import time
from dataclasses import dataclass, field
from queue import Queue

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
        self._due: Queue[tuple[str, Order]] = Queue()
        self._stop = threading.Event()
        self._refused: list[str] = []
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)
        self._thread.start()

    def file_order(self, order: Order) -> None:
        """File an order, in a moment."""
        self._due.put(("order", order))

    def file_study(self, order: Order) -> None:
        """File a study, in a moment."""
        self._due.put(("study", order))

    def settled(self) -> bool:
        """Say whether everything is filed; raise Permanent where the EHR refused something."""
        if self._refused:
            raise Permanent(f"the hospital's own EHR refused what was filed in it: {self._refused[0]}")
        return self._due.unfinished_tasks == 0

    def stop(self) -> None:
        """Leave what is not filed."""
        self._stop.set()
        self._due.put(("stop", None))  # type: ignore[arg-type]  # nothing is filed any more
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            what, order = self._due.get()
            while not self._stop.is_set():
                try:
                    self._chart.file_order(order) if what == "order" else self._chart.file_study(order)
                    break
                except httpx.HTTPStatusError as refused:
                    if refused.response.status_code not in _PASSING:
                        self._refused.append(f"{refused.response.status_code}")
                        break
                    self._stop.wait(_AGAIN)
                except httpx.TransportError:
                    self._stop.wait(_AGAIN)
            self._due.task_done()
            if self._stop.is_set():
                return


@dataclass
class Outage:
    """One absence of an EHR of ours; instants are simulated seconds (`away`, `back`) and monotonic ones (`span`)."""

    server: Server
    day: Day
    at: float
    seconds: float = HALF_A_MINUTE
    away: float | None = None
    back: float | None = None
    span: tuple[float, float] = (0.0, 0.0)
    failed: list[str] = field(default_factory=list)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Have it happen when it is due."""
        self._thread = threading.Thread(target=self._run, name="outage", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the EHR is back, where it went."""
        if self._thread is not None:
            self._thread.join()
        if self.failed:
            raise Permanent(f"the hospital's own EHR did not come back: {self.failed[0]}")

    def _run(self) -> None:
        if not self.day.wait(self.at):
            return
        began = time.monotonic()
        self.server.stop()
        self.away = self.day.now()
        if self.day.over.wait(self.seconds):
            return  # the play was ended: whoever ends it wants no EHR any more
        try:
            self.server.start_again()
        except OSError as wrong:  # TimeoutError is one of these
            self.failed.append(str(wrong))
        self.back = self.day.now()
        self.span = (began - 1.0, time.monotonic() + BACK_OFF)
