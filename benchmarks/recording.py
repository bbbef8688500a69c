"""Where the spans of both sides go: they are counted, so that each can be held to having recorded its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan


class Counting:
    """A sink that counts."""

    def __init__(self) -> None:
        self._spans = 0

    def export(self, spans: Sequence[object]) -> None:
        self._spans += len(spans)

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
    """Give OpenTelemetry's SDK as it is used in production, with the sink at its end."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_Exporter(sink), max_queue_size=8192))
    return provider
