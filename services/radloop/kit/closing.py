"""Leaving: all parts are asked at once, and a process that does not come to its end in time is ended.

One after the other they would take as long as the patience of all of them together, and who stops us kills us after half a minute.
Nothing that is accepted depends on a good end: what is in hand is taken up by the next process, or by another instance.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

log = logging.getLogger(__name__)

PARTS_S, RELAY_S = 13.0, 8.0
"""So long the parts may take to finish what they have in hand, and then the relay to send what they have said."""
LEAVE_S = 25.0
"""So long after it was asked to a process is gone: less than the chart's terminationGracePeriodSeconds."""


def close_together(stops: Sequence[Callable[[], None]], seconds: float = PARTS_S) -> bool:
    """Call all of these at once; return whether they have ended in so many seconds. What one of them raises is raised."""
    if not stops:
        return True
    pool = ThreadPoolExecutor(len(stops), thread_name_prefix="closing")
    asked = [pool.submit(stop) for stop in stops]
    pool.shutdown(wait=False)
    ended, late = wait(asked, seconds)
    for one in ended:
        one.result()
    return not late


def leave_in_time(seconds: float = LEAVE_S) -> None:
    """End this process after so many seconds, whatever it is still waiting for then."""
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    log.warning("not closed in time: ended, and what was in hand is taken up again")
    logging.shutdown()
    os._exit(1)
