"""Spans of OpenTelemetry's SDK: of each, a new one that holds what the policy lets leave, and no more.

Needs opentelemetry-sdk 1.30 or later.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, TraceFlags

from interceptors.bounded import BoundedMap
from interceptors.policy.span_conventions import SCHEMA_URL, VERSION

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from interceptors.policy.span_rules import Held, SpanPolicy
    from interceptors.tracing import Tracing

logger = logging.getLogger("interceptors")

Recorded = TypeVar("Recorded")
Scrubbed = TypeVar("Scrubbed")

_SCOPES = 1024
"""How many instrumentation scopes are remembered; a program has one a module."""


class Scrubber:
    """What spans and log records have in common. Safe between threads and after a fork."""

    def __init__(self, tracing: Tracing, what: str) -> None:
        """Take the policy.

        Args:
            tracing: whose policy and counts these are.
            what: is scrubbed, in the words of a log line.
        """
        self._in_force = tracing.in_force
        # So that no export and no span waits for it.
        _ = self.policy.inspector
        self._counts = tracing.counts
        self._what = what
        self._scopes: BoundedMap[InstrumentationScope, tuple[SpanPolicy, InstrumentationScope]] = BoundedMap(
            _SCOPES
        )
        self._resource: tuple[SpanPolicy, Resource, Resource] | None = None

    @property
    def policy(self) -> SpanPolicy:
        """What leaves, by the policy that is in force."""
        return self._in_force.policy.spans

    def scrubbed(self, recorded: Iterable[Recorded], scrub: Callable[[Recorded], Scrubbed]) -> list[Scrubbed]:
        """Scrub, and leave out what can't be.

        Args:
            recorded: spans or log records.
            scrub: makes the one that leaves.

        Returns:
            New ones.
        """
        scrubbed: list[Scrubbed] = []
        for each in recorded:
            try:
                scrubbed.append(scrub(each))
            except Exception as error:  # noqa: BLE001 - whatever it is, it doesn't leave unscrubbed
                counted = f"{self._what} not scrubbed"
                # First: where the log itself is scrubbed, the line that follows comes here, too.
                self._counts[counted] += 1
                if self._counts[counted] == 1:
                    logger.warning(
                        "%s that can't be scrubbed are dropped, and counted (%s)",
                        self._what,
                        type(error).__qualname__,
                    )
        return scrubbed

    def held(self, attributes: Mapping[str, object] | None) -> Held:
        """Give what leaves of some attributes."""
        return self._counted(self.policy.attributes(attributes or {}))

    def resource(self, resource: Resource) -> Resource:
        """Give what leaves of a resource; nearly always it is the same one."""
        known, policy = self._resource, self.policy
        if known is None or known[0] is not policy or known[1] is not resource:
            held = self._counted(policy.resource(resource.attributes))
            scrubbed = Resource(held.kept, _fitting(SCHEMA_URL, resource.schema_url))
            known = self._resource = (policy, resource, scrubbed)
        return known[2]

    def scope(self, scope: InstrumentationScope | None) -> InstrumentationScope | None:
        """Give what leaves of an instrumentation scope; a name that isn't known becomes an empty one."""
        if scope is None:
            return None
        known, policy = self._scopes.get(scope), self.policy
        if known is None or known[0] is not policy:
            scrubbed = InstrumentationScope(
                policy.scope(scope.name) or "",
                _fitting(VERSION, scope.version),
                _fitting(SCHEMA_URL, scope.schema_url),
                self._counted(policy.attributes(scope.attributes or {})).kept,
            )
            known = (policy, scrubbed)
            self._scopes.set(scope, known)
        return known[1]

    def _counted(self, held: Held) -> Held:
        for class_ in held.found:
            self._counts[f"{class_} scrubbed"] += 1
        return held


