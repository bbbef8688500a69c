"""Receiving: every way that an `AIOKafkaConsumer` has, traced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span

from interceptors.context import current, current_tenant
from interceptors.spans import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from interceptors.kafka import TracedConsumer, TracedProducer, TracedRecord
    from interceptors.spans import Span
    from tests.conftest import Service, Services

    from .conftest import Bus

    Fetch = Callable[[Any], Coroutine[Any, Any, list[Any]]]


async def send(producer: Any, topic: str, count: int) -> None:
    """Send `0`, `1`, … to the first partition."""
    for number in range(count):
        await producer.send_and_wait(topic, b"%d" % number, partition=0)


def values(records: list[TracedRecord]) -> list[bytes | None]:
    return [record.value for record in records]


def is_below(span: Span | None, record: TracedRecord) -> bool:
    """Whether a span is a child of the one that sent a record."""
    parent = record.receipt.parent
    assert span is not None
    assert parent is not None
    return (span.context.trace_id, span.parent_span_id) == (parent.trace_id, parent.span_id)


# What is current.


async def test_after_getone_the_process_span_is_current_until_the_next(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    await send(producer, bus.topic, 2)

    first = await consumer.getone()
    during_first = current()
    second = await consumer.getone()
    during_second = current()
    await consumer.stop()

    assert current() is None
    spans = billing.spans("process")
    assert [span.context for span in spans] == [during_first, during_second]
    assert [is_below(span, record) for span, record in zip(spans, (first, second), strict=True)] == [True] * 2
    assert [(span.partition, span.offset) for span in spans] == [(0, 0), (0, 1)]
    assert {(span.operation.kind, span.sender, span.verdict) for span in spans} == {
        (Kind.CONSUMER, "checkout", "fresh")
    }


async def test_in_the_body_of_async_for_the_process_span_is_current_and_after_it_what_was_before(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    await send(producer, bus.topic, 3)
    seen = []
    with TracerProvider().get_tracer("application").start_as_current_span("work") as before:
        async for record in consumer:
            seen.append(current())
            if record.value == b"2":
                await consumer.stop()  # which ends the loop
        after = get_current_span()

    assert after is before
    assert [span.context for span in billing.spans("process")] == seen


async def test_a_loop_that_is_left_early_ends_its_span_with_the_next_fetch(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    await send(producer, bus.topic, 2)
    async for _ in consumer:
        break
    assert billing.spans("process") == []

    assert [record.value async for record in first_of(consumer)] == [b"1"]

    assert billing.span("process").offset == 0


async def first_of(consumer: TracedConsumer) -> Any:
    async for record in consumer:
        yield record
        return


async def test_inside_process_its_span_is_current(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service, getmany: Fetch
) -> None:
    await send(producer, bus.topic, 1)
    (record,) = await getmany(consumer)
    assert current() is None

    with consumer.process(record):
        during = current()

    assert current() is None
    span = billing.span("process")
    assert span.context == during
    assert is_below(span, record)


async def test_an_error_that_leaves_process_marks_its_span_and_is_the_callers(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service, getmany: Fetch
) -> None:
    await send(producer, bus.topic, 1)
    (record,) = await getmany(consumer)

    with pytest.raises(KeyError, match="of the caller"), consumer.process(record):
        raise KeyError("of the caller")

    assert billing.span("process").error_type == "KeyError"
    assert current() is None


async def test_process_after_getone_is_the_span_that_is_open_already(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    await send(producer, bus.topic, 1)
    record = await consumer.getone()
    before = current()

    def fail() -> None:
        assert current() == before
        raise KeyError

    with pytest.raises(KeyError), consumer.process(record):
        fail()

    assert billing.span("process").context == before
    assert billing.span("process").error_type == "KeyError"
    assert current() is None


async def test_a_handler_starts_with_its_senders_tenant_and_span(
    bus: Bus, producer: TracedProducer, checkout: Service, consumer: TracedConsumer, billing: Service
) -> None:
    forwarder = await bus.producer(billing)
    with checkout.tracing.tenant("globex"):
        await send(producer, bus.topic, 1)

    record = await consumer.getone()
    tenant = current_tenant()
    await forwarder.send_and_wait(f"{bus.topic}-next", record.value)
    await consumer.stop()

    assert (tenant, current_tenant()) == ("globex", None)
    sent, processed = billing.span("send"), billing.span("process")
    assert (sent.tenant, sent.parent_span_id) == ("globex", processed.context.span_id)
    assert checkout.span("send").context.trace_id == processed.context.trace_id == sent.context.trace_id


async def test_spans_of_the_application_become_children_of_ours(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    await send(producer, bus.topic, 1)
    await consumer.getone()

    with TracerProvider().get_tracer("application").start_as_current_span("work") as below:
        inside = below.get_span_context()
    await consumer.stop()

    context = billing.span("process").context
    assert inside.trace_id == int.from_bytes(context.trace_id, "big")
    assert below.parent.span_id == int.from_bytes(context.span_id, "big")  # type: ignore[attr-defined]  # the SDK's


async def test_wait_for_gives_a_record_that_can_be_processed(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    # Before Python 3.12, wait_for runs what it waits for in a task of its own.
    await send(producer, bus.topic, 2)
    for ended in range(2):
        record = await asyncio.wait_for(consumer.getone(), timeout=30)
        with consumer.process(record):
            during = current()
        spans = billing.spans("process")
        assert (len(spans), spans[-1].context) == (ended + 1, during)
        assert is_below(spans[-1], record)


async def test_each_of_the_tasks_that_share_a_consumer_has_its_own_span(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    await send(producer, bus.topic, 6)
    together = asyncio.Barrier(3)

    async def work() -> list[bool]:
        right = []
        for _ in range(2):
            record = await consumer.getone()
            await together.wait()  # all have one now
            mine = current()
            parent = record.receipt.parent
            assert mine is not None
            assert parent is not None
            right.append(mine.trace_id == parent.trace_id)
            await together.wait()
        return right

    right = await asyncio.gather(*(work() for _ in range(3)))
    await consumer.stop()

    assert right == [[True, True]] * 3
    assert sorted(span.offset or 0 for span in billing.spans("process")) == [0, 1, 2, 3, 4, 5]


async def test_a_record_that_another_task_processes_leaves_nothing_behind(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    await send(producer, bus.topic, 2)
    inside, done = asyncio.Event(), asyncio.Event()

    async def work(record: TracedRecord) -> None:
        with consumer.process(record):
            inside.set()
            await done.wait()
        assert current() is None

    task = asyncio.create_task(work(await consumer.getone()))
    await inside.wait()
    await consumer.getone()
    done.set()
    await task
    await consumer.stop()

    assert current() is None
    assert [span.offset for span in billing.spans("process")] == [0, 1]


# Batches.


async def test_a_batch_has_one_receive_span_with_a_link_for_each_message(
    bus: Bus, checkout: Service, consumer: TracedConsumer, billing: Service, getmany: Fetch
) -> None:
    producer = await bus.batching_producer(checkout)
    async with producer.transaction():
        sent = [await producer.send(bus.topic, b"value", partition=0) for _ in range(3)]
    await asyncio.gather(*sent)

    records = await getmany(consumer)
    with consumer.process(records[1]):
        pass

    span = billing.span("receive")
    sends = [(sender.context.trace_id, sender.context.span_id) for sender in checkout.spans("send")]
    assert [(link.trace_id, link.span_id) for link in span.links] == sends
    assert (span.operation.kind, span.batch_size, span.parent_span_id) == (Kind.CLIENT, 3, None)
    assert is_below(billing.span("process"), records[1])


async def test_an_error_that_a_batch_owes_comes_with_the_next_call_and_costs_nothing(
    bus: Bus, billing: Service, getmany: Fetch
) -> None:
    bare = await bus.bare_producer()
    batch = bare.create_batch()
    for value in (b"0", b"not a number", b"2", b"not one either"):
        batch.append(timestamp=None, key=None, value=value)
    await (await bare.send_batch(batch, bus.topic, partition=0))
    await bare.send_and_wait(bus.topic, b"4", partition=0)
    consumer = await bus.consumer(billing, value_deserializer=lambda data: int(data or b""))

    assert [record.value for record in await getmany(consumer)][:2] == [0, 2]
    with pytest.raises(ValueError, match="not a number"):
        await consumer.getone()
    with pytest.raises(ValueError, match="not one either"):
        await consumer.getmany()
    consumer.seek(TopicPartition(bus.topic, 0), 4)
    assert (await consumer.getone()).value == 4


async def test_a_batch_of_nothing_has_no_span(bus: Bus, consumer: TracedConsumer, billing: Service) -> None:
    assert await consumer.getmany(timeout_ms=1) == {}
    assert billing.spans("receive") == []


async def test_max_records_and_partitions_are_passed_on(
    bus: Bus, producer: TracedProducer, billing: Service
) -> None:
    await send(producer, bus.topic, 3)
    await producer.send_and_wait(bus.topic, b"other", partition=1)
    consumer = await bus.consumer(billing)
    other = TopicPartition(bus.topic, 1)
    received: list[bytes | None] = []
    while not received:
        received += values((await consumer.getmany(other, timeout_ms=1000)).get(other, []))

    first = await consumer.getone(TopicPartition(bus.topic, 0))
    batch = await consumer.getmany(timeout_ms=1000, max_records=1)

    assert received == [b"other"]
    assert (first.value, [values(records) for records in batch.values()]) == (b"0", [[b"1"]])


# Cancelling.


async def test_a_fetch_that_is_cancelled_while_it_waits_loses_nothing(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer, fetch: Fetch
) -> None:
    await producer.partitions_for(bus.topic)
    waiting = asyncio.create_task(fetch(consumer))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await send(producer, bus.topic, 2)

    assert values([await consumer.getone() for _ in range(2)]) == [b"0", b"1"]


async def test_a_fetch_that_is_cancelled_while_a_key_is_fetched_loses_nothing(
    bus: Bus, producer: TracedProducer, service: Services, fetch: Fetch
) -> None:
    keys = service.gated_keys("billing")
    billing = service("billing", keys=keys)
    await send(producer, bus.topic, 3)
    consumer = await bus.consumer(billing)
    waiting = asyncio.create_task(fetch(consumer))
    await keys.asked()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    keys.gate.set()

    records = [await consumer.getone() for _ in range(3)]

    assert values(records) == [b"0", b"1", b"2"]
    assert [record.receipt.verdict for record in records] == ["fresh"] * 3


async def test_a_fetch_that_is_cancelled_when_its_partition_is_gone_goes_on_without_it(
    bus: Bus, producer: TracedProducer, service: Services
) -> None:
    keys = service.gated_keys("billing")
    await send(producer, bus.topic, 1)
    consumer = await bus.consumer(service("billing", keys=keys))
    waiting = asyncio.create_task(consumer.getone())
    await keys.asked()
    consumer.unsubscribe()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


# What is passed on.


async def test_positions_are_the_consumers(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer
) -> None:
    await send(producer, bus.topic, 3)
    partition = TopicPartition(bus.topic, 0)
    first = await consumer.getone()

    assert partition in consumer.assignment()
    assert await consumer.position(partition) == 1

    consumer.seek(partition, 2)
    assert (await consumer.getone()).value == b"2"
    await consumer.seek_to_beginning(partition)
    assert (await consumer.getone()).value == first.value
    await consumer.seek_to_end(partition)
    assert await consumer.position(partition) == 3
    assert await consumer.end_offsets([partition]) == {partition: 3}


async def test_a_paused_partition_gives_nothing_until_it_is_resumed(
    bus: Bus, producer: TracedProducer, billing: Service
) -> None:
    consumer = await bus.consumer(billing)
    partition = TopicPartition(bus.topic, 0)
    await producer.partitions_for(bus.topic)
    while partition not in consumer.assignment():
        await consumer.getmany(timeout_ms=100)
    consumer.pause(partition)
    await send(producer, bus.topic, 1)
    await producer.send_and_wait(bus.topic, b"of the other", partition=1)

    assert (await consumer.getone()).value == b"of the other"
    assert (consumer.paused(), await consumer.getmany(timeout_ms=300)) == ({partition}, {})
    consumer.resume(partition)
    assert (await consumer.getone()).value == b"0"


async def test_a_group_goes_on_where_it_committed(real_bus: Bus, checkout: Service, billing: Service) -> None:
    await send(await real_bus.producer(checkout), real_bus.topic, 3)
    partition = TopicPartition(real_bus.topic, 0)
    consumer = await real_bus.consumer(billing, group_id=real_bus.topic)
    await consumer.getone()
    assert await consumer.committed(partition) is None
    await consumer.commit()
    assert await consumer.committed(partition) == 1
    await consumer.commit({partition: 2})
    await consumer.stop()

    successor = await real_bus.consumer(billing, group_id=real_bus.topic)

    assert (await successor.getone()).value == b"2"
    assert billing.spans("process")[0].consumer_group == real_bus.topic


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.assigned: list[set[TopicPartition]] = []

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Asked for by the base class."""

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.assigned.append(set(assigned))


