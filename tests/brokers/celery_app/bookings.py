"""The app of a worker that uses OpenTelemetry's SDK, configured by its environment."""

from __future__ import annotations

import json
import os

from celery import Celery
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from interceptors import Tracing
from interceptors.celery import connect

provider = TracerProvider(resource=Resource({"service.name": "bookings"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(os.environ["BOOKINGS_OTLP"])))

app = Celery("bookings")
app.conf.update(json.loads(os.environ["BOOKINGS_CONF"]))
connect(app, Tracing.from_file(os.environ["BOOKINGS_TRACING"]))


@app.task(name="book")  # type: ignore[untyped-decorator]  # Celery has no types
def book() -> None:
    """Do a piece of work of the application's own."""
    with provider.get_tracer("bookings").start_as_current_span("write it down"):
        pass
