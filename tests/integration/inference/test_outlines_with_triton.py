"""Outlines over gRPC, a real Triton and a real Postgres: encoded ahead, prompt after prompt, taken back, and what stands in."""

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue

import grpc
import numpy as np
import pytest
from PIL import Image
from tests.dicom_making import file_of, radiograph
from tests.examples.inference import released
from tests.examples.segmenting import segmenter, tiny_decoder, tiny_encoder
from tests.examples.shared import CASE, completed, study
from tests.integration.inference_models import publish as publish_chest
from tests.integration.inference_room import Room, eventually, images

from radloop.inference.adapters import grpc as door
from radloop.kit import rpc
from radloop.retraining.adapters.package import assemble_segmenter, publish
from radloop.standards.masks import Mask, RunLengths, decode
from radloop.v1 import inference_service_pb2 as pb
from radloop.v1 import inference_service_pb2_grpc as stubs
from radloop.workbench.embedded.stack import Stack

pytestmark = pytest.mark.stack
ENCODER = f"lungs-encoder-{hashlib.sha256(tiny_encoder()).hexdigest()[:8]}"
SOP, ROWS, COLUMNS = study().instances[0].sop_instance_uid, 300, 200


class Conversation:
    """One open image: what is drawn is sent, and the answer to it waited for."""

    def __init__(self, address: str, case: str = CASE, sop: str = SOP) -> None:
        self._asked: SimpleQueue[pb.SegmentRequest | None] = SimpleQueue()
        self._channel = grpc.insecure_channel(address)
        self._call = stubs.InferenceServiceStub(self._channel).Segment(iter(self._asked.get, None), timeout=120)
        self._asked.put(pb.SegmentRequest(image=pb.OutlinedImage(case_id=case, sop_instance_uid=sop, frame=1)))

    def ready(self) -> pb.OutlineReady:
        """Return how the image was opened."""
        return next(self._call).ready

    def draw(self, **what: object) -> pb.SegmentResponse:
        """Draw one thing, or take the last back, and return the answer."""
        self._asked.put(pb.SegmentRequest(**what))
        return next(self._call)

    def click(self, x: float, y: float, *, positive: bool = True) -> pb.SegmentResponse:
        """Click."""
        return self.draw(point=pb.PointPrompt(x=x, y=y, positive=positive))

    def end(self) -> None:
        """Close the image."""
        self._asked.put(None)
        assert list(self._call) == []
        self._channel.close()


@contextmanager
def served(room: Room) -> Iterator[str]:
    """Open the room's door."""
    server, port = rpc.server("127.0.0.1:0", tuple(room.furnishing.services), room.furnishing.streams)
    yield f"127.0.0.1:{port}"
    server.stop(5).wait()


def serve_chest(room: Room) -> None:
    """Have something serve that reads studies: they are encoded once they have been read."""
    room.release(1, "production", 1, weights_sha256=publish_chest(room.repository, 1))
    eventually(lambda: room.warm("chest", 1))


def serve_segmenter(room: Room, version: int = 1, quality: float = 0.5) -> None:
    """Publish the tiny segmenter, have it released beside the chest model and wait until it takes traffic."""
    serve_chest(room)
    decoder = tiny_decoder(quality)
    publish(assemble_segmenter(segmenter(version), decoder, tiny_encoder()), room.repository)
    weights = hashlib.sha256(decoder).hexdigest()
    told = released(version, "production", version, weights_sha256=weights)
    room.hear(replace(told, subject="lungs", model="lungs", id=f"lungs-{version}"))
    eventually(lambda: room.warm("lungs", version) and room.warm(ENCODER, 1))


def mask(said: pb.SegmentResponse) -> Mask:
    """Return the mask of an answer."""
    return decode(RunLengths(ROWS, COLUMNS, tuple(said.outline.counts)))


