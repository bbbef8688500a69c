"""`instrument`: aio-pika's classes traced, for programs that are not to be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from aio_pika import Exchange, Queue, RobustQueue
from aio_pika.abc import AbstractQueueIterator

from interceptors.rabbitmq.exchange import TracedExchange
from interceptors.rabbitmq.queue import TracedQueue
from interceptors.tracing.patching import Instrumentation, Patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.tracing import Tracing


def instrument(tracing: Tracing) -> None:
    """Trace every exchange and queue of aio-pika in this process, plain or robust, those there included.

    Each does what a `TracedExchange` or `TracedQueue` around it would; one that has such a wrapper is left to
    it. What is being consumed already goes on as it began. A second call with the same tracing does nothing.

    Args:
        tracing: the service's tracing.

    Raises:
        ConfigurationError: they are traced with another tracing.
    """
    _instrumentation.instrument(tracing)


def uninstrument() -> None:
    """Put the methods back that `instrument` has replaced; without it, do nothing.

    What is being consumed goes on as it began.
    """
    _instrumentation.uninstrument()


def patch(
    patches: Patches,
    tracing: Tracing,
    *,
    exchange: type = Exchange,
    queue: type = Queue,
    robust_queue: type = RobustQueue,
) -> None:
    """Replace the methods of an exchange's and a queue's classes.

    Args:
        patches: what puts them back.
        tracing: the service's tracing.
        exchange: aio-pika's class, or one below it.
        queue: likewise.
        robust_queue: likewise; its other methods call those of `queue`.
    """
    in_use: WeakKeyDictionary[Any, object] = WeakKeyDictionary()

    def traced_queue(client: Any) -> _Queue:  # noqa: ANN401 - an `Unpatched`, of whatever queue
        traced = _Queue(client, tracing)
        # A queue has no place for its wrapper. What has been seen in it is to last as long as the queue.
        in_use.setdefault(client.unpatched, traced._in_use)  # noqa: SLF001 - of this room
        return traced

    patches.methods(exchange, ("publish",), lambda client: TracedExchange(client, tracing))
    patches.methods(queue, ("consume", "get", "iterator"), traced_queue)
    patches.methods(robust_queue, ("iterator",), traced_queue)


class _Queue(TracedQueue):
    """A traced queue whose iterators consume by its own replaced method."""

    async def consume(self, callback: Callable[[Any], Any], *args: object, **kwargs: object) -> str:
        if isinstance(getattr(callback, "__self__", None), AbstractQueueIterator):
            tag: str = await self._wrapped.consume(callback, *args, **kwargs)  # ours is around the iterator
            return tag
        return await super().consume(callback, *args, **kwargs)


_instrumentation = Instrumentation(patch)
