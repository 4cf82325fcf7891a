"""The commands all rooms share, as one gRPC service that kit gives every room: trace, status, quarantine, replay."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from psycopg.sql import SQL

from radloop.kit.deliveries import SOURCE, give_back
from radloop.kit.errors import Permanent, Transient
from radloop.kit.kafka import topics
from radloop.kit.outbox import Outbox
from radloop.kit.rpc import MESSAGE_BYTES
from radloop.kit.runner import Parked, Runner
from radloop.v1 import admin_service_pb2 as pb
from radloop.v1 import admin_service_pb2_grpc as rpc

LISTED, MOST = 100, 1_000
"""How many items one answer lists unless it is told otherwise, and at most: a room's memory is bounded."""
FACT_BYTES = 64 * 1024
"""What is said of one event in a trace; a larger one is named, and its facts are in the table."""
PAYLOAD_BYTES = MESSAGE_BYTES - 1024 * 1024
_ORDERS = {True: (SQL(">"), SQL("at, id")), False: (SQL("<"), SQL("at desc, id desc"))}


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
                " union all select created_at, 'said', topic, event_id, headers->>'traceparent',"
                "  case when octet_length(value) <= %(fact)s then value end from outbox where key = %(case)s"
                " union all select coalesce(ended_at, created_at), 'delivered', receiver || ' ' || kind,"
                "  concat_ws(': ', state, nullif(outcome, ''), nullif(reason, '')), trace, null from delivery where subject = %(case)s"
                " union all select at, 'quarantined', type, reason, trace, null from quarantine where subject = %(case)s"
                ") as facts order by at desc limit %(most)s", {"case": request.case_id, "most": MOST + 1, "fact": FACT_BYTES},
            ).fetchall()[::-1]
        left_out = [pb.TraceEntry(
            at=_instant(rows[0][0]), room=self._runner.store.room, kind="left out", what="what is older",
            detail=f"only the last {MOST} facts are told; all are in the tables of this room",
        )] if len(rows) > MOST else []
        return pb.TraceResponse(entries=left_out + [
            pb.TraceEntry(
                at=_instant(at), room=self._runner.store.room, kind=kind, what=what, detail=detail, trace_id=_trace_id(trace),
                facts="" if value is None else _facts(what, bytes(value)),
            )
            for at, kind, what, detail, trace, value in rows[-MOST:]
        ])

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Return readiness, fuse and backlog."""
        reasons = self._reasons()
        try:
            backlog = self._runner.store.backlog()
        except Transient as away:
            backlog = {}
            reasons = [*reasons, away.reason]
        blown = self._runner.fuse.blown
        return pb.StatusResponse(
            room=self._runner.store.room, ready=not reasons, reasons=reasons, fuse_open=blown is not None, backlog=backlog,
            blown=None if blown is None else pb.BlownFuse(
                since=_instant(blown.since), causes=blown.causes, next_try=_instant(blown.next_try)),
        )

    def ListQuarantine(self, request: pb.ListQuarantineRequest, context: grpc.ServicerContext) -> pb.ListQuarantineResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Return what is in quarantine, newest first; the bytes only of one item, and only where they are asked for."""
        one = bool(request.id_prefix)
        if request.include_payload and not one:
            raise Permanent("the bytes are told of one item at a time: name it by id_prefix")
        most = 1 if request.include_payload else min(request.limit or LISTED, MOST)
        after, order = _ORDERS[request.oldest_first]
        query = SQL(
            "select id::text, source, input_id, type, subject, reason, attempts, trace, at, state, octet_length(payload),"
            " case when %(one)s then encode(sha256(payload), 'hex') else '' end,"
            " case when %(whole)s and octet_length(payload) <= %(bytes)s then payload else '' end from quarantine"
            " where (state = 'waiting' or %(settled)s) and starts_with(id::text, %(begins)s)"
            " and (%(after)s::uuid is null or (at, id) {} (select at, id from quarantine where id = %(after)s))"
            " order by {} limit %(most)s").format(after, order)
        values = {
            "one": one, "whole": request.include_payload, "bytes": PAYLOAD_BYTES, "settled": request.include_settled,
            "begins": request.id_prefix, "after": _item(request.after_id) if request.after_id else None, "most": max(most, 1),
        }
        with self._runner.store.connection() as connection:
            rows = connection.execute(query, values).fetchall()
        if request.include_payload and rows and rows[0][10] > PAYLOAD_BYTES:
            raise Permanent(f"its {rows[0][10]} bytes are too many for one answer; they are in the table quarantine of this room")
        return pb.ListQuarantineResponse(items=[
            pb.QuarantinedItem(
                id=one[0], source=one[1], input_id=one[2], type=one[3], subject=one[4], reason=one[5], attempts=one[6],
                trace_id=_trace_id(one[7]), at=_instant(one[8]), state=one[9], payload_bytes=one[10], payload_sha256=one[11],
                payload=bytes(one[12]),
            )
            for one in rows
        ])

    def RetryQuarantined(self, request: pb.RetryQuarantinedRequest, context: grpc.ServicerContext) -> pb.RetryQuarantinedResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Run the handler again on the stored bytes, or give a delivery back; what fails again is quarantined as a new row."""
        item = _item(request.id)
        with self._runner.store.connection() as connection:
            row: Any = connection.execute(
                "select state, route, type, source, headers, payload, subject from quarantine where id = %s", (item,),
            ).fetchone()
        state, route, type_name, source, headers, payload, subject = row or ("", "", "", "", {}, b"", "")
        _must_wait(state)
        try:
            if source.startswith(SOURCE):
                outcome = give_back(self._runner, item, subject)
            else:
                outcome = self._runner.retry(item, route, self._runner.read(type_name, source, headers, bytes(payload)))
        except Permanent as still:
            raise Permanent(f"it still cannot be taken: {still.reason}") from still
        except Parked:
            raise Transient("an earlier input of the same case is still waiting") from None
        return pb.RetryQuarantinedResponse(outcome=outcome.kind + (f": {outcome.reason}" if outcome.reason else ""))

    def DiscardQuarantined(self, request: pb.DiscardQuarantinedRequest, context: grpc.ServicerContext) -> pb.DiscardQuarantinedResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Give up on it; the row stays, with the reason, and so does a delivery's."""
        item = _item(request.id)
        with self._runner.store.begin() as work:
            found: Any = work.cursor.execute(
                "select state, source, input_id from quarantine where id = %s for update", (item,)).fetchone()
            _must_wait(found[0] if found else "")
            work.cursor.execute(
                "update quarantine set state = 'discarded', ended_at = now(), reason = reason || ' - discarded: ' || %s where id = %s",
                (request.reason, item),
            )
            if found[1].startswith(SOURCE):
                work.cursor.execute(
                    "update delivery set state = 'discarded', reason = reason || ' - discarded: ' || %s"
                    " where key = %s and state = 'quarantined'", (request.reason, found[2]),
                )
        return pb.DiscardQuarantinedResponse()

    def Replay(self, request: pb.ReplayRequest, context: grpc.ServicerContext) -> pb.ReplayResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Have stored events sent again; what is older than hearers remember is refused."""
        oldest = self._runner.remembers_since
        since = request.since.ToDatetime(tzinfo=UTC) if request.HasField("since") else oldest
        if since < oldest:
            raise Permanent(
                f"what was said before {oldest:%Y-%m-%d %H:%M} is not sent again: hearers remember so far back, and could not tell"
                " whether they have settled it",
            )
        if request.topic and self._runner.store.room not in getattr(topics().get(request.topic), "said_by", ()):
            raise Permanent(f"{self._runner.store.room} does not say {request.topic}")
        return pb.ReplayResponse(events=Outbox(self._runner.store).repeat(since, request.case_id, request.topic))


def _item(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Permanent("that is no id of an item in quarantine") from None


def _must_wait(state: str) -> None:
    """Refuse what does not wait in quarantine, in words."""
    if state != "waiting":
        raise Permanent(f"it was {state} already" if state else "nothing of that id is in quarantine")


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
