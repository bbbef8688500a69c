"""A received message, and how it becomes the core's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from aio_pika import IncomingMessage, Message
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aio_pika.message import ProcessContext

from interceptors import message as core
from interceptors.errors import RejectedError
from interceptors.headers import died_in, envelopes, stripped
from interceptors.rabbitmq.names import SYSTEM, lasting_name
from interceptors.spans import Operation
from interceptors.tracing import Delegate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from types import TracebackType

    from aio_pika.abc import HeadersType, MessageInfo
    from pamqp.commands import Basic

    from interceptors.pipeline import Receipt
    from interceptors.tracing import Processing, Tracing


class TracedMessage(Delegate):
    """An `aio_pika.IncomingMessage` stripped of its envelope, and what the envelope said.

    It has the message's whole interface: what is not below is passed on.

    Attributes:
        headers: the headers without the envelope. What is changed in them stays, and goes along where the
            message is published again.
        receipt: verdict, tenant, sender and channel of the message.
        processing: the processing that was opened for it last, if any was.
    """

    def __init__(
        self,
        message: AbstractIncomingMessage,
        tracing: Tracing,
        receipt: Receipt,
        headers: HeadersType,
        coordinate: core.Coordinate,
    ) -> None:
        """Wrap a message; `receive` does."""
        super().__init__(message)
        self._tracing = tracing
        self._coordinate = coordinate
        self.headers = headers
        self.receipt = receipt
        self.processing: Processing | None = None

    @property
    def headers_raw(self) -> HeadersType:
        """The headers without the envelope, by the name that aio-pika deprecates."""
        return self.headers

    @property
    def properties(self) -> Basic.Properties:
        """The properties to publish it again with."""
        return self.__copy__().properties

    def info(self) -> MessageInfo:
        """Describe the message, as `IncomingMessage.info` does."""
        info: MessageInfo = self._wrapped.info()
        info["headers"] = self.headers
        return info

    async def ack(self, multiple: bool = False) -> None:  # noqa: FBT001, FBT002 - aio-pika's signature
        """Acknowledge the message, as `IncomingMessage.ack` does."""
        await self._settle(Operation.ACK, self._wrapped.ack(multiple))

    async def nack(
        self,
        multiple: bool = False,  # noqa: FBT001, FBT002 - aio-pika's signature
        requeue: bool = True,  # noqa: FBT001, FBT002 - likewise
    ) -> None:
        """Turn the message away, as `IncomingMessage.nack` does."""
        await self._settle(Operation.NACK, self._wrapped.nack(multiple, requeue))

    async def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - aio-pika's signature
        """Turn the message away, as `IncomingMessage.reject` does."""
        await self._settle(Operation.REJECT, self._wrapped.reject(requeue))

    def process(
        self,
        requeue: bool = False,  # noqa: FBT001, FBT002 - aio-pika's signature
        reject_on_redelivered: bool = False,  # noqa: FBT001, FBT002 - likewise
        ignore_processed: bool = False,  # noqa: FBT001, FBT002 - likewise
    ) -> TracedProcessContext:
        """Give the scope of its processing, for `async with`, as `IncomingMessage.process` does.

        Returns:
            A context manager: inside, the process span and the sender's tenant are current; at its end the
            message is acknowledged, or rejected where an exception leaves it, which marks the span.
        """
        return TracedProcessContext(
            cast("IncomingMessage", self),
            requeue=requeue,
            reject_on_redelivered=reject_on_redelivered,
            ignore_processed=ignore_processed,
        )

    def rejection(self) -> RejectedError:
        """Give the error for a message that the policy refuses."""
        receipt = self.receipt
        return RejectedError(
            channel=receipt.channel.name, verdict=str(receipt.verdict), coordinate=self._coordinate
        )

    def open_processing(self) -> Processing:
        """Give its processing: the one that is open already, or a new one."""
        if self.processing is None or self.processing.span is None:
            self.processing = self._tracing.process(SYSTEM, self.receipt)
        return self.processing

    def __iter__(self) -> Iterator[int]:
        return iter(self.body)

    def __copy__(self) -> Message:
        return Message.__copy__(cast("Message", self))

    def __repr__(self) -> str:
        """Show where it came from, and not what it holds."""
        return f"TracedMessage({self._coordinate[0]!r}, delivery_tag={self.delivery_tag})"

    async def _settle(self, operation: Operation, settling: Awaitable[None]) -> None:
        with self._tracing.settle(operation, SYSTEM, self.receipt, self.processing):
            await settling


AbstractIncomingMessage.register(TracedMessage)


class TracedProcessContext(ProcessContext):
    """An aio-pika `ProcessContext` in which the message's process span is current."""

    async def __aenter__(self) -> IncomingMessage:
        """Open the message's processing, unless a consumer has."""
        message = cast("TracedMessage", self.message)
        found = message.processing
        self._processing = message.open_processing()
        self._opened = self._processing is not found
        if self._opened:
            self._processing.__enter__()
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Settle the message, and end what was opened here; what a consumer opened, only with an error."""
        try:
            await super().__aexit__(kind, error, traceback)
        except BaseException as failure:
            self._processing.end(error or failure)
            raise
        if self._opened or error is not None:
            self._processing.end(error)


def receive(
    tracing: Tracing, message: AbstractIncomingMessage, queue: str | None, consumer: str
) -> TracedMessage:
    """Verify a message; the given one is left as it is.

    Args:
        tracing: the service's tracing.
        message: as aio-pika gave it.
        queue: the queue that it was in, where it is known.
        consumer: whose memory of seen envelopes counts.
    """
    headers = _table(message.headers)
    via = lasting_name(message.exchange or message.routing_key or "")
    place = via if queue is None else queue
    offset = _stream_offset(headers)
    coordinate = (place,) if offset is None else (place, offset)
    again = bool(message.redelivered) or died_in(() if queue is None else (queue,), headers)
    bare = stripped(headers)
    receipt = tracing.receive(
        core.Message(
            system=SYSTEM,
            destination=lasting_name(place),
            body=message.body,
            type=message.type or "",
            id=message.message_id or "",
            envelopes=envelopes(headers),
            coordinate=coordinate,
            via=via,
            redelivered=again if offset is None else None,
            headers=bare,
        ),
        consumer=consumer,
    )
    return TracedMessage(message, tracing, receipt, dict(bare), coordinate)


def wanted_keys(message: AbstractIncomingMessage) -> tuple[object, ...]:
    """Give the values of a message's envelope headers."""
    return envelopes(_table(message.headers))


