"""Iterating over a queue."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING, Self

from aio_pika.abc import AbstractQueueIterator

from interceptors.rabbitmq.message import put_back, refuse
from interceptors.tracing import Delegate, Following

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from aio_pika.abc import AbstractIncomingMessage

    from interceptors.rabbitmq.message import TracedMessage


class TracedQueueIterator(Delegate):
    """An aio-pika `QueueIterator` over `TracedMessage`s.

    Each message's process span is current until the same task asks for the next one, or until the iterator is
    closed or nobody has it any more.
    """

    def __init__(
        self,
        iterator: AbstractQueueIterator,
        verified: Callable[[AbstractIncomingMessage], Awaitable[TracedMessage]],
        *,
        stream: bool,
    ) -> None:
        """Wrap an iterator; `TracedQueue.iterator` does."""
        super().__init__(iterator)
        self._verified = verified
        self._stream = stream
        self._following = Following()
        self._held: deque[AbstractIncomingMessage] = deque()
        # A loop over the queue itself may be left without closing what it iterated over.
        weakref.finalize(self, self._following.end_all).atexit = False

    async def close(self) -> None:
        """Close the iterator, and end the processings that are open."""
        try:
            await self._wrapped.close()
        finally:
            await self._finish(None)

    def __aiter__(self) -> Self:
        """Give itself."""
        return self

    async def __anext__(self) -> TracedMessage:
        """Give the next message, as the iterator does; what the policy refuses is rejected and skipped."""
        self._following.end_finished()
        while True:
            raw = self._held.popleft() if self._held else await self._wrapped.__anext__()
            try:
                message = await self._verified(raw)
            except asyncio.CancelledError:
                self._held.append(raw)  # for the next call
                raise
            if not message.receipt.rejected:
                break
            await refuse(raw, stream=self._stream)
        self._following.open(message.open_processing())
        return message

    async def __aenter__(self) -> Self:
        """Start consuming."""
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the iterator."""
        try:
            await self._wrapped.__aexit__(kind, error, traceback)
        finally:
            await self._finish(error)

    async def _finish(self, error: BaseException | None) -> None:
        self._following.end_all(error)
        while self._held:
            await put_back(self._held.popleft())


AbstractQueueIterator.register(TracedQueueIterator)
