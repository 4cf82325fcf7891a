"""gRPC: the list for other programs; and the rooms that the page's commands are for, feedback and triage."""

import grpc

from radloop.events.common import Actor
from radloop.kit import rpc
from radloop.kit.clock import Clock
from radloop.v1 import common_pb2, feedback_service_pb2, reading_pb2, triage_service_pb2
from radloop.v1 import worklist_service_pb2 as pb
from radloop.v1 import worklist_service_pb2_grpc as service
from radloop.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from radloop.v1.triage_service_pb2_grpc import TriageServiceStub
from radloop.worklist.adapters.postgres import Lists
from radloop.worklist.domain.screen import Row, row_of
from radloop.worklist.ports import Done, VerdictGiven

DEFAULT_ROWS = 500


class WorklistService(service.WorklistServiceServicer):
    """The list without PHI."""

    def __init__(self, lists: Lists, clock: Clock) -> None:
        self._lists, self._clock = lists, clock

    def register(self, server: grpc.Server) -> None:
        """Add this service to a server."""
        service.add_WorklistServiceServicer_to_server(self, server)

    def ListCases(self, request: pb.ListCasesRequest, context: grpc.ServicerContext) -> pb.ListCasesResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Return the list in triage's order; closed cases, where they are asked for, after those that wait."""
        limit, now = request.limit or DEFAULT_ROWS, self._clock.now()
        cases = self._lists.cases("reading", limit)
        if request.include_closed:
            cases += self._lists.cases("done", limit)
        return pb.ListCasesResponse(cases=[_listed(row_of(case, now)) for case in cases[:limit]])


def _listed(row: Row) -> pb.ListedCase:
    said = pb.ListedCase(
        case_id=row.case_id, urgency=row.urgency, state=_state(row), reasons=[row.reason] if row.reason else [], model=row.model,
        version=row.version or 0,
    )
    said.arrived_at.FromDatetime(row.arrived_at)
    if row.read_by:
        said.read_by.FromDatetime(row.read_by)
    return said


def _state(row: Row) -> str:
    """Say where a case stands: waiting, opened, answered, signed or cancelled."""
    if row.standing != "waiting":
        return row.standing
    if row.answer:
        return "answered"
    return "opened" if row.opened else "waiting"


class Feedback:
    """Where verdicts are recorded."""

    def __init__(self, address: str) -> None:
        self._stub = FeedbackServiceStub(rpc.channel(address))

    def record(self, verdict: VerdictGiven) -> Done:
        """Record one verdict; raise Transient where feedback is away, Permanent where it can never take it."""
        request = feedback_service_pb2.RecordVerdictRequest(
            verdict_id=verdict.verdict_id, case_id=verdict.shown.case_id, reader=_actor(verdict.reader), kind=verdict.kind,
            answers=[
                reading_pb2.FindingAnswer(
                    code=common_pb2.Code(system=one.code.system, value=one.code.value, display=one.code.display), value=one.value,
                )
                for one in verdict.answers
            ],
            revision=verdict.shown.revision, prediction_id=verdict.shown.prediction_id, seconds_spent=verdict.seconds_spent,
            ai_shown=verdict.shown.ai_shown, request_id=verdict.shown.request_id,
        )
        with rpc.calling("feedback") as call:
            answer = self._stub.RecordVerdict(request, **call)
        return Done(done=answer.recorded, reason=answer.reason)

    def take_back(self, command_id: str, reader: Actor, case_id: str, verdict_id: str) -> Done:
        """Take a verdict back; raise as `record` does."""
        request = feedback_service_pb2.TakeBackVerdictRequest(
            command_id=command_id, case_id=case_id, verdict_id=verdict_id, reader=_actor(reader),
        )
        with rpc.calling("feedback") as call:
            answer = self._stub.TakeBackVerdict(request, **call)
        return Done(done=answer.taken_back, reason=answer.reason)


class Triage:
    """Where the order of the list is decided."""

    def __init__(self, address: str) -> None:
        self._stub = TriageServiceStub(rpc.channel(address))

    def undo(self, command_id: str, actor: Actor, case_id: str) -> Done:
        """Give a case its own place back; raise Transient where triage is away."""
        request = triage_service_pb2.UndoReorderingRequest(command_id=command_id, case_id=case_id, actor=_actor(actor))
        with rpc.calling("triage") as call:
            outcome = self._stub.UndoReordering(request, **call).outcome
        return Done(done=outcome == "undone", reason="" if outcome == "undone" else outcome)


def _actor(actor: Actor) -> common_pb2.Actor:
    return common_pb2.Actor(kind=actor.kind, id=actor.id)
