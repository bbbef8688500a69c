"""What a program may pass to a tracing besides its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from openfeature.client import OpenFeatureClient
    from opentelemetry.metrics import MeterProvider

    from interceptors.spans import SpanSink
    from interceptors.tracing.hooks import Hook


class Options(TypedDict, total=False):
    """Keyword arguments of `Tracing.from_file` and `Tracing.for_development`."""

    sink: SpanSink | None
    """Where spans go instead of where the configuration says."""
    on_send: Hook | None
    """Called with each message before it is sealed; may set labels that the policy names."""
    on_receive: Hook | None
    """Called with each message that was received, likewise."""
    meter_provider: MeterProvider | None
    """Whose meter the metrics are recorded by. Without one it is OpenTelemetry's global one, where that has
    been set when the tracing is made; else nothing is measured."""
    flags: OpenFeatureClient | None
    """A client of OpenFeature's, whose flags turn on what the policy's `enhancements` let them. Without one
    all of those are off."""
