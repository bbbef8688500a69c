"""Sending through aio-pika."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from aio_pika.abc import AbstractExchange
from aio_pika.exceptions import PublishError
from aiormq.abc import DeliveredMessage

from interceptors.headers import SealedTable, stripped
from interceptors.message import Message
from interceptors.rabbitmq.names import SYSTEM, lasting_name
from interceptors.tracing import Delegate, off_loop
from interceptors.tracing.patching import by_hand

if TYPE_CHECKING:
    from aio_pika.abc import AbstractMessage, TimeoutType
    from pamqp.commands import Basic

    from interceptors.rabbitmq.message import TracedMessage
    from interceptors.tracing import Tracing

_ROUTING = frozenset({"CC", "BCC"})
"""The headers that RabbitMQ routes by, besides the routing key."""


class TracedExchange(Delegate):
    """An aio-pika `Exchange` whose messages carry a sealed trace envelope.

    It has the exchange's whole interface: what is not below is passed on.
    """

    def __init__(self, exchange: AbstractExchange, tracing: Tracing) -> None:
        """Wrap an exchange; `TracedChannel` does.

        Args:
            exchange: the exchange, of a plain or a robust channel.
            tracing: the service's tracing.
        """
        super().__init__(exchange)
        by_hand(exchange)
        self._tracing = tracing

    async def publish(
        self,
        message: AbstractMessage | TracedMessage,
        routing_key: str,
        *,
        mandatory: bool = True,
        immediate: bool = False,
        timeout: TimeoutType = None,  # noqa: ASYNC109 - aio-pika's signature
    ) -> Basic.Ack | DeliveredMessage | None:
        """Publish a message, as `Exchange.publish` does.

        Args:
            message: as there; it is left as it is.
            routing_key: as there.
            mandatory: as there. A message that is returned marks the span, whether an error is raised or not.
            immediate: as there.
            timeout: as there.

        Returns:
            The publisher confirm, the message where it was returned, or None, as there.
        """
        wanted = self._tracing.sealing_key_wanted()
        if wanted is not None:
            await off_loop(wanted)
        outgoing: Any = copy.copy(message)
        # aiormq would make one up while it publishes, when the envelope is bound to none already.
        outgoing.message_id = outgoing.message_id or uuid4().hex
        view = Message(
            system=SYSTEM,
            destination=lasting_name(self._wrapped.name or routing_key),
            body=outgoing.body,
            type=outgoing.type or "",
            id=outgoing.message_id,
            headers=stripped((outgoing.headers or {}).items()),
            fixed=_ROUTING,
        )
        with self._tracing.send(view) as sending:
            headers = dict(sending.headers)
            envelope = None if sending.envelope is None else bytearray(sending.envelope)
            outgoing.headers = SealedTable(headers, envelope) if sending.seals else headers
            if sending.body is not view.body:
                outgoing.body, outgoing.body_size = sending.body, len(sending.body)
            result: Basic.Ack | DeliveredMessage | None = await self._wrapped.publish(
                outgoing, routing_key, mandatory=mandatory, immediate=immediate, timeout=timeout
            )
            if isinstance(result, DeliveredMessage):
                sending.end(PublishError(result, result.delivery))
        return result

    def __str__(self) -> str:
        return str(self._wrapped)


AbstractExchange.register(TracedExchange)
