"""A decoder: a process that turns the bytes of one image at a time into what a model wants, and knows nothing else.

Decoders of JPEG and its kin are written in C: what a damaged or hostile file makes of them ends this process, never the room. It
holds no password, opens no file, and answers in JSON and plain numbers, of which nothing is executed. It ends when the room's end of
the connection closes, however the room came to its end, and by itself where one image takes longer than it may.
"""

import json
import resource
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from radloop.kit.memory import keep_memory
from radloop.standards.dicom.errors import DicomError
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import Preparation

READY: Final = b"ready"
Prepare = Callable[[bytes, int, Preparation, Collection[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Asked:
    """How the image that follows is to be prepared, and within how many seconds."""

    preparation: Preparation
    orientations: tuple[str, ...]
    frame: int
    seconds: float


ASKED: Final = TypeAdapter(Asked)


def serve(connection: "Connection[Any, Any]", prepare: Prepare = prepare_file) -> None:
    """Prepare one image after the other until nobody asks any more."""
    connection.send_bytes(READY)
    with suppress(EOFError, OSError):
        while True:
            asked = ASKED.validate_json(connection.recv_bytes())
            file = connection.recv_bytes()
            signal.setitimer(signal.ITIMER_REAL, asked.seconds)  # its default action ends the process, also within C
            try:
                told, pixels = _answer(prepare(file, asked.frame, asked.preparation, asked.orientations))
            except DicomError as refused:
                told, pixels = {"refused": type(refused).__name__, "keyword": refused.keyword, "problem": refused.problem}, b""
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send_bytes(json.dumps(told).encode())
            connection.send_bytes(pixels)


def _answer(image: NDArray[np.float32]) -> tuple[dict[str, Any], bytes]:
    return {"shape": image.shape}, image.astype("<f4", copy=False).tobytes()


def main(prepare: Prepare = prepare_file) -> None:
    """Serve the connection whose file descriptor is the first argument."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the room is asked too, and what it has in hand still needs its image
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would be a patient's image on the disk
    # Where memory runs out, the kernel is to end this process, whose file is then tried again, and not the room.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    keep_memory()
    serve(Connection(int(sys.argv[1])), prepare)


if __name__ == "__main__":
    main()
