"""Of an image with several frames, the one that was asked for is prepared."""

import threading
from multiprocessing import Pipe

import numpy as np
from tests.dicom_making import file_of, radiograph
from tests.examples.inference import Files

from radloop.inference.adapters.decoder import ASKED, Asked, serve
from radloop.inference.adapters.preparing import Decoders
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import Preparation

AS_STORED = Preparation(2, 2, (0.0,), (1.0,), channels=1)
FRAMES = np.array([[[0, 255], [0, 0]], [[0, 0], [255, 0]], [[0, 0], [0, 255]]], np.uint8)
SEVERAL = file_of(radiograph(FRAMES, NumberOfFrames=3, Rows=2, Columns=2))


def shown(frame: int) -> list[list[list[float]]]:
    """Return a frame as it is prepared."""
    return [(FRAMES[frame - 1] / 255.0).tolist()]


def test_the_frame_that_was_asked_for_is_prepared_in_the_thread() -> None:
    """Kept or at hand, and the first where none is named; no other's pixels are taken for it."""
    files = Files()
    name, decoders = files.put(SEVERAL).sha256, Decoders(files, 0)
    assert [decoders.prepare(name, AS_STORED, frame=frame).tolist() for frame in (1, 2, 3)] == [shown(frame) for frame in (1, 2, 3)]
    assert decoders.prepare_bytes(SEVERAL, AS_STORED, frame=3).tolist() == shown(3)
    assert decoders.prepare(name, AS_STORED).tolist() == shown(1)


def test_a_decoder_prepares_the_frame_that_it_is_asked_for() -> None:
    """As what it is sent says."""
    ours, theirs = Pipe()
    serving = threading.Thread(target=serve, args=(theirs, prepare_file))
    serving.start()
    try:
        ours.recv_bytes()
        ours.send_bytes(ASKED.dump_json(Asked(AS_STORED, (), 2, 30.0)))
        ours.send_bytes(SEVERAL)
        ours.recv_bytes()
        assert np.frombuffer(ours.recv_bytes(), "<f4").reshape(1, 2, 2).tolist() == shown(2)
    finally:
        ours.close()
        serving.join()
