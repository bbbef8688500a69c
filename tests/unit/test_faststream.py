"""FastStream's middlewares, against the embedded brokers and FastStream's own test brokers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream import AckPolicy, BaseMiddleware
from faststream.exceptions import AckMessage
from faststream.kafka import KafkaBroker, KafkaMessage, TestKafkaBroker
from faststream.kafka.exceptions import BatchBufferOverflowException
from faststream.rabbit import RabbitBroker, RabbitMessage, RabbitQueue, RabbitRouter, TestRabbitBroker
from opentelemetry import baggage
from pydantic import BaseModel

from interceptors import LeakError, RejectedError, Verdict, kafka, rabbitmq
from interceptors.envelope import HEADER_NAME
from interceptors.faststream.kafka import TracedMiddleware as KafkaMiddleware
from interceptors.faststream.rabbit import TracedMiddleware as RabbitMiddleware
from interceptors.kafka.batch import TOO_LARGE
from interceptors.message import Message
from interceptors.pipeline import Unsealed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from faststream import StreamMessage

    from interceptors.kafka import TracedRecord
    from interceptors.pipeline import Receipt
    from tests.conftest import Service, Services

DEADLINE = 30
"""Seconds that anything may take."""
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BOUND = {"default": {"binding": "message"}}
STRICT = {"default": {"accept": "reject"}}
BLOCKING = {"default": {"payload": {"on_leak": "block"}}}


class Order(BaseModel):
    item: str


class Inbox(asyncio.Queue[Any]):
    """What handlers were given."""

    async def next(self) -> Any:
        return await asyncio.wait_for(self.get(), DEADLINE)


class Reversing:
    """A codec of the application's own."""

    async def encode(self, msg: Any, _serializer: Any = None) -> tuple[bytes, str | None]:
        return str(msg).encode()[::-1], None

    async def decode(self, msg: Any) -> str:
        return bytes(msg.body[::-1]).decode()


@pytest.fixture
def topic() -> str:
    return f"orders-{uuid.uuid4()}"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def checkout(service: Services) -> Service:
    return service("checkout")


@pytest.fixture
def billing(service: Services) -> Service:
    return service("billing")


@contextlib.asynccontextmanager
async def running(*brokers: Any) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stopping:
        for broker in brokers:
            await stopping.enter_async_context(broker)
            await broker.start()
        yield


@pytest.fixture
def kafka_broker(embedded_kafka: str) -> Callable[..., KafkaBroker]:
    """Makes the broker of a service."""

    def make(service: Service, **settings: Any) -> KafkaBroker:
        middlewares = [*settings.pop("middlewares", ()), KafkaMiddleware(service.tracing)]
        return KafkaBroker(embedded_kafka, middlewares=middlewares, logger=None, **settings)

    return make


@pytest.fixture
def rabbit_broker(embedded_rabbitmq: str) -> Callable[..., RabbitBroker]:
    """Makes the broker of a service."""

    def make(service: Service, **settings: Any) -> RabbitBroker:
        middlewares = [RabbitMiddleware(service.tracing)]
        return RabbitBroker(embedded_rabbitmq, middlewares=middlewares, logger=None, **settings)

    return make


@pytest.fixture
def on_the_wire(embedded_kafka: str, topic: str) -> Callable[..., Any]:
    """Gives the first records of the topic as they lie there."""

    async def read(count: int) -> list[Any]:
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=embedded_kafka, auto_offset_reset="earliest")
        async with consumer:
            found = [await asyncio.wait_for(consumer.getone(), DEADLINE) for _ in range(count)]
        return sorted(found, key=lambda record: record.offset)

    return read


def receipt_of(message: StreamMessage[Any]) -> Receipt:
    """What the envelope of a message said."""
    receipt: Receipt = message.raw_message.receipt
    return receipt


def records_of(message: StreamMessage[Any]) -> tuple[TracedRecord, ...]:
    """The records of a batch."""
    records: tuple[TracedRecord, ...] = message.raw_message
    return records


def named(headers: Any, name: str) -> list[Any]:
    return [value for key, value in headers if key == name]


def subscribe(broker: KafkaBroker, topic: str, **settings: Any) -> Callable[[Callable[..., Any]], Any]:
    """Subscribe a handler to all that is in a topic."""
    subscriber: Callable[[Callable[..., Any]], Any] = broker.subscriber(
        topic, auto_offset_reset="earliest", **settings
    )
    return subscriber


# Kafka.


