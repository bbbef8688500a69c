"""aio-pika's classes, instrumented: what the contract doesn't ask of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Any

import pytest
from aio_pika import Exchange, Message, Queue, RobustExchange, RobustQueue
from aio_pika.patterns import Master
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from interceptors import ConfigurationError, Tracing, rabbitmq
from interceptors.context import current
from interceptors.envelope import HEADER_NAME
from interceptors.otel import SealedPropagator
from interceptors.rabbitmq import TracedChannel, TracedMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aio_pika.abc import AbstractChannel, AbstractConnection
    from opentelemetry.propagators.textmap import TextMapPropagator

    from .conftest import Spans

CLASSES = (Exchange, RobustExchange, Queue, RobustQueue)
DEADLINE = 20


@pytest.fixture
def instrumented(billing: Tracing) -> Iterator[Tracing]:
    """aio-pika is instrumented with the tracing of `billing`."""
    rabbitmq.instrument(billing)
    yield billing
    rabbitmq.uninstrument()


async def publish(channel: Any, body: bytes = b"1") -> None:
    await channel.default_exchange.publish(Message(body), "orders")


async def test_what_was_made_before_is_traced(
    connection: AbstractConnection, billing: Tracing, spans: Spans
) -> None:
    channel: Any = await connection.channel()
    queue: Any = await channel.declare_queue("orders")
    rabbitmq.instrument(billing)
    try:
        await publish(channel)
        message: Any = await queue.get()
        assert type(message) is TracedMessage
        assert (message.receipt.verdict, message.headers) == ("fresh", {})
        (sent,) = spans.ended("send")
        assert message.receipt.parent == sent.context
        async with message.process():
            opened: Any = message.processing
            assert current() == opened.context
    finally:
        rabbitmq.uninstrument()

    await publish(channel, b"2")
    after: Any = await queue.get(no_ack=True)
    assert HEADER_NAME not in after.headers
    assert not hasattr(after, "receipt")
    assert len(spans.ended("send")) == len(spans.ended("process")) == 1


async def test_a_loop_has_the_span_current_in_its_body_and_each_message_once(
    raw: AbstractChannel, instrumented: Tracing, spans: Spans
) -> None:
    queue: Any = await raw.declare_queue("orders")
    await publish(raw, b"1")
    await publish(raw, b"2")
    seen = []
    async with queue.iterator() as messages:
        async for message in messages:
            async with message.process():
                seen.append((message.body, message.receipt.verdict, current()))
            if len(seen) == 2:
                break

    processed = spans.ended("process")
    assert seen == [(body, "fresh", span.context) for body, span in zip((b"1", b"2"), processed, strict=True)]


async def test_a_pattern_of_aio_pikas_is_traced(
    raw: AbstractChannel, instrumented: Tracing, spans: Spans
) -> None:
    done = asyncio.Event()

    async def work(*, number: int) -> None:
        assert number == 1
        await asyncio.sleep(0)
        done.set()

    master = Master(raw)
    worker = await master.create_worker("work", work)
    await master.create_task("work", {"number": 1})
    async with asyncio.timeout(DEADLINE):
        await done.wait()
    await worker.close()
    await raw.close()

    (sent,), (processed,) = spans.ended("send"), spans.ended("process")
    assert processed.parent_span_id == sent.context.span_id


async def test_what_is_wrapped_by_hand_is_traced_once(
    connection: AbstractConnection, instrumented: Tracing, checkout: Tracing, sent: Spans, spans: Spans
) -> None:
    """By the wrapper, with the wrapper's tracing."""
    channel = TracedChannel(await connection.channel(), checkout)
    queue = await channel.declare_queue("orders")
    await publish(channel)
    await publish(channel)
    message = await queue.get()
    await message.ack()
    async with queue.iterator() as messages:
        again = await anext(messages)
        await again.ack()

    assert [(each.receipt.verdict, each.receipt.sender) for each in (message, again)] == [
        ("fresh", "checkout")
    ] * 2
    assert len(sent.ended("send")) == 2
    assert len(sent.ended("process")) == 1
    assert spans.ended() == []


async def test_what_was_seen_in_a_queue_is_known_as_long_as_the_queue(
    connection: AbstractConnection, billing: Tracing, checkout: Tracing
) -> None:
    """Of a queue that goes by itself, and that has no place where its wrapper could be kept."""
    channel: Any = await connection.channel()
    queue: Any = await channel.declare_queue("orders", exclusive=True)
    await publish(TracedChannel(channel, checkout))
    stolen = await queue.get(no_ack=True)
    untraced: Any = await connection.channel()
    for _ in range(2):
        await untraced.default_exchange.publish(stolen, "orders")
    rabbitmq.instrument(billing)
    try:
        verdicts = []
        for _ in range(2):
            verdicts.append((await queue.get(no_ack=True)).receipt.verdict)
            gc.collect()
    finally:
        rabbitmq.uninstrument()

    assert verdicts == ["fresh", "duplicate"]


def test_twice_is_once_and_another_tracing_is_refused(instrumented: Tracing, checkout: Tracing) -> None:
    methods = [dict(vars(each)) for each in CLASSES]

    rabbitmq.instrument(instrumented)

    assert [dict(vars(each)) for each in CLASSES] == methods
    with pytest.raises(ConfigurationError, match="uninstrument"):
        rabbitmq.instrument(checkout)


def test_afterwards_the_classes_are_as_they_were(billing: Tracing) -> None:
    before = [dict(vars(each)) for each in CLASSES]
    rabbitmq.instrument(billing)
    assert [dict(vars(each)) for each in CLASSES] != before

    rabbitmq.uninstrument()

    assert [dict(vars(each)) for each in CLASSES] == before


@pytest.mark.parametrize("carried", ["in clear", "sealed"])
@pytest.mark.parametrize("order", ["the peer first", "the peer last"])
async def test_beside_a_peer_no_trace_goes_in_clear(
    connection: AbstractConnection,
    billing: Tracing,
    set_propagator: Callable[[TextMapPropagator], None],
    *,
    order: str,
    carried: str,
) -> None:
    if carried == "sealed":  # as by OTEL_PROPAGATORS: its envelopes are none of a message
        set_propagator(SealedPropagator(billing))
    provider, peer = TracerProvider(shutdown_on_exit=False), AioPikaInstrumentor()
    channel: Any = await connection.channel()
    queue: Any = await channel.declare_queue("orders")
    with contextlib.ExitStack() as putting_back:
        steps = [
            (lambda: peer.instrument(tracer_provider=provider), peer.uninstrument),
            (lambda: rabbitmq.instrument(billing), rabbitmq.uninstrument),
        ]
        for begin, end in steps if order == "the peer first" else reversed(steps):
            begin()
            putting_back.callback(end)
        with provider.get_tracer("application").start_as_current_span("work") as work:
            await publish(channel)
            await publish(channel)
        trace_id = work.get_span_context().trace_id.to_bytes(16, "big")
        async with queue.iterator() as messages:  # by a peer that decorates what it consumes with
            message = await anext(messages)
            await message.ack()
        assert (message.receipt.verdict, message.receipt.parent.trace_id) == ("fresh", trace_id)
        assert billing.counts == {}

    assert list((await queue.get(no_ack=True)).headers) == [HEADER_NAME]
