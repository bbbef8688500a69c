"""aiokafka's classes, instrumented: what the contract doesn't ask of them."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any

import aiokafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from opentelemetry import trace
from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from interceptors import ConfigurationError, Tracing, kafka
from interceptors.context import current
from interceptors.envelope import HEADER_NAME
from interceptors.kafka import TracedBatch, TracedConsumer, TracedProducer, TracedRecord
from interceptors.otel import SealedPropagator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.propagators.textmap import TextMapPropagator

    from interceptors.spans import MemorySink, Span

CLASSES = (AIOKafkaProducer, AIOKafkaConsumer)


@pytest.fixture
def instrumented(billing: Tracing) -> Iterator[Tracing]:
    """The classes are instrumented with the tracing of `billing`."""
    kafka.instrument(billing)
    yield billing
    kafka.uninstrument()


@pytest.fixture
def topic() -> str:
    """A topic that only this test knows."""
    return "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


@pytest.fixture
def ended(billing: Tracing, spans: MemorySink) -> Callable[[str], list[Span]]:
    """The ended spans of an operation."""

    def of(operation: str) -> list[Span]:
        assert billing.flush()
        return [span for span in spans.spans if span.operation.operation == operation]

    return of


async def consume_from(consumer: Any, topic: str) -> None:
    """Begin at the beginning of the first partition."""
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek(TopicPartition(topic, 0), 0)


async def on_the_wire(bootstrap: str, topic: str) -> Any:
    """The first record as it lies there, by a consumer's own method."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as reader:
        await consume_from(reader, topic)
        original = getattr(AIOKafkaConsumer.getone, "_interceptors_replaced", AIOKafkaConsumer.getone)
        return await original.__get__(reader)()


async def test_clients_that_were_made_before_are_traced(
    embedded_kafka: str, topic: str, billing: Tracing, ended: Callable[[str], list[Span]]
) -> None:
    """And it does not matter by which name they are known."""
    assert aiokafka.AIOKafkaProducer is AIOKafkaProducer
    async with (
        AIOKafkaProducer(bootstrap_servers=embedded_kafka) as producer,
        AIOKafkaConsumer(bootstrap_servers=embedded_kafka) as consumer,
    ):
        await consume_from(consumer, topic)
        kafka.instrument(billing)
        try:
            await producer.send_and_wait(topic, b"1", partition=0)
            record = await consumer.getone()
            assert isinstance(record, TracedRecord)
            assert (record.receipt.verdict, record.headers) == ("fresh", ())
            (sent,) = ended("send")
            assert record.receipt.parent == sent.context
            assert current() == record.processing.context  # type: ignore[union-attr]  # it is open
        finally:
            kafka.uninstrument()
        assert current() is None
        assert len(ended("process")) == 1

        await producer.send_and_wait(topic, b"2", partition=0)
        assert type(await consumer.getone()) is not TracedRecord
    assert len(ended("send")) == 1


async def test_a_loop_has_the_span_current_in_its_body(
    embedded_kafka: str, topic: str, instrumented: Tracing, ended: Callable[[str], list[Span]]
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=embedded_kafka) as producer:
        batch: Any = producer.create_batch()
        assert isinstance(batch, TracedBatch)
        for value in (b"1", b"2"):
            batch.append(key=None, value=value, timestamp=None)
        await (await producer.send_batch(batch, topic, partition=0))
    seen = []
    async with AIOKafkaConsumer(bootstrap_servers=embedded_kafka, group_id=topic) as consumer:
        await consume_from(consumer, topic)
        async for record in consumer:
            seen.append((record.value, current()))
            if len(seen) == 2:
                break
        assert record.group == topic

    assert [context for _, context in seen] == [span.context for span in ended("process")]
    assert [value for value, _ in seen] == [b"1", b"2"]


async def test_a_batch_is_processed_record_by_record(
    embedded_kafka: str, topic: str, instrumented: Tracing
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=embedded_kafka) as producer:
        await producer.send_and_wait(topic, b"1", partition=0)
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=embedded_kafka)
    async with consumer:
        await consume_from(consumer, topic)
        (records,) = (await consumer.getmany(timeout_ms=10_000)).values()
        with consumer.process(records[0]) as processing:
            assert current() == processing.context
    assert current() is None