async def test_a_traced_consumer_opens_what_faststream_sends(
    service: Services, kafka_broker: Callable[..., KafkaBroker], embedded_kafka: str, topic: str
) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    broker = kafka_broker(checkout)
    async with running(broker):
        await broker.publish(Order(item="apples"), topic, headers={"shop": "north"})
    raw = AIOKafkaConsumer(topic, bootstrap_servers=embedded_kafka, auto_offset_reset="earliest")
    async with kafka.TracedConsumer(raw, billing.tracing) as consumer:
        record = await asyncio.wait_for(consumer.getone(), DEADLINE)
        assert (record.value, record.receipt.verdict) == (b'{"item":"apples"}', Verdict.FRESH)
        assert named(record.headers, "shop") == [b"north"]
        assert named(record.headers, "content-type") == [b"application/json"]
    sent = checkout.span("send")
    assert billing.span("process").parent_span_id == sent.context.span_id
    assert (sent.partition, sent.offset) == (record.partition, record.offset)


async def test_faststream_opens_what_a_traced_producer_sends(
    service: Services,
    kafka_broker: Callable[..., KafkaBroker],
    embedded_kafka: str,
    topic: str,
    inbox: Inbox,
) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    raw = AIOKafkaProducer(bootstrap_servers=embedded_kafka)
    async with kafka.TracedProducer(raw, checkout.tracing) as producer:
        await producer.send_and_wait(topic, b"apples", headers=[("shop", b"north")])
    broker = kafka_broker(billing)

    @subscribe(broker, topic, group_id="billing")
    async def handle(body: Any, message: KafkaMessage) -> None:
        inbox.put_nowait((body, message.headers, receipt_of(message)))

    async with running(broker):
        body, headers, receipt = await inbox.next()
    assert (body, headers) == (b"apples", {"shop": "north"})
    assert (receipt.verdict, receipt.sender) == (Verdict.FRESH, "checkout")
    assert billing.span("process").consumer_group == "billing"


async def test_a_handler_and_its_reply_go_on_as_the_sender(
    service: Services, kafka_broker: Callable[..., KafkaBroker], topic: str, inbox: Inbox
) -> None:
    checkout, billing = service("checkout", tenant="acme"), service("billing", tenant="globex")
    sending, broker = kafka_broker(checkout), kafka_broker(billing)

    @subscribe(broker, topic)
    @broker.publisher(f"{topic}-paid")
    async def handle(body: str) -> str:
        inbox.put_nowait(billing.tracing.origin())
        return body

    @subscribe(broker, f"{topic}-paid")
    async def paid(body: str, message: KafkaMessage) -> None:
        inbox.put_nowait(receipt_of(message))

    async with running(sending, broker):
        await sending.publish("apples", topic)
        origin, receipt = await inbox.next(), await inbox.next()
    first = checkout.span("send").context.span_id
    (processed,) = [span for span in billing.spans("process") if span.parent_span_id == first]
    assert (origin.tenant, origin.parent.span_id) == ("acme", processed.context.span_id)
    assert (receipt.tenant, receipt.sender) == ("acme", "billing")
    assert billing.span("send").parent_span_id == processed.context.span_id


async def test_what_was_current_is_so_again_after_a_message(
    kafka_broker: Callable[..., KafkaBroker], checkout: Service, billing: Service, topic: str, inbox: Inbox
) -> None:
    sending, broker = kafka_broker(checkout), kafka_broker(billing)

    class Outer(BaseMiddleware):
        async def after_processed(self, *_: Any) -> bool:
            inbox.put_nowait(billing.tracing.origin().parent)
            return False

    broker.add_middleware(Outer)

    @subscribe(broker, topic)
    async def handle(body: str) -> None:
        assert body

    async with running(sending, broker):
        await sending.publish("apples", topic)
        inside = await inbox.next()  # added last, it is inside of ours
    assert inside.span_id == billing.span("process").context.span_id
    assert billing.tracing.origin().parent is None


async def test_headers_in_clear_stay_at_home(
    kafka_broker: Callable[..., KafkaBroker], checkout: Service, topic: str, on_the_wire: Callable[..., Any]
) -> None:
    broker = kafka_broker(checkout)
    headers = {"traceparent": TRACEPARENT, "baggage": "user=4711", HEADER_NAME: "an old one", "shop": "north"}
    given = dict(headers)
    async with running(broker):
        await broker.publish("apples", topic, headers=headers)
    (record,) = await on_the_wire(1)
    assert headers == given
    assert {name for name, _ in record.headers} == {"content-type", "correlation_id", "shop", HEADER_NAME}
    (envelope,) = named(record.headers, HEADER_NAME)
    assert envelope.isascii()  # FastStream reads headers as text, and loses a record where one isn't
    assert envelope != b"an old one"


