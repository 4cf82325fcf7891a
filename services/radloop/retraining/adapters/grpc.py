"""Retraining's commands over gRPC."""

from re import fullmatch

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from radloop.events.common import Actor, actor_named
from radloop.kit.blobs import Blobs
from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent
from radloop.kit.flow import Outcome
from radloop.kit.jobs import progress_of
from radloop.kit.runner import Runner
from radloop.retraining.adapters.confirmed import count
from radloop.retraining.adapters.drift import drift_of
from radloop.retraining.adapters.package import renumbered, unpack
from radloop.retraining.adapters.postgres import StoredShelf
from radloop.retraining.adapters.repository import offered
from radloop.retraining.domain.book import RELEASING, TRAINING, UNCHANGED, Book, Version
from radloop.retraining.domain.commands import Adapt, AddModel, Moved, Promote, Rollback, StartCycle, Started
from radloop.retraining.domain.drift import Drift, Pair
from radloop.retraining.handlers import not_taken, unlike
from radloop.standards.package import FILE, NAME
from radloop.v1 import common_pb2
from radloop.v1 import retraining_service_pb2 as pb
from radloop.v1 import retraining_service_pb2_grpc as rpc


class RetrainingService(rpc.RetrainingServiceServicer):
    """Turns requests into commands; a repeat of a command id gets the stored answer."""

    def __init__(self, runner: Runner, shelf: StoredShelf, blobs: Blobs, clock: Clock, site: str, model: str) -> None:
        self._runner, self._shelf, self._blobs, self._clock = runner, shelf, blobs, clock
        self._site, self._model = site, model

    def register(self, server: grpc.Server) -> None:
        """Add this service to a server."""
        rpc.add_RetrainingServiceServicer_to_server(self, server)

    def StartCycle(self, request: pb.StartCycleRequest, context: grpc.ServicerContext) -> pb.StartCycleResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Start a cycle now."""
        outcome = self._runner.submit(StartCycle(
            id=_required(request.command_id), subject=self._known(request.model), site=self._site, at=self._clock.now(),
            actor=_actor(request.actor),
        ))
        started = outcome.answer if isinstance(outcome.answer, Started) else Started(cycle_id="", reason=_reason(outcome))
        return pb.StartCycleResponse(cycle_id=started.cycle_id, reason=started.reason)

    def GetCycle(self, request: pb.GetCycleRequest, context: grpc.ServicerContext) -> pb.GetCycleResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Say how a cycle stands."""
        book = self._shelf.book(request.model or self._model) or Book(model=request.model)
        cycles = [one for one in book.cycles if request.cycle_id in {"", one.cycle_id}]
        labels = self._shelf.counted() if request.model in {"", self._model} else {}
        if not cycles:
            return pb.GetCycleResponse(cycle_id=request.cycle_id, state="none", progress=0.0, labels=labels)
        cycle = cycles[-1]
        job, progress, note = progress_of(self._runner.store, cycle.cycle_id)
        state = {RELEASING: TRAINING}.get(cycle.state, cycle.state)
        if state == TRAINING and job == "waiting":
            state = "waiting"
        version = None if state == UNCHANGED else cycle.version  # its number was set aside for nothing
        return pb.GetCycleResponse(
            cycle_id=cycle.cycle_id, state=state, progress=progress, version=version, evidence=cycle.evidence, labels=labels, note=note,
        )

    def Adapt(self, request: pb.AdaptRequest, context: grpc.ServicerContext) -> pb.AdaptResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Adapt a segmenter to confirmed masks now."""
        images = count(request.masks_tar)  # what is wrong with the archive is said now, what with an image by the job
        outcome = self._runner.submit(Adapt(
            id=_required(request.command_id), subject=_name(request.model), site=self._site, at=self._clock.now(),
            actor=_actor(request.actor), masks=self._blobs.put(request.masks_tar).sha256, images=images,
        ))
        started = outcome.answer if isinstance(outcome.answer, Started) else Started(cycle_id="", reason=_reason(outcome))
        return pb.AdaptResponse(cycle_id=started.cycle_id, reason=started.reason)

    def DescribeModel(self, request: pb.DescribeModelRequest, context: grpc.ServicerContext) -> pb.DescribeModelResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Say what one version is: its package's own words, and what became of it."""
        book = self._shelf.book(request.model or self._model)
        version = book.version(request.version) if book else None
        if book is None or version is None:
            return pb.DescribeModelResponse()
        text = renumbered(unpack(self._blobs.get(version.package)), version.number)[FILE].decode()
        withdrawn = self._shelf.withdrawn().get(version.snapshot, 0)
        return pb.DescribeModelResponse(version=_described(book.model, version, withdrawn), package_yaml=text)

    def GetDrift(self, request: pb.GetDriftRequest, context: grpc.ServicerContext) -> pb.GetDriftResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Judge whether each version still reads what it was made on."""
        book = self._shelf.book(request.model or self._model)
        drifts = drift_of(book, self._shelf, self._blobs) if book is not None else ()
        return pb.GetDriftResponse(versions=[_drifted(one) for one in drifts])

    def ListModels(self, request: pb.ListModelsRequest, context: grpc.ServicerContext) -> pb.ListModelsResponse:  # noqa: ARG002, N802 - gRPC's shape
        """List the versions and their stages."""
        withdrawn = self._shelf.withdrawn()
        return pb.ListModelsResponse(
            models=[
                _described(book.model, one, withdrawn.get(one.snapshot, 0)) for book in self._shelf.books() for one in book.versions
            ],
        )

    def AddModel(self, request: pb.AddModelRequest, context: grpc.ServicerContext) -> pb.AddModelResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Register a package made elsewhere, in shadow."""
        if request.only_check:
            return pb.AddModelResponse(version=0, reason=self._refused(request))
        # Bytes are kept before anything names them.
        package = self._blobs.put(request.package_tar)
        moved = _moved(self._runner.submit(AddModel(
            id=_required(request.command_id), subject=_name(request.model or self._model), site=self._site, at=self._clock.now(),
            actor=_actor(request.actor), package=package.sha256,
        )))
        return pb.AddModelResponse(version=moved.version, reason=moved.reason)

    def Promote(self, request: pb.PromoteRequest, context: grpc.ServicerContext) -> pb.PromoteResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Move a version to a stage."""
        moved = _moved(self._runner.submit(Promote(
            id=_required(request.command_id), subject=_name(request.model or self._model), site=self._site, at=self._clock.now(),
            actor=_actor(request.actor), version=request.version, stage=request.stage,
        )))
        return pb.PromoteResponse(promoted=moved.version > 0, reason=moved.reason)

    def Rollback(self, request: pb.RollbackRequest, context: grpc.ServicerContext) -> pb.RollbackResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Go back to the version that served before."""
        moved = _moved(self._runner.submit(Rollback(
            id=_required(request.command_id), subject=_name(request.model or self._model), site=self._site, at=self._clock.now(),
            actor=_actor(request.actor),
        )))
        return pb.RollbackResponse(version=moved.version, reason=moved.reason)

    def _refused(self, request: pb.AddModelRequest) -> str:
        """Return why a package would not be registered, empty where it would."""
        found = offered(request.package_tar)
        model = request.model or found.model
        if reason := not_taken(found, model, self._model):
            return reason
        book = self._shelf.book(model)
        known = book.of_weights(found.weights) if book else None
        return unlike(found, offered(self._blobs.get(known.package)), known.number) if known else ""

    def _known(self, model: str) -> str:
        if model not in {"", self._model}:
            raise Permanent(f"only {self._model} learns from answers; a segmenter is adapted: radloop models adapt")
        return self._model


