"""What the room adds to its model: DICOM files to stored predictions, beside the same weights asked directly and through Triton.

Three ways to the same answers, alternating in one run: the ONNX file in this process, on prepared tensors; tritonclient, on
prepared tensors, batch 1 to 32 (beside it, with the tensors in system shared memory); and the room, from DICOM bytes to predictions
in Postgres, many studies waiting. Everything computes with as many threads as the package's configuration gives the model. What is
counted of the room is the clinic's answers: shadow readings come after them. Large radiographs are measured beside, once, with the
share of the work that preparing them takes, uncompressed and in JPEG 2000.
"""

import argparse
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnxruntime
import tritonclient.grpc as triton
from figures import Goals, finish, p, say
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless
from tests.dicom_making import file_of, radiograph
from tests.examples.inference import released
from tests.examples.shared import completed, study
from tests.integration.inference_room import Room, eventually, opened
from tritonclient.utils import shared_memory

from radloop.events.prediction import PredictionMade
from radloop.inference.main import tune
from radloop.kit.store import Store
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards import package as standard
from radloop.standards.package import IMAGENET
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.stack import Stack
from radloop.workbench.phantoms import draw, roster
from radloop.workbench.workshop import first_package

BATCHES = (1, 4, 8, 16, 32)
OUTPUTS = ("MEMBERS", "EMBEDDING", "EVIDENCE")
FEWEST = 5
GOALS = Goals(
    {"room_over_triton": 0.8}, {"triton_over_inprocess_p50_b1": 1.4, "triton_over_inprocess_p50_b16": 1.1},
)


def dicom(number: int, rows: int, columns: int) -> bytes:
    """Return a chest radiograph of its own: a phantom, enlarged, 12 bits where it is large, uncompressed."""
    one = roster(number, 1, 1)[number % 2]
    small = draw(number, one)
    if (rows, columns) == small.shape:
        return file_of(radiograph(small, SOPInstanceUID=f"2.25.{number}"))
    up = np.arange(rows) * small.shape[0] // rows, np.arange(columns) * small.shape[1] // columns
    large = small[up[0]][:, up[1]].astype(np.uint16) * 16 + np.uint16(number % 16)
    return file_of(radiograph(large, SOPInstanceUID=f"2.25.{number}", BitsStored=12, HighBit=11))


def compressed(file: bytes) -> bytes:
    """Return a radiograph with the noise that a film has, in JPEG 2000 without loss: what a PACS sends."""
    image = dcmread(BytesIO(file))
    noisy = image.pixel_array + np.random.default_rng(0).normal(0, 8, image.pixel_array.shape)
    image.PixelData = noisy.clip(0, 4095).astype("<u2").tobytes()
    image.compress(JPEG2000Lossless, generate_instance_uid=False)
    written = BytesIO()
    image.save_as(written)
    return written.getvalue()


def seconds(at_least: float, *acts: Callable[[], object]) -> list[list[float]]:
    """Return how long each call of each took, by turns, again and again for so long."""
    took: list[list[float]] = [[] for _ in acts]
    end = time.perf_counter() + at_least
    while time.perf_counter() < end or len(took[-1]) < 5:
        for act, times in zip(acts, took, strict=True):
            began = time.perf_counter()
            act()
            times.append(time.perf_counter() - began)
    return took


