"""confluent-kafka's asyncio clients."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka import KafkaException, TopicPartition

from interceptors.confluent.message import native
from interceptors.confluent.receiving import Receiving
from interceptors.confluent.sending import Outgoing, Serializers, send
from interceptors.tracing import Delegate, off_loop
from interceptors.tracing.patching import by_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from confluent_kafka import KafkaError, Message
    from confluent_kafka.aio import AIOProducer
    from confluent_kafka.serialization import SerializationContext

    from interceptors.tracing import Tracing

_POLL_S = 0.1


class TracedAIOProducer(Delegate):
    """An `AIOProducer` whose messages carry a sealed trace envelope.

    It has the producer's whole interface: what is not below is passed on, transactions included. The producer
    itself can send no headers; its messages go past its buffer, to the `Producer` inside it.
    """

    def __init__(
        self,
        producer: AIOProducer,
        tracing: Tracing,
        *,
        key_serializer: Callable[[Any, SerializationContext], Any] | None = None,
        value_serializer: Callable[[Any, SerializationContext], Any] | None = None,
    ) -> None:
        """Wrap a producer.

        Args:
            producer: the producer.
            tracing: the service's tracing.
            key_serializer: makes a key's bytes, and is called as a `SerializingProducer` calls its own.
            value_serializer: makes a value's bytes, likewise.
        """
        super().__init__(producer)
        by_hand(producer)
        self._tracing = tracing
        self._serializers = Serializers(key_serializer, value_serializer)
        self._produce = producer._producer.produce  # noqa: SLF001 - the only way to headers
        self._unsettled: set[asyncio.Future[Any]] = set()
        self._polling: asyncio.Task[None] | None = None

    async def produce(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        *_: Any,
        partition: int = -1,
        timestamp: int = 0,
        headers: Any = None,
        **__: Any,
    ) -> asyncio.Future[Any]:
        """Send a message, as `AIOProducer.produce` does.

        Args:
            topic: as there.
            value: as there.
            key: as there.
            partition: as there.
            timestamp: as there.
            headers: as of `Producer.produce`; they are left as they are.

        Returns:
            The future of the delivered message.
        """
        wanted = self._tracing.sealing_key_wanted()
        if wanted is not None:
            await off_loop(wanted)
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[Any] = loop.create_future()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(self._settle, delivered, error, message)

        message = Outgoing(topic, value, key, partition, on_delivery, timestamp, headers)
        try:
            send(self._tracing, self._produce, message, serializers=self._serializers, encodes=True)
        except (BufferError, KafkaException) as error:  # there, too, the future has them
            delivered.set_exception(error)
            return delivered
        self._unsettled.add(delivered)
        if self._polling is None or self._polling.done():
            # The producer looks for reports of what went through its buffer only.
            self._polling = loop.create_task(self._poll())
        return delivered

    async def close(self) -> None:
        """Deliver what waits, and close the producer."""
        try:
            await self._wrapped.flush()
        finally:
            if self._polling is not None:
                self._polling.cancel()
            await self._wrapped.close()

    async def __aenter__(self) -> Self:
        """Enter the producer."""
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Deliver what waits, and close the producer."""
        await self.close()

    def __len__(self) -> int:
        """Give the number of messages that are not delivered yet, and requests, as the producer does."""
        return len(self._wrapped)

    def _settle(self, delivered: asyncio.Future[Any], error: KafkaError | None, message: Message) -> None:
        self._unsettled.discard(delivered)
        if delivered.done():  # the caller has cancelled it
            return
        if error is None:
            delivered.set_result(message)
        else:
            delivered.set_exception(KafkaException(error))

    async def _poll(self) -> None:
        while self._unsettled:
            await self._wrapped.poll(_POLL_S)


class TracedAIOConsumer(Receiving):
    """An `AIOConsumer` whose messages are verified and stripped of their envelopes.

    As `TracedConsumer`, with coroutines, and a task where that has a thread.
    """

    async def poll(self, *args: Any, **kwargs: Any) -> Message | None:
        """Get one message, as `AIOConsumer.poll` does, and make its process span current.

        Raises:
            RejectedError: the channel's policy refuses the message; the next call goes on behind it.
        """
        self._next()
        message = await self._wrapped.poll(*args, **kwargs)
        if message is None:
            return None
        await self._fetch_keys([message])
        return self._handed_out(message)

    async def consume(self, *args: Any, **kwargs: Any) -> list[Message]:
        """Get a batch of messages, as `AIOConsumer.consume` does, with one `receive` span for the batch.

        Raises:
            RejectedError: the channel's policy refuses a message. The others of its batch are handed out
                first; the error comes with the next call, one call for each such message.
        """
        self._next()
        started = self._tracing.now()
        messages = await self._wrapped.consume(*args, **kwargs)
        await self._fetch_keys(messages)
        return self._batch(messages, started)

    async def commit(self, *args: Any, **kwargs: Any) -> Any:
        """Commit, as `AIOConsumer.commit` does, the messages of this consumer included."""
        arguments, named = native(args, kwargs)
        return await self._wrapped.commit(*arguments, **named)

    async def store_offsets(self, *args: Any, **kwargs: Any) -> None:
        """Store offsets, as `AIOConsumer.store_offsets` does, those of this consumer's messages included."""
        arguments, named = native(args, kwargs)
        await self._wrapped.store_offsets(*arguments, **named)

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Close the consumer, and end the processings that are open."""
        await self._close(None, *args, **kwargs)

    async def __aenter__(self) -> Self:
        """Enter the consumer."""
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the consumer, and end the processings that are open."""
        await self._close(error)

    async def _close(self, error: BaseException | None, *args: Any, **kwargs: Any) -> None:
        try:
            await self._wrapped.close(*args, **kwargs)
        finally:
            self._ended(error)

    async def _fetch_keys(self, messages: Sequence[Message]) -> None:
        """Fetch keys off the event loop; cancelled while at it, leave the messages to be fetched again."""
        wanted = self._wanted(messages)
        if wanted is None:
            return
        try:
            await off_loop(wanted)
        except asyncio.CancelledError:
            # The position has moved past these messages, and nobody has them yet: move it back.
            first = {
                (message.topic(), message.partition()): message.offset()
                for message in reversed(messages)
                if message.error() is None
            }
            for (topic, partition), offset in first.items():
                # Where it is ours no longer, whoever has it goes on from what was committed.
                with suppress(KafkaException):
                    await self._wrapped.seek(TopicPartition(topic, partition, offset))
            raise