def encoded(room: Room) -> list[tuple[str, str]]:
    """Return the images encoded so far, and the embeddings."""
    with room.runner.store.connection() as connection:
        return connection.execute("select image_sha256, embedding_sha256 from image_encoding").fetchall()


def test_an_image_is_encoded_when_it_arrives_and_outlined_prompt_by_prompt(room: Room) -> None:
    """Discs where one clicked, in stored pixels; prompts add up, one is taken back, and what is wrong is refused and changes nothing."""
    serve_segmenter(room)
    room.hear(completed(**images(room, 128)))
    [(image, embedding)] = eventually(lambda: encoded(room))
    with served(room) as address:
        talk = Conversation(address)
        ready = talk.ready()
        assert (ready.rows, ready.columns, ready.method, ready.model, ready.version) == (ROWS, COLUMNS, "segmenter", "lungs", 1)
        assert ready.image_sha256 == image
        one = talk.click(60.0, 90.0)
        first = mask(one)
        rows, columns = np.nonzero(first)
        assert (columns.mean() + 0.5, rows.mean() + 0.5) == (pytest.approx(60, abs=1), pytest.approx(90, abs=1))
        # A disc of 30 of the model's pixels, in stored ones: wider along the longer side.
        assert np.ptp(columns) == pytest.approx(60 * COLUMNS / 256, abs=2)
        assert np.ptp(rows) == pytest.approx(60 * ROWS / 256, abs=2)
        # The embedding is the image's own: mean grey 128 of 255.
        assert one.outline.quality == pytest.approx(0.5 + 128 / 255, abs=0.01)
        both = mask(talk.click(140.0, 220.0))
        assert both.sum() > 1.9 * first.sum()
        less = mask(talk.click(140.0, 220.0, positive=False))
        np.testing.assert_array_equal(less, first)
        assert talk.click(500.0, 10.0).refused.startswith("the prompt lies outside")
        assert "must be given" in talk.draw(point=pb.PointPrompt(x=1.0, y=1.0)).refused
        back = talk.draw(undo=pb.UndoPrompt())
        assert back.outline.prompts == 2
        np.testing.assert_array_equal(mask(back), both)
        np.testing.assert_array_equal(mask(talk.draw(undo=pb.UndoPrompt())), first)
        assert not mask(talk.draw(undo=pb.UndoPrompt())).any()
        assert talk.draw(undo=pb.UndoPrompt()).refused == "there is nothing to take back"
        talk.end()
    assert encoded(room) == [(image, embedding)]


def test_without_a_segmenter_a_classical_method_stands_in_and_is_named(room: Room) -> None:
    """A bright block is outlined by GrabCut from a box; the reader is told why, and no quality is claimed."""
    pixels = np.random.default_rng(1).normal(60, 8, (ROWS, COLUMNS)).clip(0, 255).astype(np.uint8)
    pixels[100:200, 50:120] += 120
    blob = room.blobs.put(file_of(radiograph(pixels, SOPInstanceUID=SOP)))
    one = replace(study().instances[0], blob=blob, rows=ROWS, columns=COLUMNS)
    room.hear(completed(instances=(one,)))
    with served(room) as address:
        talk = Conversation(address)
        ready = talk.ready()
        assert (ready.method, ready.reason) == ("grabcut", "no segmenter serves")
        said = talk.draw(box=pb.BoxPrompt(x0=30.0, y0=80.0, x1=140.0, y1=220.0))
        assert said.outline.method == "grabcut"
        assert not said.outline.HasField("quality")
        truth = pixels > 120
        found = mask(said)
        assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.95
        talk.end()