@pytest.fixture
def _instrumented(checkout: Service) -> Iterator[None]:
    """The clients below FastStream are instrumented as well."""
    for bus in (kafka, rabbitmq):
        bus.instrument(checkout.tracing)
    yield
    for bus in (kafka, rabbitmq):
        bus.uninstrument()


@pytest.mark.usefixtures("_instrumented")
async def test_over_an_instrumented_client_messages_are_sealed_and_recorded_once(
    kafka_broker: Callable[..., KafkaBroker], checkout: Service, topic: str, inbox: Inbox
) -> None:
    broker = kafka_broker(checkout)

    @subscribe(broker, topic, batch=True)
    async def handle(bodies: list[str], message: KafkaMessage) -> None:
        for body, record in zip(bodies, records_of(message), strict=True):
            inbox.put_nowait((body, record.receipt.verdict))

    async with running(broker):
        await broker.publish_batch("apples", "pears", topic=topic, partition=0)
        assert [await inbox.next() for _ in range(2)] == [("apples", Verdict.FRESH), ("pears", Verdict.FRESH)]
    operations = ("create", "send", "receive", "process")
    assert [len(checkout.spans(operation)) for operation in operations] == [2, 1, 1, 0]


@pytest.mark.usefixtures("_instrumented")
async def test_over_an_instrumented_client_an_envelope_is_text_still(
    kafka_broker: Callable[..., KafkaBroker], checkout: Service, topic: str, embedded_kafka: str
) -> None:
    async with running(broker := kafka_broker(checkout)):
        await broker.publish("apples", topic)
    kafka.uninstrument()
    raw = AIOKafkaConsumer(topic, bootstrap_servers=embedded_kafka, auto_offset_reset="earliest")
    async with raw:
        record = await asyncio.wait_for(raw.getone(), DEADLINE)
    (envelope,) = named(record.headers, HEADER_NAME)
    assert envelope.isascii()
    assert checkout.span("send").offset == record.offset


@pytest.mark.usefixtures("_instrumented")
async def test_over_an_instrumented_aio_pika_messages_are_sealed_and_recorded_once(
    rabbit_broker: Callable[..., RabbitBroker], checkout: Service, topic: str, inbox: Inbox
) -> None:
    broker = rabbit_broker(checkout)

    @broker.subscriber(topic)
    async def handle(body: str, message: RabbitMessage) -> str:
        inbox.put_nowait(receipt_of(message).verdict)
        return body

    async with running(broker):
        reply = await broker.request("apples", topic)
        assert (await reply.decode(), receipt_of(reply).verdict) == ("apples", Verdict.FRESH)
        assert await inbox.next() is Verdict.FRESH
    assert len(checkout.spans("send")) == 2  # and the reply
    assert len(checkout.spans("process")) == 1


@pytest.mark.parametrize("batch", [False, True], ids=["messages", "batches"])
async def test_the_policy_is_asked_once_for_what_is_published(
    kafka_broker: Callable[..., KafkaBroker],
    checkout: Service,
    topic: str,
    on_the_wire: Callable[..., Any],
    swapped_policies: list[str],
    *,
    batch: bool,
) -> None:
    async with running(broker := kafka_broker(checkout)):
        publish = partial(broker.publish_batch if batch else broker.publish, topic=topic, partition=0)
        for body in ("apples", "pears"):
            await publish(body, headers={"traceparent": TRACEPARENT})

    found = [{name for name, _ in record.headers} for record in await on_the_wire(2)]

    assert swapped_policies == ["sealed", "none"]
    assert [names & {"traceparent", HEADER_NAME} for names in found] == [{HEADER_NAME}, {"traceparent"}]


@pytest.mark.parametrize("emit", ["sealed", "none"])
async def test_an_inner_middleware_adds_nothing_in_clear_to_what_is_sealed(
    kafka_broker: Callable[..., KafkaBroker],
    service: Services,
    topic: str,
    on_the_wire: Callable[..., Any],
    emit: str,
) -> None:
    class Telemetry(BaseMiddleware):
        async def publish_scope(self, call_next: Any, cmd: Any) -> Any:
            cmd.headers["traceparent"] = TRACEPARENT
            return await call_next(cmd)

    broker = kafka_broker(service("checkout", policy={"default": {"emit": emit}}))
    broker.add_middleware(Telemetry)  # last, so it is inside of ours
    async with running(broker):
        await broker.publish("apples", topic, partition=0)
        await broker.publish_batch("pears", topic=topic, partition=0)
    kept = {"sealed": [], "none": [TRACEPARENT.encode()]}[emit]
    assert [named(record.headers, "traceparent") for record in await on_the_wire(2)] == [kept] * 2


