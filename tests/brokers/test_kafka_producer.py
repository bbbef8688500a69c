"""Sending: every way that an `AIOKafkaProducer` has, traced."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import IllegalOperation, KafkaError, MessageSizeTooLargeError, ProducerClosed
from opentelemetry.sdk.trace import TracerProvider

from interceptors import kafka as adapter
from interceptors.envelope import HEADER_NAME
from interceptors.spans import Kind, to_otlp_json
from interceptors.testing.embedded_kafka import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from interceptors.kafka import TracedConsumer, TracedProducer
    from interceptors.spans import Span
    from tests.conftest import Service, Services

    from .conftest import Bus

SECRET = "not for anybody's eyes"
WITHOUT = "message too large with an envelope"


def names(record: Any) -> list[str]:
    return [name for name, _ in record.headers]


async def test_send_gives_the_future_of_the_metadata(
    bus: Bus, checkout: Service, producer: TracedProducer, consumer: TracedConsumer
) -> None:
    sent = await producer.send(bus.topic, b"value", b"key", partition=1, timestamp_ms=1_000)
    metadata = await sent

    record = await consumer.getone()
    span = checkout.span("send")
    assert (record.topic, record.partition, record.offset) == (bus.topic, 1, metadata.offset)
    assert record.timestamp == 1_000
    assert (span.partition, span.offset, span.error_type) == (1, metadata.offset, None)
    assert (span.operation.kind, span.channel, span.service) == (Kind.PRODUCER, bus.topic, "checkout")
    assert (span.tenant, span.tombstone) == ("acme", False)
    assert record.receipt.parent == span.context


async def test_a_tombstone_is_marked(bus: Bus, checkout: Service, producer: TracedProducer) -> None:
    await producer.send_and_wait(bus.topic, None, b"deleted")

    assert checkout.span("send").tombstone


async def test_without_acknowledgements_there_is_a_span_all_the_same(bus: Bus, checkout: Service) -> None:
    producer = await bus.producer(checkout, acks=0)

    assert await producer.send_and_wait(bus.topic, b"value") is None

    span = checkout.span("send")
    assert (span.offset, span.error_type) == (None, None)


async def test_flush_waits_for_what_was_sent(bus: Bus, checkout: Service) -> None:
    producer = await bus.producer(checkout, linger_ms=50)
    sent = [await producer.send(bus.topic, b"value") for _ in range(3)]

    await producer.flush()

    assert all(future.done() for future in sent)
    assert len(checkout.spans("send")) == 3


async def test_a_context_manager_starts_it_and_delivers_what_waits(
    bus: Bus, checkout: Service, consumer: TracedConsumer
) -> None:
    bare = AIOKafkaProducer(bootstrap_servers=bus.address, linger_ms=50)
    async with adapter.TracedProducer(bare, checkout.tracing) as producer:
        sent = await producer.send(bus.topic, b"value")

    assert sent.done()
    assert (await consumer.getone()).value == b"value"
    with pytest.raises(ProducerClosed):
        await bare.send(bus.topic, b"value")


async def test_what_is_not_traced_is_passed_on(bus: Bus, producer: TracedProducer) -> None:
    assert await producer.partitions_for(bus.topic) >= {0, 1}
    with pytest.raises(IllegalOperation):
        await producer.begin_transaction()
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = producer.no_such_thing


async def test_a_batch_carries_an_envelope_in_each_message_and_has_one_send_span(
    bus: Bus, checkout: Service, producer: TracedProducer, consumer: TracedConsumer
) -> None:
    headers = [("name", b"value")]
    batch = producer.create_batch()
    first = batch.append(timestamp=1_000, key=b"key", value=b"0", headers=headers)
    for value in (b"1", None):
        batch.append(timestamp=None, key=b"key", value=value)
    assert (batch.record_count(), batch.closed(), first.offset) == (3, False, 0)
    batch.close()
    assert batch.append(timestamp=None, key=b"key", value=b"too late") is None

    metadata = await (await producer.send_batch(batch, bus.topic, partition=1))

    records = [await consumer.getone() for _ in range(3)]
    span = checkout.span("send")
    assert [(record.value, record.partition) for record in records] == [(b"0", 1), (b"1", 1), (None, 1)]
    assert (records[0].timestamp, records[0].headers, headers) == (1_000, (*headers,), [("name", b"value")])
    assert (metadata.offset, span.offset, span.partition, span.batch_size) == (0, 0, 1, 3)
    created = checkout.spans("create")
    assert [record.receipt.parent for record in records] == [one.context for one in created]
    assert [link.span_id for link in span.links] == [one.context.span_id for one in created]
    wire = await bus.on_the_wire(3)
    assert len({value for record in wire for name, value in record.headers if name == HEADER_NAME}) == 3


async def test_a_full_batch_is_measured_with_its_envelopes(
    bus: Bus, checkout: Service, consumer: TracedConsumer
) -> None:
    producer = await bus.producer(checkout, max_batch_size=2_000)
    batch = producer.create_batch()
    taken = 0
    while batch.append(timestamp=None, key=None, value=b"v" * 100) is not None:
        taken += 1
    assert (taken, batch.closed()) == (batch.record_count(), True)
    assert batch.size() <= 2_000

    await (await producer.send_batch(batch, bus.topic, partition=0))

    verdicts = [(await consumer.getone()).receipt.verdict for _ in range(taken)]
    assert verdicts == ["fresh"] * taken


async def test_messages_of_a_batch_keep_the_time_of_their_appending(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer
) -> None:
    batch = producer.create_batch()
    appended = [batch.append(timestamp=None, key=None, value=b"value").timestamp for _ in range(2)]
    await (await producer.send_batch(batch, bus.topic, partition=0))

    assert [(await consumer.getone()).timestamp for _ in range(2)] == appended


async def test_a_batch_of_two_tenants_has_a_span_for_each(
    bus: Bus, checkout: Service, producer: TracedProducer, consumer: TracedConsumer
) -> None:
    batch = producer.create_batch()
    batch.append(timestamp=None, key=None, value=b"0")
    with checkout.tracing.tenant("globex"):
        batch.append(timestamp=None, key=None, value=b"1")
    batch.append(timestamp=None, key=None, value=b"2")
    await (await producer.send_batch(batch, bus.topic, partition=0))

    records = [await consumer.getone() for _ in range(3)]

    assert [record.receipt.tenant for record in records] == ["acme", "globex", "acme"]
    acme, globex = checkout.spans("send")
    assert [(span.tenant, span.batch_size) for span in (acme, globex)] == [("acme", 2), ("globex", 1)]
    created = checkout.spans("create")
    assert [record.receipt.parent for record in records] == [one.context for one in created]
    linked = [[link.span_id for link in span.links] for span in (acme, globex)]
    first, second, third = (one.context.span_id for one in created)
    assert linked == [[first, third], [second]]


async def test_a_batch_that_aiokafka_made_goes_as_it_is(
    bus: Bus, checkout: Service, producer: TracedProducer
) -> None:
    bare = await bus.bare_producer()
    batch = bare.create_batch()
    batch.append(timestamp=None, key=None, value=b"value")
    await (await producer.send_batch(batch, bus.topic, partition=0))

    assert names((await bus.on_the_wire(1))[0]) == []
    assert checkout.spans("send") == []


# Transactions.


@pytest.mark.parametrize("way", ["in a block", "step by step"])
async def test_what_is_sent_in_a_transaction_is_traced(
    bus: Bus, checkout: Service, billing: Service, way: str
) -> None:
    producer = await bus.producer(checkout, transactional_id=bus.topic)
    if way == "in a block":
        async with producer.transaction():
            await producer.send_and_wait(bus.topic, b"value", partition=0)
    else:
        await producer.begin_transaction()
        await producer.send_and_wait(bus.topic, b"value", partition=0)
        await producer.commit_transaction()
    consumer = await bus.consumer(billing, isolation_level="read_committed")

    record = await consumer.getone()

    assert (record.value, record.receipt.verdict) == (b"value", "fresh")
    assert record.receipt.parent == checkout.span("send").context


async def test_aborted_messages_stay_hidden(real_bus: Bus, checkout: Service, billing: Service) -> None:
    producer = await real_bus.producer(checkout, transactional_id=real_bus.topic)
    await producer.begin_transaction()
    await producer.send_and_wait(real_bus.topic, b"aborted", partition=0)
    await producer.abort_transaction()

    async def fail() -> None:
        async with producer.transaction():
            await producer.send_and_wait(real_bus.topic, b"aborted", partition=0)
            raise RuntimeError("of the caller")

    with pytest.raises(RuntimeError, match="of the caller"):
        await fail()
    async with producer.transaction():
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=b"committed")
        await (await producer.send_batch(batch, real_bus.topic, partition=0))
    consumer = await real_bus.consumer(billing, isolation_level="read_committed")

    record = await consumer.getone()

    assert (record.value, record.receipt.verdict) == (b"committed", "fresh")
    assert len(checkout.spans("send")) == 3


async def test_a_transaction_commits_offsets(real_bus: Bus, checkout: Service) -> None:
    producer = await real_bus.producer(checkout, transactional_id=real_bus.topic)
    partition = TopicPartition(real_bus.topic, 0)
    async with producer.transaction():
        await producer.send_and_wait(real_bus.topic, b"value", partition=0)
        await producer.send_offsets_to_transaction({partition: 7}, real_bus.topic)

    group = AIOKafkaConsumer(bootstrap_servers=real_bus.address, group_id=real_bus.topic)
    async with group as consumer:
        assert await consumer.committed(partition) == 7


async def test_outside_a_transaction_nothing_is_sent_and_nothing_lost(
    real_bus: Bus, checkout: Service
) -> None:
    producer = await real_bus.producer(checkout, transactional_id=real_bus.topic)
    with pytest.raises(IllegalOperation):
        await producer.send_and_wait(real_bus.topic, b"value")
    batch = producer.create_batch()
    batch.append(timestamp=None, key=None, value=b"value")
    with pytest.raises(IllegalOperation):
        await (await producer.send_batch(batch, real_bus.topic, partition=0))

    async with producer.transaction():
        await (await producer.send_batch(batch, real_bus.topic, partition=0))

    assert [record.value for record in await real_bus.on_the_wire(1)] == [b"value"]
    assert [span.error_type for span in checkout.spans("send")] == ["IllegalOperation"] * 2 + [None]


# Failures.


def told(spans: list[Span]) -> str:
    """Everything that leaves the process with these spans."""
    return json.dumps([to_otlp_json(span) for span in spans])


def refuse(value: object) -> bytes:
    raise ValueError(f"{SECRET}: {value}")


async def unserializable(bus: Bus, service: Service) -> Exception:
    producer = await bus.producer(service, value_serializer=refuse)
    return await failure(producer.send(bus.topic, SECRET))


async def unserializable_by_aiokafka(bus: Bus, service: Service) -> Exception:
    bare = await bus.bare_producer(value_serializer=refuse)
    return await failure(adapter.TracedProducer(bare, service.tracing).send(bus.topic, SECRET))


async def not_bytes(bus: Bus, service: Service) -> Exception:
    return await failure((await bus.producer(service)).send(bus.topic, SECRET))


async def no_headers(bus: Bus, service: Service) -> Exception:
    headers: Any = [SECRET, 1]
    return await failure((await bus.producer(service)).send(bus.topic, b"value", headers=headers))


async def closed(bus: Bus, service: Service) -> Exception:
    producer = await bus.producer(service)
    await producer.send_and_wait(bus.topic, b"value")
    service.spans("send")
    service.sink.spans.clear()
    await producer.stop()
    return await failure(producer.send(bus.topic, SECRET.encode()))


async def too_large(bus: Bus, service: Service) -> Exception:
    producer = await bus.producer(service, max_request_size=1_000)
    return await failure(producer.send(bus.topic, SECRET.encode() * 100))


async def failure(sending: Awaitable[object]) -> Exception:
    try:
        await sending
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    pytest.fail("it was sent")


@pytest.mark.parametrize(
    "fail", [unserializable, unserializable_by_aiokafka, not_bytes, no_headers, closed, too_large]
)
async def test_a_send_that_fails_marks_its_span_with_the_class_of_the_error(
    bus: Bus, checkout: Service, fail: Callable[[Bus, Service], Awaitable[Exception]]
) -> None:
    error = await fail(bus, checkout)

    span = checkout.span("send")
    assert span.error_type == type(error).__qualname__
    assert SECRET not in told([span])


async def test_sends_to_a_broker_that_is_gone_fail_as_they_do_untraced(checkout: Service) -> None:
    with EmbeddedKafka() as server:
        # It asks for metadata seldom, so that it is the sending that finds the broker gone.
        bare = AIOKafkaProducer(bootstrap_servers=server.bootstrap_servers, request_timeout_ms=1_000)
        async with adapter.TracedProducer(bare, checkout.tracing) as producer:
            await producer.send_and_wait("orders", b"value", partition=0)
            server.close()
            batch = producer.create_batch()
            batch.append(timestamp=None, key=None, value=b"value")
            sent = [
                await producer.send("orders", b"value", partition=0),
                await producer.send_batch(batch, "orders", partition=0),
            ]
            errors = await asyncio.gather(*sent, return_exceptions=True)

    assert all(isinstance(error, KafkaError) for error in errors)
    spans = checkout.spans("send")
    assert [span.error_type for span in spans] == [None, *(type(error).__qualname__ for error in errors)]


# Size.


async def test_what_only_its_envelope_makes_too_large_for_the_client_goes_without(
    bus: Bus, checkout: Service
) -> None:
    producer = await bus.producer(checkout, max_request_size=1_000)

    await producer.send_and_wait(bus.topic, b"v" * 900, partition=0, headers=[("name", b"value")])

    (record,) = await bus.on_the_wire(1)
    assert (record.value, names(record)) == (b"v" * 900, ["name"])
    assert checkout.span("send").error_type is None
    assert checkout.tracing.counts[WITHOUT] == 1


async def test_what_is_too_large_untraced_is_refused_at_once(bus: Bus, service: Services) -> None:
    silent = service("checkout", policy={"default": {"emit": "none"}})
    producer = await bus.producer(silent, max_request_size=1_000)

    with pytest.raises(MessageSizeTooLargeError):
        await producer.send_and_wait(bus.topic, b"v" * 2_000)

    assert silent.tracing.counts[WITHOUT] == 0


@pytest.fixture
async def narrow_topic(real_bus: Bus) -> str:
    """A topic of the real broker that takes 1000 bytes at once."""
    admin = AIOKafkaAdminClient(bootstrap_servers=real_bus.address)
    await admin.start()
    try:
        name = f"{real_bus.topic}-narrow"
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "1000"})])
    finally:
        await admin.close()
    return name


async def send_and_wait(producer: TracedProducer, topic: str, value: bytes) -> None:
    await producer.send_and_wait(topic, value, headers=[("name", b"value")])


async def send(producer: TracedProducer, topic: str, value: bytes) -> None:
    await (await producer.send(topic, value, headers=[("name", b"value")]))


async def send_and_forget(producer: TracedProducer, topic: str, value: bytes) -> None:
    (await producer.send(topic, value, headers=[("name", b"value")])).cancel()
    await producer.flush()


async def send_and_stop(producer: TracedProducer, topic: str, value: bytes) -> None:
    sent = await producer.send(topic, value, headers=[("name", b"value")])
    await producer.stop()
    await sent


async def send_batch(producer: TracedProducer, topic: str, value: bytes) -> None:
    batch = producer.create_batch()
    batch.append(timestamp=None, key=None, value=value, headers=[("name", b"value")])
    await (await producer.send_batch(batch, topic, partition=0))


@pytest.mark.parametrize("way", [send_and_wait, send, send_and_forget, send_and_stop, send_batch])
async def test_what_only_its_envelope_makes_too_large_for_the_topic_goes_without(
    real_bus: Bus,
    narrow_topic: str,
    checkout: Service,
    way: Callable[[TracedProducer, str, bytes], Awaitable[None]],
) -> None:
    producer = await real_bus.producer(checkout)

    await way(producer, narrow_topic, b"v" * 850)

    (record,) = await real_bus.on_the_wire(1, narrow_topic)
    assert (record.value, names(record)) == (b"v" * 850, ["name"])
    assert checkout.tracing.counts[WITHOUT] == 1
    await producer.flush()
    assert checkout.span("send").error_type is None  # it was sent, whoever gave up waiting for that


@pytest.mark.parametrize("way", [send_and_wait, send, send_and_stop, send_batch])
async def test_what_is_too_large_for_the_topic_anyway_is_refused_once(
    real_bus: Bus,
    narrow_topic: str,
    checkout: Service,
    way: Callable[[TracedProducer, str, bytes], Awaitable[None]],
) -> None:
    producer = await real_bus.producer(checkout)

    with pytest.raises(MessageSizeTooLargeError):
        await way(producer, narrow_topic, b"v" * 2_000)

    assert checkout.span("send").error_type == "MessageSizeTooLargeError"


async def test_a_batch_without_envelopes_is_not_sent_twice(
    real_bus: Bus, narrow_topic: str, service: Services
) -> None:
    silent = service("checkout", policy={"default": {"emit": "none"}})
    producer = await real_bus.producer(silent)

    with pytest.raises(MessageSizeTooLargeError):
        await send_batch(producer, narrow_topic, b"v" * 2_000)

    assert silent.tracing.counts[WITHOUT] == 0


# Cancelling, and doing several things at once.


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task where it waits first."""
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_send_that_is_cancelled_sends_nothing_and_its_producer_goes_on(
    bus: Bus, checkout: Service, producer: TracedProducer, consumer: TracedConsumer
) -> None:
    await producer.send_and_wait(bus.topic, b"before", partition=0)
    # It waits for the metadata of a topic that is not known yet.
    await cancelled(asyncio.create_task(producer.send(f"{bus.topic}-unknown", b"cancelled")))
    await producer.send_and_wait(bus.topic, b"after", partition=0)

    assert [(await consumer.getone()).value for _ in range(2)] == [b"before", b"after"]
    assert [span.error_type for span in checkout.spans("send")] == [None, "CancelledError", None]


