"""What a receiver makes of an envelope, and what the policy makes of that, over a broker."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import TopicPartition

from interceptors import RejectedError
from interceptors import kafka as adapter
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aiokafka import ConsumerRecord

    from interceptors.kafka import TracedConsumer, TracedProducer, TracedRecord
    from tests.conftest import Service, Services

    from .conftest import Bus

    Fetch = Callable[[Any], Coroutine[Any, Any, list[Any]]]
    Headers = list[tuple[str, Any]]

UNSEALED = "the channel binds the body, which is not bytes yet"


async def copy(
    bus: Bus,
    record: ConsumerRecord,
    topic: str | None = None,
    *,
    headers: Headers | None = None,
    **other: Any,
) -> None:
    """Send a raw record again, as whoever can read and write the topic may."""
    copied = {"value": record.value, "key": record.key, "partition": 0, **other}
    copied["headers"] = list(record.headers) if headers is None else headers
    bare = await bus.bare_producer()
    await bare.send_and_wait(topic or bus.topic, **copied)


def verdict(record: TracedRecord) -> str | None:
    return record.receipt.verdict


async def process(consumer: TracedConsumer, record: TracedRecord) -> None:
    with consumer.process(record):
        pass


async def test_a_record_that_is_read_again_is_a_redelivery(
    bus: Bus, producer: TracedProducer, consumer: TracedConsumer
) -> None:
    await producer.send_and_wait(bus.topic, b"value", partition=0)
    first = await consumer.getone()
    consumer.seek(TopicPartition(bus.topic, 0), 0)

    again = await consumer.getone()

    assert (verdict(first), verdict(again)) == ("fresh", "redelivery")
    assert again.receipt.parent == first.receipt.parent


async def test_what_was_not_committed_is_a_redelivery_to_the_next_of_the_group(
    real_bus: Bus, checkout: Service, billing: Service
) -> None:
    producer = await real_bus.producer(checkout)
    for value in (b"0", b"1"):
        await producer.send_and_wait(real_bus.topic, value, partition=0)
    consumer = await real_bus.consumer(billing, group_id=real_bus.topic)
    await consumer.getone()
    await consumer.commit()
    await consumer.getone()
    await consumer.stop()
    await producer.send_and_wait(real_bus.topic, b"2", partition=0)

    successor = await real_bus.consumer(billing, group_id=real_bus.topic)

    records = [await successor.getone() for _ in range(2)]
    assert [(record.value, verdict(record)) for record in records] == [(b"1", "redelivery"), (b"2", "fresh")]


async def test_another_group_has_not_seen_it(real_bus: Bus, checkout: Service, billing: Service) -> None:
    await (await real_bus.producer(checkout)).send_and_wait(real_bus.topic, b"value")

    records = [
        await (await real_bus.consumer(billing, group_id=f"{real_bus.topic}-{name}")).getone()
        for name in ("a", "b")
    ]

    assert [verdict(record) for record in records] == ["fresh", "fresh"]


@pytest.mark.parametrize(("later_s", "expected"), [(0, "duplicate"), (3600, "replay")])
async def test_a_copied_record_is_a_duplicate_and_later_a_replay(
    bus: Bus, checkout: Service, billing: Service, later_s: int, expected: str
) -> None:
    consumer = await bus.consumer(billing)
    await (await bus.producer(checkout)).send_and_wait(bus.topic, b"value", partition=0)
    first = await consumer.getone()
    (raw,) = await bus.on_the_wire(1)
    billing.clock.ahead_s = later_s
    await copy(bus, raw)

    second = await consumer.getone()
    await process(consumer, second)

    assert (verdict(first), verdict(second), second.value) == ("fresh", expected, b"value")
    assert billing.tracing.counts[expected] == 1
    span, sent = billing.spans("process")[-1], checkout.span("send").context
    goes_on = expected == "duplicate"
    assert (span.context.trace_id == sent.trace_id) == goes_on
    assert [(link.trace_id, link.span_id) for link in span.links] == (
        [] if goes_on else [(sent.trace_id, sent.span_id)]
    )


@pytest.mark.parametrize(
    ("checkout_s", "billing_s", "expected"), [(0, 7200, "stale"), (7200, 0, "future"), (0, 1800, "fresh")]
)
async def test_an_envelope_out_of_its_time_starts_a_trace_with_a_link(
    bus: Bus, service: Services, checkout_s: int, billing_s: int, expected: str
) -> None:
    checkout, billing = service("checkout"), service("billing", policy={"default": {"max_age": "1h"}})
    checkout.clock.ahead_s, billing.clock.ahead_s = checkout_s, billing_s
    await (await bus.producer(checkout)).send_and_wait(bus.topic, b"value")
    consumer = await bus.consumer(billing)

    record = await consumer.getone()
    await process(consumer, record)

    assert verdict(record) == expected
    span = billing.span("process")
    anew = span.context.trace_id != checkout.span("send").context.trace_id
    assert (anew, len(span.links)) == ((False, 0) if expected == "fresh" else (True, 1))


@pytest.mark.parametrize(("accept", "expected"), [("optional", None), ("required", "missing")])
async def test_an_envelope_that_was_removed_is_missing_where_one_is_required(
    bus: Bus, producer: TracedProducer, service: Services, accept: str, expected: str | None
) -> None:
    await producer.send_and_wait(bus.topic, b"value", partition=0)
    (raw,) = await bus.on_the_wire(1)
    await copy(bus, raw, f"{bus.topic}-next", headers=[])
    billing = service("billing", policy={"default": {"accept": accept}})
    consumer = await bus.consumer(billing, f"{bus.topic}-next")

    record = await consumer.getone()
    await process(consumer, record)

    assert (verdict(record), record.value) == (expected, b"value")
    assert (billing.span("process").parent_span_id, billing.span("process").verdict) == (None, expected)


def flipped(envelope: bytes, at: int) -> bytes:
    return envelope[:at] + bytes((envelope[at] ^ 1,)) + envelope[at + 1 :]


ALTERED: dict[str, tuple[Callable[[bytes], list[bytes | None]], str]] = {
    "tag": (lambda sealed: [flipped(sealed, -1 % len(sealed))], "not authentic"),
    "ciphertext": (lambda sealed: [flipped(sealed, 50)], "not authentic"),
    "nonce": (lambda sealed: [flipped(sealed, 20)], "not authentic"),
    "key id": (lambda sealed: [flipped(sealed, 2)], "unknown key"),
    "another version": (lambda sealed: [b"\x21" + sealed[1:]], "unsupported version"),
    "cut": (lambda sealed: [sealed[:-1]], "malformed"),
    "twice": (lambda sealed: [sealed, sealed], "malformed"),
    "empty": (lambda _: [b""], "malformed"),
    "none": (lambda _: [None], "malformed"),
    "not UTF-8": (lambda _: [b"\xff\xfe\xfd"], "unsupported version"),
    "long": (lambda sealed: [sealed * 100], "malformed"),
}


@pytest.mark.parametrize("what", ALTERED)
async def test_an_altered_envelope_costs_the_trace_and_nothing_else(
    bus: Bus, checkout: Service, billing: Service, what: str
) -> None:
    alter, answer = ALTERED[what]
    await (await bus.producer(checkout)).send_and_wait(bus.topic, b"value", b"key", partition=0)
    (raw,) = await bus.on_the_wire(1)
    ((_, envelope),) = raw.headers
    headers = [(HEADER_NAME, value) for value in alter(envelope)]
    await copy(bus, raw, headers=[("name", b"value"), *headers])
    consumer = await bus.consumer(billing)
    assert verdict(await consumer.getone()) == "fresh"

    record = await consumer.getone()
    await process(consumer, record)

    assert (record.key, record.value, record.headers) == (b"key", b"value", (("name", b"value"),))
    assert (verdict(record), record.receipt.tenant, record.receipt.sender) == ("invalid", None, None)
    span = billing.spans("process")[-1]
    assert (span.verdict, span.answer, span.parent_span_id, span.links) == ("invalid", answer, None, ())


async def test_a_sender_whose_key_is_not_granted_is_not_believed(
    bus: Bus, checkout: Service, consumer: TracedConsumer, service: Services
) -> None:
    stranger = service("stranger", keys=service.foreign_keys("stranger"))
    await (await bus.producer(stranger)).send_and_wait(bus.topic, b"value", partition=0)
    await (await bus.producer(checkout)).send_and_wait(bus.topic, b"value", partition=0)

    records = [await consumer.getone() for _ in range(2)]

    assert [verdict(record) for record in records] == ["invalid", "fresh"]
    assert [record.receipt.answer for record in records] == ["unknown key", None]


async def test_a_sender_whom_the_channel_does_not_list_is_not_believed(
    bus: Bus, producer: TracedProducer, service: Services
) -> None:
    channel = {"name": "orders", "match": {"kafka": [bus.topic]}, "senders": ["shop"]}
    policy = {"channels": [channel]}
    await (await bus.producer(service("shop", policy=policy))).send_and_wait(bus.topic, b"0", partition=0)
    await (await bus.producer(service("checkout", policy=policy))).send_and_wait(bus.topic, b"1", partition=0)
    consumer = await bus.consumer(service("billing", policy=policy))

    records = [await consumer.getone() for _ in range(2)]

    assert [verdict(record) for record in records] == ["fresh", "invalid"]


async def test_rejected_records_are_told_and_all_the_others_delivered(
    bus: Bus, producer: TracedProducer, service: Services, fetch: Fetch
) -> None:
    billing = service("billing", policy={"default": {"accept": "reject"}})
    bare = await bus.bare_producer()
    await producer.send_and_wait(bus.topic, b"0", partition=0)
    await bare.send_and_wait(bus.topic, b"1", partition=0, headers=[("traceparent", b"00-believe-me-01")])
    await bare.send_and_wait(bus.topic, b"2", partition=0, headers=[(HEADER_NAME, b"forged")])
    await producer.send_and_wait(bus.topic, b"3", partition=0)
    consumer = await bus.consumer(billing)

    got: list[bytes] = []
    rejected: list[RejectedError] = []
    while len(got) < 2 or len(rejected) < 2:
        try:
            got += [record.value for record in await fetch(consumer)]
        except RejectedError as error:
            rejected.append(error)
    await producer.send_and_wait(bus.topic, b"4", partition=0)

    assert got == [b"0", b"3"]
    assert [(error.channel, error.verdict, error.coordinate) for error in rejected] == [
        (bus.topic, "missing", (bus.topic, 0, 1)),
        (bus.topic, "invalid", (bus.topic, 0, 2)),
    ]
    assert [record.value for record in await fetch(consumer)] == [b"4"]
    assert billing.tracing.counts["rejected"] == 2


async def test_a_batch_of_rejected_records_says_so_at_once(
    bus: Bus, service: Services, getmany: Fetch
) -> None:
    billing = service("billing", policy={"default": {"accept": "reject"}})
    await (await bus.bare_producer()).send_and_wait(bus.topic, b"value", partition=0)
    consumer = await bus.consumer(billing)

    with pytest.raises(RejectedError):
        await getmany(consumer)


@pytest.mark.parametrize("level", ["channel", "message"])
async def test_an_envelope_bound_to_its_message_opens_with_no_other(
    bus: Bus, service: Services, level: str
) -> None:
    policy = {"default": {"binding": level}}
    checkout, billing = service("checkout", policy=policy), service("billing", policy=policy)
    producer = await bus.producer(checkout, value_serializer=str.encode)
    consumer = await bus.consumer(billing, value_deserializer=lambda data: (data or b"").decode())
    await producer.send_and_wait(bus.topic, "pay 10", partition=0)
    first = await consumer.getone()
    (raw,) = await bus.on_the_wire(1)
    await copy(bus, raw, value=b"pay 99")

    second = await consumer.getone()

    assert [(first.value, verdict(first)), (second.value, verdict(second))] == [
        ("pay 10", "fresh"),
        ("pay 99", "duplicate" if level == "channel" else "invalid"),
    ]


async def test_a_body_that_cannot_be_bound_goes_without_an_envelope(bus: Bus, service: Services) -> None:
    checkout = service("checkout", policy={"default": {"binding": "message"}})
    # It serializes by itself, so that nobody shows us the bytes.
    bare = await bus.bare_producer(value_serializer=str.encode)
    producer = adapter.TracedProducer(bare, checkout.tracing)
    await producer.send_and_wait(bus.topic, "value", partition=0)

    (record,) = await bus.on_the_wire(1)

    assert (record.value, record.headers) == (b"value", ())
    assert checkout.tracing.counts[UNSEALED] == 1


async def test_a_tombstone_can_be_bound(bus: Bus, service: Services) -> None:
    policy = {"default": {"binding": "message"}}
    await (await bus.producer(service("checkout", policy=policy))).send_and_wait(bus.topic, None, b"deleted")
    consumer = await bus.consumer(service("billing", policy=policy))

    assert verdict(await consumer.getone()) == "fresh"


@pytest.mark.parametrize("binding", ["channel", "message"])
async def test_a_batch_is_bound_as_its_messages_would_be(bus: Bus, service: Services, binding: str) -> None:
    policy = {"default": {"binding": binding}}
    producer = await bus.producer(service("checkout", policy=policy), value_serializer=str.encode)
    consumer = await bus.consumer(service("billing", policy=policy))
    batch = producer.create_batch()
    for value in ("0", "1"):
        batch.append(timestamp=None, key=None, value=value)
    await (await producer.send_batch(batch, bus.topic, partition=0))

    records = [await consumer.getone() for _ in range(2)]

    assert [(record.value, verdict(record)) for record in records] == [(b"0", "fresh"), (b"1", "fresh")]


async def test_a_channel_that_emits_nothing_is_not_touched(bus: Bus, service: Services) -> None:
    checkout = service("checkout", policy={"default": {"emit": "none"}})
    producer = await bus.producer(checkout)
    batch = producer.create_batch()
    batch.append(timestamp=None, key=None, value=b"0")
    await (await producer.send_batch(batch, bus.topic, partition=0))
    await producer.send_and_wait(bus.topic, b"1", partition=0, headers=[("name", b"value")])

    wire = await bus.on_the_wire(2)

    assert [(record.value, record.headers) for record in wire] == [(b"0", ()), (b"1", (("name", b"value"),))]
    assert checkout.spans("send") == []


async def test_a_channel_that_accepts_nothing_strips_and_records_nothing(
    bus: Bus, producer: TracedProducer, service: Services, fetch: Fetch
) -> None:
    billing = service("billing", policy={"default": {"accept": "none"}})
    await producer.send_and_wait(bus.topic, b"value", partition=0, headers=[("name", b"value")])
    consumer = await bus.consumer(billing)
    records: list[TracedRecord] = []
    while not records:
        records += await fetch(consumer)
    await process(consumer, records[0])

    assert (records[0].headers, verdict(records[0])) == ((("name", b"value"),), None)
    assert (billing.spans("receive"), billing.spans("process")) == ([], [])


@pytest.mark.parametrize("header", ["as it is", "in base64"])
@pytest.mark.parametrize("pattern", ["eu.{}", "{}-retry-1", "{}.dead"])
async def test_mirrors_and_retries_that_the_policy_lists_are_the_channel(
    bus: Bus, service: Services, pattern: str, header: str
) -> None:
    globs = [bus.topic, f"*.{bus.topic}", f"{bus.topic}-retry-?"]
    policy = {"channels": [{"name": "orders", "match": {"kafka": globs}}]}
    checkout, billing = service("checkout", policy=policy), service("billing", policy=policy)
    await (await bus.producer(checkout)).send_and_wait(bus.topic, b"value", partition=0)
    (raw,) = await bus.on_the_wire(1)
    ((_, envelope),) = raw.headers
    topic = pattern.format(bus.topic)
    mirrored = envelope if header == "as it is" else base64.b64encode(envelope)
    await copy(bus, raw, topic, headers=[(HEADER_NAME, mirrored)])
    consumer = await bus.consumer(billing, topic)

    record = await consumer.getone()

    listed = not pattern.endswith("dead")
    assert verdict(record) == ("fresh" if listed else "invalid")
    assert record.receipt.channel.name == ("orders" if listed else topic)
