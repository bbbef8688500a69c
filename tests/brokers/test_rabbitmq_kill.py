"""A RabbitMQ that is killed in the middle of it: what it confirmed arrives, each in its own trace."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import aio_pika
import pytest
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from interceptors.context import Scope, current, new_root
from interceptors.rabbitmq import TracedChannel

from .provision.rabbitmq import create_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from interceptors.context import TraceContext
    from interceptors.pipeline import Receipt
    from interceptors.rabbitmq import TracedMessage, TracedQueue
    from tests.conftest import Service

    from .provision import Server

    Consuming = Callable[["Stock", "TracedQueue"], contextlib.AbstractAsyncContextManager[None]]

pytestmark = pytest.mark.alone

DEADLINE = 60
"""Seconds that a test may take before it is given up."""
PUBLISHERS = 4
ACKED = 20
"""How many messages are acknowledged before the broker is killed."""
PREFETCH = 5
AFTER = 40
"""How many messages are confirmed when it is back."""
LOST = (AMQPError, ChannelInvalidStateError, ConnectionError)
"""What the client raises where the connection is gone."""


class Handled(NamedTuple):
    """A message that was handled, and under which trace."""

    body: bytes
    redelivered: bool
    receipt: Receipt
    trace_id: bytes | None


class Progress:
    """Something that changes, and is waited for."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()

    async def changed(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, reached: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(reached)


class Orders(Progress):
    """Publishes one message after the other, each in a trace of its own, until each is confirmed."""

    def __init__(self, channel: TracedChannel, queue: str) -> None:
        super().__init__()
        self._channel = channel
        self._queue = queue
        self._numbers = itertools.count()
        self._enough = False
        self.begun: dict[bytes, TraceContext] = {}
        self.confirmed: set[bytes] = set()
        self.failed: list[str] = []

    async def run(self) -> None:
        await asyncio.gather(*(self._publish() for _ in range(PUBLISHERS)))

    async def confirms(self, count: int) -> None:
        """Return when that many more were confirmed."""
        wanted = len(self.confirmed) + count
        await self.until(lambda: len(self.confirmed) >= wanted)

    def stop(self) -> None:
        self._enough = True

    async def _publish(self) -> None:
        while not self._enough:
            body = b"%d" % next(self._numbers)
            self.begun[body] = new_root()
            while body not in self.confirmed:
                await self._attempt(body)
                await self.changed()
                await asyncio.sleep(0)  # nothing above waits while the client hasn't seen that it is cut off

    async def _attempt(self, body: bytes) -> None:
        await self._channel.ready()
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        scope = Scope("acme", self.begun[body])
        try:
            await self._channel.default_exchange.publish(message, self._queue)
        except LOST as error:
            self.failed.append(type(error).__qualname__)
        else:
            self.confirmed.add(body)
        finally:
            scope.leave()


class Stock(Progress):
    """Handles messages: the first ones at once, and those that come then not before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.handled: list[Handled] = []
        self.acked: list[bytes] = []
        self.cut_off = 0

    async def handle(self, message: TracedMessage) -> None:
        at_once = len(self.handled) < ACKED
        span = current()
        self.handled.append(
            Handled(message.body, bool(message.redelivered), message.receipt, span and span.trace_id)
        )
        await self.changed()
        try:
            if not at_once:
                await self.go_on.wait()
            await message.ack()
        except (*LOST, asyncio.CancelledError):
            self.cut_off += 1
            raise
        else:
            self.acked.append(message.body)
        finally:
            await self.changed()


@contextlib.asynccontextmanager
async def by_callback(stock: Stock, queue: TracedQueue) -> AsyncIterator[None]:
    tag = await queue.consume(stock.handle)
    yield
    await queue.cancel(tag)


@contextlib.asynccontextmanager
async def by_iterator(stock: Stock, queue: TracedQueue) -> AsyncIterator[None]:
    async def read() -> None:
        async with queue.iterator() as messages:
            async for message in messages:
                with contextlib.suppress(*LOST):
                    await stock.handle(message)

    reading = asyncio.create_task(read())
    yield
    reading.cancel()
    await asyncio.wait([reading])


@pytest.mark.parametrize("consuming", [by_callback, by_iterator])
async def test_what_a_killed_broker_confirmed_arrives_in_its_own_trace(
    owned_rabbitmq: Server, checkout: Service, billing: Service, consuming: Consuming
) -> None:
    name = await asyncio.to_thread(create_queue, owned_rabbitmq)
    stock = Stock()
    async with asyncio.timeout(DEADLINE), contextlib.AsyncExitStack() as closing:
        sending = await channel(owned_rabbitmq, checkout, closing)
        receiving = await channel(owned_rabbitmq, billing, closing)
        await receiving.set_qos(prefetch_count=PREFETCH)
        queue = await receiving.declare_queue(name, durable=True)
        orders = Orders(sending, name)
        publishing = asyncio.create_task(orders.run())
        async with consuming(stock, queue):
            # Some are acknowledged, one or more are being handled, and some are being published.
            await stock.until(lambda: len(stock.acked) == ACKED and len(stock.handled) > ACKED)
            acked = set(stock.acked)
            await receiving.get_queue(name)  # answered after the acknowledgements have been taken
            await orders.confirms(2 * PUBLISHERS)  # they are on the broker's disk with what came later
            owned_rabbitmq.kill()
            await orders.until(lambda: bool(orders.failed))
            held = {one.body for one in stock.handled} - acked
            stock.go_on.set()
            await asyncio.to_thread(owned_rabbitmq.start)
            await orders.confirms(AFTER)
            orders.stop()
            await publishing
            await stock.until(lambda: orders.confirmed <= set(stock.acked))
        await stock.until(lambda: len(stock.handled) == len(stock.acked) + stock.cut_off)

    assert orders.confirmed == set(orders.begun)
    sent = {span.context.span_id: span for span in checkout.spans("send")}
    failed = [span.error_type for span in sent.values() if span.error_type is not None]
    assert Counter(failed) == Counter(orders.failed)
    sightings: defaultdict[bytes, list[Handled]] = defaultdict(list)
    for one in stock.handled:
        parent = one.receipt.parent
        assert parent is not None
        assert one.trace_id == parent.trace_id == orders.begun[one.body].trace_id
        assert sent[parent.span_id].parent_span_id == orders.begun[one.body].span_id
        sightings[parent.span_id].append(one)
    # What a publisher has sent again, not knowing that it had arrived, is another message.
    for first, *again in sightings.values():
        assert str(first.receipt.verdict) == "fresh"
        assert {(str(one.receipt.verdict), one.redelivered) for one in again} <= {("redelivery", True)}
    came_again = {one.body for again in sightings.values() for one in again[1:]}
    assert held <= came_again
    assert held
    assert not acked & came_again
    processed = billing.spans("process")
    assert Counter(span.context.trace_id for span in processed) == Counter(
        orders.begun[one.body].trace_id for one in stock.handled
    )
    assert [span.error_type for span in billing.spans("ack")].count(None) == len(stock.acked)


async def channel(
    server: Server, service: Service, closing: contextlib.AsyncExitStack, **settings: Any
) -> TracedChannel:
    """A service's channel that comes back when the broker does."""
    connection = await aio_pika.connect_robust(server.address, reconnect_interval=0.5)
    await closing.enter_async_context(connection)
    return TracedChannel(await connection.channel(**settings), service.tracing)