async def test_each_message_of_a_batch_has_an_envelope_of_its_own(
    service: Services, kafka_broker: Callable[..., KafkaBroker], topic: str, inbox: Inbox
) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    sending, broker = kafka_broker(checkout), kafka_broker(billing)

    @subscribe(broker, topic, batch=True)
    async def handle(bodies: list[Any], message: KafkaMessage) -> None:
        for body, record in zip(bodies, records_of(message), strict=True):
            inbox.put_nowait((body, record.receipt))

    async with running(sending, broker):
        await sending.publish_batch(Order(item="apples"), "pears", b"plums", topic=topic, partition=0)
        received = [await inbox.next() for _ in range(3)]
    assert [body for body, _ in received] == [{"item": "apples"}, "pears", b"plums"]
    assert [receipt.verdict for _, receipt in received] == [Verdict.FRESH] * 3
    assert checkout.span("send").batch_size == 3


async def test_a_batch_never_mixes_tenants(
    service: Services,
    kafka_broker: Callable[..., KafkaBroker],
    embedded_kafka: str,
    topic: str,
    inbox: Inbox,
) -> None:
    checkout, billing = service("checkout"), service("billing", tenant="initech")
    broker = kafka_broker(billing)

    @subscribe(broker, topic, batch=True)
    async def handle(bodies: list[str], message: KafkaMessage) -> None:
        origin = billing.tracing.origin()
        tenants = {}
        for body, record in zip(bodies, records_of(message), strict=True):
            with billing.tracing.process("kafka", record.receipt):
                tenants[body] = (record.receipt.tenant, billing.tracing.origin().tenant)
        inbox.put_nowait((origin, dict(baggage.get_all()), tenants))

    raw = AIOKafkaProducer(bootstrap_servers=embedded_kafka)
    async with kafka.TracedProducer(raw, checkout.tracing) as producer:
        batch = producer.create_batch()  # so that both lie, and are fetched, as one
        for tenant in ("acme", "globex"):
            headers = [("content-type", b"text/plain"), ("baggage", b"user=" + tenant.encode())]
            with checkout.tracing.tenant(tenant):
                batch.append(timestamp=None, key=None, value=f"of {tenant}".encode(), headers=headers)
        await (await producer.send_batch(batch, topic, partition=0))
    async with running(broker):
        origin, entries, tenants = await inbox.next()
    assert (origin.tenant, origin.parent, entries) == ("initech", None, {})
    assert tenants == {"of acme": ("acme", "acme"), "of globex": ("globex", "globex")}
    received = {span.tenant: span.batch_size for span in billing.spans("receive")}
    assert received == {"acme": 1, "globex": 1}


async def test_a_refused_message_is_skipped(
    service: Services,
    kafka_broker: Callable[..., KafkaBroker],
    embedded_kafka: str,
    topic: str,
    inbox: Inbox,
) -> None:
    billing = service("billing", policy=STRICT)
    sending, broker = kafka_broker(service("checkout")), kafka_broker(billing)

    @subscribe(broker, topic, group_id="billing", ack_policy=AckPolicy.NACK_ON_ERROR)
    async def handle(body: str) -> None:
        inbox.put_nowait(body)

    bare = KafkaBroker(embedded_kafka, logger=None)
    async with running(bare, sending):
        await bare.publish("forged", topic, partition=0)
        await sending.publish("apples", topic, partition=0)
        async with running(broker):
            assert await inbox.next() == "apples"
    assert (inbox.qsize(), billing.tracing.counts["rejected"]) == (0, 1)
    assert billing.span("process").verdict == "fresh"


