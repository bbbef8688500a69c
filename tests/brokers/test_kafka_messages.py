"""What tracing leaves alone: the messages themselves, and the objects of those who send and receive them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from interceptors import kafka as adapter
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aiokafka import ConsumerRecord

    from interceptors.kafka import TracedConsumer, TracedProducer, TracedRecord
    from tests.conftest import Service

    from .conftest import Bus

Sent = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]

MESSAGES: list[Sent] = [
    (b"key", b"value", (("name", b"value"),)),
    (b"deleted", None, ()),  # a tombstone
    (b"deleted", None, (("reason", b"asked for"),)),
    (None, b"no key", ()),
    (b"empty body", b"", ()),
    (b"", b"empty key", ()),
    (b"\xff\xfe", b"\x80\x00", (("not UTF-8", b"\xc3\x28"),)),
    (b"key", b"value", (("twice", b"1"), ("other", b"2"), ("twice", b"3"))),
    (b"key", b"value", (("none", None), ("empty", b""), ("", b"nameless"))),
    (b"key", b"value", (("large", b"x" * 50_000),)),
    (b"key", b"v" * 50_000, ()),
]
IN_CLEAR = (("traceparent", b"\xff"), ("baggage", b"\xfe=\xff"), ("tracestate", b""))


def as_sent(record: ConsumerRecord) -> Sent:
    headers = tuple(header for header in record.headers if header[0] != HEADER_NAME)
    return record.key, record.value, headers


def envelopes(record: ConsumerRecord) -> list[bytes]:
    return [value for name, value in record.headers if name == HEADER_NAME]


@pytest.mark.parametrize(
    ("sender", "receiver"), [("traced", "bare"), ("bare", "traced"), ("traced", "traced")]
)
async def test_messages_arrive_as_they_were_sent(
    bus: Bus, checkout: Service, billing: Service, sender: str, receiver: str
) -> None:
    producer: Any = await (bus.producer(checkout) if sender == "traced" else bus.bare_producer())
    consumer: Any = await (bus.consumer(billing) if receiver == "traced" else bus.bare_consumer())
    for key, value, headers in MESSAGES:
        await producer.send_and_wait(bus.topic, value, key, partition=0, headers=list(headers))

    records = [await consumer.getone() for _ in MESSAGES]

    assert [as_sent(record) for record in records] == MESSAGES
    has_envelope = sender == "traced" and receiver == "bare"
    assert {len(envelopes(record)) for record in records} == {int(has_envelope)}


async def test_a_foreign_trace_in_clear_costs_no_message_and_is_the_applications_to_see(
    bus: Bus, consumer: TracedConsumer
) -> None:
    producer = await bus.bare_producer()
    await producer.send_and_wait(bus.topic, b"value", headers=list(IN_CLEAR))

    record = await consumer.getone()

    assert (record.value, record.headers) == (b"value", IN_CLEAR)


async def test_a_trace_in_clear_does_not_leave_on_a_sealed_channel(
    bus: Bus, producer: TracedProducer
) -> None:
    await producer.send_and_wait(bus.topic, b"value", headers=[*IN_CLEAR, ("name", b"value")])

    (record,) = await bus.on_the_wire(1)

    assert as_sent(record) == (None, b"value", (("name", b"value"),))


async def test_what_the_caller_gave_is_as_it_was(bus: Bus, producer: TracedProducer) -> None:
    headers = [("name", b"value"), (HEADER_NAME, b"of another message")]
    fixed = tuple(headers)
    value, key = bytearray(b"value"), bytearray(b"key")

    await producer.send_and_wait(bus.topic, value, key, headers=headers)
    await producer.send_and_wait(bus.topic, value, key, headers=fixed)

    before = [("name", b"value"), (HEADER_NAME, b"of another message")]
    assert (headers, fixed) == (before, tuple(before))
    assert (bytes(value), bytes(key)) == (b"value", b"key")


async def test_an_envelope_that_the_caller_gives_is_replaced(bus: Bus, producer: TracedProducer) -> None:
    stale = (HEADER_NAME, b"of another message")
    await producer.send_and_wait(bus.topic, b"value", partition=0, headers=[stale, ("name", b"value"), stale])

    (record,) = await bus.on_the_wire(1)

    assert [name for name, _ in record.headers] == ["name", HEADER_NAME]
    assert envelopes(record) != [b"of another message"]


async def test_a_record_of_a_bare_consumer_is_left_as_it_is(
    bus: Bus, producer: TracedProducer, billing: Service
) -> None:
    await producer.send_and_wait(bus.topic, b"value", b"key", headers=[("name", b"value")])
    (raw,) = await bus.on_the_wire(1)
    before = dict(raw.__dict__)

    @adapter.traced(billing.tracing)
    async def handle(record: TracedRecord) -> TracedRecord:
        return record

    handled = await handle(raw)

    assert raw.__dict__ == before
    assert handled is not raw
    assert (handled.headers, handled.value, handled.key) == ((("name", b"value"),), b"value", b"key")
    assert handled.receipt.verdict == "fresh"
    assert billing.span("process").parent_span_id is not None


@pytest.mark.parametrize("how", ["traced", "bare"])
async def test_a_forwarded_message_carries_its_own_envelope_only(
    bus: Bus, checkout: Service, billing: Service, how: str
) -> None:
    producer = await bus.producer(checkout)
    consumer: Any = await (bus.consumer(billing) if how == "traced" else bus.bare_consumer())
    forwarder = await bus.producer(billing)
    headers: list[tuple[str, bytes]] = [("name", b"value")]
    for _ in range(3):
        await producer.send_and_wait(bus.topic, b"value", partition=0, headers=headers)
        record = await consumer.getone()
        # A list out of the record's tuple, and the tuple itself: both are what people pass on.
        await forwarder.send_and_wait(bus.topic, record.value, partition=0, headers=record.headers)
        headers = list((await consumer.getone()).headers)

    wire = await bus.on_the_wire(6)

    assert {tuple(name for name, _ in record.headers) for record in wire} == {("name", HEADER_NAME)}
    assert len({envelope for record in wire for envelope in envelopes(record)}) == 6


async def test_a_message_with_the_same_key_goes_to_the_same_partition(
    bus: Bus, producer: TracedProducer
) -> None:
    bare = await bus.bare_producer()
    keys = [b"key-%d" % number for number in range(20)]

    traced_to = [(await producer.send_and_wait(bus.topic, b"v", key)).partition for key in keys]
    bare_to = [(await bare.send_and_wait(bus.topic, b"v", key)).partition for key in keys]

    assert traced_to == bare_to
    assert len(set(traced_to)) > 1  # otherwise this shows nothing


class Counted:
    """Serializes, and counts how often."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __call__(self, what: str) -> bytes:
        self.calls[what] += 1
        return what.encode()


