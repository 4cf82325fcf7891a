"""A diary's consumer as a process of its own, to be killed: its first line says that it has its partitions.

With `"die": true` it kills itself when everything it read is settled and before it commits an offset.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def spawn(**what: Any) -> "subprocess.Popen[str]":
    """Start one; `what` is dsn, broker (its fields), folder, room, instance, and die."""
    return subprocess.Popen(
        [sys.executable, __file__, json.dumps(what)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'services'}:{ROOT / 'tests'}"},
    )


def main(what: dict[str, Any]) -> None:
    """Consume until killed."""
    from conftest import wait_until
    from examples.diary import Here

    from radloop.kit.kafka import Broker

    here = Here(what["dsn"], Broker(**what["broker"]), Path(what["folder"]), what["room"])
    consumer = here.consumer(what["instance"])
    if what.get("die"):
        consumer._commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    consumer.start()
    wait_until(lambda: not consumer.ready, 60)
    print("joined", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
