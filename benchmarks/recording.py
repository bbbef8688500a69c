"""How the sides record spans, and where those go: to a backend in another process, or counted.

Either way they are counted, so that each side can be held to having recorded its own, and lost none.
"""

from __future__ import annotations

import urllib.request
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from interceptors import Tracing
from interceptors.keys import MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

SCANNED = {"default": {"payload": {"on_leak": "observe"}}}
"""A policy with which all messages are scanned, by all detectors that are on."""


class Backend:
    """One side's place in a backend that `aside.otlp` runs."""

    def __init__(self, url: str, name: str) -> None:
        self.endpoint = f"{url}/{name}"
        self.traces = f"{self.endpoint}/v1/traces"

    def taken(self) -> int:
        """Give how many spans came since the last call."""
        with urllib.request.urlopen(self.traces) as answer:  # noqa: S310 - the backend's own address
            return int(answer.read())


class Traced:
    """Our tracing of two services, the second of which receives what the first one sends."""

    def __init__(self, backend: Backend, policy: Mapping[str, object] | None = None) -> None:
        export = {"otlp": {"endpoint": backend.endpoint}}
        make = partial(Tracing.for_development, keys=MemoryKeys("checkout"), policy=policy, export=export)
        self.checkout, self.billing = make("checkout"), make("billing")
        self.taken = backend.taken

    @contextmanager
    def around(self) -> Iterator[None]:
        """Be what a round runs in: at its end the spans are handed over."""
        yield
        self.checkout.flush()
        self.billing.flush()

    def close(self) -> None:
        self.checkout.close()
        self.billing.close()


class Instrumented:
    """OpenTelemetry's instrumentation of a library, with its SDK as it is used in production."""

    def __init__(self, backend: Backend, instrumentor: Any) -> None:
        self._instrumentor = instrumentor
        self._provider = _provider(OTLPSpanExporter(backend.traces))
        self.taken = backend.taken

    @contextmanager
    def around(self) -> Iterator[None]:
        """Be what a round runs in. The instrumentor patches classes: for these rounds only."""
        self._instrumentor.instrument(tracer_provider=self._provider, skip_dep_check=True)
        try:
            yield
        finally:
            self._instrumentor.uninstrument()
            self._provider.force_flush()

    def close(self) -> None:
        self._provider.shutdown()


class Counting:
    """A sink that counts."""

    def __init__(self) -> None:
        self._spans = 0

    def export(self, spans: Sequence[object], timeout: float = 0) -> int:  # noqa: ARG002 - it never waits
        self._spans += len(spans)
        return 0

    def close(self) -> None:
        pass

    def taken(self) -> int:
        """Give how many spans came since the last call."""
        spans, self._spans = self._spans, 0
        return spans


class _Exporter(SpanExporter):
    def __init__(self, sink: Counting) -> None:
        self._sink = sink

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._sink.export(spans)
        return SpanExportResult.SUCCESS


def counted_provider(sink: Counting) -> TracerProvider:
    """Give OpenTelemetry's SDK with a counting sink at its end."""
    return _provider(_Exporter(sink))


def _provider(exporter: SpanExporter) -> TracerProvider:
    provider = TracerProvider()
    # Room for as many as our outbox has, so that neither loses any.
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=8192))
    return provider
