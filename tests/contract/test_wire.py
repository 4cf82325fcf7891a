"""Messages are contracts: every example decodes, nothing is filled in, nothing is guessed."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from examples.shared import completed, predicted
from google.protobuf.json_format import ParseDict

from radloop.events.wire import PAIRS, Wire
from radloop.kit.errors import Permanent
from radloop.kit.flow import Event
from radloop.kit.kafka import topics

PROTO = Path(__file__).parents[2] / "proto"
EXAMPLES = [(name, example) for name, topic in topics().items() for example in topic.examples]
WIRE = Wire()
KINDS: dict[str, type[Event]] = {topic: kind for kind, (topic, _) in PAIRS.items()}


def read(example: str) -> dict[str, Any]:
    """Read one example file."""
    loaded: dict[str, Any] = json.loads((PROTO / example).read_text())
    return loaded


@pytest.mark.parametrize(("topic", "example"), EXAMPLES)
def test_every_example_decodes_and_encodes_the_same(topic: str, example: str) -> None:
    """An example is executable: it reads as its event, and the event writes the same message."""
    told = read(example)
    value = ParseDict(told["message"], PAIRS[KINDS[topic]][1]()).SerializeToString(deterministic=True)
    event = WIRE.decode(told["headers"], value)
    assert type(event) is KINDS[topic]
    assert WIRE.encode(event, topic).value == value


def test_no_example_is_an_orphan() -> None:
    """Every file under proto/examples belongs to a topic."""
    named = {PROTO / example for _, example in EXAMPLES}
    assert named == set((PROTO / "examples").rglob("*.json"))


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_event_and_message_have_the_same_fields(kind: type[Event]) -> None:
    """A field exists in both, or in neither."""
    envelope = {field.name for field in fields(Event)}
    assert {field.name for field in fields(kind)} - envelope == {field.name for field in PAIRS[kind][1].DESCRIPTOR.fields}


def test_an_absent_scalar_is_refused_never_filled_in() -> None:
    """A missing probability must not read as 0.0, which would mean normal."""
    message = WIRE.encode(predicted(), "inference")
    proto = PAIRS[KINDS["prediction-made"]][1].FromString(message.value)
    proto.prediction.findings[0].ClearField("probability")
    with pytest.raises(Permanent, match="probability: is missing"):
        WIRE.decode(message.headers, proto.SerializeToString())


def test_a_probability_of_zero_survives() -> None:
    """Zero said is zero heard."""
    event = predicted(0.0)
    message = WIRE.encode(event, "inference")
    assert WIRE.decode(message.headers, message.value) == event


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_neither_leaves_nor_enters(number: float) -> None:
    """Rejected, never repaired."""
    with pytest.raises(Permanent, match="not finite"):
        WIRE.encode(predicted(ood_score=number), "inference")
    message = WIRE.encode(predicted(), "inference")
    proto = PAIRS[KINDS["prediction-made"]][1].FromString(message.value)
    proto.prediction.ood_score = number
    with pytest.raises(Permanent, match="not finite"):
        WIRE.decode(message.headers, proto.SerializeToString())


def test_fields_of_a_later_version_are_ignored() -> None:
    """Within v1 only additions: what we do not know does not disturb us."""
    event = completed()
    message = WIRE.encode(event, "ingestion")
    assert WIRE.decode(message.headers, message.value + b"\xc2\x3e\x03new") == event


@pytest.mark.parametrize(("headers", "reason"), [
    ({"ce_type": "radloop.v1.Tomorrow"}, "unknown type"), ({"ce_id": None}, "envelope"), ({"ce_time": "soon"}, "envelope"),
])
def test_a_broken_envelope_says_what_is_wrong(headers: dict[str, str | None], reason: str) -> None:
    """The reason names the part, and nothing is guessed."""
    message = WIRE.encode(completed(), "ingestion")
    told = {name: value for name, value in {**message.headers, **headers}.items() if value is not None}
    with pytest.raises(Permanent, match=reason):
        WIRE.decode(told, message.value)


def test_bytes_that_are_no_message_are_refused() -> None:
    """Junk is not an event."""
    message = WIRE.encode(completed(), "ingestion")
    with pytest.raises(Permanent, match="bytes are no StudyCompleted"):
        WIRE.decode(message.headers, b"\xff\xff\xff")


def test_the_topic_key_and_headers_carry_no_phi() -> None:
    """Names, identifiers and accession numbers travel in the value of topics that say so, nowhere else."""
    message = WIRE.encode(completed(), "ingestion")
    outside = json.dumps([message.key, message.headers])
    assert not any(word in outside for word in ("Example", "Erin", "EX-0001", "ACC-EX-1", "2019-05-04"))
