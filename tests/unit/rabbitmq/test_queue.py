"""Receiving by a callback, and one message at a time."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from aio_pika.exceptions import QueueEmpty

from interceptors import RejectedError
from interceptors.context import current, current_tenant
from interceptors.rabbitmq import TracedChannel
from interceptors.rabbitmq import queue as queue_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
    from pamqp.common import FieldTable

    from interceptors import Tracing
    from interceptors.rabbitmq import TracedMessage

    from .conftest import Spans


async def dead_letters(channel: AbstractChannel) -> Any:
    """Declare a queue `orders` and the one that gets what is rejected there."""
    dead = await channel.declare_queue("dead")
    arguments: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    await channel.declare_queue("orders", arguments=arguments)
    return dead


@pytest.fixture
def slow_keys(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Makes the first key to be fetched wait; gives what tells that it waits, and what lets it go on."""
    waits, goes_on = asyncio.Event(), asyncio.Event()

    async def off_loop(wanted: Callable[[], object]) -> None:
        if not waits.is_set():
            waits.set()
            await goes_on.wait()
        wanted()

    monkeypatch.setattr(queue_module, "off_loop", off_loop)
    return waits, goes_on


# By a callback.


@pytest.mark.parametrize("no_ack", [True, False])
async def test_a_callback_gets_the_message_stripped_and_runs_under_its_process_span(
    sending: TracedChannel,
    receiving: TracedChannel,
    checkout: Tracing,
    sent: Spans,
    *,
    spans: Spans,
    no_ack: bool,
) -> None:
    queue = await receiving.declare_queue("orders")
    seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def on_message(message: TracedMessage) -> None:
        await asyncio.sleep(0)
        if not no_ack:
            await message.ack()
        seen.set_result((message.headers, message.receipt.verdict, current(), current_tenant()))

    tag = await queue.consume(on_message, no_ack=no_ack, consumer_tag="mine")
    with checkout.tenant("globex"):
        await sending.default_exchange.publish(aio_pika.Message(b"body", headers={"name": "value"}), "orders")
    headers, verdict, context, tenant = await seen
    await queue.cancel(tag)

    (source,) = sent.ended()
    processed = spans.ended()[-1]
    assert (tag, headers, verdict, tenant) == ("mine", {"name": "value"}, "fresh", "globex")
    assert context == processed.context
    assert (processed.parent_span_id, processed.sender) == (source.context.span_id, "checkout")
    assert processed.context.trace_id == source.context.trace_id


async def test_an_error_leaves_a_callback_as_it_does_without_us_and_marks_the_span(
    sending: TracedChannel, receiving: TracedChannel, spans: Spans
) -> None:
    loop = asyncio.get_running_loop()
    unhandled: asyncio.Future[Any] = loop.create_future()
    loop.set_exception_handler(lambda _, told: unhandled.set_result(told["exception"]))
    queue = await receiving.declare_queue("orders")

    async def fail(message: TracedMessage) -> None:
        raise LookupError(message.headers)

    await queue.consume(fail)
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")

    assert isinstance(await unhandled, LookupError)
    assert [span.error_type for span in spans.ended()] == ["LookupError"]
    await receiving.close()
    again = await (await sending.get_queue("orders")).get()
    assert again.redelivered  # it was not acknowledged