@pytest.mark.parametrize("whose", ["of the traced producer", "of the producer"])
async def test_serializers_run_once_for_each_message(bus: Bus, checkout: Service, whose: str) -> None:
    keys, values = Counted(), Counted()
    if whose == "of the traced producer":
        producer = await bus.producer(checkout, key_serializer=keys, value_serializer=values)
        batch = producer.create_batch()
        batch.append(timestamp=None, key="batch key", value="batch value")
        await (await producer.send_batch(batch, bus.topic, partition=0))
    else:
        bare = await bus.bare_producer(key_serializer=keys, value_serializer=values)
        producer = adapter.TracedProducer(bare, checkout.tracing)
    await producer.send_and_wait(bus.topic, "value", "key", partition=0)

    assert set(keys.calls.values()) == set(values.calls.values()) == {1}
    assert "value" in values.calls
    record = (await bus.on_the_wire(len(values.calls)))[-1]
    assert (record.key, record.value) == (b"key", b"value")


async def test_deserializers_see_the_bytes_once(bus: Bus, producer: TracedProducer, billing: Service) -> None:
    seen: list[object] = []

    def deserialize(data: bytes | None) -> str | None:
        seen.append(data)
        return None if data is None else data.decode()

    consumer = await bus.consumer(billing, key_deserializer=deserialize, value_deserializer=deserialize)
    await producer.send_and_wait(bus.topic, b"value", b"key", partition=0)
    await producer.send_and_wait(bus.topic, None, b"deleted", partition=0)

    records = [await consumer.getone() for _ in range(2)]

    assert [(record.key, record.value) for record in records] == [("key", "value"), ("deleted", None)]
    assert seen == [b"key", b"value", b"deleted", None]


async def test_a_deserializer_that_raises_costs_only_its_record(
    bus: Bus,
    producer: TracedProducer,
    billing: Service,
    fetch: Callable[[Any], Coroutine[Any, Any, list[Any]]],
) -> None:
    for value in (b"1", b"2", b"not a number", b"4"):
        await producer.send_and_wait(bus.topic, value, partition=0)
    consumer = await bus.consumer(billing, value_deserializer=lambda data: int(data or b""))

    got: list[int] = []
    raised = 0
    while len(got) < 3 or not raised:
        try:
            got += [record.value for record in await fetch(consumer)]
        except ValueError:
            raised += 1

    assert (got, raised) == ([1, 2, 4], 1)