async def test_a_refused_message_is_taken_out_of_its_batch(
    service: Services,
    kafka_broker: Callable[..., KafkaBroker],
    embedded_kafka: str,
    topic: str,
    inbox: Inbox,
) -> None:
    checkout, billing = service("checkout"), service("billing", policy=STRICT)
    broker = kafka_broker(billing)

    @subscribe(broker, topic, batch=True)
    async def handle(bodies: list[str], message: KafkaMessage) -> None:
        inbox.put_nowait((bodies, message))

    with checkout.tracing.send(Message("kafka", topic, b"apples")) as sending:
        envelope = sending.envelope
    async with AIOKafkaProducer(bootstrap_servers=embedded_kafka) as producer:
        batch = producer.create_batch()  # so that all lie, and are fetched, as one
        for shop, forged in (("south", b""), ("north", envelope), ("east", b"")):
            headers = [("shop", shop.encode()), ("correlation_id", shop.encode()), (HEADER_NAME, forged)]
            headers.append(("content-type", b"text/plain"))
            batch.append(timestamp=None, key=None, value=f"of {shop}".encode(), headers=headers)
        await (await producer.send_batch(batch, topic, partition=0))
    async with running(broker):
        bodies, message = await inbox.next()
    assert bodies == ["of north"]
    assert (message.headers["shop"], message.correlation_id) == ("north", "north")
    assert [headers["shop"] for headers in message.batch_headers] == ["north"]
    assert (message.content_type, message.body) == ("text/plain", [b"of north"])
    assert [record.receipt.verdict for record in message.raw_message] == [Verdict.FRESH]
    assert billing.tracing.counts["rejected"] == 2


@pytest.mark.parametrize("envelope", [b"\xff\xfe", b"\x11" * 122, b"", b"E"])
async def test_a_bad_envelope_costs_no_message(
    kafka_broker: Callable[..., KafkaBroker],
    embedded_kafka: str,
    billing: Service,
    inbox: Inbox,
    envelope: bytes,
) -> None:
    broker, topic = kafka_broker(billing), f"orders-{uuid.uuid4()}"

    @subscribe(broker, topic)
    async def handle(body: Any, message: KafkaMessage) -> None:
        inbox.put_nowait((body, message.headers, receipt_of(message).verdict))

    async with AIOKafkaProducer(bootstrap_servers=embedded_kafka) as producer:
        await producer.send_and_wait(topic, b"apples", headers=[(HEADER_NAME, envelope)])
    async with running(broker):
        assert await inbox.next() == (b"apples", {}, Verdict.INVALID)


async def test_a_leak_reaches_the_publisher(
    service: Services, kafka_broker: Callable[..., KafkaBroker], topic: str
) -> None:
    checkout = service("checkout", policy=BLOCKING)
    broker = kafka_broker(checkout)
    async with running(broker):
        with pytest.raises(LeakError) as caught:
            await broker.publish({"mail": "jo.roe@example.com"}, topic)
        with pytest.raises(LeakError):
            await broker.publish_batch({"mail": "jo.roe@example.com"}, "pears", topic=topic)
    assert caught.value.places == ("personal.email at $.mail",)
    assert {span.error_type for span in checkout.spans("send")} == {"LeakError"}


async def test_a_body_is_replaced_where_the_policy_says_so(
    service: Services, kafka_broker: Callable[..., KafkaBroker], topic: str, inbox: Inbox
) -> None:
    policy = {"default": {"binding": "message", "payload": {"on_leak": "redact"}}}
    sending, broker = (
        kafka_broker(service("checkout", policy=policy)),
        kafka_broker(service("billing", policy=BOUND)),
    )

    @subscribe(broker, topic)
    async def handle(body: Any, message: KafkaMessage) -> None:
        inbox.put_nowait((body, receipt_of(message).verdict))

    async with running(sending, broker):
        await sending.publish({"item": "apples", "mail": "jo.roe@example.com"}, topic)
        body, verdict = await inbox.next()
    assert (body["item"], verdict) == ("apples", Verdict.FRESH)
    assert "jo.roe" not in body["mail"]


async def test_what_a_handler_raises_marks_its_span(
    kafka_broker: Callable[..., KafkaBroker], checkout: Service, billing: Service, topic: str, inbox: Inbox
) -> None:
    sending, broker = kafka_broker(checkout), kafka_broker(billing)

    @subscribe(broker, topic)
    async def handle(body: str) -> None:
        inbox.put_nowait(body)
        if body == "bad":
            raise LookupError("no such item")
        raise AckMessage

    async with running(sending, broker):
        for body in ("bad", "good"):
            await sending.publish(body, topic, partition=0)
        assert [await inbox.next(), await inbox.next()] == ["bad", "good"]
    assert [span.error_type for span in billing.spans("process")] == ["LookupError", None]