async def test_what_is_wrapped_by_hand_is_traced_once(
    embedded_kafka: str,
    topic: str,
    instrumented: Tracing,
    checkout: Tracing,
    ended: Callable[[str], list[Span]],
) -> None:
    """By the wrapper, with the wrapper's tracing."""
    async with TracedProducer(AIOKafkaProducer(bootstrap_servers=embedded_kafka), checkout) as producer:
        await producer.send_and_wait(topic, b"1", partition=0)
    bare = AIOKafkaConsumer(bootstrap_servers=embedded_kafka)
    async with TracedConsumer(bare, checkout) as consumer:
        await consume_from(consumer, topic)
        record = await consumer.getone()

    assert (record.receipt.verdict, record.receipt.sender) == ("fresh", "checkout")
    assert ended("send") == ended("process") == []


async def test_a_class_below_may_override_what_it_likes(
    embedded_kafka: str, topic: str, instrumented: Tracing, ended: Callable[[str], list[Span]]
) -> None:
    class Prefixing(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
        async def send(self, topic: str, value: bytes, **settings: Any) -> Any:
            return await super().send(topic, b"prefix " + value, **settings)

    async with Prefixing(bootstrap_servers=embedded_kafka) as producer:
        await (await producer.send(topic, b"1", partition=0))

    record = await on_the_wire(embedded_kafka, topic)
    assert (record.value, [name for name, _ in record.headers]) == (b"prefix 1", [HEADER_NAME])
    assert len(ended("send")) == 1


def test_twice_is_once_and_another_tracing_is_refused(instrumented: Tracing, checkout: Tracing) -> None:
    methods = [dict(vars(each)) for each in CLASSES]

    kafka.instrument(instrumented)

    assert [dict(vars(each)) for each in CLASSES] == methods
    with pytest.raises(ConfigurationError, match="uninstrument"):
        kafka.instrument(checkout)


def test_afterwards_the_classes_are_as_they_were(billing: Tracing) -> None:
    before = [dict(vars(each)) for each in CLASSES]
    kafka.instrument(billing)
    assert [dict(vars(each)) for each in CLASSES] != before

    kafka.uninstrument()

    assert [dict(vars(each)) for each in CLASSES] == before


@pytest.mark.parametrize("carried", ["in clear", "sealed"])
@pytest.mark.parametrize("order", ["the peer first", "the peer last"])
@pytest.mark.parametrize("hand_made", [False, True])
async def test_beside_a_peer_no_trace_goes_in_clear(
    embedded_kafka: str,
    topic: str,
    billing: Tracing,
    set_propagator: Callable[[TextMapPropagator], None],
    *,
    order: str,
    hand_made: bool,
    carried: str,
) -> None:
    if carried == "sealed":  # as by OTEL_PROPAGATORS: its envelopes are none of a message
        set_propagator(SealedPropagator(billing))
    provider, peer = TracerProvider(shutdown_on_exit=False), AIOKafkaInstrumentor()
    if order == "the peer first":
        peer.instrument(tracer_provider=provider)
    kafka.instrument(billing)
    if order == "the peer last":
        peer.instrument(tracer_provider=provider)
    try:
        producer: Any = AIOKafkaProducer(bootstrap_servers=embedded_kafka)
        if hand_made:
            producer = TracedProducer(producer, billing)
        async with producer:
            with provider.get_tracer("application").start_as_current_span("work") as work:
                await producer.send_and_wait(topic, b"1", partition=0)
        async with AIOKafkaConsumer(bootstrap_servers=embedded_kafka) as consumer:
            await consume_from(consumer, topic)
            record = await consumer.getone()
            assert record.receipt.verdict == "fresh"
            assert record.receipt.parent.trace_id == work.get_span_context().trace_id.to_bytes(16, "big")
            assert trace.get_current_span().get_span_context().trace_id == work.get_span_context().trace_id
    finally:
        if order == "the peer last":
            peer.uninstrument()
        kafka.uninstrument()
        if order == "the peer first":
            peer.uninstrument()
    assert [name for name, _ in (await on_the_wire(embedded_kafka, topic)).headers] == [HEADER_NAME]
