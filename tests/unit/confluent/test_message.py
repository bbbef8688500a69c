"""What a received message becomes, whatever its headers hold."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, Message

from interceptors.confluent.message import process, receive, wanted_keys
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors import Tracing
    from interceptors.confluent import TracedMessage
    from interceptors.context import TraceContext
    from interceptors.spans import Span

    RawMessage = Callable[..., tuple[Message, TraceContext]]
    Spans = Callable[[], list[Span]]
    Received = Callable[[Message], TracedMessage]

ACCESSORS = ("topic", "partition", "offset", "key", "value", "timestamp", "latency", "leader_epoch", "error")
HOSTILE: list[Any] = [None, "", "text", b"", b"\xff", bytearray(b"\x11"), memoryview(b"\x11"), 1, 1.5, [], {}]


@pytest.fixture
def received(billing: Tracing) -> Received:
    """Receives raw messages as `billing`, its keys fetched."""

    def receive_raw(raw: Message) -> TracedMessage:
        wanted = billing.opening_keys_wanted(wanted_keys([raw]))
        if wanted is not None:
            wanted()
        return receive(billing, raw, "consumer", "invoices")

    return receive_raw


def fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name)() for name in ACCESSORS}


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", [HEADER_NAME, "traceparent", ""])
def test_no_header_raises_or_costs_the_message(
    received: Received, raw_message: RawMessage, name: str, value: Any
) -> None:
    raw, _ = raw_message()
    headers = [("name", b"value"), (name, value)]
    raw.set_headers(headers)

    message = received(raw)

    assert message.value() == b"value"
    assert message.headers() == (headers[:1] if name == HEADER_NAME else headers)
    assert message.receipt.verdict == ("invalid" if name == HEADER_NAME else None)


@pytest.mark.parametrize("headers", [None, [], [(1, b"a number for a name")], [("twice", b"1")] * 2])
def test_headers_of_any_form_come_through(received: Received, raw_message: RawMessage, headers: Any) -> None:
    raw, _ = raw_message()
    raw.set_headers(headers or [])

    assert received(raw).headers() == (headers or None)


class Unreadable(Message):  # type: ignore[misc]  # its types are not read
    """As the client's message with a header whose name is not UTF-8."""

    def headers(self) -> Any:
        headers = super().headers()
        if headers is None:
            raise SystemError("returned a result with an exception set")
        return headers


def test_headers_that_cannot_be_read_are_an_envelope_that_cannot_be_read(
    billing: Tracing, received: Received
) -> None:
    raw = Unreadable(topic="orders", partition=0, offset=3, value=b"value")

    message = received(raw)

    assert (message.value(), message.headers(), message.receipt.verdict) == (b"value", None, "invalid")
    assert billing.counts["invalid"] == 1


@pytest.mark.parametrize("body", [None, b"", "text", {"a": 1}, object()])
def test_no_body_raises_or_costs_the_message(received: Received, raw_message: RawMessage, body: Any) -> None:
    raw, _ = raw_message()
    raw.set_value(body)

    assert received(raw).value() is body


@pytest.mark.parametrize(
    "raw",
    [
        Message(topic="orders"),
        Message(topic="orders", partition=1, offset=2, timestamp=(1, 5), latency=0.5, leader_epoch=3),
    ],
)
def test_a_received_message_is_a_message_with_all_its_fields(received: Received, raw: Message) -> None:
    message = received(raw)

    assert isinstance(message, Message)
    assert fields(message) == fields(raw)


def test_the_given_message_stays_as_it_is(received: Received, raw_message: RawMessage) -> None:
    raw, parent = raw_message()
    before = fields(raw), list(raw.headers())

    message = received(raw)
    message.headers().append(("added", b""))

    assert (fields(raw), raw.headers()) == before
    assert message.receipt.parent == parent


def test_its_repr_shows_where_it_lies_and_nothing_that_it_holds(
    received: Received, raw_message: RawMessage
) -> None:
    message = received(raw_message(b"secret", offset=5)[0])

    assert repr(message) == "TracedMessage('orders', partition=0, offset=5)"


def pickled(message: TracedMessage) -> Any:
    return pickle.loads(pickle.dumps(message))  # noqa: S301 - what the line itself has pickled


@pytest.mark.parametrize("duplicate", [pickled, copy.deepcopy, copy.copy])
def test_a_message_is_copied_with_what_its_envelope_said_and_without_the_processing_that_is_open(
    billing: Tracing,
    received: Received,
    raw_message: RawMessage,
    duplicate: Callable[[TracedMessage], Any],
) -> None:
    message = received(raw_message(offset=5, timestamp=(1, 5))[0])
    with process(billing, message) as processing:
        copied = duplicate(message)
        with process(billing, copied) as another:
            assert another is not processing

    assert type(copied) is type(message)
    assert copied == message
    assert (copied.receipt, copied.group) == (message.receipt, "invoices")
    assert (copied.headers(), copied.timestamp()) == (message.headers(), (1, 5))
    assert message.processing is processing


def test_a_message_is_compared_with_anything(received: Received, raw_message: RawMessage) -> None:
    raw, _ = raw_message()
    message = received(raw)

    assert message == copy.copy(message)
    assert message != received(raw_message(b"another")[0])
    assert [other for other in (raw, None, "text") if message == other or other == message] == []


def test_a_message_is_processed_under_one_span_while_that_is_open(
    billing: Tracing, spans: Spans, received: Received, raw_message: RawMessage
) -> None:
    message = received(raw_message(None)[0])
    with process(billing, message) as outer, process(billing, message) as inner:
        assert inner is outer
    with process(billing, message) as again:
        assert again is not outer

    assert [span.tombstone for span in spans()] == [True, True]


def test_a_message_of_another_making_cannot_be_processed_and_says_which_can(
    billing: Tracing, raw_message: RawMessage
) -> None:
    with pytest.raises(TypeError, match="only a message that a TracedConsumer or `traced` has handed out"):
        process(billing, raw_message()[0])


def test_an_error_is_processed_without_a_span(billing: Tracing, spans: Spans) -> None:
    failed = Message(topic="orders", error=KafkaError(KafkaError._PARTITION_EOF))

    with process(billing, failed) as processing:
        assert processing.context is None

    assert spans() == []
