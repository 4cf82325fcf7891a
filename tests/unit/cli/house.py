"""All rooms behind one real gRPC door, that say what a test has them say."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from radloop.cli.addresses import ROOMS
from radloop.v1 import (
    admin_service_pb2 as admin,
    admin_service_pb2_grpc as admin_rpc,
    inference_service_pb2 as inference,
    inference_service_pb2_grpc as inference_rpc,
    ingestion_service_pb2 as ingestion,
    ingestion_service_pb2_grpc as ingestion_rpc,
    retraining_service_pb2 as retraining,
    retraining_service_pb2_grpc as retraining_rpc,
    triage_service_pb2 as triage,
    triage_service_pb2_grpc as triage_rpc,
)

ROOT = Path(__file__).resolve().parents[3]
CASE = "4b4b2f0e-6a55-5a0c-8a52-0d7b0f3f5a01"
START = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def after(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(START + timedelta(seconds=seconds))
    return stamp


def example(topic: str) -> str:
    return json.dumps(json.loads((ROOT / f"proto/examples/{topic}/typical.json").read_text())["message"])


def said(seconds: float, room: str, topic: str, *, phi: bool = False) -> admin.TraceEntry:
    return admin.TraceEntry(at=after(seconds), room=room, kind="said", what=topic, detail="an id", trace_id="t1",
                            facts="" if phi else example(topic))


def quarantined(item: str, seconds: float = 0) -> admin.QuarantinedItem:
    return admin.QuarantinedItem(id=item, source="door:system", input_id="m1", type="HearMessage", reason="MSH-10 is missing",
                                 attempts=1, at=after(seconds), state="waiting", payload=b"MSH|bad", payload_bytes=7)


def drifted() -> retraining.VersionDrift:
    """Build a judgement in which the probabilities moved."""
    pair = retraining.BeforeAndNow
    return retraining.VersionDrift(
        model="chest", version=2, stage="production", cases=1200, window=200,
        findings=[retraining.FindingDrift(
            finding="233604007", probability=pair(before=0.22, now=0.41), positive=pair(before=0.2, now=0.45), psi=0.31, psi_limit=0.25)],
        out_of_distribution=pair(before=0.01, now=0.02), ood_ratio=pair(before=0.65, now=0.7),
        embedding=retraining.EmbeddingDrift(
            reference="its training snapshot", known=40, median_ratio=1.04, median_ratio_limit=1.2, mean_distance=9.0,
            mean_distance_expected=8.0, mean_deviations=1.0, mean_shift=0.05),
        quality=[retraining.QualityDrift(
            measure="mean grey", median=pair(before=0.45, now=0.46), lower_quartile=0.42, upper_quartile=0.49)],
        verdicts=[
            retraining.DriftVerdict(moved=True, sentence="Pneumonia: probabilities moved: PSI .31 over .25"),
            retraining.DriftVerdict(moved=False, sentence="out of distribution: 2% of the latest 200"),
        ],
    )


class House(admin_rpc.AdminServiceServicer, inference_rpc.InferenceServiceServicer,
            ingestion_rpc.IngestionServiceServicer, retraining_rpc.RetrainingServiceServicer,
            triage_rpc.TriageServiceServicer):
    """All rooms behind one door; each test furnishes what it asks for."""

    def __init__(self) -> None:
        self.story: list[admin.TraceEntry] = []
        self.held: list[admin.QuarantinedItem] = []
        self.outcomes: dict[str, str] = {}
        self.retried: list[str] = []
        self.ready = True
        self.backlog = {"outbox": 3}
        self.blown: admin.BlownFuse | None = None
        self.gate = ""
        self.cycles = 1
        self.states = ["released"]
        self.away = 0
        self.accessions = {"ACC1001"}
        self.versions = [retraining.ModelVersion(
            model="chest", version=2, stage="production", since=after(0), labels=100, gate_passed=True, evidence=["AUC not worse"])]
        self.drifts = [drifted()]
        self.discarded: list[str] = []
        self.datasets: list[tuple[bytes, str]] = []
        self.packages: list[bytes] = []
        self.checked: list[bytes] = []
        self.not_taken = ""
        self.described = ""
        self.no_segmenter = ""
        self.masks: list[tuple[str, bytes]] = []
        self.shown: list[str] = []
        self.undone: list[str] = []
        self.replays: list[admin.ReplayRequest] = []
        self.repeats = [0]

    def Trace(self, request, context):
        return admin.TraceResponse(entries=self.story if request.case_id == CASE else [
            said(0, "retraining", "model-released")] if request.case_id == "chest" else [])

    def Status(self, request, context):
        repeat = self.repeats[0] if len(self.repeats) == 1 else self.repeats.pop(0)
        return admin.StatusResponse(room="x", ready=self.ready, reasons=[] if self.ready else ["postgres is away"],
                                    backlog={**self.backlog, "repeat": repeat},
                                    fuse_open=self.blown is not None, blown=self.blown)

    def Replay(self, request, context):
        self.replays.append(request)
        return admin.ReplayResponse(events=5)

    def ListQuarantine(self, request, context):
        held = sorted(self.held, key=lambda one: one.at.ToDatetime(), reverse=not request.oldest_first)
        past = [one.id for one in held].index(request.after_id) + 1 if request.after_id else 0
        found = [one for one in held[past:] if one.id.startswith(request.id_prefix) and (request.include_settled or one.state == "waiting")]
        told = []
        for one in found[:min(request.limit or 100, 1000)]:
            item = admin.QuarantinedItem()
            item.CopyFrom(one)
            item.payload = one.payload if request.include_payload else b""
            told.append(item)
        return admin.ListQuarantineResponse(items=told)

    def RetryQuarantined(self, request, context):
        self.retried.append(request.id)
        outcome = self.outcomes.get(request.id, "recorded")
        if outcome in {"away", "refused"}:
            context.abort(getattr(grpc.StatusCode, "UNAVAILABLE" if outcome == "away" else "INVALID_ARGUMENT"), outcome)
        if outcome.startswith(("quarantined", "rejected")):
            self.held.append(quarantined(f"again-{request.id}", 10_000))
        next(one for one in self.held if one.id == request.id).state = "retried"
        return admin.RetryQuarantinedResponse(outcome=outcome)

    def DiscardQuarantined(self, request, context):
        self.discarded.append(request.id)
        return admin.DiscardQuarantinedResponse()

    def Resolve(self, request, context):
        return ingestion.ResolveResponse(case_ids=[CASE] if request.accession in self.accessions else [])

    def Backfill(self, request, context):
        if b"broken" in request.dataset:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no pixel data")
        self.datasets.append((request.dataset, request.purpose))
        return ingestion.BackfillResponse(case_id=CASE)

    def ListModels(self, request, context):
        return retraining.ListModelsResponse(models=self.versions)

    def GetDrift(self, request, context):
        return retraining.GetDriftResponse(versions=[one for one in self.drifts if one.model == request.model])

    def StartCycle(self, request, context):
        return retraining.StartCycleResponse(cycle_id="c1", reason=self.gate)

    def GetCycle(self, request, context):
        self.shown.append(request.model)
        if self.away:
            self.away -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        if not self.cycles:
            return retraining.GetCycleResponse(state="none", labels={"pool": 12} if request.model == "chest" else {})
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        return retraining.GetCycleResponse(cycle_id="c1", state=state, progress=1, version=3 if state == "released" else None)

    def AddModel(self, request, context):
        if request.only_check:
            self.checked.append(request.package_tar)
            return retraining.AddModelResponse(version=0, reason=self.not_taken)
        self.packages.append(request.package_tar)
        return retraining.AddModelResponse(version=0 if self.not_taken else 1, reason=self.not_taken)

    def DescribeModel(self, request, context):
        found = [one for one in self.versions if (one.model, one.version) == (request.model, request.version)]
        return retraining.DescribeModelResponse(version=found[0], package_yaml=self.described) if found else (
            retraining.DescribeModelResponse())

    def Adapt(self, request, context):
        self.masks.append((request.model, request.masks_tar))
        return retraining.AdaptResponse(cycle_id="" if self.gate else "c1", reason=self.gate)

    def Promote(self, request, context):
        return retraining.PromoteResponse(promoted=not self.gate, reason=self.gate)

    def Rollback(self, request, context):
        return retraining.RollbackResponse(version=1)

    def Propose(self, request, context):
        if self.no_segmenter:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.no_segmenter)
        if request.image == b"away":
            context.abort(grpc.StatusCode.UNAVAILABLE, "no segmenter yet")
        if b"broken" in request.image:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "neither a DICOM object nor a PNG or JPEG file")
        return inference.ProposeResponse(mask_png=b"mask of " + request.image, quality=len(request.image) / 10)

    def UndoReordering(self, request, context):
        self.undone.append(request.case_id)
        return triage.UndoReorderingResponse(outcome="undone")


@contextmanager
def opened(home: Path) -> Iterator[House]:
    """Open the door, and write down where it is, as `radloop up` would."""
    inside = House()
    server = grpc.server(ThreadPoolExecutor(8))
    for add in (admin_rpc.add_AdminServiceServicer_to_server, inference_rpc.add_InferenceServiceServicer_to_server,
                ingestion_rpc.add_IngestionServiceServicer_to_server,
                retraining_rpc.add_RetrainingServiceServicer_to_server, triage_rpc.add_TriageServiceServicer_to_server):
        add(inside, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    (home / "stack.json").write_text(json.dumps({
        "pid": os.getpid(), "site": "site-1", "addresses": dict.fromkeys(ROOMS, f"127.0.0.1:{port}"), "parts": {}}))
    try:
        yield inside
    finally:
        server.stop(None).wait()
