"""Pairs each event with its protobuf message and topic; CloudEvents in binary mode around it.

A scalar whose zero would mean something is `optional` in proto: its absence is refused here, as is a number that is not
finite. Fields this version does not know are ignored; a type or value it does not know waits in quarantine.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto
from pydantic import TypeAdapter, ValidationError

from radloop.events.model import ModelReleased, ModelTrained
from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.prediction import PredictionFailed, PredictionMade, PredictionPooled, PredictionShadowed
from radloop.events.publishing import ResultPublished
from radloop.events.reading import CaseOpened, LabelSettled, VerdictRecorded
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled, StudyCompleted
from radloop.events.triage import CaseTriaged, ReviewRequested
from radloop.kit import telemetry
from radloop.kit.codec import Message
from radloop.kit.errors import Permanent
from radloop.kit.flow import Event
from radloop.kit.wording import misfits
from radloop.v1 import (
    model_pb2, order_pb2, prediction_pb2, publishing_pb2, reading_pb2, report_pb2, study_pb2, triage_pb2,
)

PAIRS: Mapping[type[Event], tuple[str, type[Proto]]] = {
    OrderRecorded: ("order-recorded", order_pb2.OrderRecorded),
    CaseJoined: ("case-joined", order_pb2.CaseJoined),
    StudyCompleted: ("study-completed", study_pb2.StudyCompleted),
    StudyBackfilled: ("study-backfilled", study_pb2.StudyBackfilled),
    ReportSigned: ("report-signed", report_pb2.ReportSigned),
    PredictionMade: ("prediction-made", prediction_pb2.PredictionMade),
    PredictionFailed: ("prediction-failed", prediction_pb2.PredictionFailed),
    PredictionPooled: ("prediction-pooled", prediction_pb2.PredictionPooled),
    PredictionShadowed: ("prediction-shadowed", prediction_pb2.PredictionShadowed),
    CaseTriaged: ("case-triaged", triage_pb2.CaseTriaged),
    ReviewRequested: ("review-requested", triage_pb2.ReviewRequested),
    CaseOpened: ("case-opened", reading_pb2.CaseOpened),
    VerdictRecorded: ("verdict-recorded", reading_pb2.VerdictRecorded),
    LabelSettled: ("label-settled", reading_pb2.LabelSettled),
    ModelTrained: ("model-trained", model_pb2.ModelTrained),
    ModelReleased: ("model-released", model_pb2.ModelReleased),
    ResultPublished: ("result-published", publishing_pb2.ResultPublished),
}

_BY_TYPE = {f"radloop.v1.{kind.__name__}": kind for kind in PAIRS}
_ENVELOPE = {field.name for field in fields(Event)}
_ADAPTERS: dict[type[Event], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in PAIRS}


class Wire:
    """The codec of events, as the kit asks for it."""

    def topic(self, kind: type[Event]) -> str:
        """Return the topic an event type travels on."""
        return PAIRS[kind][0]

    def encode(self, event: Event, source: str) -> Message:
        """Write an event as CloudEvents binary mode over protobuf."""
        topic, kind = PAIRS[type(event)]
        body = _present(_ADAPTERS[type(event)].dump_python(event, exclude=_ENVELOPE))
        try:
            value = kind(**body).SerializeToString(deterministic=True)
        except (TypeError, ValueError) as wrong:
            raise TypeError(f"{type(event).__name__} does not fit its message: {wrong}") from wrong
        headers = {
            "ce_specversion": "1.0", "ce_id": event.id, "ce_type": f"radloop.v1.{type(event).__name__}",
            "ce_source": f"/radloop/{source}", "ce_time": event.at.isoformat(), "ce_subject": event.subject,
            "ce_site": event.site, "content-type": "application/protobuf", "traceparent": telemetry.traceparent(),
        }
        return Message(topic=topic, key=event.subject, headers=headers, value=value)

    def decode(self, headers: dict[str, str], value: bytes) -> Event:
        """Read an event; raise Permanent for an unknown type or value, an absent scalar, or bytes that are no such message."""
        told = headers.get("ce_type", "")
        if told not in _BY_TYPE:
            raise Permanent(f"unknown type {told or '(none)'}: waits for the upgrade that knows it")
        kind = _BY_TYPE[told]
        try:
            body = _body(PAIRS[kind][1].FromString(value))
            envelope = {
                "id": headers["ce_id"], "subject": headers["ce_subject"], "site": headers["ce_site"],
                "at": datetime.fromisoformat(headers["ce_time"]),
            }
            return cast("Event", _ADAPTERS[kind].validate_python({**body, **envelope}))
        except (DecodeError, UnicodeDecodeError) as wrong:
            raise Permanent(f"bytes are no {kind.__name__}") from wrong
        except (KeyError, ValueError) as wrong:
            where = misfits(wrong) if isinstance(wrong, ValidationError) else f"envelope: {wrong}"
            raise Permanent(f"not a {kind.__name__}: {where}") from wrong


def _present(value: Any) -> Any:
    """Return the fields that are there; raise Permanent for a number that is not finite (rejected, never repaired)."""
    match value:
        case dict():
            return {name: _present(part) for name, part in value.items() if part is not None}
        case list() | tuple():
            return [_present(part) for part in value]
        case float() if not math.isfinite(value):
            raise Permanent("a number is not finite")
        case _:
            return value


def _body(message: Proto) -> dict[str, Any]:
    """Return what a message says by the names of its fields: what has presence and is absent is left out."""
    body: dict[str, Any] = {}
    for name, read, repeated, optional in _fields(message.DESCRIPTOR):
        if repeated:
            body[name] = [read(one) for one in getattr(message, name)]
        elif not optional or message.HasField(name):
            body[name] = read(getattr(message, name))
    return body


@cache
def _fields(message: Descriptor) -> tuple[tuple[str, Callable[[Any], Any], bool, bool], ...]:
    """Return the fields of a message type: name, how one value is read, whether there are many, whether it may be absent."""
    return tuple(
        (field.name, _reader(field), field.is_repeated, field.has_presence) for field in message.fields
    )


def _reader(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, number)
    if field.type in {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}:
        return _finite
    if field.message_type is None:
        return lambda value: value
    if field.message_type.full_name == "google.protobuf.Timestamp":
        return lambda stamp: stamp.ToDatetime(tzinfo=UTC)
    return _body


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Permanent("a number is not finite")
    return number