async def test_a_send_and_wait_that_is_cancelled_while_it_waits_is_sent(
    bus: Bus, checkout: Service, consumer: TracedConsumer
) -> None:
    producer = await bus.producer(checkout, linger_ms=200)
    await producer.send_and_wait(bus.topic, b"before", partition=0)
    # Key and metadata are there, so what it waits for first is the acknowledgement.
    await cancelled(asyncio.create_task(producer.send_and_wait(bus.topic, b"value", partition=0)))

    records = [await consumer.getone() for _ in range(2)]

    await producer.flush()
    assert [(record.value, record.receipt.verdict) for record in records][1] == (b"value", "fresh")
    # Who waited gave up; the message did not, and its span says where it lies.
    assert [(span.error_type, span.offset) for span in checkout.spans("send")] == [(None, 0), (None, 1)]


async def test_a_send_that_is_cancelled_while_its_key_is_fetched_sends_nothing(
    bus: Bus, service: Services, consumer: TracedConsumer
) -> None:
    keys = service.gated_keys("checkout")
    checkout = service("checkout", keys=keys)
    producer = await bus.producer(checkout)
    sending = asyncio.create_task(producer.send(bus.topic, b"cancelled", partition=0))
    await keys.asked()
    await cancelled(sending)
    keys.gate.set()
    await producer.send_and_wait(bus.topic, b"sent", partition=0)

    assert (await consumer.getone()).value == b"sent"
    assert checkout.span("send").error_type is None


