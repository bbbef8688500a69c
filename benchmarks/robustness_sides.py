"""What the cases of `robustness.py` share: a case, and the spans of either side in one form."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from interceptors import Tracing
from interceptors.envelope import HEADER_NAME
from interceptors.keys import MemoryKeys
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Mapping

Scenario = Callable[[Any, str], str | Coroutine[Any, Any, str]]
"""Takes a side and the address of a broker, and says what happened."""

TRACE_HEADERS = frozenset({"traceparent", "tracestate", "baggage", HEADER_NAME})
FOREIGN = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


class Case(NamedTuple):
    """Something that both sides go through."""

    peer: str
    what: str
    scenario: Scenario
    theirs: Callable[[], Any]
    ours: Callable[[], Any]


class Seen(NamedTuple):
    """An ended span of either side."""

    kind: str
    trace_id: int
    span_id: int
    parent_span_id: int | None
    links: int
    error: str | None


class Recorded:
    """The peer's spans: OpenTelemetry's SDK, which keeps them in memory."""

    def __init__(self) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False)
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def spans(self, kind: str) -> list[Seen]:
        """Its ended spans of a kind, in the order in which they ended."""
        found = []
        for span in self._exporter.get_finished_spans():
            assert span.context is not None
            named = (span.attributes or {}).get("error.type") or span.status.description
            error = str(named or span.status.status_code.name)
            found.append(
                Seen(
                    span.kind.name,
                    span.context.trace_id,
                    span.context.span_id,
                    span.parent and span.parent.span_id,
                    len(span.links),
                    None if error in {"UNSET", "OK"} else error,
                )
            )
        return [span for span in found if span.kind == kind]


class Sealed:
    """Our spans, and the tracing of a service; `beside` it others that open its envelopes."""

    def __init__(self, policy: Mapping[str, object] | None = None) -> None:
        self.keys = MemoryKeys("shop")
        self._sink = MemorySink()
        self.tracing = Tracing.for_development("shop", keys=self.keys, policy=policy, sink=self._sink)

    def spans(self, kind: str) -> list[Seen]:
        """The ended spans of a kind, in the order in which they ended."""
        assert self.tracing.flush()
        return [
            Seen(
                span.operation.kind.name,
                int.from_bytes(span.context.trace_id),
                int.from_bytes(span.context.span_id),
                None if span.parent_span_id is None else int.from_bytes(span.parent_span_id),
                len(span.links),
                span.error_type,
            )
            for span in self._sink.spans
            if span.operation.kind.name == kind
        ]


def current_span() -> int:
    """Give the id of the span that is current; 0 where none is."""
    return trace.get_current_span().get_span_context().span_id


def arrived(received: list[bytes], count: int, raised: list[str]) -> str:
    """Say how many of the messages `0`, `1`, … came, and what was raised meanwhile."""
    said = f"{len({*received} & {b'%d' % number for number in range(count)})} of {count} arrived"
    return f"{said}; raised {', '.join(raised)}" if raised else said


def names(found: Iterable[str]) -> str:
    """Give names of the code, as a list to read."""
    return ", ".join(f"`{name}`" for name in sorted(found)) or "none"


def yes(found: object) -> str:
    return "yes" if found else "no"
