"""Nothing of a patient leaves a room but in what it says on topics that are said to carry PHI, and to its receivers."""

import logging
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest

from radloop.kit.kafka import topics
from tests.contract.test_rooms import ROOMS, House, each_room, house

__all__ = ["house"]  # the fixture, used by name
SHORTEST = 4
"""Values shorter than this are no names of anybody, and would be found everywhere."""


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Collect the spans that end during a test."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


def phi_in(value: Any) -> Iterator[str]:
    """Yield what names a person or an order in a value: identities, names, birth dates, the PID of an HL7 message."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value).__name__
        if kind == "Identity":
            yield str(getattr(value, "value", ""))
        for field in fields(value):
            inside = getattr(value, field.name)
            if field.name in {"family", "given", "birth_date", "mrn", "accession", "indication"} and isinstance(inside, str):
                yield inside
            yield from phi_in(inside)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from phi_in(one)
    elif isinstance(value, bytes) and b"PID|" in value:
        pid = value.split(b"PID|", 1)[1].split(b"\r", 1)[0].decode("latin-1").split("|")
        for position in (3, 5, 7):
            if len(pid) >= position:
                yield from (part for repetition in pid[position - 1].split("~") for part in repetition.split("^")[:2])


def leaks(house: House, caplog: pytest.LogCaptureFixture, spans: InMemorySpanExporter) -> set[str]:
    """Settle the history and a repeat of it; return what of the patient is then in logs, metrics, spans or keys."""
    phi = {word for seen in house.inputs for word in phi_in(seen) if len(word) >= SHORTEST}
    with caplog.at_level(logging.DEBUG):
        for seen in (*house.inputs, *house.inputs):
            house.settle(seen)
    told = [*(f"{record.getMessage()} {vars(record)}" for record in caplog.records), generate_latest().decode()]
    for span in spans.get_finished_spans():
        told += [span.name, str(dict(span.attributes or {})), *(str(event.attributes) for event in span.events)]
    with house.runner.store.connection() as connection:
        told += [str(row) for row in connection.execute("select topic, key, headers::text from outbox")]
        told += [str(row) for row in connection.execute("select key from delivery")]
    return {word for word in phi for line in told if word in line}


@each_room
def test_nothing_of_a_patient_is_logged_measured_or_traced(
    house: House, caplog: pytest.LogCaptureFixture, spans: InMemorySpanExporter,
) -> None:
    """The whole history of a case, and a repeat of it, leaves no identity in logs, metrics, spans or topic keys."""
    assert not leaks(house, caplog, spans)


@pytest.mark.parametrize("house", ["triage"], indirect=True)
@pytest.mark.parametrize("way", ["log", "span"])
def test_a_leak_would_be_found(
    house: House, way: str, caplog: pytest.LogCaptureFixture, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A room that logs a name, or puts it on a span, fails the test above."""
    word = next(word for seen in house.inputs for word in phi_in(seen) if len(word) >= SHORTEST)
    settle = house.settle

    def leaking(seen: Any) -> Any:
        if way == "log":
            logging.getLogger("radloop.triage").info("ranked", extra={"of": word})
        else:
            with trace.get_tracer("radloop").start_as_current_span("ranked", attributes={"of": word}):
                pass
        return settle(seen)

    monkeypatch.setattr(house, "settle", leaking)
    assert word in leaks(house, caplog, spans)


def test_the_examples_name_somebody() -> None:
    """The test above looks for something: in every room that hears of orders or studies a patient is named."""
    import importlib

    hear = {room for name, topic in topics().items() if topic.phi for room in topic.heard_by}
    for room in sorted(hear & set(ROOMS)):
        inputs = importlib.import_module(f"examples.{room}").INPUTS
        assert {word for seen in inputs for word in phi_in(seen) if len(word) >= SHORTEST}, room
