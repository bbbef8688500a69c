"""`rabbitmq.traced`: functions and coroutine functions, messages raw and traced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest

from interceptors import RejectedError, rabbitmq
from interceptors.context import current, current_tenant
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from aio_pika import IncomingMessage
    from aio_pika.abc import AbstractChannel
    from pamqp.common import FieldTable

    from interceptors import Tracing
    from interceptors.rabbitmq import TracedChannel, TracedMessage

    from .conftest import Spans

    Incoming = Callable[..., IncomingMessage]


def verdict_of(message: TracedMessage) -> str | None:
    return message.receipt.verdict


async def test_a_callback_on_an_untraced_queue_gets_the_message_stripped_under_its_span(
    sending: TracedChannel, raw: AbstractChannel, billing: Tracing, spans: Spans
) -> None:
    seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @rabbitmq.traced(billing, queue="orders")
    async def on_message(message: TracedMessage) -> None:
        async with message.process():
            inside = (message.headers, current(), current_tenant())
        seen.set_result(inside)

    queue = await raw.declare_queue("orders")
    await queue.consume(on_message)  # type: ignore[arg-type]  # a traced message has all of a message
    await sending.default_exchange.publish(aio_pika.Message(b"body", headers={"name": "value"}), "orders")

    headers, context, tenant = await seen
    (span,) = spans.ended("process")
    assert (headers, context, tenant) == ({"name": "value"}, span.context, "acme")
    assert (span.verdict, span.sender) == ("fresh", "checkout")


@pytest.mark.parametrize(("exchange", "routing_key"), [("orders", "order.made"), ("", "orders")])
def test_without_a_queue_it_is_judged_by_the_exchange_or_routing_key_that_it_came_by(
    billing: Tracing, spans: Spans, sealed: Incoming, exchange: str, routing_key: str
) -> None:
    handle = rabbitmq.traced(billing)(verdict_of)

    assert handle(sealed(exchange=exchange, routing_key=routing_key)) == "fresh"  # type: ignore[arg-type]  # raw
    assert [span.channel for span in spans.ended("process")] == ["orders"]


@pytest.mark.parametrize(("queue", "verdicts"), [(None, ["fresh"] * 2), ("orders", ["fresh", "redelivery"])])
def test_handlers_of_one_queue_share_what_they_have_seen(
    billing: Tracing,
    incoming: Incoming,
    envelope: Callable[..., bytearray],
    queue: str | None,
    verdicts: list[str],
) -> None:
    headers = {HEADER_NAME: envelope()}
    handlers = [rabbitmq.traced(billing, queue=queue)(verdict_of) for _ in range(2)]
    raw: list[Any] = [incoming(headers, redelivered=again) for again in (False, True)]

    assert [handle(message) for handle, message in zip(handlers, raw, strict=True)] == verdicts


async def test_a_message_of_a_traced_queue_is_handed_on_and_processed_once(
    sending: TracedChannel, receiving: TracedChannel, billing: Tracing, spans: Spans
) -> None:
    seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @rabbitmq.traced(billing)
    async def on_message(message: TracedMessage) -> None:
        await message.ack()
        seen.set_result((message.receipt.verdict, current()))

    queue = await receiving.declare_queue("orders")
    await queue.consume(on_message)
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")

    verdict, context = await seen
    assert [(span.verdict, span.context) for span in spans.ended("process")] == [(verdict, context)]


async def test_a_coroutine_function_rejects_what_the_policy_refuses_and_raises(
    raw: AbstractChannel, strict: Tracing
) -> None:
    dead = await raw.declare_queue("dead")
    arguments: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    queue = await raw.declare_queue("orders", arguments=arguments)
    await raw.default_exchange.publish(aio_pika.Message(b"forged"), "orders")
    called: list[object] = []

    @rabbitmq.traced(strict, queue="orders")
    async def handle(message: Any) -> None:
        called.append(message)

    message = await queue.get()
    with pytest.raises(RejectedError) as caught:
        await handle(message)

    assert (called, message.processed, caught.value.coordinate) == ([], True, ("orders",))
    assert (await dead.get(no_ack=True)).body == b"forged"


async def test_a_refusal_leaves_a_raw_process_block_that_ignores_what_is_processed(
    raw: AbstractChannel, strict: Tracing
) -> None:
    queue = await raw.declare_queue("orders")
    await raw.default_exchange.publish(aio_pika.Message(b"forged"), "orders")

    @rabbitmq.traced(strict, queue="orders")
    async def handle(message: Any) -> None:
        raise LookupError(message)

    message = await queue.get()
    with pytest.raises(RejectedError):
        async with message.process(requeue=True, ignore_processed=True):
            await handle(message)

    assert await queue.get(fail=False) is None


async def test_a_refusal_that_the_handler_itself_raises_settles_nothing(
    sending: TracedChannel, raw: AbstractChannel, strict: Tracing
) -> None:
    queue = await raw.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")

    @rabbitmq.traced(strict, queue="orders")
    async def handle(message: Any) -> None:
        raise RejectedError(channel="other", verdict="missing", coordinate=(message.routing_key,))

    message = await queue.get()
    with pytest.raises(RejectedError):
        await handle(message)

    assert not message.processed


def test_a_function_raises_and_leaves_the_rest_to_its_caller(strict: Tracing, incoming: Incoming) -> None:
    message: Any = incoming({"name": "value"})

    with pytest.raises(RejectedError) as caught:
        rabbitmq.traced(strict)(verdict_of)(message)

    assert (caught.value.channel, caught.value.verdict) == ("orders", "missing")


def test_a_call_without_a_message_is_wrong_use(billing: Tracing) -> None:
    no_message: Any = None

    with pytest.raises(TypeError, match="aio_pika"):
        rabbitmq.traced(billing)(verdict_of)(no_message)


def test_the_function_keeps_its_name(billing: Tracing) -> None:
    @rabbitmq.traced(billing)
    async def on_order(message: object) -> None:
        """Handle an order."""

    assert (on_order.__name__, on_order.__doc__) == ("on_order", "Handle an order.")
