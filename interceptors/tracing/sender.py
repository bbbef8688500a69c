"""What one service does with the messages that it sends: labels, envelope and span of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import get_current

from interceptors.context import child_of, current, current_baggage, current_tenant, left_behind, retry_of
from interceptors.message import size_of
from interceptors.spans import Operation, Origin
from interceptors.spans.recorder import link_to
from interceptors.tracing.scopes import OpenSpan, Sending
from interceptors.tracing.sealing import refuse_blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context

    from interceptors.context import TraceContext
    from interceptors.message import Message
    from interceptors.pipeline import Outgoing
    from interceptors.policy import Channel
    from interceptors.spans import Recorder, Span
    from interceptors.tracing.hooks import Labelling
    from interceptors.tracing.in_force import InForce
    from interceptors.tracing.sealing import Sealing

_NS_PER_MS = 1_000_000


class Sender:
    """Sends for one service."""

    def __init__(
        self,
        in_force: InForce,
        sealing: Sealing,
        recorder: Recorder,
        labelling: Labelling,
        clock: Callable[[], int],
        *,
        tenant: str,
    ) -> None:
        """Take the parts.

        Args:
            in_force: the rules.
            sealing: makes the envelopes.
            recorder: makes the spans.
            labelling: decides what travels with a trace.
            clock: nanoseconds since the epoch.
            tenant: whose messages these are where nothing else says so.
        """
        self._in_force = in_force
        self._sealing = sealing
        self._recorder = recorder
        self._end = recorder.end  # bound once: each span keeps it
        self._labelling = labelling
        self._clock = clock
        self._tenant = tenant

    def origin(self) -> Origin:
        """Give what a message that begins here belongs to."""
        context = get_current()
        parent = current(context)
        tenant = current_tenant(context) or self._tenant
        left = None if parent is not None else left_behind(context)
        if not self._in_force.labelled:
            return Origin(tenant, parent, left=left)
        return Origin(tenant, parent, current_baggage(context), left)

    def send(self, message: Message, attempt: TraceContext | None) -> Sending:
        """Seal the trace of a message, and open its span; see `Tracing.send`."""
        started = self._clock()
        now = started // _NS_PER_MS
        policy = self._in_force.at(now)
        origin = self.origin()
        channel = policy.channels(message.system, message.destination)[0]
        context = self._context(message, channel, origin)
        carried = context if attempt is None else retry_of(attempt, context)
        outgoing = self._sealing.seal(message, carried, channel, origin.tenant, now)
        span = None
        if outgoing.traced:
            span = self._recorder.sending(Operation.SEND, message.system, channel, context, origin, started)
            self._say_more(span, outgoing)
        sending = Sending(outgoing, span, self._end)
        if outgoing.screened is not None:
            refuse_blocked([outgoing], [sending])
        return sending

    def carry(self, message: Message, otel_context: Context) -> bytes | None:
        """Seal the context of the current span itself; see `Tracing.carry`."""
        parent = current(otel_context)
        if parent is None:
            return None
        tenant = current_tenant(otel_context) or self._tenant
        now = self._clock() // _NS_PER_MS
        policy = self._in_force.at(now)
        channel = policy.channels(message.system, message.destination)[0]
        labels = self._labelling.labels(message, channel, tenant, current_baggage(otel_context))
        carried = parent._replace(labels=labels)
        return self._sealing.seal(message, carried, channel, tenant, now).envelope

    def send_batch(self, messages: Sequence[tuple[Message, Origin]]) -> tuple[list[Outgoing], list[OpenSpan]]:
        """Seal the traces of messages that are sent as one; see `Tracing.send_batch`."""
        started = self._clock()
        now = started // _NS_PER_MS
        policy = self._in_force.at(now)
        batch: list[Outgoing] = []
        groups: dict[tuple[str, bytes | None], _Group] = {}
        for message, origin in messages:
            channel = policy.channels(message.system, message.destination)[0]
            context = self._context(message, channel, origin)
            outgoing = self._sealing.seal(message, context, channel, origin.tenant, now)
            batch.append(outgoing)
            if not outgoing.traced:
                continue
            place = (origin.tenant, origin.parent.span_id if origin.parent else None)
            group = groups.get(place)
            if group is None:
                group = groups[place] = _Group(message.system, channel, origin)
            group.size += 1
            created = self._recorder.sending(
                Operation.CREATE, message.system, channel, context, origin, started
            )
            if created is not None:
                self._say_more(created, outgoing)
                self._end(created, None)
                group.created.append(context)
        spans = [self._batch_span(group, started) for group in groups.values() if group.created]
        sendings = [OpenSpan(span, self._end) for span in spans]
        refuse_blocked(batch, sendings)
        return batch, sendings

    def _batch_span(self, group: _Group, started: int) -> Span | None:
        """Open the span of the messages of a batch that belong together, sampled where any of them is."""
        sampled = [context for context in group.created if context.sampled]
        context = child_of(group.origin.parent, lambda _: bool(sampled))
        span = self._recorder.sending(
            Operation.SEND_BATCH, group.system, group.channel, context, group.origin, started
        )
        if span is not None:
            span.links += tuple(map(link_to, sampled))
            span.batch_size = group.size
        return span

    def _say_more(self, span: Span | None, outgoing: Outgoing) -> None:
        """Have the span of a message say how large it is, where a flag asks for that."""
        if self._in_force.verbose and span is not None:
            span.body_size = size_of(outgoing.message.body)

    def _context(self, message: Message, channel: Channel, origin: Origin) -> TraceContext:
        """Give the context of the span of a message, with the labels that travel."""
        context = child_of(origin.parent, channel.samples)
        labels = self._labelling.labels(message, channel, origin.tenant, origin.baggage)
        return context._replace(labels=labels) if labels else context


class _Group:
    """The messages of a batch that have tenant and parent in common: no tenant's are in another's span."""

    def __init__(self, system: str, channel: Channel, origin: Origin) -> None:
        self.system = system
        self.channel = channel
        self.origin = origin
        self.size = 0
        self.created: list[TraceContext] = []
