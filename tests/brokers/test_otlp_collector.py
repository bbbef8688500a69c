"""Spans through a real OpenTelemetry Collector: what goes in comes out, and nothing else does."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from opentelemetry import baggage, context
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from interceptors import Tracing
from interceptors.kafka import TracedConsumer, TracedProducer
from interceptors.spans.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Arrived, OtlpSink

CANARY = f"canary-{secrets.token_hex(8)}"
"""What is secret in a message. It must be nowhere else."""
PLAN = {"values": ["gold"]}
POLICY = {"channels": [{"name": "orders", "match": {"kafka": ["test-*"]}, "labels": {"plan": PLAN}}]}
RESOURCE = {
    "deployment.environment.name": "development",
    "telemetry.sdk.name": "interceptors",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.version": version(),
}
COMMON = {
    "messaging.system": "kafka",
    "messaging.destination.name": "orders",
    "interceptors.tenant": "acme",
}


@pytest.fixture
def root() -> Iterator[SpanContext]:
    """The context of a sampled span of somebody else's, which is current in the test."""
    ids = secrets.randbits(128) | 1, secrets.randbits(64) | 1
    parent = SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with use_span(NonRecordingSpan(parent)):
        yield parent


@pytest.fixture
def carried() -> Iterator[None]:
    """Baggage, of which the policy allows one entry."""
    token = context.attach(baggage.set_baggage("plan", "gold", baggage.set_baggage("note", CANARY)))
    yield
    context.detach(token)


def told(arrived: Arrived) -> dict[str, Any]:
    """What a span says of itself, but for ids and times."""
    span = arrived.span
    return {
        "resource": arrived.resource,
        "scope": (arrived.scope.name, arrived.scope.version),
        "name": span.name,
        "kind": span.kind,
        "status": (span.status.code, span.status.message),
        "attributes": arrived.attributes,
        "events": len(span.events),
    }


def expected(service: str, operation: str, kind: int, **attributes: Any) -> dict[str, Any]:
    failed = "error.type" in attributes
    return {
        "resource": RESOURCE | {"service.name": service},
        "scope": ("interceptors", RESOURCE["telemetry.sdk.version"]),
        "name": f"{operation} orders",
        "kind": kind,
        "status": (Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET, ""),
        "attributes": COMMON
        | {"messaging.operation.name": operation, "messaging.operation.type": operation}
        | attributes,
        "events": 0,
    }


@pytest.mark.usefixtures("carried")
async def test_every_field_arrives_and_nothing_that_was_not_to_leave(
    embedded_kafka: str,
    real_collector: str,
    otlp_sink: OtlpSink,
    configured: Callable[..., dict[str, Path]],
    root: SpanContext,
) -> None:
    files = configured("shop", "billing", policy=POLICY, otlp=real_collector)
    topic = f"test-{uuid.uuid4()}"
    began = time.time_ns()

    with Tracing.from_file(files["shop"]) as shop, Tracing.from_file(files["billing"]) as billing:
        async with (
            TracedProducer(AIOKafkaProducer(bootstrap_servers=embedded_kafka), shop) as producer,
            TracedConsumer(
                AIOKafkaConsumer(topic, bootstrap_servers=embedded_kafka, auto_offset_reset="earliest"),
                billing,
                group_id="billers",
            ) as consumer,
        ):
            secret = CANARY.encode()
            await producer.send_and_wait(topic, secret, key=secret, headers=[("note", secret)], partition=1)
            ((record,),) = (await consumer.getmany(timeout_ms=30_000)).values()
            with pytest.raises(LookupError), consumer.process(record):
                raise LookupError(CANARY)

    trace_id = root.trace_id.to_bytes(16, "big")
    sent, received, processed = arrived = await asyncio.to_thread(otlp_sink.trace, trace_id, 3)
    where = {"messaging.destination.partition.id": "1", "messaging.kafka.offset": 0, "plan": "gold"}
    by = {"messaging.consumer.group.name": "billers"}
    batch: dict[str, Any] = by | {"messaging.batch.message_count": 1}
    waited = processed.attributes["interceptors.queue_time_ms"]
    handled: dict[str, Any] = (
        where
        | by
        | {
            "error.type": "LookupError",
            "interceptors.sender": "shop",
            "interceptors.verdict": "fresh",
            "interceptors.queue_time_ms": waited,
        }
    )
    assert [told(one) for one in arrived] == [
        expected("shop", "send", Span.SPAN_KIND_PRODUCER, **where),
        expected("billing", "receive", Span.SPAN_KIND_CLIENT, **batch),
        expected("billing", "process", Span.SPAN_KIND_CONSUMER, **handled),
    ]
    assert 0 <= waited * 1_000_000 <= processed.span.end_time_unix_nano - began

    above = root.span_id.to_bytes(8, "big")
    assert [one.span.parent_span_id for one in arrived] == [above, above, sent.span.span_id]
    assert [[link.span_id for link in one.span.links] for one in arrived] == [[], [sent.span.span_id], []]
    assert {link.trace_id for link in received.span.links} == {trace_id}
    assert {one.span.flags & TraceFlags.SAMPLED for one in arrived} == {TraceFlags.SAMPLED}
    for one in arrived:
        assert began <= one.span.start_time_unix_nano <= one.span.end_time_unix_nano <= time.time_ns()

    secret_forms = (secret, secret.hex().encode(), b64encode(secret).rstrip(b"="))
    assert not [form for form in secret_forms for body in otlp_sink.bodies if form in body]
