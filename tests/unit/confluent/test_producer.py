"""Sending: every way that a producer has, traced."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import confluent_kafka
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, SerializingProducer
from confluent_kafka.error import KeySerializationError, ValueSerializationError
from confluent_kafka.serialization import SerializationContext, StringSerializer
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from interceptors import LeakError, Tracing
from interceptors.confluent import TracedMessage, TracedProducer
from interceptors.envelope import HEADER_NAME
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.confluent import TracedConsumer
    from interceptors.keys import MemoryKeys
    from interceptors.spans import Span

    OnTheWire = Callable[[int], list[Message]]
    Sent = Callable[[], list[Span]]

WITHOUT = "message too large with an envelope"
NOT_BYTES = "the channel binds the body, which is not bytes yet"
BOUND = {"default": {"binding": "message"}}
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


def names(message: Message) -> list[str]:
    return [name for name, _ in message.headers() or ()]


def test_a_delivered_message_has_a_span_and_the_callers_callback(
    producer: TracedProducer,
    sent: Sent,
    topic: str,
    reports: Any,
) -> None:
    producer.produce(topic, b"value", b"key", 1, on_delivery=reports)
    assert len(producer) > 0
    assert producer.flush() == len(producer) == 0
    assert producer

    ((error, message),) = reports
    (span,) = sent()
    assert (error, message.value(), message.key()) == (None, b"value", b"key")
    assert (span.partition, span.offset, span.error_type) == (1, message.offset(), None)
    assert (span.operation.operation, span.tenant, span.tombstone) == ("send", "acme", False)


@pytest.mark.parametrize("by", ["position", "name", "alias"])
def test_arguments_come_by_position_and_by_name(
    producer: TracedProducer,
    consumer: TracedConsumer,
    topic: str,
    reports: Any,
    by: str,
) -> None:
    named = {
        "topic": topic,
        "value": b"v",
        "key": b"k",
        "partition": 0,
        "timestamp": 1000,
        "headers": {"a": b"b"},
    }
    if by == "position":
        producer.produce(topic, b"v", b"k", 0, reports, None, 1000, {"a": b"b"})
    else:
        producer.produce(**named, **{"callback" if by == "alias" else "on_delivery": reports})
    producer.flush()

    message = consumer.poll(30)
    assert message is not None
    assert (message.value(), message.key(), message.timestamp()[1]) == (b"v", b"k", 1000)
    assert message.headers() == [("a", b"b")]
    assert len(reports) == 1


def test_wrong_arguments_are_told(producer: TracedProducer, topic: str) -> None:
    with pytest.raises(TypeError, match="multiple values for argument 'value'"):
        producer.produce(topic, b"v", value=b"v")
    with pytest.raises(TypeError, match="nope"):
        producer.produce(topic, nope=1)
    with pytest.raises(TypeError):
        producer.produce(topic, headers=5)


@pytest.mark.parametrize("form", [list, tuple, dict])
def test_headers_of_any_form_stay_the_callers_and_an_old_envelope_is_replaced(
    producer: TracedProducer, topic: str, on_the_wire: OnTheWire, form: Callable[[Any], Any]
) -> None:
    given = [("name", b"value"), ("nothing", None), (HEADER_NAME, b"old")]
    headers = form(given)
    for _ in range(2):
        producer.produce(topic, b"value", partition=0, headers=headers)
    producer.flush()

    messages = on_the_wire(2)
    assert headers == form(given)
    for message in messages:
        assert names(message) == ["name", "nothing", HEADER_NAME]
        assert dict(message.headers())[HEADER_NAME] != b"old"


def test_a_tombstone_is_marked(
    producer: TracedProducer, sent: Sent, topic: str, on_the_wire: OnTheWire
) -> None:
    producer.produce(topic, key=b"deleted", partition=0)
    producer.flush()

    assert on_the_wire(1)[0].value() is None
    assert [span.tombstone for span in sent()] == [True]


def test_a_produce_that_raises_ends_its_span(kafka: str, checkout: Tracing, sent: Sent, topic: str) -> None:
    producer = TracedProducer(
        Producer({"bootstrap.servers": kafka, "queue.buffering.max.messages": 1, "linger.ms": 60_000}),
        checkout,
    )
    producer.produce(topic, b"fits")
    with pytest.raises(BufferError):
        producer.produce(topic, b"does not")
    with pytest.raises(TypeError):
        producer.produce(topic, 5)
    producer.purge()
    producer.flush()

    assert [span.error_type for span in sent()] == [
        "BufferError",
        "TypeError",
        "KafkaException",
    ]


def test_a_callback_that_raises_does_so_where_it_did(
    producer: TracedProducer, sent: Sent, topic: str
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("the caller's")

    producer.produce(topic, b"value", on_delivery=fail)
    with pytest.raises(LookupError, match="the caller's"):
        producer.flush()

    assert [span.error_type for span in sent()] == [None]


def test_the_configured_callback_is_given_to_the_wrapper(
    bare_producer: Producer, checkout: Tracing, topic: str, reports: Any
) -> None:
    own: list[Any] = []
    producer = TracedProducer(bare_producer, checkout, on_delivery=reports)
    producer.produce(topic, b"default")
    producer.produce(topic, b"own", on_delivery=lambda *report: own.append(report))
    producer.flush()

    assert [[message.value() for _, message in found] for found in (reports, own)] == [
        [b"default"],
        [b"own"],
    ]


def test_where_only_errors_are_reported_the_span_of_a_delivered_message_ends(
    kafka: str, checkout: Tracing, sent: Sent, topic: str
) -> None:
    bare = Producer({"bootstrap.servers": kafka, "delivery.report.only.error": True})
    producer = TracedProducer(bare, checkout)
    producer.produce(topic, b"value")
    producer.flush()
    gc.collect()

    assert [span.error_type for span in sent()] == [None]


def test_a_message_that_only_its_envelope_makes_too_large_goes_without(
    kafka: str, checkout: Tracing, sent: Sent, topic: str, on_the_wire: OnTheWire
) -> None:
    producer = TracedProducer(Producer({"bootstrap.servers": kafka, "message.max.bytes": 1000}), checkout)
    producer.produce(topic, bytes(850), partition=0, headers=[("name", b"value")])
    with pytest.raises(KafkaException) as caught:
        producer.produce(topic, bytes(2000), partition=0)
    producer.flush()

    assert caught.value.args[0] == TOO_LARGE
    assert names(on_the_wire(1)[0]) == ["name"]
    assert checkout.counts[WITHOUT] == 1
    assert sorted(str(span.error_type) for span in sent()) == ["KafkaException", "None"]


class Refusing:
    """Stands for a `Producer` whose broker refuses messages, each for the next of some reasons."""

    def __init__(self, *reasons: Exception | KafkaError | None) -> None:
        self.headers: list[list[str]] = []
        self._reasons = iter(reasons)
        self._reports: list[Callable[[], None]] = []

    def produce(
        self, topic: str, *, on_delivery: Callable[[Any, Any], None], headers: Any, value: bytes, **_: Any
    ) -> None:
        self.headers.append([name for name, _ in headers])
        reason = next(self._reasons)
        if isinstance(reason, Exception):
            raise reason
        message = Message(topic=topic, partition=0, offset=7, value=value)
        self._reports.append(lambda: on_delivery(reason, message))

    def flush(self) -> None:
        while self._reports:
            self._reports.pop(0)()


@pytest.mark.parametrize(
    ("second", "error"),
    [
        (None, None),
        (TOO_LARGE, TOO_LARGE),
        (BufferError("full"), TOO_LARGE),
        (KafkaException(TOO_LARGE), TOO_LARGE),
    ],
    ids=["goes", "refused again", "queue full", "refused at once"],
)
def test_what_the_broker_finds_too_large_goes_again_without_its_envelope(
    checkout: Tracing, sent: Sent, reports: Any, second: Any, error: Any
) -> None:
    outgoing = Refusing(TOO_LARGE, second)
    producer = TracedProducer(outgoing, checkout)
    producer.produce("orders", b"value", on_delivery=reports)
    producer.flush()

    assert outgoing.headers == [[HEADER_NAME], []]
    assert [found for found, _ in reports] == [error]
    assert checkout.counts[WITHOUT] == (0 if isinstance(second, Exception) else 1)
    (span,) = sent()
    assert (span.offset, span.error_type) == ((7, None) if error is None else (None, "KafkaException"))


def test_what_is_refused_at_once_for_another_reason_is_not_tried_again(checkout: Tracing, sent: Sent) -> None:
    outgoing = Refusing(KafkaException(KafkaError(KafkaError._STATE)))
    with pytest.raises(KafkaException) as caught:
        TracedProducer(outgoing, checkout).produce("orders", b"value")

    assert caught.value.args[0].code() == KafkaError._STATE
    assert outgoing.headers == [[HEADER_NAME]]
    assert [span.error_type for span in sent()] == ["KafkaException"]


def test_a_delivery_error_marks_the_span_and_says_nothing_of_its_text(
    checkout: Tracing, sent: Sent, reports: Any
) -> None:
    error = KafkaError(KafkaError._MSG_TIMED_OUT, "not for anybody's eyes")
    producer = TracedProducer(Refusing(error), checkout)
    producer.produce("orders", b"value", on_delivery=reports)
    producer.flush()

    assert reports[0][0] is error
    assert [span.error_type for span in sent()] == ["KafkaException"]


# Batches.


def test_a_batch_is_traced_message_by_message(
    producer: TracedProducer,
    sent: Sent,
    topic: str,
    on_the_wire: OnTheWire,
    reports: Any,
) -> None:
    own: list[Any] = []
    batch: list[dict[str, Any]] = [
        {"value": b"0", "headers": {"name": b"value"}, "timestamp": 1000},
        {"value": "1", "key": "k", "callback": lambda *report: own.append(report)},
        {"value": bytes(2_000_000)},
        {"partition": 0},
    ]
    assert producer.produce_batch(topic, batch, 0, on_delivery=reports) == 3
    producer.flush()

    messages = on_the_wire(3)
    assert [message.value() for message in messages] == [b"0", b"1", None]
    assert [names(message)[-1] for message in messages] == [HEADER_NAME] * 3
    assert messages[0].timestamp()[1] == 1000
    assert (len(reports), len(own)) == (2, 1)
    assert ["_error" in message for message in batch] == [False, False, True, False]
    assert batch[2]["_error"] == TOO_LARGE
    assert sorted(str(span.error_type) for span in sent()) == [
        "KafkaException",
        *["None"] * 3,
    ]


def test_what_a_full_queue_refuses_of_a_batch_says_so(checkout: Tracing) -> None:
    batch = [{"value": b"0"}, {"value": b"1"}]
    producer = TracedProducer(Refusing(None, BufferError("full")), checkout)

    assert producer.produce_batch("orders", batch) == 1
    assert batch == [{"value": b"0"}, {"value": b"1", "_error": KafkaError(KafkaError._QUEUE_FULL)}]
    producer.flush()


def test_of_a_batch_with_a_message_that_the_policy_blocks_none_is_sent(keys: MemoryKeys) -> None:
    sink, refusing = MemorySink(), Refusing()
    policy = {"default": {"payload": {"on_leak": "block"}}}
    with Tracing.for_development("checkout", keys=keys, sink=sink, policy=policy) as tracing:
        producer = TracedProducer(refusing, tracing)
        with pytest.raises(LeakError):
            producer.produce_batch("orders", [{"value": b"0"}, {"value": b"user@example.com"}])

    assert refusing.headers == []
    assert [span.error_type for span in sink.spans] == ["LeakError"] * 2


# Serializing.


@pytest.fixture
def bound(keys: MemoryKeys) -> Iterator[Tracing]:
    """A service whose envelopes are bound to the body."""
    with Tracing.for_development("checkout", keys=keys, tenant="acme", policy=BOUND) as tracing:
        yield tracing


@pytest.fixture
def binding_consumer(
    bare_consumer: Consumer, keys: MemoryKeys, consuming: Callable[..., TracedConsumer]
) -> Iterator[TracedConsumer]:
    """The consumer of a service whose envelopes are bound to the body."""
    with Tracing.for_development("billing", keys=keys, policy=BOUND) as tracing:
        yield consuming(bare_consumer, tracing)


def test_a_serializing_producer_takes_the_key_first_and_serializes(
    kafka: str, checkout: Tracing, topic: str, on_the_wire: OnTheWire
) -> None:
    serializer = StringSerializer("utf_16_be")
    settings = {"bootstrap.servers": kafka, "key.serializer": serializer, "value.serializer": serializer}
    producer = TracedProducer(SerializingProducer(settings), checkout)
    producer.produce(topic, "key", "value", 0)
    producer.produce_batch(topic, [{"key": b"k", "value": b"v", "partition": 0}])
    producer.flush()

    first, second = on_the_wire(2)
    assert (first.key(), first.value()) == ("key".encode("utf_16_be"), "value".encode("utf_16_be"))
    assert (second.key(), second.value()) == (b"k", b"v")  # a batch is not serialized there either
    assert names(first) == names(second) == [HEADER_NAME]


def test_a_body_that_the_producer_serializes_cannot_be_bound(
    kafka: str, bound: Tracing, topic: str, on_the_wire: OnTheWire
) -> None:
    settings = {"bootstrap.servers": kafka, "value.serializer": StringSerializer("utf_16_be")}
    producer = TracedProducer(SerializingProducer(settings), bound)
    producer.produce(topic, value="value", partition=0)
    producer.flush()

    assert names(on_the_wire(1)[0]) == []
    assert bound.counts[NOT_BYTES] == 1


@pytest.mark.parametrize("value", ["text ä", b"bytes", None])
def test_a_body_is_bound_as_it_travels(
    bare_producer: Producer, bound: Tracing, binding_consumer: TracedConsumer, topic: str, value: Any
) -> None:
    TracedProducer(bare_producer, bound).produce(topic, value, partition=0)
    bare_producer.flush()

    message = binding_consumer.poll(30)

    assert isinstance(message, TracedMessage)
    assert (message.value(), message.receipt.verdict) == (
        value.encode() if isinstance(value, str) else value,
        "fresh",
    )


def test_serializers_of_the_wrapper_are_called_as_the_producers_own(
    bare_producer: Producer, bound: Tracing, topic: str, on_the_wire: OnTheWire
) -> None:
    seen: list[tuple[str, str, Any]] = []

    def serialize(value: Any, context: SerializationContext) -> bytes:
        seen.append((context.topic, str(context.field), value))
        context.headers.append((f"schema of the {context.field}", b"1"))
        return repr(value).encode()

    headers = [("name", b"value")]
    producer = TracedProducer(bare_producer, bound, key_serializer=serialize, value_serializer=serialize)
    producer.produce(topic, {"a": 1}, 7, partition=0, headers=headers)
    producer.flush()

    (message,) = on_the_wire(1)
    assert seen == [(topic, "key", 7), (topic, "value", {"a": 1})]
    assert (message.key(), message.value()) == (b"7", b"{'a': 1}")
    assert names(message) == ["name", "schema of the key", "schema of the value", HEADER_NAME]
    assert headers == [("name", b"value")]


@pytest.mark.parametrize(
    ("field", "error"), [("key", KeySerializationError), ("value", ValueSerializationError)]
)
def test_a_serializer_that_fails_is_told_as_the_producers_own(
    bare_producer: Producer, checkout: Tracing, sent: Sent, field: str, error: type[Exception]
) -> None:
    def fail(*_: object) -> bytes:
        raise LookupError

    serializers: dict[str, Any] = {f"{field}_serializer": fail}
    with pytest.raises(error) as caught:
        TracedProducer(bare_producer, checkout, **serializers).produce("orders", "value", "key")

    assert isinstance(caught.value.__cause__, LookupError)
    assert [span.error_type for span in sent()] == [error.__name__]


# Beside another tracer.


@pytest.fixture(params=["proxied", "patched"])
def instrumented_producer(kafka: str, request: pytest.FixtureRequest) -> Iterator[Producer]:
    """A producer that OpenTelemetry's instrumentation traces, too."""
    instrumentor, provider = ConfluentKafkaInstrumentor(), TracerProvider(shutdown_on_exit=False)
    settings = {"bootstrap.servers": kafka}
    if request.param == "proxied":
        yield instrumentor.instrument_producer(Producer(settings), provider)
    else:
        instrumentor.instrument(tracer_provider=provider)
        yield confluent_kafka.Producer(settings)
        instrumentor.uninstrument()
    provider.shutdown()


