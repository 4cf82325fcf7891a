"""A decoder that really crashes, hangs or exits over files that say so; a diary tells what it was given, in order."""

import os
import signal
import sys
import threading
from collections.abc import Collection
from pathlib import Path

import numpy as np

from radloop.inference.adapters.decoder import main
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import Preparation

DIARY = "DECODER_DIARY"
MARK = b"WHAT IT DOES: "


def marked(does: str, file: bytes = b"") -> bytes:
    """Return a file over which this decoder does something."""
    return file + MARK + does.encode()


def prepare(file: bytes, frame: int, preparation: Preparation, orientations: Collection[str]) -> np.ndarray:
    """Do what the file says, else prepare it."""
    image, _, does = file.partition(MARK)
    diary = Path(os.environ[DIARY])
    before = diary.read_text().splitlines() if diary.exists() else []
    with diary.open("a") as lines:
        lines.write(does.decode() + "\n")
    match does.split(b" ")[0]:
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"crash-once" if does.decode() not in before:
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"hang":
            threading.Event().wait()
        case b"hang-deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            threading.Event().wait()
        case b"exit":
            sys.exit(3)
        case b"babble":
            os.write(int(sys.argv[1]), b"\0\0\0\2no")
        case b"flood":
            return np.zeros((3, 2000, 2000), np.float32)
        case b"other-shape":
            return np.zeros((3, 100, 100), np.float32)
    return prepare_file(image, frame, preparation, orientations)


if __name__ == "__main__":
    main(prepare)
