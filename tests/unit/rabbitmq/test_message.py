"""A received message: verified, stripped, settled; whatever it holds."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import MessageProcessError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interceptors.context import current, current_tenant
from interceptors.envelope import HEADER_NAME
from interceptors.rabbitmq.message import receive, wanted_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from aio_pika import IncomingMessage

    from interceptors import Tracing
    from interceptors.rabbitmq import TracedChannel, TracedMessage

    from .conftest import Spans

    Incoming = Callable[..., IncomingMessage]

LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=4096),
    st.binary(max_size=4096).map(bytearray),
    st.text(),
    st.datetimes(timezones=st.just(UTC)),
    st.decimals(),
)
VALUES = st.recursive(
    LEAVES,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)
NAMES = st.text() | st.sampled_from([HEADER_NAME, "x-death", "traceparent", "queue"])
TABLES = st.none() | st.dictionaries(NAMES, VALUES, max_size=6)


def received(tracing: Tracing, raw: IncomingMessage, queue: str | None = "orders") -> TracedMessage:
    wanted = tracing.opening_keys_wanted(wanted_keys(raw))
    if wanted is not None:
        wanted()
    return receive(tracing, raw, queue, "consumer")


# Receiving is total.


@given(headers=TABLES, queue=st.none() | st.sampled_from(["orders", "amq.gen-1"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_of_headers_gives_a_message_and_is_stripped_of_the_envelope_alone(
    billing: Tracing, incoming: Incoming, headers: dict[str, Any] | None, queue: str | None
) -> None:
    raw = incoming(headers)
    before = dict(raw.headers)

    message = received(billing, raw, queue)

    expected = dict(headers or {})
    had_one = expected.pop(HEADER_NAME, received) is not received
    assert repr(message.headers) == repr(expected)  # NaN is not equal to itself
    assert message.receipt.verdict == ("invalid" if had_one else None)
    assert list(raw.headers) == list(before)


@pytest.mark.parametrize("headers", [["no", "table"], "text", 5])
def test_headers_that_are_no_table_are_none(billing: Tracing, incoming: Incoming, headers: Any) -> None:
    message = received(billing, incoming(headers))

    assert (message.headers, message.receipt.verdict) == ({}, None)


@given(deaths=VALUES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_said_of_deaths_the_first_sight_is_fresh(
    billing: Tracing, incoming: Incoming, envelope: Callable[..., bytearray], deaths: object
) -> None:
    raw = incoming({HEADER_NAME: envelope(), "x-death": deaths})

    assert received(billing, raw).receipt.verdict == "fresh"


@pytest.mark.parametrize(
    ("redelivered", "deaths", "verdict"),
    [
        (False, None, "duplicate"),
        (True, None, "redelivery"),
        (False, [{"queue": "orders", "reason": "rejected"}], "redelivery"),
        (False, [{"queue": "wait"}, {"queue": "orders"}], "redelivery"),
        (False, [{"queue": "wait"}, 5, None, {"queue": ["orders"]}, {}], "duplicate"),
        (False, {"queue": "orders"}, "duplicate"),
        (False, "orders", "duplicate"),
    ],
)
def test_a_message_comes_again_where_the_flag_or_a_death_in_this_queue_says_so(
    billing: Tracing,
    incoming: Incoming,
    envelope: Callable[..., bytearray],
    *,
    redelivered: bool,
    deaths: object,
    verdict: str,
) -> None:
    headers = {HEADER_NAME: envelope()}
    received(billing, incoming(headers))

    again = received(billing, incoming(headers | {"x-death": deaths}, redelivered=redelivered))

    assert again.receipt.verdict == verdict


@pytest.mark.parametrize(
    ("offset", "verdict"),
    [(0, "redelivery"), (1, "duplicate"), ("0", "duplicate"), (False, "duplicate"), (None, "duplicate")],
)
def test_a_stream_is_read_again_where_the_offset_is_the_same(
    billing: Tracing, incoming: Incoming, envelope: Callable[..., bytearray], *, offset: object, verdict: str
) -> None:
    headers = {HEADER_NAME: envelope(), "name": "value"}
    first = received(billing, incoming(headers | {"x-stream-offset": 0}))

    again = received(billing, incoming(headers | {"x-stream-offset": offset}))

    assert [message.receipt.verdict for message in (first, again)] == ["fresh", verdict]


# What it shows.


def test_it_is_the_message_without_the_envelope(billing: Tracing, sealed: Incoming) -> None:
    raw = sealed(exchange="shop", routing_key="order.made")
    message = received(billing, raw)

    assert isinstance(message, AbstractIncomingMessage)
    assert message.headers == message.headers_raw == message.properties.headers == {"name": "value"}
    assert message.info() == raw.info() | {"headers": {"name": "value"}}
    assert (message.body, message.routing_key, bytes(iter(message))) == (b"body", "order.made", b"body")
    assert HEADER_NAME in raw.headers


def test_a_copy_of_it_is_a_message_to_publish_with_what_was_changed(
    billing: Tracing, sealed: Incoming
) -> None:
    message: Any = received(billing, sealed())
    message.headers["attempt"] = 2
    message.body = b"changed"

    again = copy.copy(message)

    assert type(again) is aio_pika.Message
    assert (again.body, again.headers) == (b"changed", {"name": "value", "attempt": 2})


def test_its_text_holds_nothing_that_it_holds(billing: Tracing, sealed: Incoming) -> None:
    assert repr(received(billing, sealed(body=b"secret"))) == "TracedMessage('orders', delivery_tag=None)"


# What becomes of it.


@pytest.mark.parametrize("settlement", ["ack", "nack", "reject"])
async def test_settling_it_is_a_span_below_its_processing(
    sending: TracedChannel,
    receiving: TracedChannel,
    spans: Spans,
    settlement: str,
) -> None:
    queue = await receiving.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")
    message = await queue.get()

    with message.open_processing():
        await getattr(message, settlement)()

    _, settled, processed = spans.ended()
    assert (settled.operation.operation, processed.operation.operation) == (settlement, "process")
    assert settled.parent_span_id == processed.context.span_id
    assert message.processed


async def test_settling_it_twice_fails_as_before_and_marks_the_span(
    sending: TracedChannel, receiving: TracedChannel, spans: Spans
) -> None:
    queue = await receiving.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")
    message = await queue.get()
    await message.ack()

    with pytest.raises(MessageProcessError):
        await message.reject(requeue=True)

    assert [span.error_type for span in spans.ended()] == [None, None, "MessageProcessError"]


async def test_in_its_process_block_span_and_tenant_are_current_and_the_end_acknowledges(
    sending: TracedChannel, receiving: TracedChannel, spans: Spans
) -> None:
    queue = await receiving.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")
    message = await queue.get()
    assert current() is None

    async with message.process() as inner:
        entered: object = inner
        seen = (current(), current_tenant())

    assert entered is message
    assert (current(), current_tenant()) == (None, None)
    _, acknowledged, processed = spans.ended()
    assert (acknowledged.operation.operation, processed.error_type) == ("ack", None)
    assert seen == (processed.context, "acme")


@pytest.mark.parametrize("requeue", [True, False])
async def test_an_error_in_its_process_block_rejects_it_and_marks_the_span(
    sending: TracedChannel, receiving: TracedChannel, spans: Spans, *, requeue: bool
) -> None:
    queue = await receiving.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")
    message = await queue.get()

    with pytest.raises(LookupError):
        async with message.process(requeue=requeue):
            raise LookupError

    _, rejected, processed = spans.ended()
    assert (rejected.operation.operation, rejected.error_type) == ("reject", None)
    assert (processed.operation.operation, processed.error_type) == ("process", "LookupError")
    again = await queue.get(fail=False)
    assert (again is not None) is requeue
    assert again is None or again.receipt.verdict == "redelivery"


async def test_what_goes_wrong_in_acknowledging_marks_the_span(
    sending: TracedChannel, receiving: TracedChannel, spans: Spans
) -> None:
    queue = await receiving.declare_queue("orders")
    await sending.default_exchange.publish(aio_pika.Message(b"body"), "orders")
    message = await queue.get()

    with pytest.raises(MessageProcessError):
        async with message.process():
            await message.ack()

    assert spans.ended()[-1].error_type == "MessageProcessError"
    assert current() is None


async def test_a_process_block_joins_the_processing_that_is_open(
    billing: Tracing, spans: Spans, sealed: Incoming
) -> None:
    message = received(billing, sealed())

    with message.open_processing() as processing:
        async with message.process(ignore_processed=True):
            inside = current()
        after = current()

    assert inside == after == processing.context
    assert [span.operation.operation for span in spans.ended()] == ["process"]


async def test_an_error_in_a_joined_process_block_marks_the_span_though_it_goes_no_further(
    billing: Tracing, spans: Spans, sealed: Incoming
) -> None:
    message = received(billing, sealed())

    with message.open_processing():
        with pytest.raises(LookupError):
            async with message.process(ignore_processed=True):
                raise LookupError
        message.headers["reached"] = True

    assert [span.error_type for span in spans.ended()] == ["LookupError"]


def test_values_of_every_type_of_amqp_come_through(billing: Tracing, incoming: Incoming) -> None:
    headers = {"decimal": Decimal("1.5"), "time": datetime(2026, 1, 1, tzinfo=UTC), "table": {"a": [1, b"b"]}}

    assert received(billing, incoming(headers)).headers == headers