async def test_what_only_its_envelope_makes_too_large_goes_without(
    kafka_broker: Callable[..., KafkaBroker], checkout: Service, topic: str, on_the_wire: Callable[..., Any]
) -> None:
    broker = kafka_broker(checkout, max_request_size=1000, max_batch_size=1000)
    async with running(broker):
        await broker.publish(b"a" * 800, topic)
        await broker.publish_batch(b"b" * 380, b"c" * 380, topic=topic, partition=0)
        with pytest.raises(BatchBufferOverflowException):
            await broker.publish_batch(b"b" * 800, b"c" * 800, topic=topic, partition=0)
    records = await on_the_wire(3)
    assert sorted(len(record.value) for record in records) == [380, 380, 800]
    assert [named(record.headers, HEADER_NAME) for record in records] == [[]] * 3
    assert checkout.tracing.counts[TOO_LARGE] == 2


async def test_without_waiting_a_span_ends_with_its_confirmation(
    kafka_broker: Callable[..., KafkaBroker], checkout: Service, topic: str
) -> None:
    broker = kafka_broker(checkout)
    async with running(broker):
        metadata = await (await broker.publish("apples", topic, no_confirm=True))
    assert checkout.span("send").offset == metadata.offset


async def test_a_tombstone_stays_one(
    service: Services, kafka_broker: Callable[..., KafkaBroker], topic: str, on_the_wire: Callable[..., Any]
) -> None:
    checkout = service("checkout", policy=BOUND)
    broker = kafka_broker(checkout)
    async with running(broker):
        await broker.publish(None, topic, key=b"4711")
    (record,) = await on_the_wire(1)
    assert (record.key, record.value) == (b"4711", None)
    assert checkout.span("send").tombstone


async def test_a_body_of_an_own_codec_is_not_bound(
    service: Services, kafka_broker: Callable[..., KafkaBroker], topic: str, inbox: Inbox
) -> None:
    checkout = service("checkout", policy=BOUND)
    broker = kafka_broker(checkout, codec=Reversing())

    @subscribe(broker, topic)
    async def handle(body: str, message: KafkaMessage) -> None:
        inbox.put_nowait((body, message.headers))

    async with running(broker):
        await broker.publish("apples", topic)
        body, headers = await inbox.next()
    assert (body, HEADER_NAME in headers) == ("apples", False)
    assert checkout.tracing.counts[Unsealed.BODY_NOT_BYTES] == 1


