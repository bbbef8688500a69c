"""A decorator for functions that handle one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from aio_pika.abc import AbstractIncomingMessage

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
            Around a call of the former, say `message.process(ignore_processed=True)`: without that, a raw
            message's `process` rejects it again, and its `MessageProcessError` replaces this one.
    """

    def admit(raw: AbstractIncomingMessage, consumer: str) -> TracedMessage:
        message = raw if isinstance(raw, TracedMessage) else receive(tracing, raw, queue, consumer)
        if message.receipt.rejected:
            raise message.rejection()
        return message

    handling = Handling(AbstractIncomingMessage, wanted_keys, admit, TracedMessage.open_processing, refuse)
    return handler(tracing, handling, consumer=None if queue is None else seen_by(queue))