async def refuse(message: AbstractIncomingMessage, *, stream: bool = False) -> None:
    """Turn away what the policy refuses, unless it wants no acknowledgement.

    Args:
        message: the message. It is rejected without being requeued, so that it is dead-lettered.
        stream: whether it comes from a stream, which has no dead letters: RabbitMQ closes the connection of
            who rejects there. So it is acknowledged, which takes nothing out of a stream.
    """
    if not message.processed:
        await _to_the_end(message.ack if stream else message.reject)


async def put_back(message: AbstractIncomingMessage) -> None:
    """Give a message that nobody has seen back to its queue, unless it wants no acknowledgement."""
    if not message.processed:
        await _to_the_end(message.nack)


async def _to_the_end(settle: Callable[[], Awaitable[None]]) -> None:
    """Settle a message though who waits for it is cancelled: unsettled, it would take up the prefetch."""

    async def settled() -> None:
        # Where the channel is gone, the broker has put it back.
        with contextlib.suppress(AMQPError, ChannelInvalidStateError, ConnectionError):
            await settle()

    await asyncio.shield(settled())


def _table(headers: object) -> Iterable[tuple[str, Any]]:
    return headers.items() if isinstance(headers, Mapping) else ()


def _stream_offset(headers: Iterable[tuple[str, object]]) -> int | None:
    """Give the place of a message in a stream, where each has one of its own and may be read again."""
    offset = next((value for name, value in headers if name == "x-stream-offset"), None)
    return offset if type(offset) is int else None
