"""What the tests of the confluent-kafka adapter share: the broker inside this process."""

from __future__ import annotations

import contextlib
import secrets
import string
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from interceptors import Tracing
from interceptors.confluent import TracedConsumer, TracedProducer
from interceptors.envelope import HEADER_NAME
from interceptors.keys import MemoryKeys
from interceptors.message import Message as NeutralMessage
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.context import TraceContext
    from interceptors.spans import Span

PATIENCE = 30.0
"""Seconds after which a test fails rather than wait on."""


@pytest.fixture
def kafka(embedded_kafka: str) -> str:
    """The address of the broker."""
    return embedded_kafka


@pytest.fixture
def topic(bare_producer: Producer) -> str:
    """A topic that only this test knows."""
    name = "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
    bare_producer.list_topics(name, PATIENCE)  # it comes into being when first asked for
    return name


@pytest.fixture
def keys() -> MemoryKeys:
    """The keys that `checkout` and `billing` share."""
    return MemoryKeys("store")


@pytest.fixture
def sinks() -> dict[str, MemorySink]:
    """Where the spans of each service go."""
    return {"checkout": MemorySink(), "billing": MemorySink()}


@pytest.fixture
def checkout(keys: MemoryKeys, sinks: dict[str, MemorySink]) -> Iterator[Tracing]:
    """The service that sends."""
    with Tracing.for_development("checkout", keys=keys, tenant="acme", sink=sinks["checkout"]) as tracing:
        yield tracing


@pytest.fixture
def billing(keys: MemoryKeys, sinks: dict[str, MemorySink]) -> Iterator[Tracing]:
    """The service that receives."""
    with Tracing.for_development("billing", keys=keys, tenant="acme", sink=sinks["billing"]) as tracing:
        yield tracing


@pytest.fixture
def sent(checkout: Tracing, sinks: dict[str, MemorySink]) -> Callable[[], list[Span]]:
    """The spans of `checkout` that have ended, in that order."""

    def ended() -> list[Span]:
        assert checkout.flush()
        return sinks["checkout"].spans

    return ended


@pytest.fixture
def spans(billing: Tracing, sinks: dict[str, MemorySink]) -> Callable[[], list[Span]]:
    """The spans of `billing` that have ended, in that order."""

    def ended() -> list[Span]:
        assert billing.flush()
        return sinks["billing"].spans

    return ended


class Reports(list[tuple[KafkaError | None, Message]]):
    """A delivery callback, and what it was called with."""

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        self.append((error, message))


@pytest.fixture
def reports() -> Reports:
    """A delivery callback that keeps what it is called with."""
    return Reports()


@pytest.fixture
def bare_producer(kafka: str) -> Producer:
    """A producer of confluent-kafka's own."""
    return Producer({"bootstrap.servers": kafka, "log_level": 0})


@pytest.fixture
def producer(bare_producer: Producer, checkout: Tracing) -> TracedProducer:
    """The producer of `checkout`."""
    return TracedProducer(bare_producer, checkout)


@pytest.fixture
def bare_consumer(kafka: str, topic: str) -> Iterator[Consumer]:
    """A consumer of the first partition, of confluent-kafka's own."""
    settings = {"bootstrap.servers": kafka, "group.id": topic, "fetch.wait.max.ms": 50, "log_level": 0}
    consumer = Consumer({**settings, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    yield consumer
    consumer.close()


@pytest.fixture
def consuming() -> Iterator[Callable[..., TracedConsumer]]:
    """Makes traced consumers, and closes them, so that nothing stays current."""
    with contextlib.ExitStack() as closing:

        def make(bare: Any, tracing: Tracing, **settings: Any) -> TracedConsumer:
            consumer = TracedConsumer(bare, tracing, **settings)
            closing.callback(consumer.close)
            return consumer

        yield make


@pytest.fixture
def consumer(
    bare_consumer: Consumer, billing: Tracing, consuming: Callable[..., TracedConsumer]
) -> TracedConsumer:
    """The consumer of `billing`."""
    return consuming(bare_consumer, billing)


@pytest.fixture
def on_the_wire(bare_consumer: Consumer) -> Callable[[int], list[Message]]:
    """The first messages of the first partition as they lie there."""

    def read(count: int) -> list[Message]:
        messages: list[Message] = bare_consumer.consume(count, PATIENCE)
        assert [message.error() for message in messages] == [None] * count
        return messages

    return read


@pytest.fixture
def raw_message(checkout: Tracing) -> Callable[..., tuple[Message, TraceContext]]:
    """Makes messages as a bare consumer hands them out, each with the context of the span that sent it."""

    def make(
        value: bytes | None = b"value", *, offset: int = 0, **other: Any
    ) -> tuple[Message, TraceContext]:
        sending = checkout.send(NeutralMessage("kafka", "orders", value))
        assert sending.span is not None
        headers = [("name", b"value"), (HEADER_NAME, sending.envelope)]
        fields = {"topic": "orders", "partition": 0, "offset": offset, "key": b"key", "headers": headers}
        return Message(**fields, value=value, **other), sending.span.context

    return make
