"""Receiving through aio-pika."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, Literal, overload
from weakref import WeakKeyDictionary, WeakValueDictionary

from aio_pika.tools import ensure_awaitable

from interceptors.rabbitmq.iterator import TracedQueueIterator
from interceptors.rabbitmq.message import TracedMessage, put_back, receive, refuse, wanted_keys
from interceptors.rabbitmq.names import SYSTEM, lasting_name
from interceptors.tracing import Delegate, off_loop
from interceptors.tracing.patching import by_hand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, ConsumerTag, TimeoutType

    from interceptors.tracing import Tracing


class _InUse:
    """Held by all in this process who have one queue, so that it goes with the last of them.

    Attributes:
        transient: whether the queue goes by itself: then what was seen in it goes when this does.
    """

    transient = False


_in_use: WeakKeyDictionary[Tracing, WeakValueDictionary[str, _InUse]] = WeakKeyDictionary()
"""By the queue's name. Nothing in it outlives who has the queue."""


class TracedQueue(Delegate):
    """An aio-pika `Queue` whose messages are verified and stripped of their envelopes.

    It has the queue's whole interface: what is not below is passed on. What it hands out are
    `TracedMessage`s. The consumers of one queue in this process share a memory of what they have seen.

    In a callback of `consume`, and in the body of `async for`, the message's process span is current; after
    `get`, it is current inside `async with message.process()`.
    """

    def __init__(self, queue: AbstractQueue, tracing: Tracing) -> None:
        """Wrap a queue; `TracedChannel` does.

        Args:
            queue: the queue, declared, of a plain or a robust channel.
            tracing: the service's tracing.
        """
        super().__init__(queue)
        by_hand(queue)
        self._tracing = tracing
        self._stream = (queue.arguments or {}).get("x-queue-type") == "stream"
        self._in_use = _in_use.setdefault(tracing, WeakValueDictionary()).setdefault(queue.name, _InUse())
        transient = queue.exclusive or queue.auto_delete or lasting_name(queue.name) != queue.name
        if transient and not self._in_use.transient:
            self._in_use.transient = True
            weakref.finalize(self._in_use, tracing.forget, seen_by(queue.name)).atexit = False

    async def consume(self, callback: Callable[[Any], Any], *args: object, **kwargs: object) -> ConsumerTag:
        """Consume by a callback, as `Queue.consume` does.

        Args:
            callback: as there; it is given `TracedMessage`s. For one that the policy refuses it is not
                called: that is rejected, and dead-lettered where the queue says so.
            *args: as there.
            **kwargs: as there.

        Returns:
            The consumer's tag.
        """
        tag: ConsumerTag = await self._wrapped.consume(self._traced(callback), *args, **kwargs)
        return tag

    @overload
    async def get(
        self,
        *,
        no_ack: bool = ...,
        fail: Literal[True] = ...,
        timeout: TimeoutType = ...,  # noqa: ASYNC109 - aio-pika's signature
    ) -> TracedMessage: ...

    @overload
    async def get(
        self,
        *,
        no_ack: bool = ...,
        fail: bool,
        timeout: TimeoutType = ...,  # noqa: ASYNC109 - aio-pika's signature
    ) -> TracedMessage | None: ...

    async def get(
        self,
        *,
        no_ack: bool = False,
        fail: bool = True,
        timeout: TimeoutType = 5,  # noqa: ASYNC109 - aio-pika's signature
    ) -> TracedMessage | None:
        """Get one message, as `Queue.get` does.

        Args:
            no_ack: as there.
            fail: as there.
            timeout: as there.

        Returns:
            The message, or None where there was none and `fail` is off.

        Raises:
            RejectedError: the channel's policy refuses the message; it is rejected.
        """
        started = self._tracing.now()
        raw: AbstractIncomingMessage | None = await self._wrapped.get(
            no_ack=no_ack, fail=fail, timeout=timeout
        )
        if raw is None:
            return None
        try:
            message = await self._verified(raw)
        except asyncio.CancelledError:
            await put_back(raw)
            raise
        if message.receipt.rejected:
            await refuse(raw)
            raise message.rejection()
        self._tracing.received(SYSTEM, [message.receipt], started=started, group=None)
        return message

    def iterator(self, **kwargs: object) -> TracedQueueIterator:
        """Iterate over messages, as `Queue.iterator` does."""
        return TracedQueueIterator(self._wrapped.iterator(**kwargs), self._verified, stream=self._stream)

    def __aiter__(self) -> TracedQueueIterator:
        """Iterate over messages, as the queue does."""
        return self.iterator()

    def __str__(self) -> str:
        return str(self._wrapped)

    async def _verified(self, raw: AbstractIncomingMessage) -> TracedMessage:
        if isinstance(raw, TracedMessage):  # an iterator's, below which the queue itself is instrumented
            return raw
        wanted = self._tracing.opening_keys_wanted(wanted_keys(raw))
        if wanted is not None:
            await off_loop(wanted)
        queue: str = self._wrapped.name
        return receive(self._tracing, raw, queue, seen_by(queue))

    def _traced(self, callback: Callable[[Any], Any]) -> Callable[[AbstractIncomingMessage], Awaitable[Any]]:
        handle = ensure_awaitable(callback)
        in_order = asyncio.Lock()

        async def on_message(raw: AbstractIncomingMessage) -> object:
            async with in_order:  # no message overtakes one whose key is being fetched
                message = await self._verified(raw)
            if message.receipt.rejected:
                await refuse(raw, stream=self._stream)
                return None
            with message.open_processing():
                return await handle(message)

        return on_message


def seen_by(queue: str) -> str:
    """Give the name of the memory that the consumers of a queue share."""
    return f"queue {queue}"