@pytest.mark.parametrize("emit", ["sealed", "none"])
def test_opentelemetry_below_adds_nothing_in_clear_to_what_is_sealed(
    instrumented_producer: Producer, keys: MemoryKeys, topic: str, on_the_wire: OnTheWire, emit: str
) -> None:
    with Tracing.for_development("checkout", keys=keys, policy={"default": {"emit": emit}}) as tracing:
        producer = TracedProducer(instrumented_producer, tracing)
        producer.produce(topic, b"value", partition=0, headers=[("name", b"value")])
        producer.flush()

    expected = ["name", HEADER_NAME] if emit == "sealed" else ["name", "traceparent"]
    assert names(on_the_wire(1)[0]) == expected


def test_clear_trace_headers_of_the_caller_do_not_go_with_a_sealed_message(
    producer: TracedProducer, topic: str, on_the_wire: OnTheWire
) -> None:
    clear = [(name, b"1") for name in ("traceparent", "B3", "baggage")]
    producer.produce(topic, b"value", partition=0, headers=[*clear, ("name", b"value")])
    producer.flush()

    assert names(on_the_wire(1)[0]) == ["name", HEADER_NAME]


# What is passed on.


def test_it_is_a_context_manager_and_has_the_whole_interface(
    kafka: str, checkout: Tracing, topic: str, reports: Any
) -> None:
    with TracedProducer(Producer({"bootstrap.servers": kafka}), checkout) as producer:
        producer.produce(topic, b"value", on_delivery=reports)
        public = {name for name in dir(Producer) if not name.startswith("_")}
        assert {name for name in public if not callable(getattr(producer, name, None))} == set()
        assert topic in producer.list_topics(topic, 30).topics
        assert repr(producer) == "TracedProducer(Producer)"

    assert len(reports) == 1
    with pytest.raises(RuntimeError, match="closed"):
        producer.produce(topic, b"value")


def test_the_tenant_of_a_message_is_that_of_its_produce(
    producer: TracedProducer, checkout: Tracing, sent: Sent, topic: str
) -> None:
    for tenant in ("globex", "initech"):
        with checkout.tenant(tenant):
            producer.produce(topic, b"value")
    producer.flush()

    spans = sorted(sent(), key=lambda span: span.start)
    assert [span.tenant for span in spans] == ["globex", "initech"]
    assert len({span.context.trace_id for span in spans}) == 2
