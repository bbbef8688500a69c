"""The recorder: opens spans, and ends them into the outboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.context import RETRY_LABEL, child_of, current, current_tenant
from interceptors.spans.span import NO_LABELS, Link, Operation, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    baggage: Mapping[str, object] = NO_LABELS
    """What may travel with it as labels, as far as the policy names it."""
    left: TraceContext | None = None
    """Where a trace starts: the span that was current where another tenant was left."""

    def __repr__(self) -> str:
        """Show neither ids nor baggage."""
        return f"Origin(tenant={self.tenant!r})"


class Recorder:
    """Makes the spans of one service. Without an outbox it makes none."""

    def __init__(
        self,
        service: str,
        outboxes: Sequence[Outbox],
        clock: Callable[[], int],
        *,
        meter: Outbox | None = None,
    ) -> None:
        """Take the parts.

        Args:
            service: the service's name.
            outboxes: where ended spans go that are sampled.
            clock: nanoseconds since the epoch.
            meter: where all ended spans go, to be measured.
        """
        self._service = service
        self._outboxes = tuple(outboxes)
        self._clock = clock
        self._meter = meter

    def sending(  # noqa: PLR0917 - the fields that every span has
        self,
        operation: Operation,
        system: str,
        channel: Channel,
        context: TraceContext,
        origin: Origin,
        started: int,
    ) -> Span | None:
        """Open the span of a message, or batch of messages, that is being sent.

        Where it begins the trace of one tenant amid the work for another, it has a link to that work.

        Args:
            operation: whether it is one, one of a batch, or the batch.
            system: the bus.
            channel: the channel.
            context: the span's own context, which the envelope carries, with its labels.
            origin: what the message belongs to.
            started: nanoseconds since the epoch.

        Returns:
            The span, or None where none is recorded.
        """
        span = self._open(operation, system, channel, context, origin, started)
        if span is not None:
            if context.labels:
                span.labels = {name: str(value) for name, value in context.labels.items()}
            if origin.left is not None and origin.parent is None:
                span.links = (link_to(origin.left),)
        return span

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
            span.body_size = receipt.body_size
            span.labels = receipt.labels or NO_LABELS
            opened = receipt.opened
            if opened is not None:
                span.queue_time_ms = max(0, span.start // _NS_PER_MS - opened.issued_at)
                retry = opened.context.labels.get(RETRY_LABEL)
                if origin.parent is None:
                    span.links = (link_to(opened.context),)
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
            context = child_of(above, channel.samples)
            span = self._open(Operation.RECEIVE, system, channel, context, origin, started)
            if span is not None:
                span.links = tuple(link_to(receipt.opened.context) for receipt in batch if receipt.opened)
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
        context = child_of(origin.parent, receipt.channel.samples)
        return self._open(operation, system, receipt.channel, context, origin, self._clock())

    def end(self, span: Span, error: BaseException | None) -> None:
        """End a span, and put it into the outboxes.

        Args:
            span: an open span.
            error: what went wrong; only the name of its class is kept.
        """
        # Two readings of a clock that may be set in between: a span never ends before it starts.
        span.end = max(self._clock(), span.start)
        if error is not None:
            span.error_type = type(error).__qualname__
        if self._meter is not None:
            self._meter.put(span)
        if span.context.sampled:
            for outbox in self._outboxes:
                outbox.put(span)

    def _open(  # noqa: PLR0917 - the fields that every span has
        self,
        operation: Operation,
        system: str,
        channel: Channel,
        context: TraceContext,
        origin: Origin,
        started: int,
    ) -> Span | None:
        if self._meter is None and not (self._outboxes and context.sampled):
            return None
        above = origin.parent.span_id if origin.parent else None
        shown, tenant = channel.shown, origin.tenant
        return Span(operation, system, shown, context, above, started, self._service, tenant)


def link_to(context: TraceContext) -> Link:
    """Give the link to a span."""
    return Link(context.trace_id, context.span_id)