def asked_through(client: triton.InferenceServerClient, tensors: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a question to Triton."""
    def ask() -> np.ndarray:
        given = triton.InferInput("IMAGE", list(tensors.shape), "FP32")
        given.set_data_from_numpy(tensors)
        said = client.infer("chest", [given], model_version="1", outputs=[triton.InferRequestedOutput(name) for name in OUTPUTS])
        return said.as_numpy("MEMBERS")

    return ask


@contextmanager
def asked_by_memory(client: triton.InferenceServerClient, tensors: np.ndarray) -> Iterator[Callable[[], np.ndarray]]:
    """Give the same question with its tensors in system shared memory, into which each time they are copied."""
    name = f"bench-{uuid4().hex}"
    region = shared_memory.create_shared_memory_region(name, f"/{name}", tensors.nbytes)
    client.register_system_shared_memory(name, f"/{name}", tensors.nbytes)
    given = triton.InferInput("IMAGE", list(tensors.shape), "FP32")
    given.set_shared_memory(name, tensors.nbytes)

    def ask() -> np.ndarray:
        shared_memory.set_shared_memory_region(region, [tensors])
        said = client.infer("chest", [given], model_version="1", outputs=[triton.InferRequestedOutput(name) for name in OUTPUTS])
        return said.as_numpy("MEMBERS")

    def let_go() -> bool:
        try:
            client.unregister_system_shared_memory(name)
        except triton.InferenceServerException as busy:  # the last request is over a moment after its answer
            return "in use" not in str(busy)
        return True

    try:
        yield ask
    finally:
        eventually(let_go)
        shared_memory.destroy_shared_memory_region(region)


def filled(room: Room, files: Sequence[bytes], rows: int, columns: int) -> None:
    """Have studies arrive, one image each."""
    for number, file in enumerate(files, start=1):
        blob = room.blobs.put(file)
        instance = replace(study().instances[0], blob=blob, rows=rows, columns=columns, sop_instance_uid=f"2.25.{number}")
        room.hear(replace(completed(str(uuid4()), instances=(instance,)), subject=str(uuid4())))


def growth(store: Store, count: int, every: float) -> Iterator[tuple[int, float]]:
    """Yield how many predictions are stored, and when: at once, and each time that they have become more, until there are so many."""
    with store.connection() as connection:
        seen, given_up = -1, time.perf_counter() + 600
        while seen < count:
            assert time.perf_counter() < given_up, f"only {seen} of {count} studies were read in ten minutes"
            row = connection.execute("select count(*) from outbox where headers->>'ce_type' = 'radloop.v1.PredictionMade'").fetchone()
            if row[0] > seen:
                seen = row[0]
                yield seen, time.perf_counter()
            if seen < count:
                time.sleep(every)  # this process is the room's, too: each look costs it


def through_the_room(room: Room, count: int) -> float:
    """Return studies per second while many wait."""
    _, *changes = growth(room.runner.store, count, 0.05)  # how many there were when it was first asked is no change
    return steady(changes, count)


def steady(changes: Sequence[tuple[int, float]], count: int) -> float:
    """Return studies per second: the slope of what is stored over time, each time that it has become more, without a tenth at both ends.

    Between two instants alone it would be wrong by what other readers have half done at the first; and at the end of all nobody has
    anything half done, so that it would be too high.
    """
    middle = [one for one in changes if count // 10 <= one[0] <= count - count // 10]
    if len(middle) < FEWEST:
        raise SystemExit(f"{count} studies were stored in so few steps that they say nothing of a rate")
    stored, at = np.array(middle).T
    return float(np.polyfit(at - at[0], stored, 1)[0])


def tail(name: str, values: Sequence[float]) -> dict[str, float]:
    """Return how many there are and their 99th percentile, or the 95th of fewer than a hundred: one of thirty is no hundredth."""
    share = 99 if len(values) >= 100 else 95
    return {f"{name}_p{share}_ms": p(values, share), f"{name}_count": len(values)}


def idle(room: Room) -> bool:
    """Say whether nothing waits to be read any more, no shadow either."""
    with room.runner.store.connection() as connection:
        return connection.execute("select count(*) from reading where ended_at is null").fetchone()[0] == 0


def right(room: Room, here: onnxruntime.InferenceSession, files: Sequence[bytes]) -> None:
    """Check that what the room stored is what the weights say of these files in this process."""
    said = {one.prediction.sop_instance_uid: one.prediction for one in room.said(PredictionMade)}
    assert len(said) == len(files)
    for number in range(1, len(files), 17):
        [members] = here.run(("MEMBERS",), {"IMAGE": prepare_file(files[number - 1], 1, IMAGENET)[None]})
        expected = 1 / (1 + np.exp(-members[0, :, 0].astype(np.float64).mean()))
        assert abs(said[f"2.25.{number}"].findings[0].probability - expected) < 1e-4, "the room said something else"


def pipelined(address: str, tensors: np.ndarray, clients: int, at_least: float) -> float:
    """Return images per second of several clients of Triton at once, each with its next request under way when its last is answered."""
    answered, end = [0] * clients, time.perf_counter() + at_least

    def ask_on(place: int) -> None:
        ask = asked_through(triton.InferenceServerClient(address), tensors)
        while time.perf_counter() < end:
            ask()
            answered[place] += len(tensors)

    began = time.perf_counter()
    threads = [threading.Thread(target=ask_on, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answered) / (time.perf_counter() - began)


def main() -> int:
    """Measure, and print figures and ratios; 1 where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--studies", type=int, default=200, help="in each round (%(default)s)")
    parser.add_argument("--large", type=int, default=60, help="large radiographs (%(default)s)")
    parser.add_argument("--alone", type=int, default=100, help="studies that arrive one at a time (%(default)s)")
    args = parser.parse_args()
    tune()  # as the room does
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "stack", Options(usual_ports=False, rooms=()))
        stack.start()
        try:
            return measured(stack, Path(folder), args)
        finally:
            stack.stop()


