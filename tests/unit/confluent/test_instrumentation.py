"""confluent-kafka's classes, instrumented: what the contract doesn't ask of them."""

from __future__ import annotations

import contextlib
import gc
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any

import confluent_kafka
import pytest
from confluent_kafka import Consumer, DeserializingConsumer, Producer, SerializingProducer, TopicPartition
from confluent_kafka.aio import AIOConsumer, AIOProducer
from confluent_kafka.serialization import StringDeserializer, StringSerializer
from opentelemetry.instrumentation import confluent_kafka as peers
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.instrumentation.utils import unwrap
from opentelemetry.sdk.trace import TracerProvider

from interceptors import ConfigurationError, Tracing, confluent
from interceptors.confluent import TracedAIOConsumer, TracedAIOProducer, TracedMessage, TracedProducer
from interceptors.context import current
from interceptors.envelope import HEADER_NAME
from interceptors.otel import SealedPropagator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from confluent_kafka import Message
    from opentelemetry.propagators.textmap import TextMapPropagator

    from interceptors.spans import Span

    from .conftest import Reports

CLASSES: tuple[Any, ...] = (SerializingProducer, DeserializingConsumer, AIOProducer, AIOConsumer)
PATIENCE = 30.0


class _Natives:
    """The classes elsewhere than in a module's global name, which `instrument` changes, in this one too."""

    producer: Any = Producer
    consumer: Any = Consumer


@pytest.fixture
def instrumented(billing: Tracing) -> Iterator[Tracing]:
    """confluent-kafka is instrumented with the tracing of `billing`."""
    confluent.instrument(billing)
    yield billing
    confluent.uninstrument()


@pytest.fixture
def settings(kafka: str, topic: str) -> dict[str, Any]:
    """Of a consumer, which are good for a producer too where the group is left out."""
    return {"bootstrap.servers": kafka, "log_level": 0, "group.id": f"group of {topic}"}


@pytest.fixture
def sending(settings: dict[str, Any]) -> dict[str, Any]:
    """Of a producer."""
    return {name: value for name, value in settings.items() if name != "group.id"}


def received(consumer: Any, topic: str) -> Any:
    """The first message of the first partition."""
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(PATIENCE)
    assert message.error() is None
    return message


def _made(kind: Any, settings: dict[str, Any]) -> Any:
    return kind(settings)


def header_names(message: Message) -> list[str]:
    return [name for name, _ in message.headers() or ()]


def test_every_module_that_has_imported_a_class_has_the_traced_one(
    topic: str,
    on_the_wire: Callable[[int], list[Message]],
    instrumented: Tracing,
    *,
    settings: dict[str, Any],
    sending: dict[str, Any],
    spans: Callable[[], list[Span]],
) -> None:
    assert Producer is confluent_kafka.Producer is not _Natives.producer
    assert issubclass(Producer, _Natives.producer)
    assert issubclass(Consumer, _Natives.consumer)
    producer = Producer(sending)
    producer.produce(topic, b"1", partition=0)
    assert producer.flush(PATIENCE) == 0
    with Consumer(settings) as consumer:
        message = received(consumer, topic)
        assert isinstance(message, TracedMessage)
        assert (message.receipt.verdict, message.headers(), message.group) == (
            "fresh",
            None,
            settings["group.id"],
        )
        assert current() == message.processing.context  # type: ignore[union-attr]  # it is open
    assert current() is None

    assert [span.operation.operation for span in spans()] == ["send", "process"]
    assert header_names(*on_the_wire(1)) == [HEADER_NAME]


def test_afterwards_everything_is_as_it_was(billing: Tracing, sending: dict[str, Any], topic: str) -> None:
    holder = types.ModuleType("holder")
    vars(holder).update(Anything=_Natives.producer, number=1)
    sys.modules["holder"] = holder
    sys.modules["no module"] = "no module"  # type: ignore[assignment]  # there may be anything
    try:
        before = [dict(vars(each)) for each in CLASSES]
        confluent.instrument(billing)
        assert holder.Anything is confluent_kafka.Producer
        producer = confluent_kafka.Producer(sending)

        confluent.uninstrument()

        assert confluent_kafka.Producer is holder.Anything is Producer is _Natives.producer
        assert confluent_kafka.Consumer is Consumer is _Natives.consumer
        assert [dict(vars(each)) for each in CLASSES] == before
        producer.produce(topic, b"1")
        assert producer.flush(PATIENCE) == 0
    finally:
        del sys.modules["holder"], sys.modules["no module"]


