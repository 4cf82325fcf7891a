"""Feedback's commands over gRPC."""

from dataclasses import replace

import grpc

from radloop.events.common import Code, actor_named
from radloop.events.reading import FindingAnswer
from radloop.feedback.domain import CaseFile, Verdict
from radloop.feedback.handlers import RecordVerdict, TakeBackVerdict
from radloop.kit.clock import Clock
from radloop.kit.errors import Permanent
from radloop.kit.flow import Outcome
from radloop.kit.runner import Runner
from radloop.v1 import feedback_service_pb2 as pb
from radloop.v1 import feedback_service_pb2_grpc as rpc


class FeedbackService(rpc.FeedbackServiceServicer):
    """Turns requests into commands; a repeat of a verdict id gets the stored answer."""

    def __init__(self, runner: Runner, clock: Clock, site: str) -> None:
        self._runner, self._clock, self._site = runner, clock, site

    def register(self, server: grpc.Server) -> None:
        """Add this service to a server."""
        rpc.add_FeedbackServiceServicer_to_server(self, server)

    def RecordVerdict(self, request: pb.RecordVerdictRequest, context: grpc.ServicerContext) -> pb.RecordVerdictResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Record one verdict."""
        if not request.verdict_id or not request.case_id:
            raise Permanent("verdict_id and case_id must not be empty")
        now, reader = self._clock.now(), actor_named(request.reader.kind or "reader", request.reader.id)
        verdict = Verdict(
            verdict_id=request.verdict_id, reader=reader, kind=request.kind,
            answers=tuple(
                FindingAnswer(code=Code(system=one.code.system, value=one.code.value, display=one.code.display), value=one.value)
                for one in request.answers
            ),
            revision=request.revision, prediction_id=request.prediction_id, seconds_spent=request.seconds_spent,
            ai_shown=request.ai_shown, request_id=request.request_id, recorded_at=now,
        )
        outcome = self._runner.submit(RecordVerdict(
            id=request.verdict_id, subject=request.case_id, site=self._site, at=now, actor=reader, verdict=verdict,
        ))
        if outcome.repeated and outcome.kind == "recorded" and not self._holds(request.case_id, verdict):
            return pb.RecordVerdictResponse(recorded=False, reason="another answer has this verdict's id: answer again")
        done, reason = _told(outcome)
        return pb.RecordVerdictResponse(recorded=done, reason=reason)

    def TakeBackVerdict(self, request: pb.TakeBackVerdictRequest, context: grpc.ServicerContext) -> pb.TakeBackVerdictResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Take one verdict back."""
        if not request.command_id or not request.case_id:
            raise Permanent("command_id and case_id must not be empty")
        done, reason = _told(self._runner.submit(TakeBackVerdict(
            id=request.command_id, subject=request.case_id, site=self._site, at=self._clock.now(),
            actor=actor_named(request.reader.kind or "reader", request.reader.id), verdict_id=request.verdict_id,
        )))
        return pb.TakeBackVerdictResponse(taken_back=done, reason=reason)

    def _holds(self, case_id: str, verdict: Verdict) -> bool:
        """Whether this very verdict is the one on record under its id: a reader must never think that another one is."""
        with self._runner.store.begin() as work:
            case: CaseFile | None = work.load(CaseFile, (case_id,))
        kept = next((one for one in case.verdicts if one.verdict_id == verdict.verdict_id), None) if case else None
        return kept is not None and replace(kept, recorded_at=verdict.recorded_at, taken_back=False) == verdict


def _told(outcome: Outcome) -> tuple[bool, str]:
    if outcome.answer is None:
        return False, outcome.reason
    return outcome.answer.done, outcome.answer.reason