def measured(stack: Stack, folder: Path, args: argparse.Namespace) -> int:
    """Measure over a running stack; return the exit status."""
    people = roster(1, 10, 10)
    images = np.stack([prepare_file(dicom(number, 224, 224), 1, IMAGENET) for number in range(1, 33)])
    say("a package is made")
    made = first_package(
        images[:20], np.array([one.present for one in people]), [one.patient_key for one in people], 3, folder / "made",
        cache=folder / "cache",
    )
    weights = standard.read(made).files[standard.WEIGHTS_FILE]
    config = (made.parent / "config.pbtxt").read_text()
    found = re.search(r'"intra_op_threads" value \{ string_value: "(\d+)"', config)
    assert found is not None
    threads = int(found.group(1))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    here = onnxruntime.InferenceSession(str(made / "model.onnx"), options, providers=["CPUExecutionProvider"])
    direct: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    asked: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    shared: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    rates, best, alone = [], [], []
    small = [dicom(number, 224, 224) for number in range(1, args.studies + 1)]
    large = [dicom(number, 2500, 2000) for number in range(1, args.large + 1)]
    client = triton.InferenceServerClient(stack.address("triton"))
    for turn in range(args.rounds):
        with opened(stack, folder / f"blobs-{turn}") as room:
            shutil.copytree(made.parent, room.repository / "chest")
            filled(room, small, 224, 224)
            room.hear(released(1, "production", 1, weights_sha256=weights))
            eventually(lambda: room.warm("chest", 1))
            rates.append(through_the_room(room, args.studies))
            eventually(lambda: idle(room))
            right(room, here, small)
            for batch in BATCHES:
                tensors = np.ascontiguousarray(images[:batch])
                ask = asked_through(client, tensors)
                with asked_by_memory(client, tensors) as ask_by_memory:
                    for way in (ask, ask_by_memory):
                        assert np.allclose(way(), here.run(("MEMBERS",), {"IMAGE": tensors})[0], atol=1e-3)
                    took = seconds(3.0, lambda tensors=tensors: here.run(OUTPUTS, {"IMAGE": tensors}), ask, ask_by_memory)
                for ways, times in zip((direct, asked, shared), took, strict=True):
                    ways[batch] += times
            # Its best: one client or two, so that tensors may travel while others are computed.
            best.append(max(pipelined(stack.address("triton"), images[:batch], clients, 1.5) for batch in BATCHES for clients in (1, 2)))
            say(f"  round {turn + 1}: the room {rates[-1]:.1f} studies/s, Triton {best[-1]:.1f}")
    with opened(stack, folder / "blobs-alone") as room:
        shutil.copytree(made.parent, room.repository / "chest")
        room.hear(released(1, "production", 1, weights_sha256=weights))
        eventually(lambda: room.warm("chest", 1))
        for number in range(args.alone):
            file = dicom(number + 1, 224, 224)
            began = time.perf_counter()
            filled(room, [file], 224, 224)
            [*_, (_, answered)] = growth(room.runner.store, number + 1, 0.002)
            alone.append(answered - began)
    with opened(stack, folder / "blobs-large") as room:
        shutil.copytree(made.parent, room.repository / "chest")
        filled(room, large, 2500, 2000)
        room.hear(released(1, "production", 1, weights_sha256=weights))
        eventually(lambda: room.warm("chest", 1))
        large_rate = through_the_room(room, args.large)
    film = compressed(large[0])
    preparing, decoding = (
        float(np.median(took))
        for took in seconds(4.0, lambda: prepare_file(large[0], 1, IMAGENET), lambda: prepare_file(film, 1, IMAGENET))
    )
    figures = {f"inprocess_p50_ms_b{batch}": p(direct[batch], 50) for batch in BATCHES}
    figures |= {f"triton_p50_ms_b{batch}": p(asked[batch], 50) for batch in BATCHES}
    figures |= {f"triton_by_memory_p50_ms_b{batch}": p(shared[batch], 50) for batch in BATCHES}
    for batch in BATCHES:
        figures |= tail(f"triton_b{batch}", asked[batch])
    rate = float(np.median(rates))
    return finish("serving", figures | {
        "room_studies_per_s": round(rate, 1), "triton_studies_per_s": round(float(np.median(best)), 1),
        "room_large_studies_per_s": round(large_rate, 1), "large_prepare_ms": round(preparing * 1000, 1),
        "large_j2k_prepare_ms": round(decoding * 1000, 1), "study_p50_ms": p(alone, 50), **tail("study", alone), "threads": threads,
        "rounds": args.rounds, "studies": args.studies,
    }, {
        "room_over_triton": float(np.median([room / other for room, other in zip(rates, best, strict=True)])),
        "large_prepare_share": preparing / (preparing + float(np.median(asked[1]))),
        "large_j2k_prepare_share": decoding / (decoding + float(np.median(asked[1]))),
        **{f"by_memory_over_triton_p50_b{batch}": float(np.median(shared[batch]) / np.median(asked[batch])) for batch in BATCHES},
        "triton_over_inprocess_p50_b1": float(np.median(asked[1]) / np.median(direct[1])),
        "triton_over_inprocess_p50_b16": float(np.median(asked[16]) / np.median(direct[16])),
    }, ("tritonclient", "onnxruntime"), GOALS)


if __name__ == "__main__":
    raise SystemExit(main())
