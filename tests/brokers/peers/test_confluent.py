"""confluent-kafka beside OpenTelemetry's instrumentation of it, which replaces classes or wraps objects."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import confluent_kafka
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.aio import AIOProducer
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.trace import SpanKind

from interceptors.confluent import TracedAIOProducer, TracedConsumer, TracedProducer
from interceptors.context import current
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from interceptors.context import TraceContext
    from tests.conftest import Service, Services

    from .conftest import Peer

    Working = Callable[[], AbstractContextManager[TraceContext]]

PATIENCE = 30.0
CLASSES = "replaced classes"
CAPTURED = "classes that were imported before"
UNDER = "proxies under ours"
OVER = "proxies over ours"


class Topic:
    """A topic of a broker, and clients of it with the peer in one arrangement or another."""

    def __init__(self, address: str, name: str, peer: Peer, closing: contextlib.ExitStack) -> None:
        self.name = name
        self.settings: dict[str, Any] = {"bootstrap.servers": address, "log_level": 0}
        self._peer = peer
        self._closing = closing

    def producer(self, service: Service, arrangement: str = CAPTURED) -> Any:
        wrap = ConfluentKafkaInstrumentor.instrument_producer
        made: Any = (confluent_kafka.Producer if arrangement == CLASSES else Producer)(self.settings)
        if arrangement == UNDER:
            made = wrap(made, self._peer.provider)
        made = TracedProducer(made, service.tracing)
        return wrap(made, self._peer.provider) if arrangement == OVER else made

    def consumer(self, service: Service | None, arrangement: str = CAPTURED) -> Any:
        wrap = ConfluentKafkaInstrumentor.instrument_consumer
        made: Any = (confluent_kafka.Consumer if arrangement == CLASSES else Consumer)(
            self.settings | {"group.id": self.name, "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        )
        made.assign([TopicPartition(self.name, 0, 0)])
        if arrangement == UNDER:
            made = wrap(made, self._peer.provider)
        if service is not None:
            made = TracedConsumer(made, service.tracing)
        made = wrap(made, self._peer.provider) if arrangement == OVER else made
        self._closing.callback(made.close)
        return made

    def on_the_wire(self, count: int) -> list[list[str]]:
        """The names of the headers of each message."""
        messages = self.consumer(None).consume(count, PATIENCE)
        return [[name for name, _ in message.headers() or ()] for message in messages]


@pytest.fixture
def peer(install: Callable[[str], Peer]) -> Peer:
    """The peer, not installed yet."""
    return install("confluent")


@pytest.fixture
def confluent(kafka: str, topic: str, peer: Peer) -> Iterator[Topic]:
    """A topic of each broker in turn."""
    with contextlib.ExitStack() as closing:
        made = Topic(kafka, topic, peer, closing)
        Producer(made.settings).list_topics(topic, PATIENCE)  # an embedded topic comes into being by that
        yield made


@pytest.mark.parametrize("arrangement", [CLASSES, CAPTURED, UNDER, OVER])
def test_beside_contrib_both_trace_and_nothing_is_in_clear(
    confluent: Topic, peer: Peer, checkout: Service, billing: Service, *, working: Working, arrangement: str
) -> None:
    """Whoever is the outermost has the span that is current after `poll`, below the other's or not."""
    if arrangement in {CLASSES, CAPTURED}:
        peer.install()
    producer, consumer = confluent.producer(checkout, arrangement), confluent.consumer(billing, arrangement)
    headers = [("name", b"value")]
    with working() as work:
        producer.produce(confluent.name, b"value", partition=0, headers=headers)
        assert current() == work
    producer.flush(PATIENCE)
    message = consumer.poll(PATIENCE)
    seen = current()
    consumer.close()

    assert (message.value(), message.headers(), message.receipt.verdict) == (
        b"value",
        [("name", b"value")],
        "fresh",
    )
    assert current() is None
    assert confluent.on_the_wire(1) == [["name", HEADER_NAME]]
    sent, span = checkout.span("send"), billing.span("process")
    assert (span.context.trace_id, span.parent_span_id) == (work.trace_id, sent.context.span_id)
    producing = peer.spans(SpanKind.PRODUCER)
    assert len(producing) == (0 if arrangement == CAPTURED else 1)
    assert sent.parent_span_id == (producing[0].span_id if arrangement == OVER else work.span_id)
    consuming = {one.span_id: one for one in peer.spans(SpanKind.CONSUMER)}
    assert bool(consuming) == (arrangement != CAPTURED)
    assert seen is not None
    if arrangement != OVER:
        assert seen == span.context
        return
    assert seen.trace_id == span.context.trace_id
    above: bytes | None = seen.span_id
    while above in consuming:
        above = consuming[above].parent_span_id
    assert above == span.context.span_id