def test_a_callback_of_the_configuration_is_called(
    topic: str, instrumented: Tracing, sending: dict[str, Any], reports: Reports
) -> None:
    producer = Producer(sending | {"on_delivery": reports})
    producer.produce(topic, b"1", partition=0)
    assert producer.produce_batch(topic, [{"value": b"2"}], 0) == 1
    assert producer.flush(PATIENCE) == 0

    assert [(error, message.value()) for error, message in reports] == [(None, b"1"), (None, b"2")]


def test_what_was_made_before_stays_as_it_is(
    topic: str, billing: Tracing, sending: dict[str, Any], on_the_wire: Callable[[int], list[Message]]
) -> None:
    """Its configuration can't be seen any more, and a callback may be in it."""
    plain, serializing = Producer(sending), SerializingProducer(sending)
    confluent.instrument(billing)
    try:
        for producer in (plain, serializing):
            producer.produce(topic, value=b"1", partition=0)
            assert producer.flush(PATIENCE) == 0
    finally:
        confluent.uninstrument()

    assert [header_names(message) for message in on_the_wire(2)] == [[], []]


def test_clients_that_serialize(
    topic: str, instrumented: Tracing, settings: dict[str, Any], sending: dict[str, Any]
) -> None:
    producer = SerializingProducer(sending | {"value.serializer": StringSerializer()})
    producer.produce(topic, value="größer", partition=0)
    assert producer.flush(PATIENCE) == 0
    consumer = DeserializingConsumer(settings | {"value.deserializer": StringDeserializer()})
    message = received(consumer, topic)
    consumer.close()

    assert (message.value(), message.receipt.verdict, current()) == ("größer", "fresh", None)


async def test_asyncio_clients_are_traced_once(
    topic: str,
    instrumented: Tracing,
    *,
    settings: dict[str, Any],
    sending: dict[str, Any],
    spans: Callable[[], list[Span]],
) -> None:
    """Though there is a synchronous one in each."""
    async with AIOProducer(sending, max_workers=1) as producer:
        await (await producer.produce(topic, b"1", partition=0))
    async with AIOConsumer(settings, max_workers=1) as consumer:
        await consumer.assign([TopicPartition(topic, 0, 0)])
        message: Any = await consumer.poll(PATIENCE)
        assert (message.receipt.verdict, message.group) == ("fresh", settings["group.id"])
    assert [span.operation.operation for span in spans()] == ["send", "process"]


async def test_what_is_wrapped_by_hand_is_traced_once(
    topic: str,
    instrumented: Tracing,
    checkout: Tracing,
    *,
    settings: dict[str, Any],
    sending: dict[str, Any],
    spans: Callable[[], list[Span]],
    sent: Callable[[], list[Span]],
) -> None:
    """By the wrapper, with the wrapper's tracing."""
    producer = TracedProducer(Producer(sending), checkout)
    producer.produce(topic, b"1", partition=0)
    assert producer.flush(PATIENCE) == 0
    async with TracedAIOProducer(AIOProducer(sending, max_workers=1), checkout) as aio:
        await (await aio.produce(topic, b"2", partition=0))
    async with TracedAIOConsumer(AIOConsumer(settings, max_workers=1), checkout) as consumer:
        await consumer.assign([TopicPartition(topic, 0, 0)])
        messages: list[Any] = []
        while len(messages) < 2:
            messages += await consumer.consume(2 - len(messages), PATIENCE)

    assert [(each.receipt.verdict, each.receipt.sender) for each in messages] == [("fresh", "checkout")] * 2
    assert [span.operation.operation for span in sent()][:2] == ["send"] * 2
    assert spans() == []


def test_a_class_below_may_be_made_at_any_time(
    topic: str,
    billing: Tracing,
    sending: dict[str, Any],
    *,
    on_the_wire: Callable[[int], list[Message]],
    reports: Reports,
) -> None:
    class Before(_Natives.producer):  # type: ignore[misc]  # it is whatever it is
        pass

    class Opaque(_Natives.producer):  # type: ignore[misc]  # as above
        def __init__(self, address: str) -> None:
            super().__init__(sending | {"bootstrap.servers": address, "on_delivery": reports})

    confluent.instrument(billing)
    try:

        class After(Producer):  # type: ignore[misc]  # as above
            def __init__(self, address: str) -> None:
                super().__init__(sending | {"bootstrap.servers": address, "on_delivery": reports})

            def produce(self, topic: str, value: bytes) -> None:
                super().produce(topic, b"after " + value, partition=0)

        producers: list[Any] = [Before(sending), Opaque(sending["bootstrap.servers"])]
        for producer in producers:
            producer.produce(topic, b"1", partition=0)
            assert producer.flush(PATIENCE) == 0
        after = After(sending["bootstrap.servers"])
        after.produce(topic, b"1")
        assert after.flush(PATIENCE) == 0
    finally:
        confluent.uninstrument()

    messages = on_the_wire(3)
    assert [header_names(message) for message in messages] == [[HEADER_NAME], [], [HEADER_NAME]]
    assert messages[2].value() == b"after 1"
    assert len(reports) == 2


