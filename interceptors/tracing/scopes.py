"""The life of one message in a process: being sent, being processed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from interceptors.context import Scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from interceptors.context import TraceContext
    from interceptors.spans import Span


class Sending:
    """A message on its way out.

    Attributes:
        envelope: what to attach in the envelope's header; None for nothing.
        span: the span that is open until `end`; None where nothing is recorded. An adapter may fill its
            fields in.
    """

    __slots__ = ("_end", "envelope", "span")

    def __init__(
        self, envelope: bytes | None, span: Span | None, end: Callable[[Span, BaseException | None], None]
    ) -> None:
        """Open it; `Tracing.send` does."""
        self.envelope = envelope
        self.span = span
        self._end = end

    def end(self, error: BaseException | None = None) -> None:
        """End the span; a second call changes nothing.

        Args:
            error: why the message was not sent; only the name of its class is kept.
        """
        span, self.span = self.span, None
        if span is not None:
            self._end(span, error)


class Processing:
    """A message being processed: while it is entered, its span and its sender's tenant are current.

    Entering it again, in another task say, makes them current there; leaving or `end` ends the span once.
    """

    __slots__ = ("_current", "_end", "_scopes", "span")

    def __init__(
        self,
        span: Span | None,
        current: tuple[str, TraceContext] | None,
        end: Callable[[Span, BaseException | None], None],
    ) -> None:
        """Prepare it; `Tracing.process` does."""
        self.span = span
        self._current = current
        self._end = end
        self._scopes: list[Scope] = []

    def __enter__(self) -> Self:
        """Make span and tenant current."""
        if self._current is not None:
            self._scopes.append(Scope(*self._current))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what was current, and end the span; the error is the caller's still."""
        self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """End the span, and put back what was current; a second call changes nothing."""
        # Each task that entered it has a scope; leaving those of other tasks does nothing here, and they are
        # kept for when those tasks end it.
        for scope in reversed(self._scopes):
            scope.leave()
        span, self.span = self.span, None
        if span is not None:
            self._end(span, error)