async def test_the_consumers_of_a_group_share_the_partitions_out(
    real_bus: Bus, checkout: Service, billing: Service
) -> None:
    producer = await real_bus.producer(checkout)
    partitions = {TopicPartition(real_bus.topic, number) for number in range(2)}
    listener = Rebalances()
    members = await asyncio.gather(
        *(real_bus.consumer(billing, group_id=real_bus.topic, heartbeat_interval_ms=200) for _ in range(2))
    )
    members[0].subscribe([real_bus.topic], listener=listener)
    while [len(member.assignment()) for member in members] != [1, 1] or not listener.assigned:
        # Taking part in a rebalance is up to the client; fetching lets it.
        await asyncio.gather(*(member.getmany(timeout_ms=100) for member in members))

    for number in range(2):
        await producer.send_and_wait(real_bus.topic, b"%d" % number, partition=number)

    received = [TopicPartition(real_bus.topic, (await member.getone()).partition) for member in members]
    assert [{partition} for partition in received] == [member.assignment() for member in members]
    assert set(received) == partitions
    assert listener.assigned[-1] == members[0].assignment()


async def test_a_consumer_needs_no_traced_producer_upstream(
    bus: Bus, consumer: TracedConsumer, billing: Service
) -> None:
    await send(await bus.bare_producer(), bus.topic, 1)

    record = await consumer.getone()
    await consumer.stop()

    assert (record.value, record.receipt.verdict, record.receipt.tenant) == (b"0", None, None)
    span = billing.span("process")
    assert (span.parent_span_id, span.links, span.tenant, span.sender) == (None, (), "acme", None)


async def test_a_consumer_that_is_stopped_says_so(bus: Bus, consumer: TracedConsumer) -> None:
    await consumer.stop()

    with pytest.raises(ConsumerStoppedError):
        await consumer.getone()
    with pytest.raises(ConsumerStoppedError):
        aiter(consumer)
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = consumer.no_such_thing
