"""Ingestion's own commands over gRPC: resolve an accession number, backfill an earlier object, undo a join."""

import grpc

from radloop.events.common import actor_named
from radloop.ingestion.adapters.doors import ImageDoor
from radloop.ingestion.handlers import UndoJoin
from radloop.ingestion.ports import Cases
from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent
from radloop.kit.flow import Actor
from radloop.kit.runner import Runner
from radloop.v1 import ingestion_service_pb2 as pb
from radloop.v1 import ingestion_service_pb2_grpc as rpc

PURPOSES = frozenset({"seed", "pool", "acceptance", "gate"})


class IngestionService(rpc.IngestionServiceServicer):
    """Turns requests into commands; a repeat gets the stored answer."""

    def __init__(self, runner: Runner, images: ImageDoor, cases: Cases, clock: Clock, site: str) -> None:
        self._runner, self._images, self._cases, self._clock, self._site = runner, images, cases, clock, site

    def register(self, server: grpc.Server) -> None:
        """Add this service to a server."""
        rpc.add_IngestionServiceServicer_to_server(self, server)

    def Resolve(self, request: pb.ResolveRequest, context: grpc.ServicerContext) -> pb.ResolveResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Name the cases of an accession number."""
        return pb.ResolveResponse(case_ids=self._cases.with_accession(_required(request.accession), request.issuer))

    def Backfill(self, request: pb.BackfillRequest, context: grpc.ServicerContext) -> pb.BackfillResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Take one earlier object."""
        if request.purpose not in PURPOSES:
            raise Permanent("purpose must be seed, pool, acceptance or gate")
        actor = Actor(kind=request.actor.kind or "system", id=request.actor.id)
        answer = self._images.take(request.dataset, request.purpose, actor)
        if answer.status:
            raise Permanent(f"refused: {answer.reason} (0x{answer.status:04X})")
        return pb.BackfillResponse(case_id=answer.case_id)

    def UndoJoin(self, request: pb.UndoJoinRequest, context: grpc.ServicerContext) -> pb.UndoJoinResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Part a case's orders from its study."""
        outcome = self._runner.submit(UndoJoin(
            id=_required(request.command_id), subject=_required(request.case_id), site=self._site, at=self._clock.now(),
            actor=actor_named(request.actor.kind, request.actor.id),
        ))
        return pb.UndoJoinResponse(outcome=outcome.answer.outcome if outcome.answer else outcome.reason)


def _required(value: str) -> str:
    if not value:
        raise Permanent("command_id, case_id and accession must not be empty")
    return value
