"""FastStream's `RabbitBroker`, which is aio-pika below."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aio_pika import Message
from faststream.exceptions import RejectMessage
from faststream.message import SourceType

from interceptors.faststream.scope import TracedScope, Unencoded, encoded, target
from interceptors.rabbitmq.exchange import TracedExchange
from interceptors.rabbitmq.message import TracedMessage, receive, refuse, wanted_keys
from interceptors.rabbitmq.names import SYSTEM, lasting_name
from interceptors.rabbitmq.queue import seen_by
from interceptors.tracing import off_loop
from interceptors.tracing.patching import left_alone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aio_pika.abc import AbstractIncomingMessage
    from faststream import ContextRepo, StreamMessage
    from faststream.rabbit import RabbitQueue
    from faststream.rabbit.response import RabbitPublishCommand

    from interceptors.tracing import Tracing

    _Next = Callable[[RabbitPublishCommand], Awaitable[Any]]


class TracedMiddleware:
    """A middleware of a `RabbitBroker`, by which its messages carry a sealed trace envelope.

    Put it last: the innermost middleware sees a message as it travels. A message's `raw_message` is a
    `TracedMessage` then.

    In a handler, and while its reply is published, the process span and the sender's tenant are current.
    """

    def __init__(self, tracing: Tracing) -> None:
        """Make the middleware.

        Args:
            tracing: the service's tracing.
        """
        self._tracing = tracing

    def __call__(self, msg: Any, /, *, context: ContextRepo) -> TracedScope:
        """Make the middleware of one message, as FastStream does."""
        return _Scope(msg, context=context, tracing=self._tracing)


class _Scope(TracedScope):
    async def consume_scope(self, call_next: Any, msg: StreamMessage[Any]) -> Any:
        """Verify a message and strip it, and call the handler, unless the policy refuses the message.

        Raises:
            RejectMessage: it does; the message is rejected, and not requeued, so that it is dead-lettered.
            RejectedError: likewise, where it is not a handler that asks.
        """
        raw: AbstractIncomingMessage = msg.raw_message
        called = self.subscriber is not None and msg.source_type is not SourceType.RESPONSE
        queue = _queue(self.subscriber) if called else None
        started = self._tracing.now()
        message = await self._received(raw, queue.name if queue is not None else None)
        msg.raw_message, msg.headers = message, message.headers
        if message.receipt.rejected:
            stream = queue is not None and (queue.arguments or {}).get("x-queue-type") == "stream"
            await refuse(raw, stream=stream)
            if called:
                raise RejectMessage from message.rejection()
            raise message.rejection()
        if called:
            self.begin(message.open_processing())
        else:
            self._tracing.received(SYSTEM, [message.receipt], started=started, group=None)
        return await call_next(msg)

    async def _received(self, raw: AbstractIncomingMessage, queue: str | None) -> TracedMessage:
        if isinstance(raw, TracedMessage):  # by `interceptors.rabbitmq.instrument`
            return raw
        wanted = self._tracing.opening_keys_wanted(wanted_keys(raw))
        if wanted is not None:
            await off_loop(wanted)
        place = queue if queue is not None else lasting_name(raw.exchange or raw.routing_key or "")
        return receive(self._tracing, raw, queue, seen_by(place))

    async def publish_scope(self, call_next: _Next, cmd: RabbitPublishCommand) -> Any:
        """Publish a message, sealed.

        Raises:
            LeakError: the policy blocks the message.
        """
        message: Any = cmd.body
        if not isinstance(message, Message):
            options = cmd.message_options
            body, content_type = await encoded(target(call_next).producer, message)
            message = _Outgoing(
                body=body,
                headers=cmd.headers,
                message_id=options.get("message_id"),
                type=options.get("message_type"),
                content_type=options.get("content_type") or content_type,
            )
        exchange: Any = _Exchange(call_next, cmd)
        return await TracedExchange(exchange, self._tracing).publish(message, cmd.destination)


@dataclass
class _Outgoing:
    """Stands for aio-pika's message, of which FastStream makes the rest."""

    body: Any
    headers: Any
    message_id: str | None
    type: str | None
    content_type: str | None
    body_size: int = 0


class _Exchange:
    """Stands for the exchange of one command: what is published by it goes on through FastStream."""

    __slots__ = ("_call_next", "_cmd", "name")

    def __init__(self, call_next: _Next, cmd: RabbitPublishCommand) -> None:
        self._call_next = call_next
        self._cmd = cmd
        self.name = cmd.exchange.name

    async def publish(self, message: Message | _Outgoing, _routing_key: str, **_options: object) -> Any:
        cmd = copy.copy(self._cmd)  # which has routing key and options
        if isinstance(message, Message):
            cmd.body = message
        else:
            cmd.body = message.body.body if isinstance(message.body, Unencoded) else message.body
            cmd.headers = message.headers
            cmd.message_options = {**cmd.message_options, "message_id": message.message_id}
            if message.content_type:
                cmd.message_options["content_type"] = message.content_type
        with left_alone():  # by `interceptors.rabbitmq.instrument`
            return await self._call_next(cmd)


def _queue(subscriber: Any) -> RabbitQueue:
    """Give the queue of a subscriber, under the name that it has on the broker: with its router's prefix."""
    queue: RabbitQueue = subscriber.queue
    prefix = subscriber.routing().removesuffix(queue.routing())
    return queue.add_prefix(prefix) if prefix else queue
