"""The public interface as a user types it: read by mypy, never run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, assert_type

import aio_pika
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from interceptors import (
    ConfigurationError,
    EnvelopeError,
    InterceptorError,
    KeyProviderError,
    LeakError,
    MissingExtraError,
    PolicyError,
    RejectedError,
    Tracing,
    Verdict,
    celery,
    confluent,
    kafka,
    rabbitmq,
)
from interceptors.errors import Answer, KeyProblem
from interceptors.keys import KeyAdministration, LocalKeys, MemoryKeys
from interceptors.scan import Finding, Format, Inspector, Limits, Treatment, Unscanned, Validation
from interceptors.spans import JsonLinesSink, MemorySink, Span


def make() -> None:
    assert_type(Tracing.from_file(), Tracing)
    assert_type(Tracing.from_file("interceptors.yaml"), Tracing)
    assert_type(Tracing.from_file(Path("interceptors.yaml"), sink=MemorySink()), Tracing)
    assert_type(Tracing.for_development("checkout"), Tracing)
    store = MemoryKeys("checkout")
    Tracing.for_development(
        "billing",
        tenant="acme",
        environment="staging",
        keys=store.beside("billing"),
        policy={"channels": [{"name": "orders", "match": {"kafka": ["orders"], "celery": ["orders"]}}]},
        export={"file": {"path": "spans.jsonl"}},
        sink=JsonLinesSink("spans.jsonl"),
    )
    Tracing.for_development("billing", policy="policy.yaml", keys=Path("keys.json"))


class Shop(Tracing):
    """A tracing of one's own stays what it is."""


def subclass() -> None:
    with Shop.for_development("checkout") as shop:
        assert_type(shop, Shop)


def use(tracing: Tracing) -> None:
    with tracing.tenant("acme") as nothing:
        assert_type(nothing, None)
    assert_type(tracing.service, str)
    assert_type(tracing.counts["replay"], int)
    assert_type(tracing.spans_dropped, int)
    assert_type(tracing.flush(timeout=5.0), bool)
    assert_type(tracing.flush(), bool)
    tracing.close(timeout=5.0)
    tracing.close()


def look(sink: MemorySink) -> None:
    assert_type(sink.spans, list[Span])
    for span in sink.spans:
        assert_type(span.verdict, str | None)
        assert_type(span.tenant, str)


async def produce(tracing: Tracing) -> None:
    producer = kafka.TracedProducer(AIOKafkaProducer(bootstrap_servers="localhost:9092"), tracing)
    async with producer as entered:
        assert_type(entered, kafka.TracedProducer)
        await producer.send_and_wait("orders", b"value", key=b"key", headers=[("name", b"value")])
        sent = await producer.send("orders", value=b"value", partition=0, timestamp_ms=1)
        await sent
        batch = producer.create_batch()
        assert_type(batch, kafka.TracedBatch)
        batch.append(timestamp=None, key=None, value=b"value")
        await (await producer.send_batch(batch, "orders", partition=0))
        await producer.flush()  # aiokafka's


async def consume(tracing: Tracing) -> None:
    consumer = kafka.TracedConsumer(AIOKafkaConsumer("orders"), tracing, group_id="workers")
    async with consumer as entered:
        assert_type(entered, kafka.TracedConsumer)
        async for record in consumer:
            assert_type(record, kafka.TracedRecord)
            assert_type(record.receipt.verdict, Verdict | None)
            assert_type(record.receipt.tenant, str | None)
            assert_type(record.receipt.sender, str | None)
            assert_type(record.receipt.answer, Answer | None)
        assert_type(await consumer.getone(), kafka.TracedRecord)
        for records in (await consumer.getmany(timeout_ms=100, max_records=500)).values():
            for record in records:
                with consumer.process(record):
                    pass


