"""The platform's own commands, as the workbench calls them: the one place here that knows the generated messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar, cast

import grpc
from google.protobuf.message import Message

from radloop.cli.grpc import Cycle
from radloop.kit.errors import Permanent, Transient
from radloop.v1 import (
    admin_service_pb2,
    common_pb2,
    inference_service_pb2,
    ingestion_service_pb2,
    retraining_service_pb2,
    triage_service_pb2,
    worklist_service_pb2,
)

A = TypeVar("A", bound=Message)
_LARGEST = 256 * 1024 * 1024
_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
_ACTOR = common_pb2.Actor(kind="system", id="workbench")


@dataclass(frozen=True)
class Asked:
    """One review request and the case it is about."""

    request_id: str
    case_id: str


@dataclass(frozen=True)
class Version:
    """One model version as retraining lists it."""

    number: int
    stage: str
    labels: int
    gate_passed: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Readings:
    """How many readings wait, run and are done, all classes together."""

    waiting: int
    running: int
    done: int


@dataclass(frozen=True)
class Row:
    """One row of the reading list, without PHI."""

    case_id: str
    urgency: str
    state: str
    model: str
    version: int


@dataclass(frozen=True)
class Fact:
    """One stored fact of a case: kind is heard, said, delivered or quarantined."""

    kind: str
    what: str
    detail: str


class Rooms:
    """Lines to the rooms' gRPC doors; `addresses` maps a room to host:port."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        """Open a channel for each room; nothing is sent yet."""
        limits = [("grpc.max_send_message_length", _LARGEST), ("grpc.max_receive_message_length", _LARGEST)]
        self._channels = {room: grpc.insecure_channel(where, options=limits) for room, where in addresses.items()}

    def __enter__(self) -> Self:
        """Return the lines."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the lines."""
        self.close()

    def close(self) -> None:
        """Close the lines."""
        for channel in self._channels.values():
            channel.close()

    def resolve(self, accession: str) -> tuple[str, ...]:
        """Return the cases that an accession number names."""
        request = ingestion_service_pb2.ResolveRequest(accession=accession)
        answer = self._ask("ingestion", "IngestionService/Resolve", request, ingestion_service_pb2.ResolveResponse)
        return tuple(answer.case_ids)

    def backfill(self, file: bytes, purpose: str) -> str:
        """Hand over one earlier DICOM object and return its case; purpose is pool, acceptance or gate."""
        request = ingestion_service_pb2.BackfillRequest(dataset=file, purpose=purpose, actor=_ACTOR)
        return self._ask(
            "ingestion", "IngestionService/Backfill", request, ingestion_service_pb2.BackfillResponse
        ).case_id

    def request_reviews(self, count: int, seed: int, command_id: str) -> tuple[Asked, ...]:
        """Ask triage for so many answers from the pool."""
        request = triage_service_pb2.RequestReviewsRequest(count=count, actor=_ACTOR, command_id=command_id, seed=seed)
        answer = self._ask("triage", "TriageService/RequestReviews", request, triage_service_pb2.RequestReviewsResponse)
        return tuple(Asked(*pair) for pair in zip(answer.request_ids, answer.case_ids, strict=True))

    def start_cycle(self, model: str, command_id: str) -> tuple[str, str]:
        """Start a cycle; return its id and, where it did not start, why not."""
        request = retraining_service_pb2.StartCycleRequest(model=model, actor=_ACTOR, command_id=command_id)
        answer = self._ask(
            "retraining", "RetrainingService/StartCycle", request, retraining_service_pb2.StartCycleResponse
        )
        return answer.cycle_id, answer.reason

    def cycle(self, cycle_id: str = "") -> Cycle:
        """Return how a cycle stands; without an id the latest."""
        request = retraining_service_pb2.GetCycleRequest(cycle_id=cycle_id)
        answer = self._ask("retraining", "RetrainingService/GetCycle", request, retraining_service_pb2.GetCycleResponse)
        return Cycle(
            answer.cycle_id, answer.state, answer.progress, answer.version, tuple(answer.evidence), dict(answer.labels), answer.note,
        )

    def models(self) -> tuple[Version, ...]:
        """Return the model versions and their stages."""
        request = retraining_service_pb2.ListModelsRequest()
        answer = self._ask(
            "retraining", "RetrainingService/ListModels", request, retraining_service_pb2.ListModelsResponse
        )
        return tuple(
            Version(one.version, one.stage, one.labels, one.gate_passed, tuple(one.evidence)) for one in answer.models
        )

    def add_model(self, model: str, package_tar: bytes, command_id: str) -> int:
        """Register a package made elsewhere, in shadow, and return its version; raise Permanent where it is refused."""
        request = retraining_service_pb2.AddModelRequest(
            model=model, package_tar=package_tar, actor=_ACTOR, command_id=command_id
        )
        answer = self._ask("retraining", "RetrainingService/AddModel", request, retraining_service_pb2.AddModelResponse)
        if answer.reason:
            raise Permanent(f"the model was not taken: {answer.reason}")
        return answer.version

    def readings(self) -> Readings:
        """Return how many readings wait, run and are done."""
        request = inference_service_pb2.GetReadingsRequest()
        answer = self._ask(
            "inference", "InferenceService/GetReadings", request, inference_service_pb2.GetReadingsResponse
        )
        return Readings(sum(answer.waiting.values()), sum(answer.running.values()), sum(answer.done.values()))

    def loaded(self) -> tuple[tuple[int, str, bool], ...]:
        """Return the versions inference knows on Triton: number, stage, ready."""
        request = inference_service_pb2.GetReadingsRequest()
        answer = self._ask(
            "inference", "InferenceService/GetReadings", request, inference_service_pb2.GetReadingsResponse
        )
        return tuple((one.version, one.stage, one.ready) for one in answer.versions)

    def rows(self) -> tuple[Row, ...]:
        """Return the whole reading list, closed cases too."""
        request = worklist_service_pb2.ListCasesRequest(limit=10_000, include_closed=True)
        answer = self._ask("worklist", "WorklistService/ListCases", request, worklist_service_pb2.ListCasesResponse)
        return tuple(Row(one.case_id, one.urgency, one.state, one.model, one.version) for one in answer.cases)

    def trace(self, room: str, case: str) -> tuple[Fact, ...]:
        """Return what a room knows of a case, oldest first."""
        request = admin_service_pb2.TraceRequest(case_id=case)
        answer = self._ask(room, "AdminService/Trace", request, admin_service_pb2.TraceResponse)
        return tuple(Fact(one.kind, one.what, one.detail) for one in answer.entries)

    def backlog(self, room: str) -> int:
        """Return what a room has still to say or to deliver."""
        request = admin_service_pb2.StatusRequest()
        answer = self._ask(room, "AdminService/Status", request, admin_service_pb2.StatusResponse)
        return sum(answer.backlog[name] for name in ("outbox", "delivery", "parked") if name in answer.backlog)

    def _ask(self, room: str, method: str, request: Message, answers: type[A], seconds: float = 60.0) -> A:
        call = self._channels[room].unary_unary(
            f"/radloop.v1.{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answers.FromString,
        )
        try:
            answer: A = call(request, timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as failed:
            ended = cast(grpc.Call, failed)  # what a channel raises is both
            if ended.code() in _PASSING:
                raise Transient(f"{room} does not answer {method}: {ended.code().name}") from failed
            raise Permanent(f"{room} refused {method}: {ended.code().name} {ended.details()}") from failed
        return answer
