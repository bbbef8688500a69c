"""What leaves a process: spans of fixed fields, a bounded outbox, and sinks.

What belongs here: `Span`, how it is written as OTLP, and where it waits and goes. What does not: when a span
starts and ends (`tracing`), and anything free-form: there is no field that a body, a message key, an
exception's text or a header could be put into.
"""

from interceptors.spans.otlp_json import to_otlp_json
from interceptors.spans.outbox import Outbox
from interceptors.spans.outboxes import Outboxes
from interceptors.spans.recorder import Origin, Recorder
from interceptors.spans.sinks import JsonLinesSink, MemorySink, RetryLater, SpanSink
from interceptors.spans.span import Kind, Link, Operation, Span

__all__ = [
    "JsonLinesSink",
    "Kind",
    "Link",
    "MemorySink",
    "Operation",
    "Origin",
    "Outbox",
    "Outboxes",
    "Recorder",
    "RetryLater",
    "Span",
    "SpanSink",
    "to_otlp_json",
]
