"""Frozen dataclasses to JSON and back, by their own type hints; and what a codec of events must offer.

Commands, timers, answers, deliveries and the nested parts of a table row are kept in this form. Bytes are base64.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_json

from radloop.kit.errors import Permanent
from radloop.kit.flow import Event
from radloop.kit.wording import misfits

T = TypeVar("T")


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the (cached) validator of a list of this type."""
    # A dataclass takes pydantic's configuration from itself only; a list of one takes ours, and leaves the class alone.
    return TypeAdapter(list[kind], config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"))


def encode(value: object) -> bytes:
    """Return a value as JSON; a non-finite number is written as such, never as null."""
    return to_json(value, bytes_mode="base64", inf_nan_mode="constants")


def decode(kind: type[T], data: bytes | str) -> T:
    """Read a value of this type from JSON; raise Permanent where it does not fit."""
    text = data.encode() if isinstance(data, str) else data
    name = getattr(kind, "__name__", kind)
    try:
        found: list[T] = adapter(kind).validate_json(b"[" + text + b"]")  # type: ignore[arg-type]  # every type is hashable
    except ValidationError as wrong:
        raise Permanent(f"not a {name}: {misfits(wrong, below=1)}") from wrong  # below the list that it was put into
    if len(found) != 1:
        raise Permanent(f"not a {name}: {'there is nothing' if not found else 'there is more than one'}")
    return found[0]


@dataclass(frozen=True)
class Message:
    """An event ready for Kafka: topic, key, headers, value."""

    topic: str
    key: str
    headers: dict[str, str]
    value: bytes


class EventCodec(Protocol):
    """Pairs each event with its message; `radloop.events.wire` is the one implementation."""

    def topic(self, kind: type[Event]) -> str:
        """Return the topic an event type travels on."""
        ...

    def encode(self, event: Event, source: str) -> Message:
        """Write an event; raise Permanent for what must never travel (a non-finite number)."""
        ...

    def decode(self, headers: dict[str, str], value: bytes) -> Event:
        """Read an event; raise Permanent for an unknown type, an absent scalar, or bytes that are no such message."""
        ...
