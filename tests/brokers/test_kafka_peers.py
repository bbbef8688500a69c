"""Where others break: each test is named for the peer, and its docstring says what happens there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider

from interceptors import kafka as adapter
from interceptors.context import current
from interceptors.envelope import HEADER_NAME
from interceptors.errors import KeyProblem, KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from interceptors.envelope import SenderKey
    from interceptors.kafka import TracedConsumer, TracedProducer, TracedRecord
    from tests.conftest import Service, Services

    from .conftest import Bus

    Fetch = Callable[[Any], Coroutine[Any, Any, list[Any]]]

NO_KEY = "no sealing key for the tenant"


async def take(consumer: TracedConsumer, fetch: Fetch, count: int) -> list[TracedRecord]:
    records: list[TracedRecord] = []
    while len(records) < count:
        records += await fetch(consumer)
    return records


async def test_contrib_aiokafka_hostile_headers_cost_no_record(
    bus: Bus, consumer: TracedConsumer, fetch: Fetch
) -> None:
    """There, one header that is not UTF-8 loses the record, or all of a batch; `async for` ends."""
    names = ("traceparent", "tracestate", "baggage", HEADER_NAME)
    hostile = [[(name, value)] for name in names for value in (b"\xff\xfe", b"", None, b"\x00" * 2000)]
    hostile += [[(name, b"\xff"), (name, b"\xff")] for name in names]
    bare = await bus.bare_producer()
    for number, headers in enumerate(hostile):
        await bare.send_and_wait(bus.topic, b"%d" % number, partition=0, headers=headers)

    records = await take(consumer, fetch, len(hostile))

    assert [record.value for record in records] == [b"%d" % number for number in range(len(hostile))]
    assert [[*record.headers] for record in records] == [
        [header for header in headers if header[0] != HEADER_NAME] for headers in hostile
    ]


async def test_contrib_aiokafka_the_span_is_current_in_the_loop_and_after_getone(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    """There, nothing is current in either (contrib#3465, #3026)."""
    for _ in range(2):
        await producer.send_and_wait(bus.topic, b"value", partition=0)
    await consumer.getone()
    seen = [current()]
    async for _ in consumer:
        seen.append(current())
        break
    await consumer.stop()

    assert None not in seen
    assert [span.context for span in billing.spans("process")] == seen


async def test_contrib_aiokafka_getmany_makes_one_span_and_cuts_no_links(
    bus: Bus, checkout: Service, consumer: TracedConsumer, billing: Service, getmany: Fetch
) -> None:
    """There, `getmany(500)` makes 502 spans, and links are cut at 128."""
    producer = await bus.batching_producer(checkout)
    async with producer.transaction():
        sent = [await producer.send(bus.topic, b"value", partition=0) for _ in range(500)]
    await asyncio.gather(*sent)

    assert len(await getmany(consumer)) == 500

    assert [(link.trace_id, link.span_id) for link in billing.span("receive").links] == [
        span.context[:2] for span in checkout.spans("send")
    ]
    assert billing.spans("process") == []


@pytest.mark.parametrize("how", ["forwarded", "reused"])
async def test_contrib_aiokafka_headers_hold_one_context_and_it_is_the_last(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, checkout: Service, how: str
) -> None:
    """There, forwarding yields two, of which the getter reads the stale one, and a reused list grows."""
    headers: list[tuple[str, bytes]] = [("name", b"value")]
    for _ in range(2):
        await producer.send_and_wait(bus.topic, b"value", partition=0, headers=headers)
        if how == "forwarded":
            headers = [*(await bus.on_the_wire(1))[0].headers]

    records = [await consumer.getone() for _ in range(2)]

    wire = await bus.on_the_wire(2)
    assert [[name for name, _ in record.headers] for record in wire] == [["name", HEADER_NAME]] * 2
    assert [record.receipt.parent for record in records] == [span.context for span in checkout.spans("send")]
    assert how == "forwarded" or headers == [("name", b"value")]


async def test_contrib_aiokafka_a_send_serializes_once_and_its_failure_is_told(
    bus: Bus, checkout: Service
) -> None:
    """There, serializers run twice for each send, and a failed send leaves the span's status unset."""
    calls: list[str] = []

    def serialize(value: str) -> bytes:
        calls.append(value)
        return value.encode("ascii")

    bare = await bus.bare_producer(value_serializer=serialize)
    producer = adapter.TracedProducer(bare, checkout.tracing)
    await producer.send_and_wait(bus.topic, "sent")
    with pytest.raises(UnicodeEncodeError):
        await producer.send_and_wait(bus.topic, "größer")

    assert calls == ["sent", "größer"]
    assert [span.error_type for span in checkout.spans("send")] == [None, "UnicodeEncodeError"]


async def test_contrib_aiokafka_batches_and_transactions_are_traced(
    bus: Bus, checkout: Service, consumer: TracedConsumer
) -> None:
    """There, `send_batch` and transactions are untraced."""
    producer = await bus.producer(checkout, transactional_id=bus.topic)
    async with producer.transaction():
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=b"0")
        await (await producer.send_batch(batch, bus.topic, partition=0))
        await producer.send_and_wait(bus.topic, b"1", partition=0)

    records = [await consumer.getone() for _ in range(2)]

    (created,), (batched, sent) = checkout.spans("create"), checkout.spans("send")
    assert [record.receipt.parent for record in records] == [created.context, sent.context]
    assert [link.span_id for link in batched.links] == [created.context.span_id]


