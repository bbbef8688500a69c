"""A channel whose exchanges and queues are traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aio_pika.abc import AbstractChannel

from interceptors.rabbitmq.exchange import TracedExchange
from interceptors.rabbitmq.queue import TracedQueue
from interceptors.tracing import Delegate

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from interceptors.tracing import Tracing


class TracedChannel(Delegate):
    """An aio-pika `Channel` or `RobustChannel` whose exchanges and queues are traced.

    It has the channel's whole interface: what is not below is passed on, transactions included. It is taken
    wherever aio-pika takes a channel, by `aio_pika.patterns` too.
    """

    def __init__(self, channel: AbstractChannel, tracing: Tracing) -> None:
        """Wrap a channel.

        Args:
            channel: the channel, opened or not.
            tracing: the service's tracing.
        """
        super().__init__(channel)
        self._tracing = tracing

    @property
    def default_exchange(self) -> TracedExchange:
        """The default exchange."""
        return TracedExchange(self._wrapped.default_exchange, self._tracing)

    async def declare_exchange(self, *args: object, **kwargs: object) -> TracedExchange:
        """Declare an exchange, as the channel's own `declare_exchange` does."""
        return TracedExchange(await self._wrapped.declare_exchange(*args, **kwargs), self._tracing)

    async def get_exchange(self, *args: object, **kwargs: object) -> TracedExchange:
        """Get an exchange that is there, as the channel's own `get_exchange` does."""
        return TracedExchange(await self._wrapped.get_exchange(*args, **kwargs), self._tracing)

    async def declare_queue(self, *args: object, **kwargs: object) -> TracedQueue:
        """Declare a queue, as the channel's own `declare_queue` does."""
        return TracedQueue(await self._wrapped.declare_queue(*args, **kwargs), self._tracing)

    async def get_queue(self, *args: object, **kwargs: object) -> TracedQueue:
        """Get a queue that is there, as the channel's own `get_queue` does."""
        return TracedQueue(await self._wrapped.get_queue(*args, **kwargs), self._tracing)

    async def __aenter__(self) -> Self:
        """Open the channel, if it is not."""
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the channel."""
        await self._wrapped.__aexit__(kind, error, traceback)

    def __await__(self) -> Generator[Any, Any, Self]:
        """Open the channel."""
        yield from self._wrapped.__await__()
        return self

    def __str__(self) -> str:
        return str(self._wrapped)


AbstractChannel.register(TracedChannel)
