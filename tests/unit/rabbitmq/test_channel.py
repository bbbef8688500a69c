"""A traced channel is taken wherever a channel is, and what it gives is traced."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueueIterator
from aio_pika.patterns import RPC, Master, NackMessage
from aio_pika.patterns import rpc as rpc_module

from interceptors.context import current
from interceptors.rabbitmq import TracedChannel, TracedExchange, TracedQueue
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection

    from interceptors import Tracing
    from interceptors.context import TraceContext
    from interceptors.rabbitmq import TracedMessage

    from .conftest import Spans


async def test_its_exchanges_and_queues_are_traced(sending: TracedChannel) -> None:
    await sending.declare_exchange("shop", aio_pika.ExchangeType.TOPIC, durable=True)
    await sending.declare_queue("orders", durable=True)

    exchanges = [
        sending.default_exchange,
        await sending.get_exchange("shop"),
        await sending.get_exchange("later", ensure=False),
    ]
    queues = [
        await sending.declare_queue(),
        await sending.get_queue("orders"),
        await sending.get_queue("later", ensure=False),
    ]

    assert {type(exchange) for exchange in exchanges} == {TracedExchange}
    assert {type(queue) for queue in queues} == {TracedQueue}
    assert [str(named) for named in (*exchanges[1:], *queues[1:])] == ["shop", "later", "orders", "later"]


async def test_its_wrappers_pass_for_what_they_wrap(sending: TracedChannel) -> None:
    queue = await sending.declare_queue("orders")
    wrappers: list[tuple[object, type]] = [
        (sending, AbstractChannel),
        (sending.default_exchange, AbstractExchange),
        (queue.iterator(), AbstractQueueIterator),
    ]

    assert [isinstance(wrapper, kind) for wrapper, kind in wrappers] == [True] * 3


async def test_bindings_take_traced_exchanges_and_untraced_ones(
    sending: TracedChannel, receiving: TracedChannel, raw: AbstractChannel
) -> None:
    shop = await sending.declare_exchange("shop", aio_pika.ExchangeType.FANOUT)
    relay = await sending.declare_exchange("relay", aio_pika.ExchangeType.FANOUT)
    queue = await receiving.declare_queue("orders")
    untraced = await raw.declare_queue("audit")
    bound: Any = shop
    await relay.bind(shop)
    await queue.bind(relay)
    await untraced.bind(bound)

    await shop.publish(aio_pika.Message(b"body"), "")
    assert (await queue.get(no_ack=True)).receipt.verdict == "fresh"  # a delivery names the first exchange
    assert (await untraced.get(no_ack=True)).body == b"body"

    await queue.unbind(relay)
    await untraced.unbind(bound)
    await relay.unbind(shop)
    await shop.publish(aio_pika.Message(b"body"), "", mandatory=False)
    assert await queue.get(fail=False) is None
    assert await untraced.get(fail=False) is None


async def test_it_opens_and_closes_as_a_channel_does(
    connection: AbstractConnection, checkout: Tracing
) -> None:
    async with TracedChannel(connection.channel(), checkout) as entered:
        assert not entered.is_closed
        assert str(entered) == str(entered.number)
    assert entered.is_closed

    awaited = await TracedChannel(connection.channel(), checkout)
    assert type(awaited) is TracedChannel
    assert not awaited.is_closed


@pytest.mark.parametrize(("ending", "messages"), [("commit", 1), ("rollback", 0)])
async def test_what_is_published_in_a_transaction_is_traced(
    connection: AbstractConnection,
    receiving: TracedChannel,
    checkout: Tracing,
    sent: Spans,
    *,
    ending: str,
    messages: int,
) -> None:
    queue = await receiving.declare_queue("orders")
    channel = TracedChannel(await connection.channel(publisher_confirms=False), checkout)
    transaction = channel.transaction()
    await transaction.select()

    await channel.default_exchange.publish(aio_pika.Message(b"body"), "orders")
    await getattr(transaction, ending)()

    got = await queue.get(fail=False, no_ack=True)
    assert [message.receipt.verdict for message in (got,) if message] == ["fresh"] * messages
    assert len(sent.ended("send")) == 1


async def test_after_a_reconnect_everything_goes_on(checkout: Tracing, billing: Tracing) -> None:
    received: asyncio.Queue[TracedMessage] = asyncio.Queue()
    with EmbeddedRabbitMQ() as broker:
        connection = await aio_pika.connect_robust(broker.url, reconnect_interval=0.01)
        port = connection.url.port
    async with connection:
        connected = asyncio.Event()
        connection.reconnect_callbacks.add(lambda *_: connected.set())
        with EmbeddedRabbitMQ(port=port or 0):
            await connected.wait()
            sending = TracedChannel(await connection.channel(), checkout)
            receiving = TracedChannel(await connection.channel(), billing)
            exchange = await sending.declare_exchange("shop", aio_pika.ExchangeType.FANOUT)
            queue = await receiving.declare_queue(durable=False)
            await queue.bind(exchange)
            await queue.consume(received.put, no_ack=True)
            await exchange.publish(aio_pika.Message(b"before"), "")
            assert (await received.get()).body == b"before"
            connected.clear()
        with EmbeddedRabbitMQ(port=port or 0):
            await connected.wait()
            await asyncio.gather(sending.ready(), receiving.ready())
            await exchange.publish(aio_pika.Message(b"after"), "")
            message = await received.get()

    assert (message.body, message.receipt.verdict) == (b"after", "fresh")


# The patterns of aio-pika.


async def test_a_master_and_its_workers_are_one_trace(
    sending: TracedChannel,
    receiving: TracedChannel,
    sent: Spans,
    *,
    spans: Spans,
) -> None:
    done: asyncio.Queue[tuple[int, TraceContext | None]] = asyncio.Queue()
    attempts = []

    async def work(number: int) -> None:
        attempts.append(number)
        if len(attempts) == 1:
            raise NackMessage(requeue=True)
        await done.put((number, current()))

    worker = await Master(cast("AbstractChannel", receiving)).create_worker("work", work)
    await Master(cast("AbstractChannel", sending)).create_task("work", {"number": 7})
    number, context = await done.get()
    await worker.close()
    await receiving.close()

    (source,) = sent.ended("send")
    first, second = spans.ended("process")
    assert number == 7
    assert context == second.context
    assert (first.verdict, second.verdict) == ("fresh", "redelivery")
    assert {span.context.trace_id for span in (source, first, second)} == {source.context.trace_id}
    assert len(spans.ended("nack")) == 1


async def test_a_remote_call_and_its_answer_are_one_trace(
    sending: TracedChannel,
    receiving: TracedChannel,
    sent: Spans,
    *,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The broker has no exchanges of headers, which bring calls back that have expired; none does here.
    kinds = SimpleNamespace(DIRECT=aio_pika.ExchangeType.DIRECT, HEADERS=aio_pika.ExchangeType.FANOUT)
    monkeypatch.setattr(rpc_module, "ExchangeType", kinds)

    async def double(number: int) -> int:
        return 2 * number

    async def fail() -> None:
        raise LookupError("remote")

    server = await RPC.create(cast("AbstractChannel", receiving))
    client = await RPC.create(cast("AbstractChannel", sending))
    await server.register("double", double)
    await server.register("fail", fail)

    assert await client.call("double", {"number": 21}) == 42
    with pytest.raises(LookupError, match="remote"):
        await client.proxy.fail()

    await client.close()
    await server.close()
    calls, answers = sent.ended("send"), spans.ended("send")
    handled, taken = spans.ended("process"), sent.ended("process")
    assert [span.channel for span in calls] == ["double", "fail"]
    assert {span.channel for span in answers} == {"amq.gen"}
    assert {span.verdict for span in (*handled, *taken)} == {"fresh"}
    assert len(taken) == 2
    for steps in zip(calls, handled, answers, taken, strict=True):
        for above, below in itertools.pairwise(steps):
            assert below.parent_span_id == above.context.span_id
