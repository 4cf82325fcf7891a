"""The commands all rooms share, as one gRPC service that kit gives every room: trace, status, quarantine."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from radloop.kit.errors import Permanent, Transient
from radloop.kit.kafka import topics
from radloop.kit.runner import Parked, Runner
from radloop.v1 import admin_service_pb2 as pb
from radloop.v1 import admin_service_pb2_grpc as rpc


class Admin(rpc.AdminServiceServicer):
    """Answers from stored facts; a repaired input is run again through the same runner."""

    def __init__(self, runner: Runner, reasons: Callable[[], list[str]]) -> None:
        self._runner, self._reasons = runner, reasons

    def register(self, server: grpc.Server) -> None:
        """Add this service to a server."""
        rpc.add_AdminServiceServicer_to_server(self, server)

    def Trace(self, request: pb.TraceRequest, context: grpc.ServicerContext) -> pb.TraceResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Return what this room heard, said, delivered and quarantined of one case."""
        with self._runner.store.connection() as connection:
            rows = connection.execute(
                "select at, kind, what, detail, trace, value from ("
                " select settled_at as at, 'heard' as kind, type as what, concat_ws(': ', outcome, nullif(reason, '')) as detail,"
                "  trace, null::bytea as value from inbox where key = %(case)s"
                " union all select created_at, 'said', topic, event_id, headers->>'traceparent', value from outbox where key = %(case)s"
                " union all select coalesce(ended_at, created_at), 'delivered', receiver || ' ' || kind,"
                "  concat_ws(': ', state, nullif(outcome, ''), nullif(reason, '')), trace, null from delivery where subject = %(case)s"
                " union all select at, 'quarantined', type, reason, trace, null from quarantine where subject = %(case)s"
                ") as facts order by at", {"case": request.case_id},
            ).fetchall()
        return pb.TraceResponse(entries=[
            pb.TraceEntry(
                at=_instant(at), room=self._runner.store.room, kind=kind, what=what, detail=detail, trace_id=_trace_id(trace),
                facts="" if value is None else _facts(what, bytes(value)),
            )
            for at, kind, what, detail, trace, value in rows
        ])

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Return readiness, fuse and backlog."""
        reasons = self._reasons()
        try:
            backlog = self._runner.store.backlog()
        except Transient as away:
            backlog = {}
            reasons = [*reasons, away.reason]
        return pb.StatusResponse(
            room=self._runner.store.room, ready=not reasons, reasons=reasons, fuse_open=self._runner.fuse.open,
            backlog=backlog,
        )

    def ListQuarantine(self, request: pb.ListQuarantineRequest, context: grpc.ServicerContext) -> pb.ListQuarantineResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Return what is in quarantine, newest first."""
        with self._runner.store.connection() as connection:
            rows = connection.execute(
                "select id::text, source, input_id, type, subject, reason, attempts, trace, at, state, payload from quarantine"
                " where state = 'waiting' or %s order by at desc limit %s",
                (request.include_settled, request.limit or 100),
            ).fetchall()
        return pb.ListQuarantineResponse(items=[
            pb.QuarantinedItem(
                id=one[0], source=one[1], input_id=one[2], type=one[3], subject=one[4], reason=one[5], attempts=one[6],
                trace_id=_trace_id(one[7]), at=_instant(one[8]), state=one[9], payload=bytes(one[10]),
            )
            for one in rows
        ])

    def RetryQuarantined(self, request: pb.RetryQuarantinedRequest, context: grpc.ServicerContext) -> pb.RetryQuarantinedResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Run the handler again on the stored bytes; what fails again is quarantined again, as a new row."""
        with self._runner.store.connection() as connection:
            row: Any = connection.execute(
                "select route, type, source, headers, payload from quarantine where id::text = %s and state = 'waiting'", (request.id,),
            ).fetchone()
        if row is None:
            raise Permanent("nothing of that id waits in quarantine")
        route, type_name, source, headers, payload = row
        try:
            outcome = self._runner.retry(route, self._runner.read(type_name, source, headers, bytes(payload)))
        except Permanent as still:
            raise Permanent(f"it still cannot be read: {still.reason}") from still
        except Parked:
            raise Transient("an earlier input of the same case is still waiting") from None
        with self._runner.store.connection() as connection:
            connection.execute("update quarantine set state = 'retried', ended_at = now() where id::text = %s", (request.id,))
        return pb.RetryQuarantinedResponse(outcome=outcome.kind + (f": {outcome.reason}" if outcome.reason else ""))

    def DiscardQuarantined(self, request: pb.DiscardQuarantinedRequest, context: grpc.ServicerContext) -> pb.DiscardQuarantinedResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Give up on it; the row stays, with the reason."""
        with self._runner.store.connection() as connection:
            done = connection.execute(
                "update quarantine set state = 'discarded', ended_at = now(), reason = reason || ' - discarded: ' || %s"
                " where id::text = %s and state = 'waiting'", (request.reason, request.id),
            ).rowcount
        if not done:
            raise Permanent("nothing of that id waits in quarantine")
        return pb.DiscardQuarantinedResponse()


def _facts(topic: str, value: bytes) -> str:
    """Return what was said as JSON, empty where the topic carries PHI or its message is not known here."""
    described = topics().get(topic)
    if described is None or described.phi:
        return ""
    try:
        kind = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(described.message))
        return MessageToJson(kind.FromString(value), preserving_proto_field_name=True, indent=None)
    except (KeyError, DecodeError):
        return ""


def _instant(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def _trace_id(traceparent: str | None) -> str:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else ""
