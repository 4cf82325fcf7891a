"""How reading stands, and outlines on request, over gRPC."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import grpc

from radloop.inference.adapters.postgres import StoredDesk
from radloop.inference.adapters.segmenting import Canvas, Segmenters, full_size, png
from radloop.inference.domain.outline import CLASSICAL, SEGMENTER, Outline
from radloop.kit import telemetry
from radloop.kit.errors import Permanent, Transient
from radloop.standards.masks import encode
from radloop.standards.prompts import Box, Point, Prompt, Scribble
from radloop.v1 import inference_service_pb2 as pb
from radloop.v1 import inference_service_pb2_grpc as rpc

M = TypeVar("M", pb.PointPrompt, pb.BoxPrompt, pb.ScribblePrompt)
OPEN_IMAGES: Final = 16
"""Images that readers of one instance have open at once: each holds a thread, and after a hundred prompts some thirty
megabytes of answers that can be taken back."""
_IDLE_S: Final = 900.0
"""A reader who went away without closing the image must not hold it for ever."""
_FIRST_S: Final = 60.0
"""Whoever opens a stream names an image, and has it opened, within this."""


class InferenceService(rpc.InferenceServiceServicer):
    """Readings by class, the versions that read, and outlines."""

    def __init__(self, desk: StoredDesk, warm: Callable[[str, int], bool], segmenters: Segmenters) -> None:
        self._desk, self._warm, self._segmenters = desk, warm, segmenters
        self._open = threading.Semaphore(OPEN_IMAGES)

    def register(self, server: grpc.Server) -> None:
        """Add this service to a server."""
        rpc.add_InferenceServiceServicer_to_server(self, server)

    def GetReadings(self, request: pb.GetReadingsRequest, context: grpc.ServicerContext) -> pb.GetReadingsResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Count readings and name the versions that Triton should hold, and whether each takes traffic."""
        counts = self._desk.counts()
        return pb.GetReadingsResponse(
            waiting=counts["waiting"], running=counts["running"], done=counts["done"],
            versions=[
                pb.LoadedVersion(
                    model=model.model, version=one.version, stage=one.stage, ready=self._warm(model.model, one.version),
                )
                for model in self._desk.models() for one in model.to_load()
            ],
        )

    def Propose(self, request: pb.ProposeRequest, context: grpc.ServicerContext) -> pb.ProposeResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Propose a mask for an image that nobody has outlined yet."""
        proposed = self._segmenters.propose(request.image, request.model)
        rows, columns = proposed.mask.shape
        return pb.ProposeResponse(
            mask_png=png(proposed.mask), quality=proposed.quality, rows=rows, columns=columns,
            model=proposed.segmenter.model, version=proposed.segmenter.version,
        )

    def Segment(  # noqa: N802 - gRPC's shape
        self, requests: Iterator[pb.SegmentRequest], context: grpc.ServicerContext,
    ) -> Iterator[pb.SegmentResponse]:
        """Outline what a reader points at on one image; each request has one response, in order."""
        if not self._open.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{OPEN_IMAGES} images are open for outlining already: close one")
        parent = str(dict(context.invocation_metadata() or ()).get("traceparent", ""))
        try:
            with _watched(context) as alive, telemetry.span("Segment", parent):
                first = next(requests, None)
                if first is None:
                    return
                try:
                    canvas = self._opened(first)
                except Permanent as never:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, never.reason)
                except Transient as away:
                    context.abort(grpc.StatusCode.UNAVAILABLE, away.reason)
                alive()
                yield pb.SegmentResponse(ready=_ready(canvas))
                outline = Outline(canvas.rows, canvas.columns)
                for request in requests:
                    alive()
                    try:
                        outline = self._continued(canvas, outline, request)
                    except (Permanent, Transient) as refused:
                        yield pb.SegmentResponse(refused=refused.reason)
                    else:
                        yield pb.SegmentResponse(outline=_told(outline))
        finally:
            self._open.release()

    def _opened(self, request: pb.SegmentRequest) -> Canvas:
        if request.WhichOneof("what") != "image":
            raise Permanent("the first request names the image")
        asked = request.image
        return self._segmenters.open(asked.case_id, asked.sop_instance_uid, asked.frame if asked.HasField("frame") else 1, asked.model)

    def _continued(self, canvas: Canvas, outline: Outline, request: pb.SegmentRequest) -> Outline:
        if request.WhichOneof("what") == "undo":
            return outline.undone()
        prompts = outline.admitted(_prompt(request))
        return outline.drawn(prompts, self._segmenters.answer(canvas, prompts, outline))


@contextmanager
def _watched(context: grpc.ServicerContext) -> Iterator[Callable[[], None]]:
    """End a conversation in which nothing was said for long; call what is lent whenever something was."""
    watch = [threading.Timer(_FIRST_S, context.cancel)]

    def alive() -> None:
        watch[0].cancel()
        watch[0] = threading.Timer(_IDLE_S, context.cancel)
        watch[0].daemon = True
        watch[0].start()

    watch[0].daemon = True
    watch[0].start()
    try:
        yield alive
    finally:
        watch[0].cancel()


def _prompt(request: pb.SegmentRequest) -> Prompt:
    """Return what was drawn; raise Permanent where a coordinate or a sign is missing."""
    kind = request.WhichOneof("what")
    if kind == "point":
        point = _whole(request.point, "x", "y", "positive")
        return Point(point.x, point.y, point.positive)
    if kind == "box":
        box = _whole(request.box, "x0", "y0", "x1", "y1")
        return Box(box.x0, box.y0, box.x1, box.y1)
    if kind == "scribble":
        line = _whole(request.scribble, "positive")
        if len(line.xs) != len(line.ys):
            raise Permanent("a scribble needs as many ys as xs")
        return Scribble(tuple(zip(line.xs, line.ys, strict=True)), line.positive)
    raise Permanent("the image is open: draw a point, a box or a scribble, or take the last one back")


def _whole(drawn: M, *names: str) -> M:
    if missing := [name for name in names if not drawn.HasField(name)]:
        raise Permanent(f"{', '.join(missing)} must be given")
    return drawn


def _ready(canvas: Canvas) -> pb.OutlineReady:
    serving = canvas.segmenter
    return pb.OutlineReady(
        rows=canvas.rows, columns=canvas.columns, method=SEGMENTER if serving else CLASSICAL,
        model=serving.model if serving else "", version=serving.version if serving else 0, reason=canvas.reason,
        image_sha256=canvas.image_sha256,
    )


def _told(outline: Outline) -> pb.Outline:
    last = outline.last
    if last is None:  # everything was taken back
        return pb.Outline(counts=[outline.rows * outline.columns], method="", prompts=0)
    runs = encode(full_size(last.mask, last.logits, outline.rows, outline.columns))
    return pb.Outline(counts=runs.counts, quality=last.quality, method=last.method, prompts=len(outline.prompts))