async def decorate(tracing: Tracing, record: Any) -> None:
    @kafka.traced(tracing)
    async def on_order(record: ConsumerRecord, attempt: int = 0) -> str:
        return f"{record.topic} {attempt}"

    @kafka.traced(tracing, group_id="workers")
    def on_payment(record: ConsumerRecord) -> int:
        return int(record.offset)

    assert_type(await on_order(record, attempt=1), str)
    assert_type(on_payment(record), int)


async def exchange(tracing: Tracing, connection: aio_pika.abc.AbstractConnection) -> None:
    async with rabbitmq.TracedChannel(await connection.channel(), tracing) as channel:
        topic = await channel.declare_exchange("checkout", "topic")
        assert_type(topic, rabbitmq.TracedExchange)
        await topic.publish(aio_pika.Message(b"value"), routing_key="orders", mandatory=True)
        assert_type(channel.default_exchange, rabbitmq.TracedExchange)
        queue = await channel.declare_queue("orders", durable=True)
        assert_type(queue, rabbitmq.TracedQueue)
        assert_type(await queue.get(), rabbitmq.TracedMessage)
        assert_type(await queue.get(fail=False), rabbitmq.TracedMessage | None)
        async with queue.iterator() as messages:
            async for message in messages:
                assert_type(message, rabbitmq.TracedMessage)
                assert_type(message.receipt.verdict, Verdict | None)
                async with message.process():
                    pass

    @rabbitmq.traced(tracing, queue="orders")
    async def on_message(message: aio_pika.abc.AbstractIncomingMessage) -> int:
        return len(message.body)

    tag = await queue.consume(on_message, no_ack=False)
    assert_type(tag, str)


def confluent_kafka_(tracing: Tracing, producer: Any, consumer: Any) -> None:
    sending = confluent.TracedProducer(producer, tracing)
    sending.produce("orders", b"value", key=b"key", headers={"name": b"value"})
    sending.flush(5.0)  # confluent-kafka's
    with confluent.TracedConsumer(consumer, tracing, group_id="workers") as receiving:
        assert_type(receiving, confluent.TracedConsumer)
        for message in receiving.consume(100, timeout=1.0):
            with receiving.process(message):
                pass


def work(tracing: Tracing, app: Any) -> None:
    celery.connect(app, tracing)


def administer() -> None:
    administration = KeyAdministration("roots.json")
    administration.root("acme")
    administration.grant("checkout", "acme", ["billing"], Path("keys.json"))
    assert_type(administration.rotate("acme"), int)
    assert_type(administration.promote("acme"), int)
    administration.destroy("acme", 1)
    listing = administration.keys()
    administration.revoke(listing[0].kid)
    assert_type(LocalKeys("keys.json").service, str)


def handle(error: Exception) -> None:
    match error:
        case PolicyError():
            assert_type(error.path, str)
        case MissingExtraError():
            assert_type(error.extra, str)
        case KeyProviderError():
            assert_type(error.problem, KeyProblem)
            assert_type(error.retryable, bool)
        case EnvelopeError():
            assert_type(error.answer, Answer)
        case RejectedError():
            assert_type(error.channel, str)
            assert_type(error.verdict, str)
            assert_type(error.coordinate, tuple[object, ...] | None)
        case LeakError():
            assert_type(error.channel, str)
            assert_type(error.places, tuple[str, ...])
        case ConfigurationError() | InterceptorError():
            assert_type(str(error), str)
        case _:
            raise error
    with suppress(ValueError, ImportError):
        everything: InterceptorError = MissingExtraError("kafka", "aiokafka")
        raise everything


def scan(body: bytes) -> None:
    inspection = Inspector(limits=Limits(bytes=1 << 16)).inspect(body, format=Format.JSON)
    assert_type(inspection.unscanned, Unscanned | None)
    for finding in inspection.findings:
        assert_type(finding, Finding)
        assert_type(finding.validation, Validation)
    assert_type(inspection.replaced(lambda _: Treatment.MASK), bytes | None)