async def test_a_send_waits_for_its_key_without_holding_up_the_others(bus: Bus, service: Services) -> None:
    keys = service.gated_keys("checkout")
    checkout = service("checkout", keys=keys)
    producer = await bus.producer(checkout)
    sending = asyncio.create_task(producer.send_and_wait(bus.topic, b"value", partition=0))
    await keys.asked()

    assert not sending.done()

    keys.gate.set()
    await sending
    assert names((await bus.on_the_wire(1))[0]) == [HEADER_NAME]


async def test_each_task_sends_under_its_own_span(
    bus: Bus, checkout: Service, producer: TracedProducer
) -> None:
    tracer = TracerProvider().get_tracer("application")

    async def work(number: int) -> int:
        with tracer.start_as_current_span("work") as above:
            await asyncio.gather(*(producer.send_and_wait(bus.topic, b"%d" % number) for _ in range(3)))
            return above.get_span_context().span_id

    above = await asyncio.gather(*(work(number) for number in range(5)))

    parents = [int.from_bytes(span.parent_span_id or b"", "big") for span in checkout.spans("send")]
    assert sorted(parents) == sorted([*above] * 3)


async def test_a_send_is_a_child_of_the_applications_span(
    bus: Bus, checkout: Service, producer: TracedProducer
) -> None:
    with TracerProvider().get_tracer("application").start_as_current_span("work") as above:
        await producer.send_and_wait(bus.topic, b"value")

    context = above.get_span_context()
    span = checkout.span("send")
    assert span.context.trace_id == context.trace_id.to_bytes(16, "big")
    assert span.parent_span_id == context.span_id.to_bytes(8, "big")
