"""What a reader on the path finds: nothing of the trace on the topic, nothing of the messages in the log."""

from __future__ import annotations

import base64
import json
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from opentelemetry.sdk.trace import TracerProvider

from interceptors import RejectedError, Tracing, kafka
from interceptors.envelope import HEADER_NAME
from interceptors.keys import MemoryKeys
from interceptors.spans import MemorySink, to_otlp_json
from interceptors.testing.embedded_kafka import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiokafka import ConsumerRecord

    from interceptors.spans import Span

TOPIC = "orders"
TENANTS = ("acme", "globex")
MESSAGES = 20
POLICY = {"default": {"accept": "reject"}}  # which is what this library logs most about

# One for each place that a message or its handling may hold something in.
IN_KEY, IN_VALUE, IN_HEADER, IN_ERROR = "marker-key", "marker-value", "marker-header", "marker-error"
MARKERS = (IN_KEY, IN_VALUE, IN_HEADER, IN_ERROR)


class Traffic(NamedTuple):
    """What there is after some traffic."""

    records: list[ConsumerRecord]
    """The topic, as a consumer without a key reads it."""
    spans: list[Span]
    """All that was recorded."""
    log: str
    """All that this library has logged, and what it raised."""
    span_ids_of_the_application: list[bytes]


@pytest.fixture
def server() -> Iterator[str]:
    with EmbeddedKafka() as embedded:
        yield embedded.bootstrap_servers


@pytest.fixture
async def traffic(server: str, caplog: pytest.LogCaptureFixture) -> Traffic:
    """Two tenants' messages, sent under spans of the application, received, failed on, and forwarded."""
    # aiokafka itself prints keys, values and headers at this level; what is ours must not.
    caplog.set_level(logging.DEBUG, logger="interceptors")
    sink, keys, ours = MemorySink(), MemoryKeys("checkout"), []
    settings = {"bootstrap_servers": server}
    reading = {"auto_offset_reset": "earliest", **settings}
    application = TracerProvider().get_tracer("application")
    async with AsyncExitStack() as closing:
        checkout, billing, stranger = (
            closing.enter_context(
                Tracing.for_development(name, keys=store, sink=sink, tenant="acme", policy=POLICY)
            )
            for name, store in (("checkout", keys), ("billing", keys), ("stranger", MemoryKeys("stranger")))
        )
        producer, forwarder, unread = [
            await closing.enter_async_context(kafka.TracedProducer(AIOKafkaProducer(**settings), tracing))
            for tracing in (checkout, billing, stranger)
        ]
        consumer = await closing.enter_async_context(
            kafka.TracedConsumer(AIOKafkaConsumer(TOPIC, **reading), billing)
        )
        value, key, headers = IN_VALUE.encode(), IN_KEY.encode(), [(IN_HEADER, IN_HEADER.encode())]
        for number in range(MESSAGES):
            with (
                checkout.tenant(TENANTS[number % 2]),
                application.start_as_current_span("work") as span,
            ):
                ours.append(span.get_span_context().span_id.to_bytes(8, "big"))
                await producer.send_and_wait(TOPIC, value, key, 0, headers=headers)
        await unread.send_and_wait(TOPIC, value, key, 0, headers=headers)
        with pytest.raises(TypeError):
            await producer.send_and_wait(TOPIC, IN_VALUE, IN_KEY)

        @kafka.traced(billing)
        async def handle(record: kafka.TracedRecord) -> None:
            await forwarder.send_and_wait(TOPIC, record.value, record.key, 1, headers=record.headers)
            raise RuntimeError(IN_ERROR)

        for _ in range(MESSAGES):
            record = await consumer.getone(TopicPartition(TOPIC, 0))
            with pytest.raises(RuntimeError):
                await handle(record)
        with pytest.raises(RejectedError) as rejection:
            await consumer.getone(TopicPartition(TOPIC, 0))
        raw = await closing.enter_async_context(AIOKafkaConsumer(TOPIC, **reading))
        records = [await raw.getone() for _ in range(2 * MESSAGES + 1)]
    log = [*map(logging.Formatter().format, ours_of(caplog)), repr(rejection.value)]
    return Traffic(records, sink.spans, "\n".join(log), ours)


def ours_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.split(".")[0] == "interceptors"]


def base64_forms(item: bytes) -> set[bytes]:
    """The parts of base64 that only these bytes decide, at each of the three places where they may begin."""
    forms = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + item)
        first, after = -(-before * 8 // 6), (before + len(item)) * 8 // 6
        forms |= {text[first:after], text[first:after].translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


def written(item: bytes) -> set[bytes]:
    """Every way in which an id may be written: raw, in hex, in base64 and, as some do, as a number."""
    number = b"%d" % int.from_bytes(item, "big")
    return {item, item[::-1], item.hex().encode(), item.hex().upper().encode(), number, *base64_forms(item)}


def test_no_id_of_any_span_is_on_the_topic(traffic: Traffic) -> None:
    contexts = [span.context for span in traffic.spans]
    ids = {item for context in contexts for item in (context.trace_id, context.span_id)}
    ids |= set(traffic.span_ids_of_the_application)
    on_the_wire = b"\n".join(
        part
        for record in traffic.records
        for part in (
            record.key,
            record.value,
            *(name.encode() + b"=" + value for name, value in record.headers),
        )
    )

    assert len(ids) > 4 * MESSAGES
    assert [item.hex() for item in ids if any(form in on_the_wire for form in written(item))] == []


def test_no_two_messages_can_be_linked_by_their_envelopes(traffic: Traffic) -> None:
    envelopes = [value for record in traffic.records for name, value in record.headers if name == HEADER_NAME]

    assert len(envelopes) == len(traffic.records)
    assert {len(envelope) for envelope in envelopes} == {122}
    # Behind version, level and kid, all is drawn or encrypted anew, but for the session's half of the nonce.
    assert len({envelope[30:42] for envelope in envelopes}) == len(envelopes)
    pieces = [envelope[at : at + 8] for envelope in envelopes for at in range(42, 122 - 7)]
    assert len(set(pieces)) == len(pieces)


def test_nothing_in_clear_is_added_to_a_message(traffic: Traffic) -> None:
    names = {name for record in traffic.records for name, _ in record.headers}

    assert names == {IN_HEADER, HEADER_NAME}


def test_the_log_holds_nothing_of_a_message_and_no_id(traffic: Traffic) -> None:
    ids = {item for span in traffic.spans for item in (span.context.trace_id, span.context.span_id)}

    assert "rejects a message" in traffic.log
    assert [marker for marker in MARKERS if marker in traffic.log] == []
    assert [item.hex() for item in ids if item.hex() in traffic.log] == []


def test_spans_hold_nothing_of_a_message(traffic: Traffic) -> None:
    told = json.dumps([to_otlp_json(span) for span in traffic.spans])

    assert [marker for marker in MARKERS if marker in told] == []
    assert '"RuntimeError"' in told
    assert '"TypeError"' in told


def test_an_id_is_found_however_it_is_written() -> None:
    item = bytes(range(100, 116))
    hidden = [
        item,
        item.hex().encode(),
        base64.b64encode(item),
        base64.b64encode(b"a" + item + b"b"),
        base64.urlsafe_b64encode(b"ab" + item),
    ]

    assert all(any(form in text for form in written(item)) for text in hidden)
