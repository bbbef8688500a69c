"""The recorder: opens spans, and ends them into the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.context import RETRY_LABEL, child_of, current, current_tenant
from interceptors.spans.span import Link, Operation, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.context import TraceContext
    from interceptors.pipeline import Receipt
    from interceptors.policy import Channel
    from interceptors.spans.outbox import Outbox


_NS_PER_MS = 1_000_000
_SPAN_ID_SIZE = 8


class Origin(NamedTuple):
    """What a message belongs to, where it begins."""

    tenant: str
    parent: TraceContext | None
    """The context of the span that is current; None where a trace starts."""


class Recorder:
    """Makes the spans of one service. Without an outbox it makes none."""

    def __init__(self, service: str, outbox: Outbox | None, clock: Callable[[], int]) -> None:
        """Take the parts.

        Args:
            service: the service's name.
            outbox: where ended spans go.
            clock: nanoseconds since the epoch.
        """
        self._service = service
        self._outbox = outbox
        self._clock = clock

    def sending(
        self, system: str, channel: Channel, context: TraceContext, origin: Origin, started: int
    ) -> Span | None:
        """Open the span of a message, or batch of messages, that is being sent.

        Args:
            system: the bus.
            channel: the channel.
            context: the span's own context, which the envelope carries.
            origin: what the message belongs to.
            started: nanoseconds since the epoch.

        Returns:
            The span, or None where none is recorded.
        """
        return self._open(Operation.SEND, system, channel, context, origin, started)

    def processing(
        self, system: str, receipt: Receipt, context: TraceContext, origin: Origin, group: str | None
    ) -> Span | None:
        """Open the span of a message that is being processed.

        Its parent is the sender's span where the trace continues; else it starts a trace, with a link. A
        retry's parent is that of the attempt before, with a link to the span that sent the retry.

        Args:
            system: the bus.
            receipt: what was received.
            context: the span's own context.
            origin: what the message belongs to.
            group: the consumer group.

        Returns:
            The span, or None where none is recorded.
        """
        span = self._open(Operation.PROCESS, system, receipt.channel, context, origin, self._clock())
        if span is not None:
            span.sender = receipt.sender
            span.verdict = receipt.verdict
            span.answer = receipt.answer
            span.consumer_group = group
            opened = receipt.opened
            if opened is not None:
                span.queue_time_ms = max(0, span.start // _NS_PER_MS - opened.issued_at)
                retry = opened.context.labels.get(RETRY_LABEL)
                if origin.parent is None:
                    span.links = (_link(opened.context),)
                elif isinstance(retry, bytes) and len(retry) == _SPAN_ID_SIZE:
                    span.links = (Link(opened.context.trace_id, retry),)
        return span

    def received(
        self, system: str, receipts: Sequence[Receipt], tenant: str, *, started: int, group: str | None
    ) -> None:
        """Record that a batch was received: one span, with a link to the sender's span of each message.

        A batch in which several channels' or tenants' messages lie gives a span for each: no tenant's
        context is in another's span.

        Args:
            system: the bus.
            receipts: what was received, in order.
            tenant: whose messages those are that no authentic envelope speaks for.
            started: when the receiving began, in nanoseconds since the epoch.
            group: the consumer group.
        """
        batches: dict[tuple[str, str], list[Receipt]] = {}
        for receipt in receipts:
            if receipt.traced:
                batches.setdefault((receipt.channel.name, receipt.tenant or tenant), []).append(receipt)
        handled, tenant_above = current(), current_tenant()
        for (_, whose), batch in batches.items():
            # Not below another tenant's span, where a handler of its messages receives these.
            above = handled if tenant_above in (None, whose) else None
            origin = Origin(whose, above)
            channel = batch[0].channel
            span = self._open(Operation.RECEIVE, system, channel, child_of(above), origin, started)
            if span is not None:
                span.links = tuple(_link(receipt.opened.context) for receipt in batch if receipt.opened)
                span.consumer_group = group
                span.batch_size = len(batch)
                self.end(span, None)

    def settling(self, operation: Operation, system: str, receipt: Receipt, origin: Origin) -> Span | None:
        """Open the span of a message that is being settled.

        Args:
            operation: how.
            system: the bus.
            receipt: what was received.
            origin: what the message belongs to.

        Returns:
            The span, or None where none is recorded.
        """
        context = child_of(origin.parent)
        return self._open(operation, system, receipt.channel, context, origin, self._clock())

    def end(self, span: Span, error: BaseException | None) -> None:
        """End a span, and put it into the outbox.

        Args:
            span: an open span.
            error: what went wrong; only the name of its class is kept.
        """
        # Two readings of a clock that may be set in between: a span never ends before it starts.
        span.end = max(self._clock(), span.start)
        if error is not None:
            span.error_type = type(error).__qualname__
        if self._outbox is not None:
            self._outbox.put(span)

    def _open(  # noqa: PLR0917 - the fields that every span has
        self,
        operation: Operation,
        system: str,
        channel: Channel,
        context: TraceContext,
        origin: Origin,
        started: int,
    ) -> Span | None:
        if self._outbox is None or not context.sampled:
            return None
        tenant, parent = origin
        above = parent.span_id if parent else None
        return Span(operation, system, channel.name, context, above, started, self._service, tenant)


def _link(context: TraceContext) -> Link:
    return Link(context.trace_id, context.span_id)
