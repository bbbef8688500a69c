"""Trace context: what an envelope carries, and the context that is current (OpenTelemetry's).

What belongs here: the value `TraceContext`, its W3C form, and reading and setting OpenTelemetry's current
span and baggage. What does not: bytes on a bus (`envelope`) and recording (`spans`).
"""

from __future__ import annotations

import os
import re
import weakref
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from interceptors.randomness import Draws

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Label = bool | int | str | bytes

SAMPLED = 0x01
RANDOM_TRACE_ID = 0x02
NO_LABELS: Mapping[str, Label] = MappingProxyType({})
RETRY_LABEL = "retry"
"""The label of an envelope that carries a retry: the id of the span that sent it."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_span_id = Draws(8)
_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_SCOPE = otel_context.create_key("interceptors-scope")
_SPAN = next(iter(set_span_in_context(INVALID_SPAN, Context())))
"""OpenTelemetry's key of the current span, for which it has no public name."""


class TraceContext(NamedTuple):
    """One point in a trace. Its `repr` shows neither ids nor labels: they are what an envelope hides."""

    trace_id: bytes
    """16 bytes, not all zero."""
    span_id: bytes
    """8 bytes, not all zero."""
    flags: int = SAMPLED | RANDOM_TRACE_ID
    """W3C trace flags: bit 0 sampled, bit 1 random trace id."""
    labels: Mapping[str, Label] = NO_LABELS
    """What the policy lets travel with the trace."""

    @property
    def sampled(self) -> bool:
        """Whether spans of this trace are recorded."""
        return bool(self.flags & SAMPLED)

    def __repr__(self) -> str:
        """Show what is not secret."""
        return f"TraceContext(sampled={self.sampled}, labels={len(self.labels)})"

    def __reduce__(self) -> tuple[object, ...]:
        """Be copied and pickled, as records that are handed to another process are."""
        return TraceContext, (*self[:3], dict(self.labels))


def new_root(*, sampled: bool = True) -> TraceContext:
    """Start a trace.

    Args:
        sampled: whether its spans are to be recorded.

    Returns:
        A context with random ids.
    """
    random = os.urandom(24)
    return TraceContext(random[:16], random[16:], (SAMPLED if sampled else 0) | RANDOM_TRACE_ID)


def child_of(parent: TraceContext | None, samples: Callable[[bytes], bool] | None = None) -> TraceContext:
    """Give the context of a new span below a parent, or of a new trace where there is none.

    Labels stay behind: what travels on is for the policy to say, hop by hop.

    Args:
        parent: the span above, whose sampling decision holds for this one.
        samples: decides by the trace id whether a new trace is sampled; without it, each is.
    """
    if parent is not None:
        return TraceContext(parent.trace_id, _span_id(), parent.flags)
    root = new_root()
    if samples is None or samples(root.trace_id):
        return root
    return root._replace(flags=RANDOM_TRACE_ID)


def retry_of(attempt: TraceContext, context: TraceContext) -> TraceContext:
    """Give what the envelope of a retry carries, so that attempts are siblings and not ever deeper children.

    Args:
        attempt: the context that the attempt before went on from.
        context: that of the span that sends the retry, below the attempt's.

    Returns:
        The first one's, with a label that names the second, and the second one's labels.
    """
    if attempt.trace_id != context.trace_id:
        return context
    # The first one, so that where not all of them fit into the envelope, this one does.
    labels = MappingProxyType({RETRY_LABEL: context.span_id, **context.labels})
    return TraceContext(attempt.trace_id, attempt.span_id, attempt.flags, labels)


def to_traceparent(context: TraceContext) -> str:
    """Give the W3C `traceparent` of a context (Trace Context level 2, version 00)."""
    return f"00-{context.trace_id.hex()}-{context.span_id.hex()}-{context.flags:02x}"


def from_traceparent(value: str) -> TraceContext | None:
    """Read a W3C `traceparent` (Trace Context level 2).

    Args:
        value: the header's value.

    Returns:
        The context, or None where the standard says to ignore the value: another form, version `ff`,
        all-zero ids, or trailing data in version 00.
    """
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace, span, flags, rest = match.groups()
    trace_id, span_id = bytes.fromhex(trace), bytes.fromhex(span)
    if version == "ff" or (version == "00" and rest) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & (SAMPLED | RANDOM_TRACE_ID))


def current(context: Context | None = None) -> TraceContext | None:
    """Give the context of OpenTelemetry's current span, or None where there is none.

    Args:
        context: OpenTelemetry's context, for whoever has it in hand.
    """
    active = get_current_span(context)
    if isinstance(active, _CurrentSpan):
        return active.trace_context
    span = active.get_span_context()
    if not span.is_valid:
        return None
    return TraceContext(
        span.trace_id.to_bytes(16, "big"),
        span.span_id.to_bytes(8, "big"),
        span.trace_flags & (SAMPLED | RANDOM_TRACE_ID),
    )


def current_tenant(context: Context | None = None) -> str | None:
    """Give the tenant whose messages are being handled, or None where nobody has said.

    Args:
        context: OpenTelemetry's context, for whoever has it in hand.
    """
    tenancy = _tenancy(context)
    return None if tenancy is None else tenancy.tenant


