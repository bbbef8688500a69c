"""confluent-kafka's clients, traced, on each broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from confluent_kafka import (
    Consumer,
    DeserializingConsumer,
    KafkaError,
    Message,
    Producer,
    SerializingProducer,
    TopicPartition,
)
from confluent_kafka.aio import AIOConsumer, AIOProducer
from confluent_kafka.serialization import SerializationContext, StringDeserializer, StringSerializer

from interceptors.confluent import TracedAIOConsumer, TracedAIOProducer, TracedConsumer, TracedProducer
from interceptors.context import current
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.conftest import Service, Services

    from .conftest import Bus

PATIENCE = 30.0
BOUND = {"default": {"binding": "message"}}
WITHOUT = "message too large with an envelope"


class Confluent:
    """A topic of a broker, and confluent-kafka's clients of it."""

    def __init__(self, address: str, topic: str, closing: contextlib.ExitStack) -> None:
        self.settings: dict[str, Any] = {"bootstrap.servers": address, "log_level": 0}
        self.topic = topic
        self._closing = closing

    def producer(self, service: Service, **settings: Any) -> TracedProducer:
        return TracedProducer(Producer({**self.settings, **settings}), service.tracing)

    def consumer_settings(self, **settings: Any) -> dict[str, Any]:
        usual = {"group.id": self.topic, "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        return {**self.settings, **usual, **settings}

    def reading(self, consumer: Any, offset: int = 0) -> Any:
        """A consumer, from now on of the first partition, that is closed when the test is over."""
        consumer.assign([TopicPartition(self.topic, 0, offset)])
        self._closing.callback(consumer.close)
        return consumer

    def consumer(self, service: Service, **settings: Any) -> TracedConsumer:
        bare = Consumer(self.consumer_settings(**settings))
        traced: TracedConsumer = self.reading(TracedConsumer(bare, service.tracing))
        return traced

    def on_the_wire(self, count: int) -> list[Message]:
        found: list[Message] = self.reading(Consumer(self.consumer_settings())).consume(count, PATIENCE)
        return found


@pytest.fixture
def confluent(kafka: str, topic: str) -> Iterator[Confluent]:
    """A topic of each broker in turn."""
    with contextlib.ExitStack() as closing:
        made = Confluent(kafka, topic, closing)
        Producer(made.settings).list_topics(topic, PATIENCE)  # an embedded topic comes into being by that
        yield made


def verdict(message: Any) -> str | None:
    found: str | None = message.receipt.verdict
    return found


def values(messages: list[Any]) -> list[bytes]:
    return [message.value() for message in messages]


def test_a_trace_goes_from_producer_to_consumer(
    confluent: Confluent, checkout: Service, billing: Service
) -> None:
    producer, consumer = confluent.producer(checkout), confluent.consumer(billing)
    reports: list[tuple[KafkaError | None, Message]] = []
    producer.produce(
        confluent.topic,
        b"value",
        b"key",
        0,
        lambda *report: reports.append(report),
        headers={"name": b"value"},
    )
    producer.flush()
    message = consumer.poll(PATIENCE)
    seen = current()
    consumer.poll(0)

    assert message is not None
    assert (message.value(), message.key(), message.headers()) == (b"value", b"key", [("name", b"value")])
    sent, span = checkout.span("send"), billing.span("process")
    assert (sent.partition, sent.offset) == (0, message.offset()) == (0, reports[0][1].offset())
    assert (span.context, span.parent_span_id) == (seen, sent.context.span_id)
    assert (verdict(message), span.sender, span.tenant) == ("fresh", "checkout", "acme")


def test_a_delivery_error_marks_the_span(confluent: Confluent, checkout: Service) -> None:
    reports: list[KafkaError | None] = []
    producer = confluent.producer(checkout, **{"bootstrap.servers": "127.0.0.1:9", "message.timeout.ms": 100})
    producer.produce(confluent.topic, b"value", on_delivery=lambda error, _: reports.append(error))
    producer.flush()

    assert [error.code() for error in reports if error is not None] == [KafkaError._MSG_TIMED_OUT]
    span = checkout.span("send")
    assert (span.error_type, span.partition, span.offset) == ("KafkaException", None, None)


def test_a_committed_transaction_is_traced(confluent: Confluent, checkout: Service, billing: Service) -> None:
    producer = confluent.producer(checkout, **{"transactional.id": confluent.topic})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    for value in (b"0", b"1"):
        producer.produce(confluent.topic, value, partition=0)
    producer.commit_transaction(PATIENCE)
    messages = confluent.consumer(billing, **{"isolation.level": "read_committed"}).consume(2, PATIENCE)

    assert values(messages) == [b"0", b"1"]
    assert [verdict(message) for message in messages] == ["fresh", "fresh"]
    assert [span.error_type for span in checkout.spans("send")] == [None, None]
    assert billing.span("receive").batch_size == 2


def test_what_is_read_again_is_a_redelivery_and_a_copy_a_duplicate_and_later_a_replay(
    confluent: Confluent, checkout: Service, billing: Service
) -> None:
    producer, consumer = confluent.producer(checkout), confluent.consumer(billing)
    producer.produce(confluent.topic, b"value", partition=0)
    producer.flush()
    found = [consumer.poll(PATIENCE)]
    consumer.seek(TopicPartition(confluent.topic, 0, 0))
    found.append(consumer.poll(PATIENCE))
    (raw,) = confluent.on_the_wire(1)
    bare = Producer(confluent.settings)
    for later_s in (0, 3600):
        billing.clock.ahead_s = later_s
        bare.produce(confluent.topic, raw.value(), partition=0, headers=raw.headers())
        bare.flush()
        found.append(consumer.poll(PATIENCE))

    assert [verdict(message) for message in found] == ["fresh", "redelivery", "duplicate", "replay"]


def test_what_was_committed_is_not_read_again(
    confluent: Confluent, checkout: Service, billing: Service
) -> None:
    producer = confluent.producer(checkout)
    for value in (b"0", b"1"):
        producer.produce(confluent.topic, value, partition=0)
    producer.flush()
    consumer = confluent.consumer(billing)
    consumer.commit(message=consumer.poll(PATIENCE), asynchronous=False)
    (partition,) = consumer.committed([TopicPartition(confluent.topic, 0)], PATIENCE)
    consumer.close()

    successor = confluent.reading(
        TracedConsumer(Consumer(confluent.consumer_settings()), billing.tracing), partition.offset
    )
    assert values([successor.poll(PATIENCE)]) == [b"1"]


def test_a_forwarded_message_carries_one_envelope_and_it_is_new(
    confluent: Confluent, checkout: Service, billing: Service
) -> None:
    producer = confluent.producer(checkout)
    producer.produce(confluent.topic, b"value", partition=0)
    producer.flush()
    (raw,) = confluent.on_the_wire(1)
    producer.produce(confluent.topic, raw.value(), partition=0, headers=raw.headers())
    producer.flush()

    envelopes = [
        [value for name, value in message.headers() if name == HEADER_NAME]
        for message in confluent.on_the_wire(2)
    ]
    assert [len(found) for found in envelopes] == [1, 1]
    assert envelopes[0] != envelopes[1]


@pytest.mark.parametrize("name", ["traceparent", "baggage", HEADER_NAME])
def test_hostile_headers_cost_no_message(confluent: Confluent, billing: Service, name: str) -> None:
    hostile = [b"\xff\xfe", b"", None, b"\x00" * 2000]
    headers = [[(name, value), (name, value)] for value in hostile]
    bare = Producer(confluent.settings)
    for pair in headers:
        bare.produce(confluent.topic, b"value", partition=0, headers=pair)
    bare.flush()
    messages = confluent.consumer(billing).consume(len(hostile), PATIENCE)

    assert values(messages) == [b"value"] * len(hostile)
    expected = [None] * len(hostile) if name == HEADER_NAME else headers
    assert [message.headers() for message in messages] == expected


class NotUtf8(str):
    """The name of a header that no client of good will writes."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff"


async def test_a_header_whose_name_is_not_utf8_costs_no_message(
    bus: Bus, billing: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, reading the headers raises, and reading them again may crash the process."""
    monkeypatch.setattr(message_accumulator, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    bare = await bus.bare_producer()
    batch = bare.create_batch()
    for value, headers in ((b"0", [(NotUtf8("name"), b"value")]), (b"1", [])):
        batch.append(timestamp=None, key=None, value=value, headers=headers)
    await (await bare.send_batch(batch, bus.topic, partition=0))

    async with aio_consumer(bus, billing) as consumer:
        messages = await consumer.consume(2, PATIENCE)

    assert [(message.value(), message.headers(), verdict(message)) for message in messages] == [
        (b"0", None, "invalid"),
        (b"1", None, None),
    ]


def test_what_only_its_envelope_makes_too_large_goes_without(confluent: Confluent, checkout: Service) -> None:
    producer = confluent.producer(checkout, **{"message.max.bytes": 1000})
    producer.produce(confluent.topic, bytes(850), partition=0, headers=[("name", b"value")])
    producer.flush()

    assert [message.headers() for message in confluent.on_the_wire(1)] == [[("name", b"value")]]
    assert checkout.tracing.counts[WITHOUT] == 1


# Serializing.


def test_the_serializing_clients_are_traced(
    confluent: Confluent, checkout: Service, billing: Service
) -> None:
    writing = {**confluent.settings, "value.serializer": StringSerializer()}
    reading = confluent.consumer_settings(**{"value.deserializer": StringDeserializer()})
    producer = TracedProducer(SerializingProducer(writing), checkout.tracing)
    consumer = confluent.reading(TracedConsumer(DeserializingConsumer(reading), billing.tracing))
    producer.produce(confluent.topic, b"key", "value", 0)
    producer.flush()
    message = consumer.poll(PATIENCE)

    assert (message.key(), message.value(), verdict(message)) == (b"key", "value", "fresh")


def to_json(value: Any, _: SerializationContext) -> bytes:
    return json.dumps(value).encode()


def from_json(data: bytes | None, _: SerializationContext) -> Any:
    return json.loads(data or b"null")


def test_a_body_that_the_wrapper_serializes_is_bound(confluent: Confluent, service: Services) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    producer = TracedProducer(Producer(confluent.settings), checkout.tracing, value_serializer=to_json)
    bare = Consumer(confluent.consumer_settings())
    consumer = confluent.reading(TracedConsumer(bare, billing.tracing, value_deserializer=from_json))
    producer.produce(confluent.topic, {"a": 1}, partition=0)
    producer.flush()
    (raw,) = confluent.on_the_wire(1)
    forger = Producer(confluent.settings)
    forger.produce(confluent.topic, b'{"a":2}', partition=0, headers=raw.headers())
    forger.flush()

    first, forged = consumer.poll(PATIENCE), consumer.poll(PATIENCE)
    assert [(message.value(), verdict(message)) for message in (first, forged)] == [
        ({"a": 1}, "fresh"),
        ({"a": 2}, "invalid"),
    ]


# With asyncio, and with the other adapter.


@contextlib.asynccontextmanager
async def aio_consumer(bus: Bus, service: Service) -> AsyncIterator[TracedAIOConsumer]:
    settings = {"bootstrap.servers": bus.address, "group.id": bus.topic, "log_level": 0}
    bare = AIOConsumer({**settings, "enable.auto.commit": False, "fetch.wait.max.ms": 100})
    async with TracedAIOConsumer(bare, service.tracing) as consumer:
        await consumer.assign([TopicPartition(bus.topic, 0, 0)])
        yield consumer


def aio_producer(bus: Bus, service: Service, **settings: Any) -> TracedAIOProducer:
    bare = AIOProducer({"bootstrap.servers": bus.address, "log_level": 0, **settings})
    return TracedAIOProducer(bare, service.tracing)


async def test_the_asyncio_clients_are_traced(bus: Bus, checkout: Service, billing: Service) -> None:
    async with aio_producer(bus, checkout) as producer, aio_consumer(bus, billing) as consumer:
        sent = await (await producer.produce(bus.topic, b"value", partition=0))
        message: Any = await consumer.poll(PATIENCE)
        assert current() is not None
        await consumer.commit(message=message, asynchronous=False)
    assert current() is None

    assert (message.value(), message.offset(), verdict(message)) == (b"value", sent.offset(), "fresh")
    assert billing.span("process").parent_span_id == checkout.span("send").context.span_id


async def test_a_transaction_of_the_asyncio_producer_is_traced(
    bus: Bus, checkout: Service, billing: Service
) -> None:
    async with aio_producer(bus, checkout, **{"transactional.id": bus.topic}) as producer:
        await producer.init_transactions()
        await producer.begin_transaction()
        futures = [await producer.produce(bus.topic, b"%d" % number, partition=0) for number in range(2)]
        await producer.commit_transaction()
        await asyncio.gather(*futures)
    async with aio_consumer(bus, billing) as consumer:
        messages = await consumer.consume(2, PATIENCE)

    assert [(message.value(), verdict(message)) for message in messages] == [(b"0", "fresh"), (b"1", "fresh")]


async def test_what_aiokafka_sends_opens_here(bus: Bus, service: Services) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    producer = await bus.producer(checkout)
    await producer.send_and_wait(bus.topic, b"value", partition=0, headers=[("name", b"value")])
    async with aio_consumer(bus, billing) as consumer:
        message: Any = await consumer.poll(PATIENCE)

    assert (message.headers(), verdict(message)) == ([("name", b"value")], "fresh")
    assert billing.span("process").parent_span_id == checkout.span("send").context.span_id


async def test_what_is_sent_here_opens_with_aiokafka(bus: Bus, service: Services) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    async with aio_producer(bus, checkout) as producer:
        await (await producer.produce(bus.topic, "value", partition=0, headers=[("name", b"value")]))
    consumer = await bus.consumer(billing)
    record = await consumer.getone()
    await consumer.stop()

    assert (record.value, record.headers, verdict(record)) == (b"value", (("name", b"value"),), "fresh")
    assert billing.span("process").parent_span_id == checkout.span("send").context.span_id
