"""Triage's commands over gRPC."""

import grpc

from radloop.events.common import actor_named
from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent
from radloop.kit.runner import Runner
from radloop.triage.handlers import RequestReviews, UndoReordering
from radloop.v1 import triage_service_pb2 as pb
from radloop.v1 import triage_service_pb2_grpc as rpc


class TriageService(rpc.TriageServiceServicer):
    """Turns requests into commands; a repeat of a command id gets the stored answer."""

    def __init__(self, runner: Runner, clock: Clock, site: str) -> None:
        self._runner, self._clock, self._site = runner, clock, site

    def register(self, server: grpc.Server) -> None:
        """Add this service to a server."""
        rpc.add_TriageServiceServicer_to_server(self, server)

    def UndoReordering(self, request: pb.UndoReorderingRequest, context: grpc.ServicerContext) -> pb.UndoReorderingResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Give the case its own place back."""
        outcome = self._runner.submit(UndoReordering(
            id=_required(request.command_id), subject=_required(request.case_id), site=self._site, at=self._clock.now(),
            actor=actor_named(request.actor.kind, request.actor.id),
        ))
        return pb.UndoReorderingResponse(outcome=outcome.answer.outcome if outcome.answer else outcome.reason)

    def RequestReviews(self, request: pb.RequestReviewsRequest, context: grpc.ServicerContext) -> pb.RequestReviewsResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Ask for answers from the pool."""
        if request.count < 1:
            raise Permanent("count must be at least 1")
        outcome = self._runner.submit(RequestReviews(
            id=_required(request.command_id), subject="pool", site=self._site, at=self._clock.now(),
            actor=actor_named(request.actor.kind, request.actor.id), count=request.count, seed=request.seed,
        ))
        if outcome.answer is None:
            raise Permanent(outcome.reason or "the request could not be recorded")
        return pb.RequestReviewsResponse(request_ids=outcome.answer.request_ids, case_ids=outcome.answer.case_ids)


def _required(value: str) -> str:
    if not value:
        raise Permanent("command_id and case_id must not be empty")
    return value