class _SpanScrubber(Scrubber):
    def span(self, span: ReadableSpan) -> ReadableSpan:
        """Give what leaves of a span."""
        held = self.held(span.attributes)
        scope = self.scope(span.instrumentation_scope)
        name = self.policy.span_name(span.name, held)
        if name is None:
            name = f"{SpanKind(span.kind).name.lower()} {scope.name if scope else ''}".rstrip()
        events = [each for each in map(self._event, span.events) if each is not None]
        return ReadableSpan(
            name=name,
            context=_bare(span.context),
            parent=_bare(span.parent) if span.parent else None,
            resource=self.resource(span.resource),
            attributes=bounded(held, span.dropped_attributes),
            events=_bounded_list(events, span.dropped_events + len(span.events) - len(events)),
            links=_bounded_list(map(self._link, span.links), span.dropped_links),
            kind=SpanKind(span.kind),
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=scope,
        )

    def _event(self, event: Event) -> Event | None:
        name = self.policy.event(event.name)
        if name is None:
            return None
        attributes = bounded(self.held(event.attributes), event.dropped_attributes)
        return Event(name, attributes=attributes, timestamp=event.timestamp)

    def _link(self, link: Link) -> Link:
        return Link(_bare(link.context), bounded(self.held(link.attributes), link.dropped_attributes))


class ScrubbingSpanExporter(SpanExporter):
    """Holds spans to the policy before another exporter gets them.

    ```python
    exporter = otel.ScrubbingSpanExporter(OTLPSpanExporter(), tracing)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    ```

    The policy's `spans` says what leaves; the spans themselves are left as they are. A span that can't be
    scrubbed is dropped: `tracing.counts["spans not scrubbed"]` says how many were.
    """

    def __init__(self, exporter: SpanExporter, tracing: Tracing) -> None:
        """Wrap.

        Args:
            exporter: exports what leaves.
            tracing: whose policy says what leaves.
        """
        self._exporter = exporter
        self._scrubber = _SpanScrubber(tracing, "spans")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what leaves of some spans.

        Args:
            spans: as they were recorded.

        Returns:
            What the wrapped exporter says.
        """
        scrubbed = self._scrubber.scrubbed(spans, self._scrubber.span)
        return self._exporter.export(scrubbed) if scrubbed else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Shut the wrapped exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the wrapped exporter.

        Args:
            timeout_millis: how long that may take.

        Returns:
            Whether it was done in that time.
        """
        return self._exporter.force_flush(timeout_millis)


class ScrubbingSpanProcessor(SpanProcessor):
    """Holds spans to the policy before another processor gets them: for one that takes no exporter.

    Where there is an exporter, wrap that: it works off the thread that ends the span. The wrapped processor
    hears of spans that have ended, and of no others: one that has only begun can't be held to anything yet.
    """

    def __init__(self, processor: SpanProcessor, tracing: Tracing) -> None:
        """Wrap.

        Args:
            processor: is given what leaves.
            tracing: whose policy says what leaves.
        """
        self._processor = processor
        self._scrubber = _SpanScrubber(tracing, "spans")

    def on_end(self, span: ReadableSpan) -> None:
        """Hand on what leaves of a span.

        Args:
            span: as it was recorded.
        """
        for scrubbed in self._scrubber.scrubbed((span,), self._scrubber.span):
            self._processor.on_end(scrubbed)

    def shutdown(self) -> None:
        """Shut the wrapped processor down."""
        self._processor.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the wrapped processor.

        Args:
            timeout_millis: how long that may take.

        Returns:
            Whether it was done in that time.
        """
        return self._processor.force_flush(timeout_millis)


def bounded(held: Held, dropped: int) -> BoundedAttributes:
    """Give attributes as the SDK holds them, with the count of those that it or we have dropped.

    Args:
        held: what leaves.
        dropped: how many the SDK has dropped.
    """
    attributes = BoundedAttributes(attributes=held.kept)
    attributes.dropped = dropped + held.dropped
    return attributes


def _bounded_list(parts: Iterable[Recorded], dropped: int) -> BoundedList[Recorded]:
    kept = BoundedList.from_seq(None, parts)
    kept.dropped = dropped
    return kept


def _bare(context: SpanContext) -> SpanContext:
    """Give a context without its trace state, which holds whatever those upstream have put there."""
    return SpanContext(context.trace_id, context.span_id, context.is_remote, TraceFlags(context.trace_flags))


def _fitting(pattern: re.Pattern[str], text: str | None) -> str | None:
    return text if isinstance(text, str) and pattern.fullmatch(text) else None
