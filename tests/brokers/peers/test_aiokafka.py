"""aiokafka beside OpenTelemetry's instrumentation of it, by each way to get records."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind

from interceptors.context import TraceContext, current

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from interceptors.kafka import TracedConsumer, TracedProducer
    from tests.brokers.conftest import Bus
    from tests.conftest import Service

    from .conftest import Peer

    Fetch = Callable[[Any], Coroutine[Any, Any, list[Any]]]


@pytest.fixture
def peer(install: Callable[[str], Peer]) -> Peer:
    """The peer, installed before our wrappers are made, since this comes first among the fixtures."""
    made = install("kafka")
    made.install()
    return made


async def test_contrib_aiokafka_our_span_is_current_however_a_record_was_got(
    peer: Peer,
    bus: Bus,
    producer: TracedProducer,
    consumer: TracedConsumer,
    *,
    billing: Service,
    fetch: Fetch,
) -> None:
    """There, no span is current in the loop or after `getone` (contrib#3465, #3026); its own are roots."""
    seen: list[TraceContext | None] = []
    for _ in range(2):
        await producer.send_and_wait(bus.topic, b"value", partition=0)
        for record in await fetch(consumer):
            with consumer.process(record):
                seen.append(current())
    await consumer.stop()

    processed = billing.spans("process")
    assert seen == [span.context for span in processed]
    assert current() is None
    assert peer.spans(SpanKind.PRODUCER) == []
    ours = {span.context.trace_id for span in processed}
    assert len(ours) == 2
    assert ours.isdisjoint({span.trace_id for span in peer.spans(SpanKind.CONSUMER)})


async def test_contrib_aiokafka_a_foreign_header_that_is_not_utf_8_costs_no_later_record(
    peer: Peer, bus: Bus, producer: TracedProducer, consumer: TracedConsumer, billing: Service
) -> None:
    """What is under us loses a record before we see it, if it does: that one is the peer's to answer for."""
    bare = await bus.bare_producer()
    await bare.send_and_wait(bus.topic, b"foreign", partition=0, headers=[("tracestate", b"\xff")])
    await producer.send_and_wait(bus.topic, b"ours", partition=0)
    received: list[Any] = []
    while not received or received[-1].value != b"ours":
        with contextlib.suppress(UnicodeDecodeError):  # raised by the peer
            received.append(await consumer.getone())
    seen = current()
    await consumer.stop()

    assert received[-1].receipt.verdict == "fresh"
    assert billing.spans("process")[-1].context == seen
