"""A decorator for functions that handle one message."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from confluent_kafka import Message

from interceptors.confluent.message import TracedMessage, process, receive, rejection, wanted_keys
from interceptors.tracing import Handling, handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.tracing import Tracing

P = ParamSpec("P")
T = TypeVar("T")


def traced(tracing: Tracing, *, group_id: str | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Trace the handling of each message that a function is called with.

    For messages of a `TracedConsumer`, and for raw ones of any `Consumer`: those are verified and stripped
    before the function sees them. A message that stands for an error is handed on, untraced.

    Args:
        tracing: the service's tracing.
        group_id: the consumer's group, for raw messages. Handlers of one group share a memory of what they
            have seen, so that the second one that is given a message finds it redelivered.

    Returns:
        A decorator for a function, or coroutine function, one of whose arguments is the message.

    Raises:
        RejectedError: by the decorated function: the channel's policy refuses the message.
    """

    def admit(raw: Message, consumer: str) -> Message:
        if raw.error() is not None:
            return raw
        message = raw if isinstance(raw, TracedMessage) else receive(tracing, raw, consumer, group_id)
        if message.receipt.rejected:
            raise rejection(message)
        return message

    handling = Handling(Message, lambda raw: wanted_keys([raw]), admit, partial(process, tracing))
    return handler(tracing, handling, consumer=group_id)
