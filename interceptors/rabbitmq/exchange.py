"""Sending through aio-pika."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from aio_pika.abc import AbstractExchange
from aio_pika.exceptions import PublishError
from aiormq.abc import DeliveredMessage

from interceptors.envelope import HEADER_NAME
from interceptors.headers import SealedTable, stripped
from interceptors.message import Message
from interceptors.rabbitmq.names import SYSTEM, lasting_name
from interceptors.tracing import Delegate, off_loop

if TYPE_CHECKING:
    from aio_pika.abc import AbstractMessage, TimeoutType
    from pamqp.commands import Basic

    from interceptors.rabbitmq.message import TracedMessage
    from interceptors.tracing import Tracing


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
        destination = lasting_name(self._wrapped.name or routing_key)
        with self._tracing.send(
            Message(SYSTEM, destination, outgoing.body, outgoing.type or "", outgoing.message_id or "")
        ) as sending:
            headers = outgoing.headers or {}
            outgoing.headers = SealedTable(headers) if sending.seals else dict(stripped(headers.items()))
            if sending.envelope is not None:
                outgoing.headers[HEADER_NAME] = bytearray(sending.envelope)
            result: Basic.Ack | DeliveredMessage | None = await self._wrapped.publish(
                outgoing, routing_key, mandatory=mandatory, immediate=immediate, timeout=timeout
            )
            if isinstance(result, DeliveredMessage):
                sending.end(PublishError(result, result.delivery))
        return result

    def __str__(self) -> str:
        return str(self._wrapped)


AbstractExchange.register(TracedExchange)
