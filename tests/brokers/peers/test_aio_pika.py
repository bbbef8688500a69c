"""aio-pika and OpenTelemetry's instrumentation of it: where it breaks, and both beside ours."""

from __future__ import annotations

import asyncio
import secrets
import string
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from opentelemetry.trace import SpanKind

from interceptors.context import TraceContext, current
from interceptors.envelope import HEADER_NAME
from interceptors.rabbitmq import TracedChannel, TracedQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

    from tests.conftest import Service, Services

    from .conftest import Peer

    Working = Callable[[], AbstractContextManager[TraceContext]]

DEADLINE = 20
FIRST, LAST = "the peer first", "the peer last"


@pytest.fixture(params=["embedded", "real"])
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[AbstractConnection]:
    """A connection to each broker in turn."""
    async with await aio_pika.connect(request.getfixturevalue(f"{request.param}_rabbitmq")) as opened:
        yield opened


@pytest.fixture
async def bare(connection: AbstractConnection) -> AbstractChannel:
    """A channel that is not traced."""
    return await connection.channel()


@pytest.fixture
async def place(bare: AbstractChannel) -> AsyncIterator[str]:
    """The name of a queue that only this test knows."""
    queue = await bare.declare_queue(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
    )
    yield queue.name
    await queue.delete(if_unused=False, if_empty=False)


@pytest.fixture
def peer(install: Callable[[str], Peer]) -> Peer:
    """The peer, not installed yet."""
    return install("rabbitmq")


async def traced_queue(connection: AbstractConnection, place: str, service: Service) -> TracedQueue:
    return await TracedChannel(await connection.channel(), service.tracing).get_queue(place)


async def left(connection: AbstractConnection, place: str) -> int | None:
    """How many messages wait in the queue, or for their acknowledgement on a channel that was closed."""
    queue = await (await connection.channel()).declare_queue(place, passive=True)
    return queue.declaration_result.message_count


@pytest.mark.parametrize("value", [7, 0.5, bytearray(b"\xff\xfe"), True, None, ["one"], {"one": 1}, ""])
@pytest.mark.parametrize("name", ["traceparent", "tracestate", "baggage"])
async def test_contrib_aio_pika_a_trace_header_of_any_type_costs_no_message(
    connection: AbstractConnection,
    bare: AbstractChannel,
    place: str,
    billing: Service,
    *,
    name: str,
    value: Any,
) -> None:
    """There, the callback never runs and the message is never acknowledged."""
    await bare.default_exchange.publish(aio_pika.Message(b"body", headers={name: value}), place)
    queue = await traced_queue(connection, place, billing)
    handled: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()

    async def on_message(message: AbstractIncomingMessage) -> None:
        async with message.process():
            handled.put_nowait(message)

    tag = await queue.consume(on_message)
    async with asyncio.timeout(DEADLINE):
        message = await handled.get()
    await queue.cancel(tag)
    await queue.channel.close()

    assert (message.body, message.headers) == (b"body", {name: value})
    assert await left(connection, place) == 0
    assert [span.operation.operation for span in billing.spans("ack")] == ["ack"]


@pytest.mark.parametrize("order", [FIRST, LAST, None])
async def test_contrib_aio_pika_the_callers_message_is_left_as_it_is(
    connection: AbstractConnection,
    bare: AbstractChannel,
    place: str,
    peer: Peer,
    checkout: Service,
    *,
    working: Working,
    order: str | None,
) -> None:
    """There, the trace is put into the caller's own table, and goes with whatever it is used for next."""
    if order == FIRST:
        peer.install()
    channel = TracedChannel(await connection.channel(), checkout.tracing)
    if order == LAST:
        peer.install()
    headers: dict[str, Any] = {"name": "value"}
    message = aio_pika.Message(b"body", headers=headers)
    before = message.info()
    with working():
        for _ in range(2):
            await channel.default_exchange.publish(message, place)

    assert message.info() == before
    assert headers == {"name": "value"}
    queue = await bare.get_queue(place)
    raw = [await queue.get() for _ in range(2)]
    assert [sorted(one.headers) for one in raw] == [["name", HEADER_NAME]] * 2
    assert raw[0].headers[HEADER_NAME] != raw[1].headers[HEADER_NAME]


