"""The asyncio clients, traced."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.aio import AIOConsumer, AIOProducer

from interceptors.confluent import TracedAIOConsumer, TracedAIOProducer
from interceptors.context import current
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from confluent_kafka import Message

    from interceptors import Tracing
    from interceptors.spans import Span
    from tests.conftest import Services

    OnTheWire = Callable[[int], list[Message]]
    ProducerOf = Callable[[Tracing], TracedAIOProducer]
    Spans = Callable[[], list[Span]]

PATIENCE = 30.0


@pytest.fixture
async def producer_of(kafka: str) -> AsyncIterator[ProducerOf]:
    """Makes producers."""
    async with contextlib.AsyncExitStack() as closing:

        def make(tracing: Tracing) -> TracedAIOProducer:
            bare = AIOProducer({"bootstrap.servers": kafka, "message.max.bytes": 1000, "log_level": 0})
            producer = TracedAIOProducer(bare, tracing)
            closing.push_async_callback(producer.close)
            return producer

        yield make


@pytest.fixture
async def aio_producer(producer_of: ProducerOf, checkout: Tracing) -> TracedAIOProducer:
    """The producer of `checkout`."""
    return producer_of(checkout)


def aio_consumer_of(kafka: str, tracing: Tracing, topic: str, **settings: Any) -> TracedAIOConsumer:
    settings |= {"bootstrap.servers": kafka, "group.id": topic, "fetch.wait.max.ms": 50, "log_level": 0}
    return TracedAIOConsumer(AIOConsumer({**settings, "enable.auto.commit": False}), tracing)


@pytest.fixture
async def aio_consumer(kafka: str, billing: Tracing, topic: str) -> AsyncIterator[TracedAIOConsumer]:
    """The consumer of `billing`, of the first partition."""
    async with aio_consumer_of(kafka, billing, topic) as consumer:
        await consumer.assign([TopicPartition(topic, 0, 0)])
        yield consumer


async def test_a_message_is_delivered_without_anybody_polling(
    aio_producer: TracedAIOProducer, sent: Spans, topic: str, on_the_wire: OnTheWire
) -> None:
    future = await aio_producer.produce(topic, b"value", b"key", partition=0, headers={"name": b"value"})
    message = await asyncio.wait_for(future, PATIENCE)

    assert (message.topic(), message.partition()) == (topic, 0)
    assert await aio_producer.flush() == len(aio_producer) == 0
    assert [name for name, _ in on_the_wire(1)[0].headers()] == ["name", HEADER_NAME]
    assert [(span.partition, span.offset, span.error_type) for span in sent()] == [
        (0, message.offset(), None)
    ]


async def test_a_refused_message_is_told_by_its_future(
    aio_producer: TracedAIOProducer, sent: Spans, topic: str
) -> None:
    future = await aio_producer.produce(topic, bytes(2000))

    assert isinstance(future.exception(), KafkaException)
    assert [span.error_type for span in sent()] == ["KafkaException"]


async def test_an_undelivered_message_is_told_by_its_future(checkout: Tracing, sent: Spans) -> None:
    settings = {"bootstrap.servers": "127.0.0.1:9", "message.timeout.ms": 200, "log_level": 0}
    async with TracedAIOProducer(AIOProducer(settings), checkout) as producer:
        future, given_up = [await producer.produce("orders", b"value") for _ in range(2)]
        given_up.cancel()
        with pytest.raises(KafkaException):
            await asyncio.wait_for(future, PATIENCE)

    assert [span.error_type for span in sent()] == ["KafkaException"] * 2


async def test_closing_delivers_what_waits(kafka: str, checkout: Tracing, topic: str) -> None:
    async with TracedAIOProducer(AIOProducer({"bootstrap.servers": kafka}), checkout) as producer:
        futures = [await producer.produce(topic, b"value") for _ in range(3)]

    assert [future.exception() for future in futures] == [None] * 3


async def test_a_polled_message_is_current_until_the_next_poll(
    aio_producer: TracedAIOProducer, aio_consumer: TracedAIOConsumer, topic: str, sent: Spans, spans: Spans
) -> None:
    await (await aio_producer.produce(topic, b"value", partition=0))
    message = await aio_consumer.poll(PATIENCE)
    assert message is not None
    seen = current()

    assert await aio_consumer.poll(timeout=0) is None
    assert current() is None
    (span,) = spans()
    assert (span.context, span.parent_span_id) == (seen, sent()[0].context.span_id)
    committed = await aio_consumer.commit(message=message, asynchronous=False)
    assert [found.offset for found in committed] == [1]


async def test_a_batch_has_one_receive_span(
    aio_producer: TracedAIOProducer, aio_consumer: TracedAIOConsumer, topic: str, spans: Spans
) -> None:
    for future in [await aio_producer.produce(topic, b"value", partition=0) for _ in range(3)]:
        await future
    messages = await aio_consumer.consume(3, PATIENCE)
    with aio_consumer.process(messages[0]):
        assert current() is not None

    assert [(span.operation.operation, span.batch_size) for span in spans()] == [
        ("receive", 3),
        ("process", None),
    ]


async def test_closing_ends_the_processing_that_is_open(
    kafka: str, aio_producer: TracedAIOProducer, billing: Tracing, topic: str, spans: Spans
) -> None:
    await (await aio_producer.produce(topic, b"value", partition=0))
    consumer = aio_consumer_of(kafka, billing, topic)
    await consumer.assign([TopicPartition(topic, 0, 0)])
    await consumer.poll(PATIENCE)
    assert spans() == []
    await consumer.close()

    assert current() is None
    assert [span.error_type for span in spans()] == [None]


async def test_leaving_by_an_error_marks_the_span_of_the_message_that_is_processed(
    kafka: str, aio_producer: TracedAIOProducer, billing: Tracing, topic: str, spans: Spans
) -> None:
    await (await aio_producer.produce(topic, b"value", partition=0))

    async def work() -> None:
        async with aio_consumer_of(kafka, billing, topic) as consumer:
            await consumer.assign([TopicPartition(topic, 0, 0)])
            await consumer.poll(PATIENCE)
            raise LookupError

    with pytest.raises(LookupError):
        await work()

    assert [span.error_type for span in spans()] == ["LookupError"]


@pytest.mark.parametrize("ask", ["poll", "consume"])
async def test_what_is_cancelled_while_a_key_is_fetched_loses_nothing(
    kafka: str, service: Services, producer_of: ProducerOf, topic: str, ask: str
) -> None:
    keys = service.gated_keys("billing")
    billing = service("billing", keys=keys).tracing
    producer = producer_of(service("checkout").tracing)
    for value in (b"0", b"1"):
        await (await producer.produce(topic, value, partition=0))
    async with aio_consumer_of(kafka, billing, topic) as consumer:
        await consumer.assign([TopicPartition(topic, 0, 0)])
        arguments = (2, PATIENCE) if ask == "consume" else (PATIENCE,)
        waiting = asyncio.create_task(getattr(consumer, ask)(*arguments))
        await keys.asked()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        keys.gate.set()

        messages: list[Any] = [await consumer.poll(PATIENCE) for _ in range(2)]

    found = [(message.value(), message.receipt.verdict) for message in messages]
    assert found == [(b"0", "fresh"), (b"1", "fresh")]


async def test_what_is_cancelled_when_its_partition_is_gone_goes_on_without_it(
    kafka: str, service: Services, producer_of: ProducerOf, topic: str
) -> None:
    keys = service.gated_keys("billing")
    await (await producer_of(service("checkout").tracing).produce(topic, b"value", partition=0))
    async with aio_consumer_of(kafka, service("billing", keys=keys).tracing, topic) as consumer:
        await consumer.assign([TopicPartition(topic, 0, 0)])
        waiting = asyncio.create_task(consumer.poll(PATIENCE))
        await keys.asked()
        await consumer.unassign()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        keys.gate.set()


async def test_offsets_of_what_it_hands_out_can_be_stored(
    kafka: str, aio_producer: TracedAIOProducer, billing: Tracing, topic: str
) -> None:
    await (await aio_producer.produce(topic, b"value", partition=0))
    partition = TopicPartition(topic, 0, 0)
    async with aio_consumer_of(kafka, billing, topic, **{"enable.auto.offset.store": False}) as consumer:
        await consumer.assign([partition])
        await consumer.store_offsets(await consumer.poll(PATIENCE))
        await consumer.commit(asynchronous=False)
        assert [found.offset for found in await consumer.committed([partition])] == [1]


async def test_it_has_the_whole_interface(
    aio_producer: TracedAIOProducer, aio_consumer: TracedAIOConsumer
) -> None:
    for wrapper, wrapped in ((aio_producer, AIOProducer), (aio_consumer, AIOConsumer)):
        public = {name for name in dir(wrapped) if not name.startswith("_")}
        assert {name for name in public if not callable(getattr(wrapper, name, None))} == set()
        assert repr(wrapper) == f"{type(wrapper).__name__}({wrapped.__name__})"
