"""The topology of the platform is data: one file a topic, examples that decode, and no surprise in either."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from radloop.events.wire import PAIRS, Wire
from radloop.kit.errors import Permanent
from radloop.kit.kafka import topics

PROTO = Path(__file__).resolve().parents[2] / "proto"
ROOMS = {"ingestion", "inference", "triage", "feedback", "retraining", "publishing", "worklist"}
MESSAGES = dict(PAIRS.values())
EXAMPLES = sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / "examples").glob("*/*.json"))
# What an absent number means where it cannot be mistaken for a value: versions and sizes begin at 1, DICOM's own default is 1 frame.
HARMLESS = {"version": 0, "rows": 0, "columns": 0, "frames": 1}
PHI = {"radloop.v1.Patient", "radloop.v1.Identity"}

each_topic = pytest.mark.parametrize("name", sorted(topics()))
each_example = pytest.mark.parametrize("example", EXAMPLES)


def loaded(example: str) -> tuple[type[Message], dict[str, str], dict[str, Any]]:
    told = json.loads((PROTO / example).read_text())
    return MESSAGES[Path(example).parent.name], told["headers"], told["message"]


def parts(kind: Descriptor, seen: set[str] | None = None) -> set[str]:
    """Return the names of every message that this one can hold."""
    seen = set() if seen is None else seen
    if kind.full_name not in seen:
        seen.add(kind.full_name)
        for field in kind.fields:
            if field.message_type is not None:
                parts(field.message_type, seen)
    return seen


@each_topic
def test_a_topic_is_described_whole(name: str) -> None:
    """Who says it, who hears it, key, partitions, bulk or not, PHI: nothing is left out and nothing is unknown."""
    described = yaml.safe_load((PROTO / f"topics/{name}.yaml").read_text())
    assert set(described) == {
        "description", "message", "key", "said_by", "heard_by", "partitions", "bulk", "phi", "examples",
    }
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name), "Kafka's metrics fold dots into underscores"
    topic = topics()[name]
    assert topic.key in {"case", "model"}
    assert set(topic.said_by) <= ROOMS
    assert topic.said_by
    assert set(topic.heard_by) <= ROOMS
    assert topic.heard_by
    assert not set(topic.said_by) & set(topic.heard_by), "a room does not hear itself"
    assert topic.description.endswith(".")


@each_topic
def test_a_topic_that_carries_phi_says_so(name: str) -> None:
    """What a message can hold decides, not what somebody remembered to write."""
    assert topics()[name].phi is bool(parts(MESSAGES[name].DESCRIPTOR) & PHI)


def test_no_example_is_an_orphan_and_no_topic_without_one() -> None:
    """Every example belongs to a topic that lists it, and every listed one is there."""
    assert sorted(example for topic in topics().values() for example in topic.examples) == EXAMPLES


@each_example
def test_an_example_decodes_and_comes_back_the_same(example: str) -> None:
    """The stored example is what this version reads and would write."""
    kind, headers, body = loaded(example)
    value = ParseDict(body, kind()).SerializeToString(deterministic=True)
    event = Wire().decode(headers, value)
    again = Wire().encode(event, headers["ce_source"].removeprefix("/radloop/"))
    assert again.topic == Path(example).parent.name
    assert again.key == headers["ce_subject"]
    assert {name: again.headers[name] for name in headers} == headers
    told = MessageToDict(kind.FromString(again.value), preserving_proto_field_name=True)
    assert _same(told, MessageToDict(kind.FromString(value), preserving_proto_field_name=True))


@each_example
def test_an_envelope_is_a_cloud_event(example: str) -> None:
    """Binary mode: every attribute is a header, the time has a zone, the content type is protobuf."""
    _, headers, _ = loaded(example)
    assert {"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "ce_site", "content-type"} <= set(headers)
    assert headers["ce_specversion"] == "1.0"
    assert headers["content-type"] == "application/protobuf"
    assert datetime.fromisoformat(headers["ce_time"]).tzinfo is not None


@each_example
def test_a_number_that_is_absent_is_never_read_as_zero(example: str) -> None:
    """Each optional scalar, taken away, is refused by the codec or comes out as None: 0.0 must never read as normal."""
    kind, headers, body = loaded(example)
    for path in optional_scalars(ParseDict(body, kind())):
        message = ParseDict(body, kind())
        place: Any = message
        for step in path[:-1]:
            place = place[step] if isinstance(step, int) else getattr(place, step)
        place.ClearField(path[-1])
        try:
            event = Wire().decode(headers, message.SerializeToString())
        except Permanent:
            continue
        found: Any = event
        for step in path:
            found = found[step] if isinstance(step, int) else getattr(found, str(step))
        assert found is None or found == HARMLESS.get(str(path[-1])), path


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_what_may_be_none_may_be_absent(kind: type) -> None:
    """None is not written, so a field that may be None has it as its default: what was said can be heard."""
    waiting, seen = [kind], set()
    while waiting:
        part = waiting.pop()
        if part in seen:
            continue
        seen.add(part)
        hints = get_type_hints(part)
        for field in fields(part):
            inside = {hints[field.name], *get_args(hints[field.name])}
            assert type(None) not in inside or field.default is None, f"{part.__name__}.{field.name}"
            waiting += [one for one in inside if isinstance(one, type) and is_dataclass(one)]


@each_example
def test_unknown_fields_are_ignored(example: str) -> None:
    """Within v1 a sayer may add a field before the hearer knows it."""
    kind, headers, body = loaded(example)
    value = ParseDict(body, kind()).SerializeToString(deterministic=True)
    assert Wire().decode(headers, value + b"\xc2\x3e\x03new") == Wire().decode(headers, value)


def optional_scalars(message: Message, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path to every scalar with presence that is set."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.message_type.full_name.startswith("google."):
                continue
            if field.is_repeated:
                for number, one in enumerate(value):
                    yield from optional_scalars(one, (*before, field.name, number))
            else:
                yield from optional_scalars(value, (*before, field.name))
        elif field.has_presence:
            yield (*before, field.name)


def _same(one: Any, other: Any) -> bool:
    """Compare, but for parts that are empty: proto does not tell an empty message from none in lists of defaults."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_same(one.get(name, {}), other.get(name, {})) for name in {*one, *other})
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (not one and not other)
