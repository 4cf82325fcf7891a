"""The rooms' doors as this command calls them: the one place in the cli that knows the generated messages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from radloop.cli.judgement import VersionDrift, judgement_of
from radloop.kit import rpc
from radloop.kit.errors import Misconfigured, Permanent, Transient
from radloop.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    common_pb2,
    inference_service_pb2,
    inference_service_pb2_grpc,
    ingestion_service_pb2,
    ingestion_service_pb2_grpc,
    retraining_service_pb2,
    retraining_service_pb2_grpc,
    triage_service_pb2,
    triage_service_pb2_grpc,
)

@dataclass(frozen=True)
class Blown:
    """An open fuse: since when, by which types of error in which routes, and when it tries next."""

    since: datetime
    causes: tuple[str, ...]
    next_try: datetime


@dataclass(frozen=True)
class Status:
    """How one room stands; `blown` tells more of an open fuse."""

    room: str
    ready: bool
    reasons: tuple[str, ...]
    fuse_open: bool
    backlog: Mapping[str, int]
    blown: Blown | None = None


@dataclass(frozen=True)
class Fact:
    """One stored fact of a case; `facts` is what was said, as JSON text, empty where it holds PHI."""

    at: datetime
    room: str
    kind: str
    what: str
    detail: str
    trace_id: str
    facts: str = ""


@dataclass(frozen=True)
class Quarantined:
    """One input, or one delivery, that can never succeed as it is; `sha256` is told of one that was named."""

    room: str
    id: str
    source: str
    input_id: str
    type: str
    subject: str
    reason: str
    attempts: int
    at: datetime
    state: str
    trace_id: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model and its stage."""

    model: str
    version: int
    stage: str
    since: datetime
    labels: int
    gate_passed: bool
    evidence: tuple[str, ...]
    change_record: str


UNDER_WAY = frozenset({"waiting", "training"})
"""The states of a cycle that goes on. Those in which it has ended are any others: whoever waits need not know them all."""


@dataclass(frozen=True)
class Cycle:
    """How a cycle stands; its state is `none` where there is none."""

    id: str
    state: str
    progress: float
    version: int
    evidence: tuple[str, ...]
    labels: Mapping[str, int]
    note: str = ""

    @property
    def under_way(self) -> bool:
        """Say whether it goes on."""
        return self.state in UNDER_WAY

    @property
    def ended(self) -> bool:
        """Say whether there was one and it goes on no more."""
        return not self.under_way and self.state != "none"