class Seen:
    """A callback that is no coroutine function, as aio-pika still takes them."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.contexts: list[object] = []

    def __call__(self, message: TracedMessage) -> None:
        self.contexts.append((message.body, current()))
        self.done.set()


async def test_a_callback_that_is_no_coroutine_function_is_warned_of_and_called(
    sending: TracedChannel, receiving: TracedChannel, spans: Spans
) -> None:
    queue = await receiving.declare_queue("orders")
    seen = Seen()

    async def publish() -> None:
        await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")
        await seen.done.wait()

    await queue.consume(seen, no_ack=True)
    with pytest.warns(DeprecationWarning, match="non awaitable"):
        await publish()
    await queue.delete(if_unused=False)

    (span,) = spans.ended()
    assert seen.contexts == [(b"body", span.context)]


@pytest.mark.parametrize("no_ack", [True, False])
async def test_what_the_policy_refuses_is_dead_lettered_and_the_callback_is_not_called(
    connection: AbstractConnection, raw: AbstractChannel, strict: Tracing, *, no_ack: bool
) -> None:
    dead = await dead_letters(raw)
    channel = TracedChannel(await connection.channel(), strict)
    await channel.set_qos(prefetch_count=1)
    bodies: asyncio.Queue[bytes] = asyncio.Queue()

    async def on_message(message: TracedMessage) -> None:
        await bodies.put(message.body)
        if not no_ack:
            await message.ack()

    await (await channel.get_queue("orders")).consume(on_message, no_ack=no_ack)
    await raw.default_exchange.publish(aio_pika.Message(b"forged"), "orders")
    await channel.default_exchange.publish(aio_pika.Message(b"sealed"), "orders")

    assert await bodies.get() == b"sealed"
    assert strict.counts["rejected"] == 1
    refused = await dead.get(fail=False, no_ack=True)
    assert (refused is None) is no_ack
    assert refused is None or refused.body == b"forged"


async def test_no_message_overtakes_one_whose_key_is_being_fetched(
    sending: TracedChannel,
    receiving: TracedChannel,
    raw: AbstractChannel,
    slow_keys: tuple[asyncio.Event, asyncio.Event],
) -> None:
    waits, goes_on = slow_keys
    queue = await receiving.declare_queue("orders")
    bodies: list[bytes] = []
    done = asyncio.Event()

    async def on_message(message: TracedMessage) -> None:
        bodies.append(message.body)
        if message.body == b"3":
            done.set()

    await queue.consume(on_message, no_ack=True)
    await sending.default_exchange.publish(aio_pika.Message(b"1"), "orders")
    await waits.wait()
    await raw.default_exchange.publish(aio_pika.Message(b"2"), "orders")
    await sending.default_exchange.publish(aio_pika.Message(b"3"), "orders")
    goes_on.set()
    await done.wait()

    assert bodies == [b"1", b"2", b"3"]


# One at a time.


@pytest.mark.parametrize("no_ack", [True, False])
async def test_a_message_that_is_got_has_a_receive_span_and_is_not_processed_yet(
    sending: TracedChannel, receiving: TracedChannel, spans: Spans, *, no_ack: bool
) -> None:
    queue = await receiving.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body", headers={"name": "value"}), "orders")

    message = await queue.get(no_ack=no_ack)

    assert (message.headers, message.processed, current()) == ({"name": "value"}, no_ack, None)
    assert [span.operation.operation for span in spans.ended()] == ["receive"]


async def test_an_empty_queue_gives_nothing_and_no_span(receiving: TracedChannel, spans: Spans) -> None:
    queue = await receiving.declare_queue("orders")

    assert await queue.get(fail=False) is None
    with pytest.raises(QueueEmpty):
        await queue.get(timeout=1)

    assert spans.ended() == []


async def test_getting_what_the_policy_refuses_raises_and_dead_letters_it(
    connection: AbstractConnection, raw: AbstractChannel, strict: Tracing
) -> None:
    dead = await dead_letters(raw)
    queue = await TracedChannel(await connection.channel(), strict).get_queue("orders")
    await raw.default_exchange.publish(aio_pika.Message(b"forged"), "orders")

    with pytest.raises(RejectedError) as caught:
        await queue.get()

    assert (caught.value.verdict, caught.value.coordinate) == ("missing", ("orders",))
    assert await queue.get(fail=False) is None
    assert (await dead.get(no_ack=True)).body == b"forged"


async def test_what_is_got_and_refused_is_dead_lettered_though_getting_it_is_cancelled_meanwhile(
    connection: AbstractConnection,
    raw: AbstractChannel,
    strict: Tracing,
    slow_reject: tuple[asyncio.Event, asyncio.Event],
) -> None:
    waits, goes_on = slow_reject
    dead = await dead_letters(raw)
    queue = await TracedChannel(await connection.channel(), strict).get_queue("orders")
    await raw.default_exchange.publish(aio_pika.Message(b"forged"), "orders")
    refused: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def on_dead(message: AbstractIncomingMessage) -> None:
        refused.set_result(message.body)

    await dead.consume(on_dead, no_ack=True)
    getting = asyncio.create_task(queue.get())
    await waits.wait()

    getting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await getting
    goes_on.set()

    assert await refused == b"forged"


async def test_a_message_goes_back_where_getting_it_is_cancelled_while_a_key_is_fetched(
    sending: TracedChannel, receiving: TracedChannel, slow_keys: tuple[asyncio.Event, asyncio.Event]
) -> None:
    queue = await receiving.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")
    getting = asyncio.create_task(queue.get())
    await slow_keys[0].wait()

    getting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await getting

    again = await queue.get()
    assert (again.body, again.receipt.verdict) == (b"body", "fresh")


# What was seen.


async def test_all_who_read_a_queue_in_this_process_know_what_came_again(
    sending: TracedChannel, receiving: TracedChannel, connection: AbstractConnection, billing: Tracing
) -> None:
    queue = await receiving.declare_queue("orders")
    other = await TracedChannel(await connection.channel(), billing).get_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")

    first = await queue.get()
    await first.nack(requeue=True)
    second = await other.get()

    assert [message.receipt.verdict for message in (first, second)] == ["fresh", "redelivery"]


async def test_a_message_that_comes_round_by_a_wait_queue_is_redelivered(
    sending: TracedChannel, receiving: TracedChannel
) -> None:
    by_default = {"x-dead-letter-exchange": ""}
    queue = await receiving.declare_queue(
        "orders", arguments=by_default | {"x-dead-letter-routing-key": "wait"}
    )
    back = by_default | {"x-dead-letter-routing-key": "orders", "x-message-ttl": 1}
    await sending.declare_queue("wait", arguments=back)
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")
    verdicts = []

    async with queue.iterator() as messages:
        async for message in messages:
            verdicts.append((message.redelivered, message.receipt.verdict))
            if len(verdicts) == 3:
                await message.ack()
                break
            await message.reject()

    assert verdicts == [(False, "fresh"), (False, "redelivery"), (False, "redelivery")]


@pytest.mark.parametrize(
    ("name", "settings", "channel"),
    [
        (None, {"durable": True}, "amq.gen"),
        ("reply.1", {"exclusive": True}, "reply.1"),
        ("reply.1", {"auto_delete": True}, "reply.1"),
    ],
)
async def test_what_was_seen_in_a_queue_that_never_comes_again_goes_with_it(
    sending: TracedChannel,
    receiving: TracedChannel,
    billing: Tracing,
    spans: Spans,
    *,
    name: str | None,
    settings: dict[str, Any],
    channel: str,
) -> None:
    async def receive_one() -> TracedMessage:
        queue = await receiving.declare_queue(name, **settings)
        await sending.default_exchange.publish(aio_pika.Message(b"body"), queue.name)
        message = await queue.get()
        await queue.delete()
        return message

    message = await receive_one()
    gc.collect()

    assert message.receipt.verdict == "fresh"
    assert not billing._receiver._windows
    assert {span.channel for span in spans.ended()} == {channel}


async def test_what_was_seen_in_such_a_queue_stays_while_anyone_has_it(
    sending: TracedChannel, receiving: TracedChannel, billing: Tracing
) -> None:
    queues = [await receiving.declare_queue("work", auto_delete=True) for _ in range(2)]
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "work")
    first = await queues.pop().get()

    gc.collect()
    await first.nack(requeue=True)
    second = await queues[0].get()

    assert [message.receipt.verdict for message in (first, second)] == ["fresh", "redelivery"]
    await second.ack()
    del queues, first, second
    gc.collect()
    assert not billing._receiver._windows