def left_behind(context: Context | None = None) -> TraceContext | None:
    """Give the context of the span that was current where the code crossed over from another tenant.

    Args:
        context: OpenTelemetry's context, for whoever has it in hand.

    Returns:
        What a trace that begins here is to have a link to; None where no tenant was left.
    """
    tenancy = _tenancy(context)
    return None if tenancy is None else tenancy.left


def current_baggage(context: Context | None = None) -> Mapping[str, object]:
    """Give OpenTelemetry's baggage.

    Args:
        context: OpenTelemetry's context, for whoever has it in hand.
    """
    return baggage.get_all(context)


def continued(context: Context, tenant: str, span: TraceContext, labels: Mapping[str, str]) -> Context:
    """Give OpenTelemetry's context for what is done with a trace that came from elsewhere.

    Args:
        context: what is current.
        tenant: whose message it is.
        span: the sender's, which the receiver's go below.
        labels: what travelled with the trace, which becomes the baggage: none that was there before stays.

    Returns:
        The context, not made current.
    """
    handling = otel_context.set_value(_SCOPE, _Tenancy(tenant), context)
    return _relabelled(
        set_span_in_context(NonRecordingSpan(_span_context(span, is_remote=True)), handling), labels
    )


class _Tenancy:
    """Whose messages are handled, as OpenTelemetry's context holds it."""

    __slots__ = ("left", "tenant")

    def __init__(self, tenant: str | None) -> None:
        self.tenant = tenant
        self.left: TraceContext | None = None
        """The span that was current where another tenant was left, or the one before that."""


class Scope(_Tenancy):
    """Makes a span, a tenant and baggage current, for as long as the code between the two calls runs.

    They lie in OpenTelemetry's context, so they go wherever that goes. OpenTelemetry's own `detach` wants
    its token back in the very context that it was made in, and logs an error otherwise; the body of an
    `async for` may be left in another one. So what was current before is put back by value, and only where
    ours is still current. A scope that is left before one that was entered later is taken out from below
    it: the later one then puts back what was current before both.
    """

    __slots__ = ("_ours", "before")

    def __init__(
        self,
        tenant: str | None,
        span: TraceContext | None = None,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Make them current.

        Args:
            tenant: whose messages these are; None for nobody's in particular.
            span: the context of the span that is to be current; None to leave the current one, but for a
                change from one tenant to another: then none is, nor any baggage, so that the other's trace
                starts anew.
            labels: where a span is given, what travelled with its trace, which becomes the baggage.
        """
        super().__init__(tenant)
        self.before: Context = otel_context.get_current()
        above = _tenancy(self.before)
        added: dict[str, object] = {_SCOPE: self}
        if span is not None:
            added[_SPAN] = _CurrentSpan(span)
        # Both at once: each `set_value` of OpenTelemetry's would copy the context, twice.
        ours = Context(self.before | added)
        if span is not None:
            ours = _relabelled(ours, labels)
        elif above is not None and above.tenant not in (None, tenant):
            self.left = current(self.before) or above.left
            ours = baggage.clear(set_span_in_context(INVALID_SPAN, ours))
        elif above is not None:
            self.left = above.left
        # The context holds the scope: the other way, too, they would wait for the garbage collector.
        self._ours = weakref.ref(ours)
        otel_context.attach(ours)

    def leave(self) -> None:
        """Put back what was current before, unless something else has become current since."""
        now, ours = otel_context.get_current(), self._ours()
        if now is ours:
            otel_context.attach(self.before)
            return
        later = _tenancy(now)
        while isinstance(later, Scope):
            if later.before is ours:
                later.before = self.before
                return
            later = _tenancy(later.before)


class Turns:
    """Keeps what is current for code that runs in turns with other code, as a generator's body does.

    Between two turns, what the other code has made current is so; in a turn, what was at the end of the last.
    """

    __slots__ = ("_between", "_within")

    def __init__(self) -> None:
        """Start with what is current."""
        self._within = self._between = otel_context.get_current()

    def __enter__(self) -> None:
        """Begin a turn."""
        self._between = otel_context.get_current()
        otel_context.attach(self._within)

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._within = otel_context.get_current()
        otel_context.attach(self._between)


def _tenancy(context: Context | None) -> _Tenancy | None:
    tenancy = otel_context.get_value(_SCOPE, context)
    return tenancy if isinstance(tenancy, _Tenancy) else None


def _span_context(context: TraceContext, *, is_remote: bool) -> SpanContext:
    trace_id, span_id = int.from_bytes(context.trace_id, "big"), int.from_bytes(context.span_id, "big")
    return SpanContext(trace_id, span_id, is_remote=is_remote, trace_flags=TraceFlags(context.flags))


def _relabelled(context: Context, labels: Mapping[str, str]) -> Context:
    """Give a context with these labels for its baggage, and nothing else."""
    if baggage.get_all(context):
        context = baggage.clear(context)
    for name, value in labels.items():
        context = baggage.set_baggage(name, value, context)
    return context


class _CurrentSpan(NonRecordingSpan):
    """OpenTelemetry's view of a context, made when somebody looks: few handlers do, and it costs."""

    def __init__(self, context: TraceContext) -> None:
        self.trace_context = context

    def get_span_context(self) -> SpanContext:
        """Give the context in OpenTelemetry's type."""
        return _span_context(self.trace_context, is_remote=False)

    def __repr__(self) -> str:
        """Show no id."""
        return f"NonRecordingSpan({self.trace_context!r})"
