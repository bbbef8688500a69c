"""A decorator for functions that handle one message."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

from aio_pika.abc import AbstractIncomingMessage

from interceptors.errors import RejectedError
from interceptors.rabbitmq.message import TracedMessage, receive, refuse, wanted_keys
from interceptors.rabbitmq.queue import seen_by
from interceptors.tracing import Handling, handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.tracing import Tracing

P = ParamSpec("P")
T = TypeVar("T")


def traced(tracing: Tracing, *, queue: str | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Trace the handling of each message that a function is called with.

    For messages of a `TracedQueue`, and for raw ones of any aio-pika queue: those are verified and stripped
    before the function sees them.

    Args:
        tracing: the service's tracing.
        queue: the queue's name, for raw messages, which don't know it. Without it, a message is judged by the
            exchange that it came by (by its routing key, where that is the default one), and each handler has
            its own memory of what it has seen.

    Returns:
        A decorator for a function, or coroutine function, one of whose arguments is the message.

    Raises:
        RejectedError: by the decorated function: the channel's policy refuses the message. A coroutine
            function has rejected it then, so that it is dead-lettered; a function leaves that to its caller.
    """
    refused: WeakKeyDictionary[RejectedError, AbstractIncomingMessage] = WeakKeyDictionary()

    def admit(raw: AbstractIncomingMessage, consumer: str) -> TracedMessage:
        message = raw if isinstance(raw, TracedMessage) else receive(tracing, raw, queue, consumer)
        if message.receipt.rejected:
            error = message.rejection()
            refused[error] = raw
            raise error
        return message

    handling = Handling(AbstractIncomingMessage, wanted_keys, admit, TracedMessage.open_processing)
    decorate = handler(tracing, handling, consumer=None if queue is None else seen_by(queue))

    def decorate_rejecting(function: Callable[P, T]) -> Callable[P, T]:
        handle = decorate(function)
        if not inspect.iscoroutinefunction(handle):
            return handle

        @functools.wraps(handle)
        async def handle_rejecting(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - the function's
            try:
                return await handle(*args, **kwargs)
            except RejectedError as error:
                message = refused.pop(error, None)
                if message is not None:
                    await refuse(message)
                raise

        return cast("Callable[P, T]", handle_rejecting)

    return decorate_rejecting
