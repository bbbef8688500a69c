"""Publishing: what goes out, and what is left as it is."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from aio_pika.exceptions import ChannelInvalidStateError, PublishError
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from interceptors.context import current
from interceptors.envelope import HEADER_NAME
from interceptors.rabbitmq import TracedChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from aio_pika.abc import AbstractChannel, AbstractConnection

    from interceptors import Tracing
    from interceptors.rabbitmq import TracedExchange
    from interceptors.spans import Span

    from .conftest import Spans

CLEAR: dict[str, Any] = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "Baggage": "user=buyer"}

FULL: dict[str, Any] = {
    "headers": {"name": "value", "table": {"list": [1, None, 1.5]}},
    "content_type": "text/plain",
    "content_encoding": "utf-8",
    "delivery_mode": aio_pika.DeliveryMode.PERSISTENT,
    "priority": 7,
    "correlation_id": "correlation",
    "reply_to": "answers",
    "expiration": 12.5,
    "message_id": "message",
    "timestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "type": "order.made",
    "user_id": "guest",
    "app_id": "shop",
}


def one(sent: Spans) -> Span:
    (span,) = sent.ended()
    return span


def without_headers(properties: Basic.Properties) -> dict[str, object]:
    return {name: value for name, value in properties if name != "headers"}


async def test_the_envelope_goes_as_a_byte_array_and_all_else_as_without_it(
    sending: TracedChannel, raw: AbstractChannel
) -> None:
    queue = await raw.declare_queue("orders")
    await raw.default_exchange.publish(aio_pika.Message(b"body", **FULL), "orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body", **FULL), "orders")

    bare, traced = [await queue.get(no_ack=True) for _ in range(2)]

    assert without_headers(traced.properties) == without_headers(bare.properties)
    assert traced.body == bare.body
    envelope = traced.headers.pop(HEADER_NAME)
    assert isinstance(envelope, bytearray)
    assert traced.headers == bare.headers == FULL["headers"]


@pytest.mark.parametrize("headers", [None, {}, {"name": "value", HEADER_NAME: bytearray(b"old")}])
async def test_the_callers_message_stays_as_it_is(
    sending: TracedChannel, headers: dict[str, Any] | None
) -> None:
    await sending.declare_queue("orders")
    message = aio_pika.Message(b"body", **FULL | {"headers": headers, "expiration": timedelta(minutes=1)})
    before = copy.deepcopy(message.info())
    table = message.headers

    await sending.default_exchange.publish(message, "orders")

    assert message.headers is table
    assert message.info() == before


async def test_headers_set_to_none_are_no_hindrance(sending: TracedChannel, raw: AbstractChannel) -> None:
    queue = await raw.declare_queue("orders")
    message = aio_pika.Message(b"body")
    message.headers = None  # type: ignore[assignment]  # it happens

    await sending.default_exchange.publish(message, "orders")

    assert list((await queue.get(no_ack=True)).headers) == [HEADER_NAME]


async def test_nothing_that_carries_a_trace_in_clear_goes_along_whoever_adds_it(
    sending: TracedChannel, raw: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = await raw.declare_queue("orders")
    publish = aio_pika.Exchange.publish

    async def inject(
        exchange: aio_pika.Exchange, message: aio_pika.Message, *args: Any, **kwargs: Any
    ) -> Any:
        headers: Any = message.properties.headers  # where OpenTelemetry's instrumentation injects
        headers["tracestate"] = "a=b"
        headers["added"] = "by another"
        return await publish(exchange, message, *args, **kwargs)

    monkeypatch.setattr(aio_pika.Exchange, "publish", inject)
    await sending.default_exchange.publish(aio_pika.Message(b"", headers={"name": "value"} | CLEAR), "orders")

    assert set((await queue.get(no_ack=True)).headers) == {"name", "added", HEADER_NAME}


async def test_a_channel_that_is_not_traced_gets_no_envelope_and_keeps_the_rest(
    connection: AbstractConnection, raw: AbstractChannel, tracing_of: Callable[..., Tracing], sent: Spans
) -> None:
    quiet = tracing_of("quiet", sent, policy={"default": {"emit": "none"}})
    channel = TracedChannel(await connection.channel(), quiet)
    queue = await raw.declare_queue("orders")

    await channel.default_exchange.publish(
        aio_pika.Message(b"", headers=CLEAR | {HEADER_NAME: "old"}), "orders"
    )

    assert (await queue.get(no_ack=True)).headers == CLEAR
    assert sent.ended() == []


async def test_a_received_message_that_is_published_again_carries_its_own_envelope_alone(
    sending: TracedChannel, receiving: TracedChannel, raw: AbstractChannel
) -> None:
    queue = await receiving.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body", **FULL), "orders")
    incoming = await raw.get_queue("orders")
    received = await incoming.get(no_ack=True)
    first: Any = received.headers[HEADER_NAME]

    await receiving.default_exchange.publish(received, "orders")
    again = await queue.get()
    await again.ack()
    await receiving.default_exchange.publish(again, "orders")
    last: Any = await incoming.get(no_ack=True)

    assert again.receipt.verdict == "fresh"
    assert len({bytes(first), bytes(last.headers[HEADER_NAME])}) == 2
    assert without_headers(last.properties) == without_headers(received.properties)
    assert received.headers[HEADER_NAME] == first


@pytest.mark.parametrize("mandatory", [True, False])
async def test_a_confirm_is_passed_on(sending: TracedChannel, sent: Spans, *, mandatory: bool) -> None:
    await sending.declare_queue("orders")

    result = await sending.default_exchange.publish(
        aio_pika.Message(b"body"), routing_key="orders", mandatory=mandatory, timeout=5
    )

    assert isinstance(result, Basic.Ack)
    span = one(sent)
    assert (span.operation.operation, span.channel, span.error_type) == ("send", "orders", None)
    assert current() is None


async def test_a_returned_message_is_passed_on_and_marks_the_span(
    sending: TracedChannel, sent: Spans
) -> None:
    result = await sending.default_exchange.publish(aio_pika.Message(b"body"), "nowhere")

    assert isinstance(result, DeliveredMessage)
    assert one(sent).error_type == "PublishError"


async def test_a_publish_that_fails_marks_the_span(
    connection: AbstractConnection, checkout: Tracing, sent: Spans
) -> None:
    channel = TracedChannel(await connection.channel(on_return_raises=True), checkout)

    with pytest.raises(PublishError):
        await channel.default_exchange.publish(aio_pika.Message(b"body"), "nowhere")

    assert one(sent).error_type == "PublishError"


async def test_a_publish_on_a_closed_channel_marks_the_span(sending: TracedChannel, sent: Spans) -> None:
    exchange = sending.default_exchange
    await sending.close()

    with pytest.raises(ChannelInvalidStateError):
        await exchange.publish(aio_pika.Message(b"body"), "orders")

    assert one(sent).error_type == "ChannelInvalidStateError"


async def test_without_confirms_there_is_none_to_pass_on(
    connection: AbstractConnection, checkout: Tracing, sent: Spans
) -> None:
    channel = TracedChannel(await connection.channel(publisher_confirms=False), checkout)

    assert await channel.default_exchange.publish(aio_pika.Message(b"body"), "nowhere") is None

    assert one(sent).error_type is None


async def via_exchange(channel: TracedChannel) -> TracedExchange:
    return await channel.declare_exchange("shop", aio_pika.ExchangeType.TOPIC)


async def via_default(channel: TracedChannel) -> TracedExchange:
    return channel.default_exchange


@pytest.mark.parametrize(
    ("find", "routing_key", "name"),
    [
        (via_exchange, "order.made", "shop"),
        (via_default, "order.made", "order.made"),
        (via_default, "amq.gen-3xkq_-Zb0tXvYo3Yl1J2Qg", "amq.gen"),
    ],
)
async def test_a_message_goes_to_its_exchange_or_by_the_default_one_to_its_queue(
    sending: TracedChannel, sent: Spans, *, find: Any, routing_key: str, name: str
) -> None:
    exchange = await find(sending)

    await exchange.publish(aio_pika.Message(b"body"), routing_key, mandatory=False)

    assert one(sent).channel == name
    assert str(exchange) == exchange.name


async def test_what_is_redacted_leaves_the_routing_and_the_callers_message_as_they_are(
    tracing_of: Callable[..., Tracing], sent: Spans, connection: AbstractConnection, raw: AbstractChannel
) -> None:
    who = "jo.doe@example.com"
    queue = await raw.declare_queue(who)
    policy = {"default": {"payload": {"on_leak": "redact"}}}
    channel = TracedChannel(await connection.channel(), tracing_of("checkout", sent, policy=policy))
    message = aio_pika.Message(f"to {who}".encode(), headers={"CC": [who], "table": {"to": [who, 1]}})
    await channel.default_exchange.publish(message, who)

    received = await queue.get(no_ack=True)
    headers = dict(received.headers)
    assert headers.pop(HEADER_NAME)
    assert headers == {"CC": [who], "table": {"to": ["*" * len(who), 1]}}
    assert received.body == b"to " + b"*" * len(who)
    assert (message.body, message.body_size) == (f"to {who}".encode(), len(f"to {who}"))
    assert message.headers == {"CC": [who], "table": {"to": [who, 1]}}
    assert message.message_id is None
