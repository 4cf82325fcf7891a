"""Logs, traces and metrics, none of which may carry PHI.

Every metric name is a member of one Literal, with its kind and labels beside it, so that a typo fails type-checking.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Counter, Gauge, Histogram
from pythonjsonlogger.json import JsonFormatter

# counter: inputs settled, by route and outcome · counter: events the broker took, by topic ·
# counter: answers to deliveries, by receiver and outcome · counter: quarantined, by route · gauge: rows waiting, by table ·
# gauge: 1 while the fuse is open · histogram: seconds from input to commit, by route · histogram: seconds of one reading, by class ·
# gauge: 1 while a Triton holds what was released, by its address ·
# of each answer, by model, version and stage: histogram: calibrated probability, also by finding · histogram: out-of-distribution
# score over the version's threshold · counter: answers out of distribution · histograms: the named image's grey, 0 to 1
Metric = Literal[
    "radloop_inputs_total", "radloop_events_sent_total", "radloop_deliveries_total", "radloop_quarantined_total",
    "radloop_backlog", "radloop_fuse_open", "radloop_settle_seconds", "radloop_reading_seconds",
    "radloop_triton_in_step",
    "radloop_probability", "radloop_ood_ratio", "radloop_out_of_distribution_total",
    "radloop_image_grey_mean", "radloop_image_contrast", "radloop_image_at_ends",
]

_READ_BY = ["model", "version", "stage"]
_TWENTIETHS = tuple(step / 20 for step in range(1, 21))

_COUNTERS: dict[str, Counter] = {
    "radloop_inputs_total": Counter("radloop_inputs_total", "Inputs settled", ["route", "outcome"]),
    "radloop_events_sent_total": Counter("radloop_events_sent_total", "Events the broker took", ["topic"]),
    "radloop_deliveries_total": Counter("radloop_deliveries_total", "Deliveries answered", ["receiver", "outcome"]),
    "radloop_quarantined_total": Counter("radloop_quarantined_total", "Inputs quarantined", ["route"]),
    "radloop_out_of_distribution_total": Counter("radloop_out_of_distribution_total", "Answers out of distribution", _READ_BY),
}
_GAUGES: dict[str, Gauge] = {
    "radloop_backlog": Gauge("radloop_backlog", "Rows waiting", ["table"]),
    "radloop_fuse_open": Gauge("radloop_fuse_open", "1 while the fuse is open"),
    "radloop_triton_in_step": Gauge("radloop_triton_in_step", "1 while this Triton holds what was released", ["triton"]),
}
_HISTOGRAMS: dict[str, Histogram] = {
    "radloop_settle_seconds": Histogram("radloop_settle_seconds", "From input to commit; of a batch, for each of its inputs", ["route"]),
    "radloop_reading_seconds": Histogram("radloop_reading_seconds", "One reading; of several read together, its share", ["reading_class"]),
    "radloop_probability": Histogram(
        "radloop_probability", "Calibrated probability of a finding", [*_READ_BY, "finding"], buckets=_TWENTIETHS),
    "radloop_ood_ratio": Histogram(
        "radloop_ood_ratio", "Out-of-distribution score over the threshold", _READ_BY,
        buckets=(0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)),
    "radloop_image_grey_mean": Histogram(
        "radloop_image_grey_mean", "Mean grey of the named image", _READ_BY, buckets=_TWENTIETHS),
    "radloop_image_contrast": Histogram(
        "radloop_image_contrast", "Standard deviation of its grey", _READ_BY, buckets=tuple(step / 40 for step in range(1, 21))),
    "radloop_image_at_ends": Histogram(
        "radloop_image_at_ends", "Share of its pixels that is black or white", _READ_BY,
        buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)),
}


def count(metric: Metric, amount: float = 1, **labels: str) -> None:
    """Add to a counter."""
    counter = _COUNTERS[metric]
    (counter.labels(**labels) if labels else counter).inc(amount)


def gauge(metric: Metric, value: float, **labels: str) -> None:
    """Set a gauge."""
    meter = _GAUGES[metric]
    (meter.labels(**labels) if labels else meter).set(value)


def observe(metric: Metric, value: float, **labels: str) -> None:
    """Put one value (seconds, where the name says so) into a histogram."""
    meter = _HISTOGRAMS[metric]
    (meter.labels(**labels) if labels else meter).observe(value)


def configure(service: str, otlp_endpoint: str = "") -> None:
    """Start structured logging on standard error and tracing; spans leave the process only where OTLP is configured."""
    handler = logging.StreamHandler(sys.stderr)
    lines = JsonFormatter(
        "{asctime}{levelname}{name}{message}", style="{", rename_fields={"asctime": "at", "levelname": "level"},
        static_fields={"service": service},
    )
    # Lines of machines in different zones are laid side by side: UTC, in RFC 3339.
    lines.converter, lines.default_time_format, lines.default_msec_format = time.gmtime, "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
    handler.setFormatter(lines)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("kafka", "pynetdicom", "httpx", "hl7apy", "uvicorn", "psycopg"):
        # kafka repeats itself while a broker is away; psycopg's warnings repeat the server's words, and those the values.
        logging.getLogger(chatty).setLevel(logging.CRITICAL if chatty in {"kafka", "psycopg"} else logging.WARNING)
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - 0.2 s, only when used

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint)))
    trace.set_tracer_provider(provider)


@contextmanager
def span(name: str, parent: str = "", **attributes: str | int) -> Iterator[trace.Span]:
    """Open a span, a child of the W3C traceparent where one is given; attributes are ids and outcomes, never PHI."""
    within = propagate.extract({"traceparent": parent}) if parent else context.get_current()
    # An exception's message may repeat a patient's data: a span tells its type alone.
    with trace.get_tracer("radloop").start_as_current_span(
        name, context=within, attributes=attributes, record_exception=False, set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except BaseException as failed:  # house: blind-except - told and raised again
            opened.set_status(trace.StatusCode.ERROR, type(failed).__name__)
            raise


def traceparent() -> str:
    """Return the W3C traceparent of the current span, empty where there is none."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "")
