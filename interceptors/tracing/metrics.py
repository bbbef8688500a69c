"""Metrics, by OpenTelemetry's API: those of the messaging conventions 1.44, and ours.

Nothing is measured on the path of a message: durations are read from the ended spans, off it, and the rest is
observed when somebody collects (`observed`). No attribute is free-form: channels are shown as on spans, and
only so many of them.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Protocol

from opentelemetry.metrics import get_meter, get_meter_provider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from interceptors.errors import LeakError
from interceptors.spans import Operation
from interceptors.spans.version import version
from interceptors.tracing.observed import Source, observe
from interceptors.tracing.tally import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider

    from interceptors.context import TraceContext
    from interceptors.envelope import SenderKey
    from interceptors.spans import Span
    from interceptors.tracing.tally import Tally

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds: the boundaries that the conventions advise for both histograms."""
MOST_ERRORS = 100
OTHER_ERRORS = "_OTHER"
"""The conventions' word. A library may make classes of exceptions up as it goes, as Celery does."""

_NS_PER_S = 1e9
_SENT = (Operation.SEND, Operation.SEND_BATCH)
_UNMEASURED = (Operation.CREATE,)  # the conventions have no metric of it


class Losing(Protocol):
    """What spans may be lost by."""

    @property
    def spans_dropped(self) -> int:
        """How many were."""
        ...


def metrics_of(
    tracing: Losing,
    provider: MeterProvider | None,
    tally: Tally,
    sealing_keys: Callable[[], Iterable[SenderKey]],
    clock: Callable[[], int],
) -> Metrics | None:
    """Make the metrics of a service, where anybody is there to read them.

    Args:
        tracing: the service's.
        provider: whose meter; without it, OpenTelemetry's global one.
        tally: what is counted.
        sealing_keys: the keys that messages are sealed with at present.
        clock: nanoseconds since the epoch.

    Returns:
        The metrics; None where the global provider is only the API's, which records nothing.
    """
    if provider is None:
        provider = get_meter_provider()
        if type(provider).__module__.startswith("opentelemetry.metrics"):
            return None
    this = weakref.ref(tracing)  # which keeps the metrics

    def dropped() -> int:
        alive = this()
        return 0 if alive is None else alive.spans_dropped

    return Metrics(Source(tally, dropped, sealing_keys, clock), provider)


class Metrics:
    """A sink that measures spans, and has the rest observed for as long as it lives."""

    def __init__(self, source: Source, provider: MeterProvider) -> None:
        """Make the instruments.

        Args:
            source: what is counted and observed of the service.
            provider: whose meter.
        """
        meter = get_meter("interceptors", version(), provider)
        self._source = source  # which is observed for as long as somebody keeps it
        self._channels = source.tally.channels
        self._errors = Names(MOST_ERRORS, OTHER_ERRORS)
        self._operation = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "Duration of messaging operation initiated by a producer or consumer client.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._process = meter.create_histogram(
            "messaging.process.duration",
            "s",
            "Duration of processing operation.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", "{message}", "Messages that a producer attempted to send."
        )
        observe(provider, meter, source)

    def export(self, spans: Sequence[Span], timeout: float) -> int:  # noqa: ARG002 - it never waits
        """Measure a batch."""
        for span in spans:
            if span.operation in _UNMEASURED:
                continue
            attributes = self._attributes(span)
            duration = (span.end - span.start) / _NS_PER_S
            context = _found_again(span.context)
            if span.operation is Operation.PROCESS:
                self._process.record(duration, attributes, context)
                continue
            # What the policy has blocked was not sent.
            if span.operation in _SENT and span.error_type != LeakError.__qualname__:
                self._sent.add(span.batch_size or 1, attributes, context)
            typed = attributes | {"messaging.operation.type": span.operation.type}
            self._operation.record(duration, typed, context)
        return 0

    def close(self) -> None:
        """Do nothing: the meter's provider is not ours to shut down."""

    def _attributes(self, span: Span) -> dict[str, str]:
        attributes = {
            "messaging.system": span.system,
            "messaging.operation.name": span.operation.operation,
            "messaging.destination.name": self._channels.of(span.channel),
        }
        if span.consumer_group is not None:
            attributes["messaging.consumer.group.name"] = span.consumer_group
        if span.error_type is not None:
            attributes["error.type"] = self._errors.of(span.error_type)
        return attributes


def _found_again(context: TraceContext) -> Context:
    """Give the context by which an SDK that keeps exemplars finds the span again."""
    trace_id, span_id = int.from_bytes(context.trace_id, "big"), int.from_bytes(context.span_id, "big")
    span = SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(context.flags))
    return set_span_in_context(NonRecordingSpan(span))
