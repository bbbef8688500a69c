"""Receiving: every way that a consumer has, traced."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import pytest
from confluent_kafka import Consumer, DeserializingConsumer, KafkaError, Message, TopicPartition
from confluent_kafka.error import KeyDeserializationError, ValueDeserializationError
from confluent_kafka.serialization import SerializationContext, StringDeserializer

from interceptors import RejectedError, Tracing
from interceptors.confluent import TracedConsumer
from interceptors.context import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.confluent import TracedProducer
    from interceptors.context import TraceContext
    from interceptors.keys import MemoryKeys
    from interceptors.spans import Span

    RawMessage = Callable[..., tuple[Message, TraceContext]]
    Consuming = Callable[..., TracedConsumer]
    Spans = Callable[[], list[Span]]

PATIENCE = 30.0
EOF = Message(topic="orders", partition=0, error=KafkaError(KafkaError._PARTITION_EOF))


class Incoming:
    """Stands for a `Consumer`: hands out the messages that it is given, then none."""

    def __init__(self, *messages: Message) -> None:
        self._messages = deque(messages)
        self.closed = False

    def poll(self, _: float) -> Message | None:
        return self._messages.popleft() if self._messages else None

    def consume(self, count: int, _: float) -> list[Message]:
        return [self._messages.popleft() for _ in range(min(count, len(self._messages)))]

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def rejecting(keys: MemoryKeys) -> Iterator[Tracing]:
    """A service that takes sealed messages only."""
    policy = {"default": {"accept": "reject"}}
    with Tracing.for_development("billing", keys=keys, tenant="acme", policy=policy) as tracing:
        yield tracing


def unmarked(offset: int) -> Message:
    return Message(topic="orders", partition=0, offset=offset, value=b"%d" % offset)


def test_a_polled_message_is_stripped_and_its_span_is_current_until_the_next_poll(
    consuming: Consuming, billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    (first, parent), (second, _) = raw_message(b"0"), raw_message(None, offset=1)
    consumer = consuming(Incoming(first, second), billing, group_id="invoices")
    seen = []
    for _ in range(2):
        message = consumer.poll(0)
        assert message is not None
        assert message.headers() == [("name", b"value")]
        seen.append(current())
    assert consumer.poll(0) is None
    assert current() is None

    ended = spans()
    assert [span.context for span in ended] == seen
    assert (ended[0].context.trace_id, ended[0].parent_span_id) == (parent.trace_id, parent.span_id)
    assert [(span.partition, span.offset, span.tombstone) for span in ended] == [(0, 0, False), (0, 1, True)]
    assert [(span.consumer_group, span.verdict) for span in ended] == [("invoices", "fresh")] * 2


def test_an_empty_poll_and_an_error_have_no_span(
    consuming: Consuming, billing: Tracing, spans: Spans
) -> None:
    consumer = consuming(Incoming(EOF, EOF), billing)

    assert consumer.poll() is EOF
    assert consumer.consume(5) == [EOF]
    assert (consumer.poll(0), consumer.consume(1, 0)) == (None, [])
    with consumer.process(EOF):
        assert current() is None
    assert spans() == []


def test_a_batch_has_one_receive_span_and_each_message_its_own_scope(
    consuming: Consuming, billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    raw = [raw_message(b"%d" % offset, offset=offset) for offset in range(3)]
    consumer = consuming(Incoming(raw[0][0], EOF, raw[1][0], raw[2][0]), billing)

    messages = consumer.consume(4, 0)
    assert messages[1] is EOF
    assert current() is None
    with consumer.process(messages[2]):
        assert current() is not None

    receive, process = spans()
    assert (receive.operation.operation, receive.batch_size) == ("receive", 3)
    assert [link.span_id for link in receive.links] == [parent.span_id for _, parent in raw]
    assert (process.parent_span_id, process.offset) == (raw[1][1].span_id, 1)


def test_an_error_inside_a_scope_marks_its_span(
    consuming: Consuming, billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    consumer = consuming(Incoming(raw_message()[0]), billing)
    (message,) = consumer.consume(1, 0)
    with pytest.raises(LookupError), consumer.process(message):
        raise LookupError

    assert [span.error_type for span in spans()] == [None, "LookupError"]


def test_a_rejected_message_raises_and_the_next_poll_goes_on_behind_it(
    consuming: Consuming, rejecting: Tracing, raw_message: RawMessage
) -> None:
    consumer = consuming(Incoming(unmarked(3), raw_message()[0]), rejecting)

    with pytest.raises(RejectedError) as caught:
        consumer.poll(0)

    assert caught.value.coordinate == ("orders", 0, 3)
    message = consumer.poll(0)
    assert message is not None
    assert message.value() == b"value"


def test_the_good_messages_of_a_batch_come_first_and_each_error_with_a_call_of_its_own(
    consuming: Consuming, rejecting: Tracing, raw_message: RawMessage
) -> None:
    good = [raw_message(b"%d" % offset, offset=offset)[0] for offset in (0, 1)]
    consumer = consuming(Incoming(good[0], unmarked(5), unmarked(6), good[1], unmarked(7)), rejecting)

    assert [message.value() for message in consumer.consume(4, 0)] == [b"0", b"1"]
    owed = []
    for ask in (consumer.poll, consumer.consume, consumer.consume):
        with pytest.raises(RejectedError) as caught:
            ask()
        owed.append(caught.value.coordinate)
    assert owed == [("orders", 0, offset) for offset in (5, 6, 7)]
    assert consumer.consume(1, 0) == []


def test_closing_ends_the_processing_that_is_open(
    consuming: Consuming, billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    incoming = Incoming(raw_message()[0])
    consumer = consuming(incoming, billing)
    consumer.poll(0)
    assert spans() == []
    consumer.close()

    assert incoming.closed
    assert current() is None
    assert [span.error_type for span in spans()] == [None]


def test_leaving_by_an_error_marks_the_span_of_the_message_that_is_processed(
    billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    incoming = Incoming(raw_message()[0])

    def work() -> None:
        with TracedConsumer(incoming, billing) as consumer:
            consumer.poll(0)
            raise LookupError

    with pytest.raises(LookupError):
        work()

    assert incoming.closed
    assert [span.error_type for span in spans()] == ["LookupError"]


def test_each_thread_has_its_own_current_message(
    consuming: Consuming, billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    consumer = consuming(Incoming(*(raw_message(offset=offset)[0] for offset in range(2))), billing)
    seen = []

    def work() -> None:
        consumer.poll(0)
        seen.append(current())

    consumer.poll(0)
    mine = current()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)

    assert current() == mine != seen[0]
    consumer.close()
    assert [span.context for span in spans()] == [mine, *seen]


# Deserializing.


def test_deserializers_of_the_wrapper_are_called_as_the_consumers_own(
    consuming: Consuming, billing: Tracing, raw_message: RawMessage
) -> None:
    seen: list[Any] = []

    def deserialize(data: bytes | None, context: SerializationContext) -> str:
        assert data is not None
        seen.append((context.topic, str(context.field), context.headers))
        return data.decode()

    incoming = Incoming(raw_message()[0])
    consumer = consuming(incoming, billing, key_deserializer=deserialize, value_deserializer=deserialize)
    message = consumer.poll(0)

    assert message is not None
    assert (message.key(), message.value()) == ("key", "value")
    assert seen == [("orders", field, [("name", b"value")]) for field in ("value", "key")]


@pytest.mark.parametrize(
    ("field", "error"), [("key", KeyDeserializationError), ("value", ValueDeserializationError)]
)
def test_a_deserializer_that_fails_is_told_as_the_consumers_own_and_costs_nothing_else(
    consuming: Consuming, billing: Tracing, raw_message: RawMessage, field: str, error: type[Exception]
) -> None:
    def fail_once(data: bytes, _: SerializationContext) -> bytes:
        if billing.counts["deserializer failed"] == 0:
            raise LookupError
        return data

    settings: dict[str, Any] = {f"{field}_deserializer": fail_once}
    incoming = Incoming(*(raw_message(offset=offset)[0] for offset in range(2)))
    consumer = consuming(incoming, billing, **settings)
    with pytest.raises(error) as caught:
        consumer.poll(0)
    message = consumer.poll(0)

    failed: Any = caught.value
    assert (failed.kafka_message.value(), failed.kafka_message.offset()) == (b"value", 0)
    assert isinstance(failed.__cause__, LookupError)
    assert message is not None
    assert message.offset() == 1
    assert billing.counts["deserializer failed"] == 1


# On a broker.


def test_what_it_hands_out_can_be_committed_and_stored(
    producer: TracedProducer, consumer: TracedConsumer, topic: str
) -> None:
    for _ in range(2):
        producer.produce(topic, b"value", partition=0)
    producer.flush()
    first, second = consumer.poll(PATIENCE), consumer.poll(PATIENCE)

    assert [found.offset for found in consumer.commit(message=first, asynchronous=False)] == [1]
    assert [found.offset for found in consumer.commit(second, asynchronous=False)] == [2]
    assert [found.offset for found in consumer.committed([TopicPartition(topic, 0)])] == [2]
    consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    assert [found.offset for found in consumer.committed([TopicPartition(topic, 0)])] == [1]


def test_offsets_of_what_it_hands_out_can_be_stored(
    kafka: str, producer: TracedProducer, billing: Tracing, topic: str
) -> None:
    producer.produce(topic, b"value", partition=0)
    producer.flush()
    settings = {"bootstrap.servers": kafka, "group.id": topic, "enable.auto.offset.store": False}
    partition = TopicPartition(topic, 0, 0)
    with TracedConsumer(Consumer(settings), billing) as consumer:
        consumer.assign([partition])
        consumer.store_offsets(consumer.poll(PATIENCE))
        consumer.commit(asynchronous=False)
        assert [found.offset for found in consumer.committed([partition])] == [1]


def test_a_message_that_is_read_again_is_a_redelivery(
    producer: TracedProducer, consumer: TracedConsumer, topic: str
) -> None:
    producer.produce(topic, b"value", partition=0)
    producer.flush()
    first: Any = consumer.poll(PATIENCE)
    consumer.seek(TopicPartition(topic, 0, 0))
    again: Any = consumer.poll(PATIENCE)

    assert [message.receipt.verdict for message in (first, again)] == ["fresh", "redelivery"]


def test_a_deserializing_consumer_deserializes(
    consuming: Consuming, kafka: str, producer: TracedProducer, billing: Tracing, topic: str
) -> None:
    producer.produce(topic, "wörter", partition=0)
    producer.flush()
    settings = {"bootstrap.servers": kafka, "group.id": topic, "value.deserializer": StringDeserializer()}
    consumer = consuming(DeserializingConsumer(settings), billing)
    consumer.assign([TopicPartition(topic, 0, 0)])
    message: Any = consumer.poll(PATIENCE)

    assert (message.value(), message.headers(), message.receipt.verdict) == ("wörter", None, "fresh")
    with pytest.raises(NotImplementedError):
        consumer.consume(1)
    consumer.close()


def test_it_has_the_whole_interface(consumer: TracedConsumer, topic: str) -> None:
    public = {name for name in dir(Consumer) if not name.startswith("_")}

    assert {name for name in public if not callable(getattr(consumer, name, None))} == set()
    assert [found.topic for found in consumer.assignment()] == [topic]
    assert repr(consumer) == "TracedConsumer(Consumer)"