def test_a_reader_whose_triton_dies_gets_a_lesser_answer_and_the_better_one_again(room: Room, stack: Stack) -> None:
    """The click while Triton is away is answered by the classical method; once it is back the segmenter answers."""
    serve_segmenter(room)
    room.hear(completed(**images(room, 128)))
    eventually(lambda: encoded(room))
    with served(room) as address:
        talk = Conversation(address)
        assert talk.ready().method == "segmenter"
        assert talk.click(60.0, 90.0).outline.method == "segmenter"
        stack.kill("triton")
        assert talk.click(100.0, 90.0).outline.method == "grabcut"
        eventually(lambda: room.warm("lungs", 1) and room.warm(ENCODER, 1))
        again = eventually(lambda: said if (said := talk.click(60.0, 90.0)).outline.method == "segmenter" else None)
        assert again.outline.HasField("quality")
        talk.end()


def test_what_is_no_image_of_the_case_is_not_opened(room: Room) -> None:
    """An unknown image, one of another case, a first request that names none: refused, and nothing stays open."""
    serve_segmenter(room)
    room.hear(completed(**images(room, 128)))
    eventually(lambda: encoded(room))
    with served(room) as address:
        for wrong in ({"sop": "2.25.999"}, {"case": "another"}):
            with pytest.raises(grpc.RpcError) as refused:
                Conversation(address, **wrong).ready()
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert refused.value.details() == "no such image in this case"
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as unnamed:
            next(stubs.InferenceServiceStub(channel).Segment(iter([pb.SegmentRequest(undo=pb.UndoPrompt())])))
        assert "first request names the image" in unnamed.value.details()


def test_more_open_images_than_there_is_room_for_are_refused_and_closing_one_makes_room(
    room: Room, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every other call is still answered meanwhile."""
    service = room.furnishing.services[0].__self__
    monkeypatch.setattr(service, "_open", threading.Semaphore(2))
    assert door.OPEN_IMAGES >= 8
    serve_segmenter(room)
    room.hear(completed(**images(room, 128)))
    eventually(lambda: encoded(room))
    with served(room) as address:
        talks = [Conversation(address), Conversation(address)]
        assert all(talk.ready().method == "segmenter" for talk in talks)
        with pytest.raises(grpc.RpcError) as full:
            Conversation(address).ready()
        assert full.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with grpc.insecure_channel(address) as channel:
            versions = stubs.InferenceServiceStub(channel).GetReadings(pb.GetReadingsRequest()).versions
        assert [(one.model, one.ready) for one in versions] == [("chest", True), ("lungs", True)]
        talks[0].end()
        talks[0] = Conversation(address)
        assert talks[0].ready().method == "segmenter"
        for talk in talks:
            talk.end()


def test_a_mask_is_proposed_for_an_image_that_nobody_has_outlined(room: Room) -> None:
    """Of a DICOM object and of a PNG: rows × columns of the image, with the quality that the segmenter expects; else a reason."""
    with served(room) as address, grpc.insecure_channel(address) as channel:
        ask = stubs.InferenceServiceStub(channel).Propose
        drawn = np.full((ROWS, COLUMNS), 90, np.uint8)
        drawn[0, 0] = 0
        png = io.BytesIO()
        Image.fromarray(drawn).save(png, "PNG")
        with pytest.raises(grpc.RpcError, match="no segmenter serves"):
            ask(pb.ProposeRequest(image=png.getvalue()))
        serve_segmenter(room)
        for file in (png.getvalue(), file_of(radiograph(drawn, WindowCenter=128, WindowWidth=256))):
            said = ask(pb.ProposeRequest(image=file))
            assert (said.rows, said.columns, said.model, said.version) == (ROWS, COLUMNS, "lungs", 1)
            assert said.quality == pytest.approx(0.5 + 90 / 255, abs=0.01)
            with Image.open(io.BytesIO(said.mask_png)) as mask_read:
                assert np.asarray(mask_read).shape == (ROWS, COLUMNS)
        for wrong in (b"", b"no image", png.getvalue()[:60]):
            with pytest.raises(grpc.RpcError, match="neither a PNG nor a JPEG"):
                ask(pb.ProposeRequest(image=wrong))
        with pytest.raises(grpc.RpcError, match="no segmenter hearts serves"):
            ask(pb.ProposeRequest(image=png.getvalue(), model="hearts"))
