"""The life of one message in a process: being sent, being processed, being settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from interceptors.context import Scope
from interceptors.spans.span import NO_LABELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from interceptors.context import TraceContext
    from interceptors.pipeline import Outgoing
    from interceptors.spans import Span

    _End = Callable[[Span, BaseException | None], None]


class OpenSpan:
    """A span that is open until `end`, or until the `with` is left. It does not become current.

    Attributes:
        span: the span, None where nothing is recorded, or not any more. An adapter may fill its fields in.
    """

    __slots__ = ("_end", "span")

    def __init__(self, span: Span | None, end: _End) -> None:
        """Take an open span; `Tracing` does."""
        self.span = span
        self._end = end

    def end(self, error: BaseException | None = None) -> None:
        """End the span; a second call changes nothing.

        Args:
            error: what went wrong; only the name of its class is kept.
        """
        span, self.span = self.span, None
        if span is not None:
            self._end(span, error)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the span; the error is the caller's still."""
        self.end(error)


class Sending(OpenSpan):
    """A message on its way out.

    Attributes:
        channel: the channel's rules.
        seals: whether nothing that carries a trace in clear may go with the message, envelope or none.
        envelope: what to attach in the envelope's header; None for nothing.
        body: what to send: the message's own, or with what the policy takes out of it replaced.
        headers: likewise, and without those that the policy lets not go.
    """

    __slots__ = ("body", "channel", "envelope", "headers", "seals")

    def __init__(self, outgoing: Outgoing, span: Span | None, end: _End) -> None:
        """Open it; `Tracing.send` does."""
        super().__init__(span, end)
        self.channel = outgoing.channel
        self.seals = outgoing.seals
        self.envelope = outgoing.envelope
        self.body: Any = outgoing.message.body
        self.headers: Sequence[tuple[str, Any]] = outgoing.message.headers


class Current(NamedTuple):
    """What becomes current while a message is processed."""

    tenant: str
    context: TraceContext
    attempt: TraceContext
    """What a retry of the processing is to go on from, as this did."""
    labels: Mapping[str, str] | None = None
    """What becomes the baggage; None for nothing."""

    def __repr__(self) -> str:
        """Show neither ids nor labels."""
        return f"Current(tenant={self.tenant!r})"


class Processing(OpenSpan):
    """A message being processed: while it is entered, its span, tenant and labels are current.

    Entering it again, in another task say, makes them current there; leaving or `end` ends the span once.
    """

    __slots__ = ("_current", "_scopes")

    def __init__(self, span: Span | None, current: Current | None, end: _End) -> None:
        """Prepare it; `Tracing.process` does."""
        super().__init__(span, end)
        self._current = current
        self._scopes: list[Scope] = []

    @property
    def context(self) -> TraceContext | None:
        """The context of its span; None where the policy records nothing of the message."""
        return None if self._current is None else self._current.context

    @property
    def attempt(self) -> TraceContext | None:
        """What a retry is to go on from, for `Tracing.send`; None likewise."""
        return None if self._current is None else self._current.attempt

    def __enter__(self) -> Self:
        """Make span and tenant current."""
        if self._current is not None:
            tenant, context, _, labels = self._current
            self._scopes.append(Scope(tenant, context, labels or NO_LABELS))
        return self

    def end(self, error: BaseException | None = None) -> None:
        """End the span, and put back what was current; a second call changes nothing."""
        # Each task that entered it has a scope; leaving those of other tasks does nothing here, and they are
        # kept for when those tasks end it.
        for scope in reversed(self._scopes):
            scope.leave()
        super().end(error)