async def test_what_a_subscriber_without_a_group_has_seen_goes_with_it(
    kafka_broker: Callable[..., KafkaBroker],
    checkout: Service,
    topic: str,
    inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program may make one for each of its clients."""
    forgotten: list[str] = []
    monkeypatch.setattr(checkout.tracing, "forget", forgotten.append)

    async def subscribed() -> None:
        broker = kafka_broker(checkout)

        @subscribe(broker, topic)
        async def handle(body: str) -> None:
            inbox.put_nowait(body)

        async with running(broker):
            await broker.publish("apples", topic)
            assert await inbox.next() == "apples"

    await subscribed()
    gc.collect()
    assert len(forgotten) == 1


async def test_get_one_verifies(
    service: Services, kafka_broker: Callable[..., KafkaBroker], embedded_kafka: str, topic: str
) -> None:
    billing = service("billing", policy=STRICT)
    sending, broker = kafka_broker(service("checkout")), kafka_broker(billing)
    subscriber = broker.subscriber(topic, auto_offset_reset="earliest")
    bare = KafkaBroker(embedded_kafka, logger=None)
    async with running(bare, sending, broker):
        await sending.publish("apples", topic, partition=0)
        await bare.publish("forged", topic, partition=0)
        message = await subscriber.get_one(timeout=DEADLINE)
        assert message is not None
        assert (await message.decode(), receipt_of(message).verdict) == ("apples", Verdict.FRESH)
        with pytest.raises(RejectedError):
            await subscriber.get_one(timeout=DEADLINE)
    assert billing.span("receive").batch_size == 1
    assert billing.spans("process") == []


async def test_keys_are_fetched_off_the_loop(
    service: Services, kafka_broker: Callable[..., KafkaBroker], topic: str, inbox: Inbox
) -> None:
    keys = service.gated_keys("billing")
    sending, broker = kafka_broker(service("checkout")), kafka_broker(service("billing", keys=keys))

    @subscribe(broker, topic)
    async def handle(body: str, message: KafkaMessage) -> None:
        inbox.put_nowait((body, receipt_of(message).verdict))

    async with running(sending, broker):
        await sending.publish("apples", topic)
        await keys.asked()  # and this loop still runs
        keys.gate.set()
        assert await inbox.next() == ("apples", Verdict.FRESH)


async def test_the_test_broker_of_kafka_is_traced(checkout: Service, topic: str, inbox: Inbox) -> None:
    broker = KafkaBroker(middlewares=[KafkaMiddleware(checkout.tracing)], logger=None)

    @broker.subscriber(topic)
    async def handle(order: Order, message: KafkaMessage) -> None:
        inbox.put_nowait((order, receipt_of(message).verdict))

    async with TestKafkaBroker(broker):
        await broker.publish(Order(item="apples"), topic)
    assert await inbox.next() == (Order(item="apples"), Verdict.FRESH)


# RabbitMQ.


async def test_a_traced_queue_opens_what_faststream_publishes(
    service: Services, rabbit_broker: Callable[..., RabbitBroker], embedded_rabbitmq: str, topic: str
) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    broker = rabbit_broker(checkout)
    headers: Any = {"traceparent": TRACEPARENT, "shop": "north"}
    async with running(broker), await aio_pika.connect(embedded_rabbitmq) as connection:
        channel = rabbitmq.TracedChannel(await connection.channel(), billing.tracing)
        queue = await channel.declare_queue(topic)
        await broker.publish(Order(item="apples"), topic, headers=headers, message_type="order")
        message = await queue.get(timeout=DEADLINE)
        await message.ack()
    assert (message.body, message.headers) == (b'{"item":"apples"}', {"shop": "north"})
    assert (message.content_type, message.type) == ("application/json", "order")
    assert message.receipt.verdict is Verdict.FRESH
    assert headers == {"traceparent": TRACEPARENT, "shop": "north"}


async def test_faststream_opens_what_a_traced_exchange_publishes(
    service: Services,
    rabbit_broker: Callable[..., RabbitBroker],
    embedded_rabbitmq: str,
    topic: str,
    inbox: Inbox,
) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    broker = rabbit_broker(billing)

    @broker.subscriber(topic)
    async def handle(body: str, message: RabbitMessage) -> None:
        inbox.put_nowait((body, message.headers, receipt_of(message), billing.tracing.origin()))

    async with running(broker), await aio_pika.connect(embedded_rabbitmq) as connection:
        channel = rabbitmq.TracedChannel(await connection.channel(), checkout.tracing)
        sent = aio_pika.Message(b"apples", headers={"shop": "north"}, content_type="text/plain")
        await channel.default_exchange.publish(sent, topic)
        body, headers, receipt, origin = await inbox.next()
    assert (body, headers) == ("apples", {"shop": "north"})
    assert (receipt.verdict, receipt.sender) == (Verdict.FRESH, "checkout")
    processed = billing.span("process")
    assert origin.parent.span_id == processed.context.span_id
    assert billing.span("ack").parent_span_id == processed.context.span_id


async def test_a_request_and_its_reply_are_one_trace(
    rabbit_broker: Callable[..., RabbitBroker], checkout: Service, billing: Service, topic: str
) -> None:
    asking, answering = rabbit_broker(checkout), rabbit_broker(billing)

    @answering.subscriber(topic)
    async def handle(body: str) -> str:
        return body.upper()

    async with running(answering, asking):
        reply = await asking.request("apples", topic, timeout=DEADLINE)
    assert (await reply.decode(), reply.headers) == ("APPLES", {})
    assert (receipt_of(reply).verdict, receipt_of(reply).sender) == (Verdict.FRESH, "billing")
    processed, answer = billing.span("process"), billing.span("send")
    assert (processed.parent_span_id, answer.parent_span_id) == (
        checkout.span("send").context.span_id,
        processed.context.span_id,
    )
    assert checkout.span("receive").batch_size == 1


@pytest.mark.parametrize("ack_policy", [AckPolicy.NACK_ON_ERROR, AckPolicy.REJECT_ON_ERROR, AckPolicy.MANUAL])
async def test_a_refused_message_is_dead_lettered(
    service: Services,
    rabbit_broker: Callable[..., RabbitBroker],
    embedded_rabbitmq: str,
    inbox: Inbox,
    ack_policy: AckPolicy,
) -> None:
    billing = service("billing", policy=STRICT)
    sending, broker = rabbit_broker(service("checkout")), rabbit_broker(billing)
    bare = RabbitBroker(embedded_rabbitmq, logger=None)
    topic = f"orders-{uuid.uuid4()}"
    dead: Any = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{topic}.dead"}

    @broker.subscriber(RabbitQueue(topic, arguments=dead), ack_policy=ack_policy)
    async def handle(body: str, message: RabbitMessage) -> None:
        await message.ack()
        inbox.put_nowait(body)

    @bare.subscriber(f"{topic}.dead")
    async def buried(body: str) -> None:
        inbox.put_nowait(f"dead: {body}")

    async with running(bare, sending, broker):
        await bare.publish("forged", topic)
        assert await inbox.next() == "dead: forged"
        await sending.publish("apples", topic)
        assert await inbox.next() == "apples"
    assert billing.tracing.counts["rejected"] == 1


async def test_a_routers_prefix_belongs_to_the_queues_name(
    service: Services, rabbit_broker: Callable[..., RabbitBroker], topic: str, inbox: Inbox
) -> None:
    policy = {"channels": [{"name": "fruit", "match": {"rabbitmq": [f"eu.{topic}"]}}]}
    broker = rabbit_broker(service("checkout", policy=policy))
    router = RabbitRouter(prefix="eu.")

    @router.subscriber(topic)
    async def handle(body: str, message: RabbitMessage) -> None:
        inbox.put_nowait((body, receipt_of(message)))

    broker.include_router(router)
    async with running(broker):
        await broker.publish("apples", f"eu.{topic}")
        body, receipt = await inbox.next()
    assert (body, receipt.verdict, receipt.channel.name) == ("apples", Verdict.FRESH, "fruit")


async def test_a_message_that_is_made_is_sealed_too(
    rabbit_broker: Callable[..., RabbitBroker], checkout: Service, topic: str, inbox: Inbox
) -> None:
    broker = rabbit_broker(checkout)

    @broker.subscriber(topic, ack_policy=AckPolicy.ACK_FIRST)
    async def handle(body: Any, message: RabbitMessage) -> None:
        inbox.put_nowait((body, message.headers, receipt_of(message).verdict))

    made = aio_pika.Message(b"apples", headers={"shop": "north"})
    async with running(broker):
        await broker.publish(made, topic)
        assert await inbox.next() == (b"apples", {"shop": "north"}, Verdict.FRESH)
    assert made.headers == {"shop": "north"}


async def test_a_leak_reaches_the_publisher_of_rabbitmq(
    service: Services, rabbit_broker: Callable[..., RabbitBroker], topic: str
) -> None:
    broker = rabbit_broker(service("checkout", policy=BLOCKING))
    async with running(broker):
        with pytest.raises(LeakError):
            await broker.publish({"mail": "jo.roe@example.com"}, topic)


async def test_a_body_of_an_own_codec_is_not_bound_in_rabbitmq(
    service: Services, rabbit_broker: Callable[..., RabbitBroker], topic: str, inbox: Inbox
) -> None:
    checkout = service("checkout", policy=BOUND)
    broker = rabbit_broker(checkout, codec=Reversing())

    @broker.subscriber(topic)
    async def handle(body: str, message: RabbitMessage) -> None:
        inbox.put_nowait((body, message.headers))

    async with running(broker):
        await broker.publish("apples", topic)
        assert await inbox.next() == ("apples", {})
    assert checkout.tracing.counts[Unsealed.BODY_NOT_BYTES] == 1


async def test_get_one_of_rabbitmq_verifies(
    service: Services, rabbit_broker: Callable[..., RabbitBroker], embedded_rabbitmq: str, topic: str
) -> None:
    billing = service("billing", policy=STRICT)
    broker, bare = rabbit_broker(billing), RabbitBroker(embedded_rabbitmq, logger=None)
    sending = rabbit_broker(service("checkout"))
    subscriber = broker.subscriber(topic)
    async with running(bare, sending, broker):
        await sending.publish("apples", topic)
        await bare.publish("forged", topic)
        message = await subscriber.get_one(timeout=DEADLINE)
        assert message is not None
        assert receipt_of(message).verdict is Verdict.FRESH
        with pytest.raises(RejectedError):
            await subscriber.get_one(timeout=DEADLINE)
    assert billing.span("receive").batch_size == 1


async def test_the_test_broker_of_rabbitmq_is_traced(checkout: Service, topic: str, inbox: Inbox) -> None:
    broker = RabbitBroker(middlewares=[RabbitMiddleware(checkout.tracing)], logger=None)

    @broker.subscriber(topic)
    async def handle(order: Order, message: RabbitMessage) -> None:
        inbox.put_nowait((order, receipt_of(message).verdict))

    async with TestRabbitBroker(broker):
        await broker.publish(Order(item="apples"), topic)
    assert await inbox.next() == (Order(item="apples"), Verdict.FRESH)