@pytest.mark.parametrize("arrangement", [CLASSES, UNDER])
def test_beside_contrib_where_nothing_is_sealed_its_headers_go(
    confluent: Topic, peer: Peer, service: Services, working: Working, arrangement: str
) -> None:
    peer.install()
    producer = confluent.producer(service("bystander", policy={"default": {"emit": "none"}}), arrangement)
    with working():
        producer.produce(confluent.name, b"value", partition=0, headers={"name": b"value"})
    producer.flush(PATIENCE)

    assert confluent.on_the_wire(1) == [["name", "traceparent", "baggage"]]


def test_beside_contrib_when_it_is_gone_ours_works_on(
    confluent: Topic, peer: Peer, checkout: Service, billing: Service
) -> None:
    peer.install()
    producer, consumer = confluent.producer(checkout, CLASSES), confluent.consumer(billing, CLASSES)
    peer.uninstall()
    for _ in range(2):
        producer.produce(confluent.name, b"value", partition=0)
    producer.flush(PATIENCE)
    seen = [(consumer.poll(PATIENCE).receipt.verdict, current()) for _ in range(2)]
    consumer.close()

    assert seen == [("fresh", span.context) for span in billing.spans("process")]
    assert peer.spans(SpanKind.CONSUMER) == peer.spans(SpanKind.PRODUCER) == []


async def test_beside_contrib_the_asyncio_producer_sends_nothing_in_clear(
    confluent: Topic, peer: Peer, checkout: Service, working: Working
) -> None:
    """The peer doesn't know it, and is in it all the same: it makes its producer of the replaced class."""
    peer.install()
    async with TracedAIOProducer(AIOProducer(confluent.settings), checkout.tracing) as producer:
        with working():
            delivered = await producer.produce(confluent.name, b"value", partition=0)
        await producer.flush()
        await delivered

    assert confluent.on_the_wire(1) == [[HEADER_NAME]]
    assert len(peer.spans(SpanKind.PRODUCER)) == len(checkout.spans("send")) == 1


def test_contrib_confluent_a_foreign_header_that_is_not_utf_8_costs_no_later_message(
    confluent: Topic, peer: Peer, checkout: Service, billing: Service
) -> None:
    """What is under us loses a message before we see it, if it does: that one is the peer's to answer for."""
    peer.install()
    bare = Producer(confluent.settings)
    bare.produce(confluent.name, b"foreign", partition=0, headers={"traceparent": b"\xff"})
    bare.flush(PATIENCE)
    producer, consumer = confluent.producer(checkout), confluent.consumer(billing, CLASSES)
    producer.produce(confluent.name, b"ours", partition=0)
    producer.flush(PATIENCE)
    received: list[Any] = []
    while not received or received[-1].value() != b"ours":
        with contextlib.suppress(UnicodeDecodeError):  # raised by the peer
            received.append(consumer.poll(PATIENCE))
    seen = current()
    consumer.close()

    assert received[-1].receipt.verdict == "fresh"
    assert billing.spans("process")[-1].context == seen
    assert current() is None


def test_faststream_a_batch_of_several_tenants_mixes_nothing(
    confluent: Topic, checkout: Service, billing: Service
) -> None:
    """There, the baggage of a batch is merged: one tenant received another's `user=`."""
    tenants = ["acme", "globex", "acme", "initech"]
    producer, consumer = confluent.producer(checkout), confluent.consumer(billing)
    for tenant in tenants:
        with checkout.tracing.tenant(tenant):
            producer.produce(confluent.name, tenant.encode(), partition=0)
    producer.flush(PATIENCE)

    for message in consumer.consume(len(tenants), PATIENCE):
        with consumer.process(message):
            origin = billing.tracing.origin()
            assert origin.tenant == message.receipt.tenant == message.value().decode()

    received, processed = billing.spans("receive"), billing.spans("process")
    assert [(span.tenant, span.batch_size) for span in received] == [
        ("acme", 2),
        ("globex", 1),
        ("initech", 1),
    ]
    assert [span.tenant for span in processed] == tenants
    for span in received + processed:
        told = {span.context.trace_id, span.parent_span_id, *(item for link in span.links for item in link)}
        foreign = [sender.context for sender in checkout.spans("send") if sender.tenant != span.tenant]
        assert told.isdisjoint({part for context in foreign for part in context[:2]})


def test_temporal_what_is_sealed_twice_opens_once(
    confluent: Topic, checkout: Service, billing: Service
) -> None:
    """There, a tracing header that was encoded twice failed every workflow task (sdk-python#1769)."""
    outer = TracedProducer(confluent.producer(checkout), checkout.tracing)  # by mistake
    outer.produce(confluent.name, b"value", partition=0)
    outer.flush(PATIENCE)

    message = confluent.consumer(billing).poll(PATIENCE)

    assert confluent.on_the_wire(1) == [[HEADER_NAME]]
    assert (message.value(), message.receipt.verdict) == (b"value", "fresh")
