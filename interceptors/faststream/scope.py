"""What the middlewares of both buses share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from faststream import BaseMiddleware
from faststream.exceptions import AckMessage, SkipMessage
from faststream.message import encode_message

if TYPE_CHECKING:
    from types import TracebackType

    from faststream import ContextRepo

    from interceptors.tracing import Processing, Tracing


class TracedScope(BaseMiddleware[Any, Any]):
    """The middleware of one message that was received, or of messages that are published outside of any."""

    def __init__(self, msg: Any, /, *, context: ContextRepo, tracing: Tracing) -> None:
        """Start with nothing open.

        Args:
            msg: the client's message, or messages; None while publishing only.
            context: FastStream's.
            tracing: the service's tracing.
        """
        super().__init__(msg, context=context)
        self._tracing = tracing
        self._processing: Processing | None = None

    @property
    def subscriber(self) -> Any:
        """The subscriber whose handler is being called; None for `get_one` and for iteration."""
        return self.context.get_local("handler_")

    def begin(self, processing: Processing) -> None:
        """Make a processing current until FastStream is done with the message, its reply included."""
        self._processing = processing
        processing.__enter__()

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,  # noqa: ARG002 - FastStream's signature
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,  # noqa: ARG002 - likewise
    ) -> bool | None:
        """End the processing; the error is FastStream's still."""
        if self._processing is not None:
            # By these two, a handler says that it is done.
            self._processing.end(None if isinstance(exc_val, (AckMessage, SkipMessage)) else exc_val)
        return False


class Target(NamedTuple):
    """What publishes a command in the end."""

    producer: Any
    """FastStream's producer; None where something else than FastStream stands in between."""
    method: str
    """The name of its method: `publish`, `publish_batch` or `request`."""


def target(call_next: Any) -> Target:
    """Find what publishes a command behind the middlewares that are still to come.

    A middleware is told neither with what a body will be encoded nor whether a command is a batch or a
    request. FastStream wraps the producer's method in a `functools.partial` for each middleware.

    Args:
        call_next: as a middleware's `publish_scope` is given it.
    """
    while isinstance(call_next, partial) and call_next.args:
        call_next = call_next.args[0]
    return Target(getattr(call_next, "__self__", None), getattr(call_next, "__name__", ""))


class Unencoded(NamedTuple):
    """A body that only FastStream encodes: nothing can be bound to it, and it can't be scanned."""

    body: Any


async def encoded(producer: Any, body: Any) -> tuple[Any, str | None]:
    """Encode a body as FastStream would.

    It encodes what it is given then once more, which leaves bytes as they are, unless by a codec that is the
    application's own.

    Args:
        producer: FastStream's; that of a test broker doesn't say how it encodes.
        body: the body.

    Returns:
        The bytes, or an `Unencoded`, and the content type, if it has one.
    """
    if not hasattr(producer, "serializer"):
        return Unencoded(body), None
    codec = getattr(producer, "codec", None)
    if codec is None:  # FastStream 0.6
        return encode_message(body, producer.serializer)
    if not type(codec).__module__.startswith("faststream."):
        return Unencoded(body), None
    found: tuple[bytes, str | None] = await codec.encode(body, producer.serializer)
    return found