def _described(model: str, version: Version, withdrawn: int) -> pb.ModelVersion:
    since = Timestamp()
    since.FromDatetime(version.since)
    told = (f"{withdrawn} labels of its snapshot were withdrawn since",) if withdrawn else ()
    return pb.ModelVersion(
        model=model, version=version.number, stage=version.stage, since=since, labels=version.labels,
        gate_passed=version.gate_passed, evidence=(*version.evidence, *told), change_record=version.change_record,
    )


def _drifted(drift: Drift) -> pb.VersionDrift:
    embedding = None
    if drift.embedding is not None:
        embedding = pb.EmbeddingDrift(
            reference=drift.embedding.reference, known=drift.embedding.known, median_ratio=drift.embedding.ratio,
            median_ratio_limit=drift.embedding.limit, mean_distance=drift.embedding.distance,
            mean_distance_expected=drift.embedding.expected, mean_deviations=drift.embedding.deviations,
            mean_shift=drift.embedding.shift,
        )
    return pb.VersionDrift(
        model=drift.model, version=drift.version, stage=drift.stage, cases=drift.cases, window=drift.window,
        findings=[
            pb.FindingDrift(
                finding=one.finding, probability=_pair(one.probability), positive=_pair(one.positive), psi=one.psi, psi_limit=one.limit,
            )
            for one in drift.findings
        ],
        out_of_distribution=_pair(drift.strangers), ood_ratio=_pair(drift.ood_ratio), embedding=embedding,
        quality=[
            pb.QualityDrift(measure=one.measure, median=_pair(one.median), lower_quartile=one.low, upper_quartile=one.high)
            for one in drift.quality
        ],
        verdicts=[pb.DriftVerdict(moved=one.moved, sentence=one.sentence) for one in drift.verdicts],
    )


def _pair(pair: Pair | None) -> pb.BeforeAndNow | None:
    return pb.BeforeAndNow(before=pair.before, now=pair.now) if pair is not None else None


def _actor(said: common_pb2.Actor) -> Actor:
    return actor_named(said.kind, said.id)


def _name(model: str) -> str:
    """Return a model's name; raise Permanent where it could not be a folder's of the model repository."""
    if not fullmatch(NAME, model):
        raise Permanent("a model's name is letters, digits, - and _")
    return model


def _required(command_id: str) -> str:
    if not command_id:
        raise Permanent("command_id must not be empty")
    return command_id


def _moved(outcome: Outcome) -> Moved:
    return outcome.answer if isinstance(outcome.answer, Moved) else Moved(version=0, reason=_reason(outcome))


def _reason(outcome: Outcome) -> str:
    return outcome.reason or "the command could not be recorded"
