"""Receiving by a loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest

from interceptors.context import current
from interceptors.rabbitmq import TracedChannel, TracedQueueIterator
from interceptors.rabbitmq import queue as queue_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from aio_pika.abc import AbstractChannel, AbstractConnection

    from interceptors import Tracing
    from interceptors.context import TraceContext
    from interceptors.rabbitmq import TracedMessage, TracedQueue

    from .conftest import Spans


@pytest.fixture
async def orders(sending: TracedChannel, receiving: TracedChannel) -> TracedQueue:
    """A queue that three messages lie in."""
    queue = await receiving.declare_queue("orders")
    for number in range(3):
        await sending.default_exchange.publish(aio_pika.Message(b"%d" % number), "orders")
    return queue


async def test_each_message_is_current_until_the_next_is_asked_for(orders: TracedQueue, spans: Spans) -> None:
    seen: list[TraceContext | None] = []
    bodies = []

    async with orders.iterator() as messages:
        async for message in messages:
            async with message.process():
                bodies.append(message.body)
            seen.append(current())
            if len(seen) == 3:
                break
        assert current() is not None
    assert current() is None

    assert bodies == [b"0", b"1", b"2"]
    assert [span.context for span in spans.ended("process")] == seen


async def test_an_error_that_leaves_the_iterators_block_marks_the_span_that_is_open(
    orders: TracedQueue, spans: Spans
) -> None:
    async def fail() -> None:
        async with orders.iterator() as messages:
            async for message in messages:
                raise LookupError(message.body)

    with pytest.raises(LookupError):
        await fail()

    assert [span.error_type for span in spans.ended("process")] == ["LookupError"]
    assert current() is None


async def test_what_is_left_by_a_break_is_ended_though_nothing_is_closed(
    orders: TracedQueue, spans: Spans
) -> None:
    async for message in orders:
        await message.ack()
        break

    assert current() is None
    assert [span.verdict for span in spans.ended("process")] == ["fresh"]


async def test_closing_gives_back_what_nobody_took_and_ends_what_is_open(
    orders: TracedQueue, spans: Spans
) -> None:
    messages = orders.iterator(no_ack=False)
    first = await anext(messages)
    await first.ack()

    await messages.close()

    assert current() is None
    assert len(spans.ended("process")) == 1
    assert [(await orders.get(no_ack=True)).body for _ in range(2)] == [b"1", b"2"]


async def test_waiting_in_vain_closes_the_iterator_as_before_and_leaves_nothing_open(
    orders: TracedQueue, spans: Spans
) -> None:
    async with orders.iterator(no_ack=True) as messages:
        bodies = [(await anext(messages)).body for _ in range(3)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(messages), timeout=0.01)  # nothing can come
        with pytest.raises(StopAsyncIteration):
            await anext(messages)

    assert current() is None
    assert bodies == [b"0", b"1", b"2"]
    assert [span.error_type for span in spans.ended("process")] == [None] * 3


async def test_what_the_policy_refuses_is_rejected_and_skipped(
    connection: AbstractConnection, raw: AbstractChannel, strict: Tracing
) -> None:
    channel = TracedChannel(await connection.channel(), strict)
    await channel.set_qos(prefetch_count=1)
    queue = await channel.declare_queue("orders")
    for number in range(3):
        exchange: Any = (channel if number == 2 else raw).default_exchange
        await exchange.publish(aio_pika.Message(b"%d" % number), "orders")

    async with queue.iterator() as messages:
        message = await anext(messages)
        await message.ack()

    assert message.body == b"2"
    assert await queue.get(fail=False) is None


async def test_what_is_refused_gives_its_place_back_though_who_asked_is_cancelled_meanwhile(
    connection: AbstractConnection,
    raw: AbstractChannel,
    strict: Tracing,
    slow_reject: tuple[asyncio.Event, asyncio.Event],
) -> None:
    waits, goes_on = slow_reject
    channel = TracedChannel(await connection.channel(), strict)
    await channel.set_qos(prefetch_count=1)
    queue = await channel.declare_queue("orders")
    await raw.default_exchange.publish(aio_pika.Message(b"forged"), "orders")
    await channel.default_exchange.publish(aio_pika.Message(b"sealed"), "orders")

    async with queue.iterator() as messages:
        await cancelled_once(messages, waits)
        goes_on.set()
        message = await anext(messages)
        await message.ack()

    assert message.body == b"sealed"


async def test_what_a_streams_policy_refuses_is_acknowledged_since_a_stream_has_no_rejecting(
    connection: AbstractConnection,
    raw: AbstractChannel,
    strict: Tracing,
    slow_reject: tuple[asyncio.Event, asyncio.Event],
) -> None:
    rejects, goes_on = slow_reject
    goes_on.set()
    channel = TracedChannel(await connection.channel(), strict)
    await channel.set_qos(prefetch_count=1)
    queue = await channel.declare_queue("orders", durable=True, arguments={"x-queue-type": "stream"})
    await raw.default_exchange.publish(aio_pika.Message(b"forged"), "orders")
    await channel.default_exchange.publish(aio_pika.Message(b"sealed"), "orders")

    async with queue.iterator() as messages:
        message = await anext(messages)
        await message.ack()

    assert message.body == b"sealed"
    assert not rejects.is_set()


async def test_a_task_that_works_on_a_message_when_the_loop_has_moved_on_has_a_processing_of_its_own(
    orders: TracedQueue, spans: Spans
) -> None:
    moved_on = asyncio.Event()

    async def work(message: TracedMessage) -> TraceContext | None:
        await moved_on.wait()
        async with message.process():
            return current()

    async with orders.iterator() as messages:
        task = asyncio.create_task(work(await anext(messages)))
        await (await anext(messages)).ack()
        moved_on.set()
        context = await task

    assert context == spans.ended("process")[1].context
    assert len(spans.ended("process")) == 3


# Cancelled while a key is fetched.


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Makes the first key to be fetched wait for ever; gives what tells that it waits."""
    waiting = asyncio.Event()

    async def off_loop(wanted: Callable[[], object]) -> None:
        if not waiting.is_set():
            waiting.set()
            await asyncio.Event().wait()
        wanted()

    monkeypatch.setattr(queue_module, "off_loop", off_loop)
    return waiting