@pytest.mark.parametrize("order", [FIRST, LAST, None])
async def test_contrib_aio_pika_iterating_and_getting_are_traced(
    connection: AbstractConnection,
    place: str,
    peer: Peer,
    checkout: Service,
    billing: Service,
    *,
    order: str | None,
) -> None:
    """There, `queue.iterator()` and `queue.get()` are not (contrib#1993, #2892)."""
    if order == FIRST:
        peer.install()
    channel = TracedChannel(await connection.channel(), checkout.tracing)
    queue = await traced_queue(connection, place, billing)
    if order == LAST:
        peer.install()
    for _ in range(3):
        await channel.default_exchange.publish(aio_pika.Message(b"body"), place)
    seen = []
    got = await queue.get()
    async with got.process():
        seen.append(current())
    async with queue.iterator() as messages:
        async for message in messages:
            seen.append(current())
            await message.ack()
            if len(seen) == 3:
                break

    assert current() is None
    processed = billing.spans("process")
    assert seen == [span.context for span in processed]
    assert [span.parent_span_id for span in processed] == [
        span.context.span_id for span in checkout.spans("send")
    ]


@pytest.mark.parametrize("order", [FIRST, LAST])
async def test_beside_contrib_a_callback_runs_in_our_span_whatever_was_installed_first(
    connection: AbstractConnection,
    place: str,
    peer: Peer,
    checkout: Service,
    billing: Service,
    *,
    order: str,
) -> None:
    """The peer wraps what `consume` is given, which is ours: its span is around ours."""
    if order == FIRST:
        peer.install()
    channel = TracedChannel(await connection.channel(), checkout.tracing)
    queue = await traced_queue(connection, place, billing)
    if order == LAST:
        peer.install()
    seen: asyncio.Queue[TraceContext | None] = asyncio.Queue()

    async def on_message(message: AbstractIncomingMessage) -> None:
        async with message.process():
            seen.put_nowait(current())

    tag = await queue.consume(on_message)
    await channel.default_exchange.publish(aio_pika.Message(b"body"), place)
    async with asyncio.timeout(DEADLINE):
        inside = await seen.get()
    await queue.cancel(tag)
    await queue.channel.close()

    span = billing.span("process")
    assert inside == span.context
    assert span.parent_span_id == checkout.span("send").context.span_id
    assert [len(peer.spans(kind)) for kind in (SpanKind.PRODUCER, SpanKind.CONSUMER)] == [1, 1]


async def test_aead_without_associated_data_an_envelope_of_another_type_does_not_open(
    connection: AbstractConnection, bare: AbstractChannel, place: str, service: Services
) -> None:
    """There (CSFLE, Temporal's codec, Kroxylicious), ciphertexts can be moved wherever one likes."""
    policy = {"default": {"binding": "type"}}
    checkout, billing = service("checkout", policy=policy), service("billing", policy=policy)
    channel = TracedChannel(await connection.channel(), checkout.tracing)
    await channel.default_exchange.publish(aio_pika.Message(b"body", type="quote"), place)
    raw = await (await bare.get_queue(place)).get(no_ack=True)
    for kind in ("pay", "quote"):
        moved = aio_pika.Message(raw.body, headers=raw.headers, type=kind)
        await bare.default_exchange.publish(moved, place)
    queue = await traced_queue(connection, place, billing)

    receipts = [(await queue.get(no_ack=True)).receipt for _ in range(2)]

    assert [(receipt.verdict, receipt.answer) for receipt in receipts] == [
        ("invalid", "not authentic"),
        ("fresh", None),
    ]
    assert receipts[0].parent is None


async def test_temporal_what_is_sealed_twice_opens_once(
    connection: AbstractConnection, bare: AbstractChannel, place: str, checkout: Service, billing: Service
) -> None:
    """There, a tracing header that was encoded twice failed every workflow task (sdk-python#1769)."""
    inner: Any = TracedChannel(await connection.channel(), checkout.tracing)
    outer = TracedChannel(inner, checkout.tracing)  # by mistake
    for _ in range(2):
        await outer.default_exchange.publish(aio_pika.Message(b"body"), place)
    raw = await (await bare.get_queue(place)).get(no_ack=True)

    received = await (await traced_queue(connection, place, billing)).get(no_ack=True)

    assert list(raw.headers) == [HEADER_NAME]
    assert (received.body, received.headers, received.receipt.verdict) == (b"body", {}, "fresh")