def test_a_producer_goes_when_its_last_user_lets_go_of_it(
    instrumented: Tracing, sending: dict[str, Any]
) -> None:
    producer = Producer(sending)
    gone = weakref.ref(producer)
    gc.disable()
    try:
        del producer
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "make",
    [
        lambda settings: Producer(**settings),
        lambda settings: Producer(settings, log_level=0),
        lambda settings: SerializingProducer(conf=settings),
    ],
)
def test_settings_may_be_given_by_name(
    topic: str,
    on_the_wire: Callable[[int], list[Message]],
    instrumented: Tracing,
    *,
    sending: dict[str, Any],
    reports: Reports,
    make: Callable[[dict[str, Any]], Any],
) -> None:
    producer = make(sending | {"on_delivery": reports})
    producer.produce(topic, value=b"1", partition=0)
    assert producer.flush(PATIENCE) == 0

    assert header_names(*on_the_wire(1)) == [HEADER_NAME]
    assert len(reports) == 1


def test_twice_is_once_and_another_tracing_is_refused(instrumented: Tracing, checkout: Tracing) -> None:
    producer = Producer

    confluent.instrument(instrumented)

    assert confluent_kafka.Producer is Producer is producer
    with pytest.raises(ConfigurationError, match="uninstrument"):
        confluent.instrument(checkout)


def test_a_peers_proxy_around_a_traced_client_leaves_it_traced(
    topic: str,
    on_the_wire: Callable[[int], list[Message]],
    instrumented: Tracing,
    *,
    sending: dict[str, Any],
    spans: Callable[[], list[Span]],
) -> None:
    """The proxy's class is below the native one, and is made from a client."""
    provider, peer = TracerProvider(shutdown_on_exit=False), ConfluentKafkaInstrumentor()
    producer: Any = peer.instrument_producer(Producer(sending), tracer_provider=provider)
    producer.produce(topic, b"1", partition=0)
    assert producer.flush(PATIENCE) == 0

    assert header_names(*on_the_wire(1)) == [HEADER_NAME]
    assert len(spans()) == 1


@pytest.mark.parametrize("carried", ["in clear", "sealed"])
@pytest.mark.parametrize("order", ["the peer first", "the peer last"])
def test_beside_a_peer_no_trace_goes_in_clear(
    topic: str,
    billing: Tracing,
    settings: dict[str, Any],
    set_propagator: Callable[[TextMapPropagator], None],
    *,
    sending: dict[str, Any],
    on_the_wire: Callable[[int], list[Message]],
    order: str,
    carried: str,
) -> None:
    """Its classes are below the native ones, and take their names in `confluent_kafka` alone."""
    if carried == "sealed":  # as by OTEL_PROPAGATORS: its envelopes are none of a message
        set_propagator(SealedPropagator(billing))
    provider, peer = TracerProvider(shutdown_on_exit=False), ConfluentKafkaInstrumentor()

    def uninstall() -> None:
        peer.uninstrument()
        for forgotten in ("consume", "close"):  # by its `uninstrument`
            unwrap(peers.AutoInstrumentedConsumer, forgotten)

    with contextlib.ExitStack() as putting_back:
        steps = [
            (lambda: peer.instrument(tracer_provider=provider), uninstall),
            (lambda: confluent.instrument(billing), confluent.uninstrument),
        ]
        for begin, end in steps if order == "the peer first" else reversed(steps):
            begin()
            putting_back.callback(end)
        assert confluent_kafka.Producer is peers.AutoInstrumentedProducer
        producer: Any = _made(confluent_kafka.Producer, sending)
        with provider.get_tracer("application").start_as_current_span("work") as work:
            producer.produce(topic, b"1", partition=0)
        assert producer.flush(PATIENCE) == 0
        consumer = _made(confluent_kafka.Consumer, settings)
        message = received(consumer, topic)
        consumer.close()
        trace_id = work.get_span_context().trace_id.to_bytes(16, "big")
        assert message.receipt.verdict == "fresh"
        if order == "the peer first":
            assert message.receipt.parent.trace_id == trace_id

    assert header_names(*on_the_wire(1)) == [HEADER_NAME]
    assert confluent_kafka.Producer is _Natives.producer