async def cancelled_once(messages: TracedQueueIterator, waits: asyncio.Event) -> None:
    asking = asyncio.create_task(anext(messages))
    await waits.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_message_waits_for_the_next_call_where_the_first_is_cancelled(
    orders: TracedQueue, waits: asyncio.Event
) -> None:
    async with orders.iterator(no_ack=True) as messages:
        await cancelled_once(messages, waits)

        assert [(await anext(messages)).body for _ in range(3)] == [b"0", b"1", b"2"]


async def test_a_message_that_waits_goes_back_to_its_queue_when_the_iterator_is_closed(
    orders: TracedQueue, waits: asyncio.Event
) -> None:
    async with orders.iterator() as messages:
        await cancelled_once(messages, waits)

    assert sorted([(await orders.get(no_ack=True)).body for _ in range(3)]) == [b"0", b"1", b"2"]


async def test_a_message_that_wants_no_acknowledgement_does_not_go_back(
    orders: TracedQueue, waits: asyncio.Event
) -> None:
    async with orders.iterator(no_ack=True) as messages:
        await cancelled_once(messages, waits)

    left = [await orders.get(no_ack=True, fail=False) for _ in range(3)]
    assert b"0" not in {message.body for message in left if message is not None}


async def test_tasks_that_share_an_iterator_get_each_message_once_while_a_key_is_fetched(
    orders: TracedQueue,
) -> None:
    async with orders.iterator(no_ack=True) as messages:
        bodies = await asyncio.gather(*(body_of_next(messages) for _ in range(3)))

    assert sorted(bodies) == [b"0", b"1", b"2"]


async def body_of_next(messages: TracedQueueIterator) -> bytes:
    message = None
    while message is None:
        # aio-pika wakes all who wait when one message comes, and tells those who find none that it is over.
        message = await anext(messages, None)
    body: bytes = message.body
    return body