class Rooms:
    """Lines to the rooms; nothing is sent before it is asked."""

    def __init__(self, addresses: Mapping[str, str], actor: str, seconds: float = 10.0) -> None:
        self._addresses = addresses
        self._actor = common_pb2.Actor(kind="system", id=actor)
        self._seconds = seconds
        self._channels: dict[str, grpc.Channel] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for channel in self._channels.values():
            channel.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The rooms whose address is known."""
        return tuple(self._addresses)

    def status(self, room: str) -> Status:
        """Ask a room how it stands; raise Transient where it does not answer."""
        with self._asking(room) as (channel, call):
            said = admin_service_pb2_grpc.AdminServiceStub(channel).Status(admin_service_pb2.StatusRequest(), **call)
        blown = None
        if said.HasField("blown"):
            blown = Blown(_instant(said.blown.since), tuple(said.blown.causes), _instant(said.blown.next_try))
        return Status(room, said.ready, tuple(said.reasons), said.fuse_open, dict(said.backlog), blown)

    def trace(self, room: str, case_id: str) -> tuple[Fact, ...]:
        """Ask a room what it knows of a case (or of a model, by its name)."""
        with self._asking(room) as (channel, call):
            request = admin_service_pb2.TraceRequest(case_id=case_id)
            said = admin_service_pb2_grpc.AdminServiceStub(channel).Trace(request, **call)
        return tuple(
            Fact(_instant(one.at), one.room or room, one.kind, one.what, one.detail, one.trace_id, one.facts) for one in said.entries
        )

    def resolve(self, accession: str) -> tuple[str, ...]:
        """Ask ingestion which cases an accession number names."""
        with self._asking("ingestion") as (channel, call):
            request = ingestion_service_pb2.ResolveRequest(accession=accession)
            said = ingestion_service_pb2_grpc.IngestionServiceStub(channel).Resolve(request, **call)
        return tuple(said.case_ids)

    def quarantine(
        self, room: str, limit: int, *, settled: bool = False, begins: str = "", oldest_first: bool = False, after: str = "",
    ) -> tuple[Quarantined, ...]:
        """Ask a room what waits in its quarantine, newest first unless said otherwise, and never for the bytes."""
        with self._asking(room) as (channel, call):
            request = admin_service_pb2.ListQuarantineRequest(
                limit=limit, include_settled=settled, id_prefix=begins, oldest_first=oldest_first, after_id=after)
            said = admin_service_pb2_grpc.AdminServiceStub(channel).ListQuarantine(request, **call)
        return tuple(
            Quarantined(
                room, one.id, one.source, one.input_id, one.type, one.subject, one.reason, one.attempts, _instant(one.at),
                one.state, one.trace_id, one.payload_bytes, one.payload_sha256,
            )
            for one in said.items if one.id.startswith(begins)
        )

    def payload(self, room: str, item: str) -> bytes:
        """Ask a room for the bytes of one item; raise Permanent where it has none such."""
        with self._asking(room, seconds=60) as (channel, call):
            request = admin_service_pb2.ListQuarantineRequest(include_settled=True, include_payload=True, id_prefix=item)
            said = admin_service_pb2_grpc.AdminServiceStub(channel).ListQuarantine(request, **call)
        for one in said.items:
            if one.id == item:
                return bytes(one.payload)
        raise Permanent(f"{room} has no such item in quarantine any more")

    def retry(self, room: str, item: str) -> str:
        """Have the handler run again on the stored bytes, or a delivery sent again; return how it went."""
        with self._asking(room, seconds=60) as (channel, call):
            request = admin_service_pb2.RetryQuarantinedRequest(id=item)
            return str(admin_service_pb2_grpc.AdminServiceStub(channel).RetryQuarantined(request, **call).outcome)

    def discard(self, room: str, item: str, reason: str) -> None:
        """Give up on it; the row stays."""
        with self._asking(room) as (channel, call):
            request = admin_service_pb2.DiscardQuarantinedRequest(id=item, reason=reason)
            admin_service_pb2_grpc.AdminServiceStub(channel).DiscardQuarantined(request, **call)

    def replay(self, room: str, since: datetime | None, case: str, topic: str) -> int:
        """Have a room send stored events again; return how many."""
        request = admin_service_pb2.ReplayRequest(case_id=case, topic=topic)
        if since is not None:
            request.since.FromDatetime(since)
        with self._asking(room, seconds=120) as (channel, call):
            return int(admin_service_pb2_grpc.AdminServiceStub(channel).Replay(request, **call).events)

    def models(self) -> tuple[ModelVersion, ...]:
        """Ask retraining for the versions and their stages."""
        with self._asking("retraining") as (channel, call):
            request = retraining_service_pb2.ListModelsRequest()
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).ListModels(request, **call)
        return tuple(_version(one) for one in said.models)

    def adapt(self, model: str, masks: bytes, command_id: str) -> tuple[str, str]:
        """Hand over confirmed masks; return the cycle's id, or why there is none."""
        _carried(masks, "hand over fewer images (--most), or smaller ones")
        with self._asking("retraining", seconds=120) as (channel, call):
            request = retraining_service_pb2.AdaptRequest(model=model, masks_tar=masks, actor=self._actor, command_id=command_id)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).Adapt(request, **call)
        return said.cycle_id, said.reason

    def propose(self, image: bytes, model: str) -> tuple[bytes, float]:
        """Have a mask proposed for an image; return it as a PNG file, and the quality that the segmenter expects of it."""
        with self._asking("inference", seconds=60) as (channel, call):
            request = inference_service_pb2.ProposeRequest(image=image, model=model)
            said = inference_service_pb2_grpc.InferenceServiceStub(channel).Propose(request, **call)
        return said.mask_png, said.quality

    def check_model(self, package: bytes) -> None:
        """Have a package looked at without registering it; raise Permanent with what is wrong."""
        _carried(package, "a package must be smaller")
        with self._asking("retraining", seconds=120) as (channel, call):
            request = retraining_service_pb2.AddModelRequest(package_tar=package, only_check=True, actor=self._actor)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).AddModel(request, **call)
        if said.reason:
            raise Permanent(f"retraining would not take it: {said.reason}")

    def describe_model(self, model: str, version: int) -> tuple[ModelVersion | None, str]:
        """Return a version and its package's radloop.yaml; None where there is no such version."""
        with self._asking("retraining") as (channel, call):
            request = retraining_service_pb2.DescribeModelRequest(model=model, version=version)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).DescribeModel(request, **call)
        return (_version(said.version) if said.HasField("version") else None), said.package_yaml

    def drift(self, model: str) -> tuple[VersionDrift, ...]:
        """Ask retraining whether each version that reads still reads what it was made on."""
        with self._asking("retraining", seconds=120) as (channel, call):
            request = retraining_service_pb2.GetDriftRequest(model=model)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).GetDrift(request, **call)
        return tuple(judgement_of(one) for one in said.versions)

    def start_cycle(self, model: str, command_id: str) -> tuple[str, str]:
        """Ask for a cycle; return its id and, where it was not started, why not."""
        with self._asking("retraining") as (channel, call):
            request = retraining_service_pb2.StartCycleRequest(model=model, actor=self._actor, command_id=command_id)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).StartCycle(request, **call)
        return said.cycle_id, said.reason

    def cycle(self, cycle_id: str = "", model: str = "") -> Cycle:
        """Ask how a cycle of a model stands; without an id the latest."""
        with self._asking("retraining") as (channel, call):
            request = retraining_service_pb2.GetCycleRequest(cycle_id=cycle_id, model=model)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).GetCycle(request, **call)
        return Cycle(said.cycle_id, said.state, said.progress, said.version, tuple(said.evidence), dict(said.labels), said.note)

    def add_model(self, model: str, package_tar: bytes, command_id: str) -> tuple[int, str]:
        """Register a package made elsewhere, in shadow; return its version and, where it was refused, why."""
        _carried(package_tar, "a package must be smaller")
        with self._asking("retraining", seconds=120) as (channel, call):
            request = retraining_service_pb2.AddModelRequest(
                model=model, package_tar=package_tar, actor=self._actor, command_id=command_id)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).AddModel(request, **call)
        return said.version, said.reason

    def promote(self, model: str, version: int, stage: str, command_id: str) -> str:
        """Move a version to a stage; return why it was refused, empty where it was done."""
        with self._asking("retraining", seconds=60) as (channel, call):
            request = retraining_service_pb2.PromoteRequest(
                model=model, version=version, stage=stage, actor=self._actor, command_id=command_id)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).Promote(request, **call)
        return "" if said.promoted else (said.reason or "refused, without a reason")

    def rollback(self, model: str, command_id: str) -> tuple[int, str]:
        """Go back to the version before; return it and, where there is none, why not."""
        with self._asking("retraining", seconds=60) as (channel, call):
            request = retraining_service_pb2.RollbackRequest(model=model, actor=self._actor, command_id=command_id)
            said = retraining_service_pb2_grpc.RetrainingServiceStub(channel).Rollback(request, **call)
        return said.version, said.reason

    def backfill(self, dataset: bytes, purpose: str) -> str:
        """Hand over one earlier DICOM file and return its case."""
        with self._asking("ingestion", seconds=60) as (channel, call):
            request = ingestion_service_pb2.BackfillRequest(dataset=dataset, purpose=purpose, actor=self._actor)
            said = ingestion_service_pb2_grpc.IngestionServiceStub(channel).Backfill(request, **call)
        return str(said.case_id)

    def undo_reordering(self, case_id: str, command_id: str) -> str:
        """Give a case its own place back; return what came of it."""
        with self._asking("triage") as (channel, call):
            request = triage_service_pb2.UndoReorderingRequest(case_id=case_id, actor=self._actor, command_id=command_id)
            said = triage_service_pb2_grpc.TriageServiceStub(channel).UndoReordering(request, **call)
        return str(said.outcome)

    def undo_join(self, case_id: str, command_id: str) -> str:
        """Undo a wrong join of an order and a study; return what came of it."""
        with self._asking("ingestion") as (channel, call):
            request = ingestion_service_pb2.UndoJoinRequest(case_id=case_id, actor=self._actor, command_id=command_id)
            said = ingestion_service_pb2_grpc.IngestionServiceStub(channel).UndoJoin(request, **call)
        return str(said.outcome)

    @contextmanager
    def _asking(self, room: str, seconds: float = 0.0) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Lend a channel and a deadline; raise Transient where the room is away, Permanent where it refused."""
        if room not in self._addresses:
            raise Misconfigured(f"the address of {room} is not known: set RADLOOP_ADDRESS_{room.upper()}=host:port")
        if room not in self._channels:
            self._channels[room] = rpc.channel(self._addresses[room])
        try:
            yield self._channels[room], {"timeout": seconds or self._seconds}
        except grpc.RpcError as failed:
            ended = cast("grpc.Call", failed)  # what a stub raises is both
            if ended.code() in rpc.AWAY:
                why = f"{ended.code().name}: {ended.details()}"
                raise Transient(f"{room} does not answer at {self._addresses[room]}, or not now ({why})") from failed
            raise Permanent(f"{room} refused: {ended.details()}") from failed


def _carried(data: bytes, otherwise: str) -> None:
    """Raise Permanent where it is more than one message may hold: the room would only look as if it were away."""
    most = rpc.MESSAGE_BYTES - 4096
    if len(data) > most:
        raise Permanent(f"{len(data) / 2**20:.0f} MiB are more than a message carries ({most / 2**20:.0f} MiB): {otherwise}")


def _version(said: Any) -> ModelVersion:
    return ModelVersion(
        said.model, said.version, said.stage, _instant(said.since), said.labels, said.gate_passed, tuple(said.evidence),
        said.change_record,
    )


def _instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