async def test_faststream_a_batch_of_several_tenants_mixes_nothing(
    bus: Bus, checkout: Service, consumer: TracedConsumer, billing: Service, getmany: Fetch
) -> None:
    """There, the baggage of a batch is merged: one tenant received another's `user=`."""
    tenants = ["acme", "globex", "acme", "initech"]
    producer = await bus.batching_producer(checkout)
    async with producer.transaction():
        for tenant in tenants:
            with checkout.tracing.tenant(tenant):
                _ = await producer.send(bus.topic, tenant.encode(), partition=0)

    for record in await getmany(consumer):
        with consumer.process(record):
            assert billing.tracing.origin().tenant == record.receipt.tenant == record.value.decode()

    received, processed = billing.spans("receive"), billing.spans("process")
    assert [(span.tenant, span.batch_size) for span in received] == [
        ("acme", 2),
        ("globex", 1),
        ("initech", 1),
    ]
    assert [span.tenant for span in processed] == tenants
    for span in received + processed:
        told = {span.context.trace_id, span.parent_span_id, *(item for link in span.links for item in link)}
        for sender in checkout.spans("send"):
            same = sender.tenant == span.tenant
            assert same or told.isdisjoint({sender.context.trace_id, sender.context.span_id})


class NoKeys:
    """Keys that can't be had, each time for the reason that it was made with."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def sealing_key(self, tenant: str) -> SenderKey:  # noqa: ARG002 - the Protocol's
        raise self._error

    def opening_key(self, kid: bytes) -> SenderKey:  # noqa: ARG002 - the Protocol's
        raise self._error

    def revoked(self) -> frozenset[bytes]:
        return frozenset()

    def refresh(self) -> bool:
        return False


@pytest.mark.parametrize(
    "error", [KeyProviderError("denied", problem=KeyProblem.DENIED), RuntimeError("a fault of the provider")]
)
async def test_kip_42_a_trace_that_cannot_be_sealed_is_not_sent_in_clear(
    bus: Bus, service: Services, error: Exception
) -> None:
    """There, every exception of an interceptor is swallowed: one that fails to seal sends clear text."""
    checkout = service("checkout", keys=NoKeys(error))
    producer = await bus.producer(checkout)
    token = otel_context.attach(baggage.set_baggage("user", "of acme"))
    try:
        with TracerProvider().get_tracer("application").start_as_current_span("work"):
            await producer.send_and_wait(bus.topic, b"0", partition=0, headers=[("name", b"value")])
            batch = producer.create_batch()
            batch.append(timestamp=None, key=None, value=b"1", headers=[("name", b"value")])
            await (await producer.send_batch(batch, bus.topic, partition=0))
    finally:
        otel_context.detach(token)

    wire = await bus.on_the_wire(2)

    assert [(record.value, record.headers) for record in wire] == [
        (b"0", (("name", b"value"),)),
        (b"1", (("name", b"value"),)),
    ]
    assert checkout.tracing.counts[NO_KEY] == 2


async def test_kip_42_a_sealed_trace_is_nowhere_in_clear_either(bus: Bus, producer: TracedProducer) -> None:
    """There, what an interceptor adds is added beside what others have put there already."""
    token = otel_context.attach(baggage.set_baggage("user", "of acme"))
    try:
        with TracerProvider().get_tracer("application").start_as_current_span("work"):
            await producer.send_and_wait(bus.topic, b"value", partition=0)
    finally:
        otel_context.detach(token)

    (record,) = await bus.on_the_wire(1)

    assert [name for name, _ in record.headers] == [HEADER_NAME]


@pytest.mark.parametrize("moved", ["to another topic", "to another message"])
async def test_aead_without_associated_data_a_moved_envelope_does_not_open(
    bus: Bus, service: Services, moved: str
) -> None:
    """There (CSFLE, Temporal's codec, Kroxylicious), ciphertexts can be moved wherever one likes."""
    policy = {"default": {"binding": "message"}} if moved == "to another message" else {}
    checkout, billing = service("checkout", policy=policy), service("billing", policy=policy)
    await (await bus.producer(checkout)).send_and_wait(bus.topic, b"value", partition=0)
    (raw,) = await bus.on_the_wire(1)
    topic, value = (bus.topic, b"other") if moved == "to another message" else (f"{bus.topic}-b", b"value")
    bare = await bus.bare_producer()
    await bare.send_and_wait(topic, value, partition=0, headers=list(raw.headers))
    consumer = await bus.consumer(billing, topic)
    while (record := await consumer.getone()).value == b"value" and topic == bus.topic:
        assert record.receipt.verdict == "fresh"

    assert (record.receipt.verdict, record.receipt.answer) == ("invalid", "not authentic")
    assert record.receipt.parent is None


@pytest.mark.parametrize("marked", ["not at all", "by a traceparent", "as bound more loosely"])
async def test_temporal_a_downgraded_message_is_not_let_through(
    bus: Bus, producer: TracedProducer, service: Services, marked: str
) -> None:
    """There, whatever is not marked as encrypted passes through."""
    billing = service("billing", policy={"default": {"accept": "required"}})
    await producer.send_and_wait(bus.topic, b"value", partition=0)
    ((_, envelope),) = (await bus.on_the_wire(1))[0].headers
    headers: dict[str, list[tuple[str, bytes]]] = {
        "not at all": [],
        "by a traceparent": [("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")],
        "as bound more loosely": [(HEADER_NAME, envelope[:1] + b"\x00" + envelope[2:])],
    }
    bare = await bus.bare_producer()
    await bare.send_and_wait(bus.topic, b"downgraded", partition=0, headers=headers[marked])
    consumer = await bus.consumer(billing)
    await consumer.getone()

    record = await consumer.getone()

    assert (record.value, record.receipt.parent, record.receipt.tenant) == (b"downgraded", None, None)
    assert record.receipt.verdict == ("invalid" if marked == "as bound more loosely" else "missing")


async def test_temporal_what_is_sealed_twice_opens_once(
    bus: Bus, checkout: Service, consumer: TracedConsumer, billing: Service
) -> None:
    """There, a tracing header that was encoded twice failed every workflow task (sdk-python#1769)."""
    inner = await bus.producer(checkout)
    outer = adapter.TracedProducer(inner, checkout.tracing)  # by mistake
    batch = outer.create_batch()
    batch.append(timestamp=None, key=None, value=b"0")
    await (await outer.send_batch(batch, bus.topic, partition=0))
    await outer.send_and_wait(bus.topic, b"1", partition=0)

    @adapter.traced(billing.tracing)
    async def handle(record: TracedRecord) -> TracedRecord:
        await asyncio.sleep(0)
        return record

    handled = [await handle(await consumer.getone()) for _ in range(2)]

    wire = await bus.on_the_wire(2)
    assert [[name for name, _ in record.headers] for record in wire] == [[HEADER_NAME]] * 2
    assert [(record.value, record.receipt.verdict) for record in handled] == [
        (b"0", "fresh"),
        (b"1", "fresh"),
    ]
    assert len(billing.spans("process")) == 2
