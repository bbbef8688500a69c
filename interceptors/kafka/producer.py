"""Sending through aiokafka."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from aiokafka.errors import MessageSizeTooLargeError

from interceptors.envelope import HEADER_NAME
from interceptors.headers import stripped
from interceptors.kafka.batch import TOO_LARGE, TracedBatch
from interceptors.kafka.record import SYSTEM
from interceptors.message import Message
from interceptors.tracing import Delegate, off_loop, without_peers
from interceptors.tracing.patching import by_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Sequence
    from types import TracebackType

    from aiokafka import AIOKafkaProducer

    from interceptors.tracing import OpenSpan, Tracing

    _Send = Callable[[Any], Coroutine[Any, Any, asyncio.Future[Any]]]


class TracedProducer(Delegate):
    """An `AIOKafkaProducer` whose messages carry a sealed trace envelope.

    It has the producer's whole interface: what is not below is passed on, transactions included.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        tracing: Tracing,
        *,
        key_serializer: Callable[[Any], bytes] | None = None,
        value_serializer: Callable[[Any], bytes] | None = None,
    ) -> None:
        """Wrap a producer.

        Args:
            producer: the producer, started or not.
            tracing: the service's tracing.
            key_serializer: makes a key's bytes; give it here or to the producer, not to both.
            value_serializer: makes a value's bytes, likewise. Where a channel's binding is `message` it has
                to be given here: the envelope is bound to the bytes as they travel, and aiokafka doesn't
                show those that its own serializer makes.
        """
        super().__init__(producer)
        by_hand(producer)
        self._tracing = tracing
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        self._unsettled: set[asyncio.Future[Any]] = set()
        self._again: set[asyncio.Future[Any]] = set()
        """What goes for the second time, without its envelope."""

    async def send(  # noqa: PLR0917 - aiokafka's signature
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Collection[tuple[str, Any]] | None = None,
    ) -> asyncio.Future[Any]:
        """Send a message, as `AIOKafkaProducer.send` does.

        Args:
            topic: as there.
            value: as there.
            key: as there.
            partition: as there.
            timestamp_ms: as there.
            headers: as there; the list is left as it is.

        Returns:
            The future of the record's metadata.

        Raises:
            LeakError: the policy blocks the message.
        """
        wanted = self._tracing.sealing_key_wanted()
        if wanted is not None:
            await off_loop(wanted)
        try:
            bare = stripped(headers or ())
            key, value = self.serialized(key, value)
        except Exception as error:
            self._tracing.send(Message(SYSTEM, topic)).end(error)
            raise
        sending = self._tracing.send(Message(SYSTEM, topic, value, key=key, headers=bare))
        value, bare = sending.body, list(sending.headers)
        if sending.span is not None:
            sending.span.tombstone = value is None
        method = self.sealing(self._wrapped.send) if sending.seals else self._wrapped.send
        send = partial(method, topic, value, key, partition, timestamp_ms)
        if sending.envelope is None:
            return await self._sent([sending], send, bare)
        return await self._sent([sending], send, [*bare, (HEADER_NAME, sending.envelope)], bare.copy)

    async def send_and_wait(  # noqa: PLR0917 - aiokafka's signature
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Collection[tuple[str, Any]] | None = None,
    ) -> Any:
        """Send a message and wait until it is acknowledged, as `AIOKafkaProducer.send_and_wait` does.

        Returns:
            The record's metadata.
        """
        return await (await self.send(topic, value, key, partition, timestamp_ms, headers))

    def create_batch(self) -> TracedBatch:
        """Make an empty batch for `send_batch`, as `AIOKafkaProducer.create_batch` does."""
        return TracedBatch(self._tracing, self._wrapped.create_batch, self.serialized)

    async def send_batch(
        self,
        batch: Any,
        topic: str,
        *,
        partition: int,
    ) -> asyncio.Future[Any]:
        """Send a batch, as `AIOKafkaProducer.send_batch` does.

        Args:
            batch: of `create_batch`; one that aiokafka made goes as it is, untraced.
            topic: as there.
            partition: as there.

        Returns:
            The future of the batch's metadata.
        """
        if not isinstance(batch, TracedBatch):
            untraced: asyncio.Future[Any] = await self._wrapped.send_batch(batch, topic, partition=partition)
            return untraced
        for tenant in batch.tenants:
            wanted = self._tracing.sealing_key_wanted(tenant)
            if wanted is not None:
                await off_loop(wanted)
        sendings, sealed = batch.seal(topic)
        method = self.sealing(self._wrapped.send_batch) if batch.seals else self._wrapped.send_batch
        send = partial(method, topic=topic, partition=partition)
        return await self._sent(sendings, send, sealed, batch.bare if batch.has_envelopes else None)

    async def flush(self) -> None:
        """Wait until everything so far is delivered or refused, as `AIOKafkaProducer.flush` does."""
        await self._wrapped.flush()
        if self._unsettled:
            await asyncio.wait(set(self._unsettled))
        if self._again:
            await asyncio.wait(set(self._again))

    async def stop(self) -> None:
        """Deliver what waits, and stop the producer."""
        try:
            await self.flush()  # aiokafka's own would turn away what has to go again
        finally:
            await self._wrapped.stop()

    async def __aenter__(self) -> Self:
        """Start the producer."""
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the producer."""
        await self.stop()

    def sealing(self, method: Any) -> Any:
        """Give a method of the producer for what nobody may add a trace in clear to.

        Its record builder takes plain lists only, which another tracer would append to.
        """
        return without_peers(method)

    def serialized(self, key: Any, value: Any) -> tuple[Any, Any]:
        """Run the serializers that were given here, once."""
        if self._key_serializer is not None:
            key = self._key_serializer(key)
        if self._value_serializer is not None:
            value = self._value_serializer(value)
        return key, value

    async def _sent(
        self, sendings: Sequence[OpenSpan], send: _Send, sealed: Any, bare: Callable[[], Any] | None = None
    ) -> asyncio.Future[Any]:
        """Send, and end the sendings with what becomes of it.

        Args:
            sendings: what is being sent.
            send: sends what it is given: headers or a batch.
            sealed: what to send.
            bare: gives the same without envelopes, for where only those make it too large.

        Returns:
            The future to give to the caller. Where there is a `bare`, it outlives a broker's refusal for
            size, since a broker or a topic may allow less than the producer does.
        """
        try:
            try:
                sent = await send(sealed)
            except MessageSizeTooLargeError:
                if bare is None:
                    raise
                sent, bare = await self._send_bare(send, bare), None
        except BaseException as error:
            for sending in sendings:
                sending.end(error)
            raise
        given = sent if bare is None else sent.get_loop().create_future()
        self._unsettled.add(sent)
        sent.add_done_callback(partial(self._settle, sendings, given, send, bare))
        return given

    async def _send_bare(self, send: _Send, bare: Callable[[], Any]) -> asyncio.Future[Any]:
        sent = await send(bare())
        self._tracing.counts[TOO_LARGE] += 1
        return sent

    async def _resend(self, send: _Send, bare: Callable[[], Any]) -> Any:
        return await (await self._send_bare(send, bare))

    def _settle(
        self,
        sendings: Sequence[OpenSpan],
        given: asyncio.Future[Any],
        send: _Send,
        bare: Callable[[], Any] | None,
        sent: asyncio.Future[Any],
    ) -> None:
        """Take note of what became of a message, and pass it on to the future that the caller has."""
        self._unsettled.discard(sent)
        self._again.discard(sent)
        error = asyncio.CancelledError() if sent.cancelled() else sent.exception()
        if bare is not None and isinstance(error, MessageSizeTooLargeError):
            again = sent.get_loop().create_task(self._resend(send, bare))
            self._again.add(again)
            again.add_done_callback(partial(self._settle, sendings, given, send, None))
            return
        metadata = sent.result() if error is None else None
        for sending in sendings:
            if sending.span is not None and metadata is not None:  # with acks=0 there is none
                sending.span.partition, sending.span.offset = metadata.partition, metadata.offset
            sending.end(error)
        if given.done():  # it is aiokafka's own, or the caller has cancelled it
            return
        if error is None:
            given.set_result(metadata)
        elif sent.cancelled():
            given.cancel()
        else:
            given.set_exception(error)
