"""Spans that leave over a broker: what lies there, what a collector reads, and a broker that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import aio_pika
import pytest
from aiokafka import AIOKafkaConsumer
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from interceptors import Tracing
from interceptors.context import TraceContext, new_root
from interceptors.envelope import HEADER_NAME, KeySet, Level, Opener
from interceptors.envelope.batch import CollectorKey, batch_binding, open_batch
from interceptors.envelope.opener import Candidate
from interceptors.envelope.sealer import Sealer
from interceptors.envelope.sender_key import derive_sender_key
from interceptors.keys import KeyAdministration, LocalKeys
from interceptors.message import Message
from interceptors.spans import Operation, Span, to_otlp_json
from interceptors.spans.bus_kafka import kafka_sink
from interceptors.spans.bus_rabbitmq import rabbitmq_sink
from interceptors.spans.sinks import RetryLater

from .provision.kafka import create_topic
from .provision.rabbitmq import create_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from interceptors.envelope import SenderKey
    from interceptors.spans.bus import BusSink

    from .provision import Server

DEADLINE = 120
"""Seconds that a test may take before it is given up."""
NOW = 1_790_000_000_000
CANARY = "canary-4111111111111111"
TRACE_ID, SPAN_ID = b"canary-trace-id!", b"canary!!"

SENDER_KEY = derive_sender_key(bytes(range(32)), "acme", "checkout")
PRIVATE_KEY = X25519PrivateKey.generate()


def encode(spans: Sequence[Span]) -> bytes:
    return json.dumps([to_otlp_json(span) for span in spans]).encode()


def seal(body: bytes) -> bytes:
    return Sealer(SENDER_KEY).seal(new_root(), Level.MESSAGE, batch_binding(body), NOW).envelope


def span(number: int) -> Span:
    """A span whose every text is the canary, as are its ids."""
    return Span(
        operation=Operation.PROCESS,
        system=CANARY,
        channel=CANARY,
        context=TraceContext(TRACE_ID, SPAN_ID),
        parent_span_id=SPAN_ID,
        start=NOW,
        service=CANARY,
        tenant=CANARY,
        error_type=CANARY,
        sender=CANARY,
        verdict=CANARY,
        answer=CANARY,
        partition=number,
        consumer_group=CANARY,
        task_name=CANARY,
    )


class Wire(NamedTuple):
    """A message as it lies on the broker."""

    body: bytes
    headers: list[tuple[str, bytes]]
    rest: str
    """All else that the broker tells of it, as text."""

    def opened(self, key: SenderKey = SENDER_KEY) -> tuple[str, bytes]:
        """What a collector makes of it: who sent it, and what it says."""
        ((name, envelope),) = self.headers
        assert name == HEADER_NAME
        candidate = Candidate(batch_binding(self.body), lowest_level=Level.MESSAGE)
        sender = Opener().open(envelope, KeySet([key]), [candidate]).sender
        return sender, open_batch(PRIVATE_KEY, self.body)


class Broker(NamedTuple):
    sink: BusSink
    receive: Callable[[], Awaitable[Wire]]
    configured: dict[str, Any]
    """The same in `interceptors.yaml`."""


@contextlib.asynccontextmanager
async def kafka(bootstrap: str) -> AsyncIterator[Broker]:
    topic = create_topic(bootstrap, partitions=1)
    sink = kafka_sink(bootstrap, topic, CollectorKey(PRIVATE_KEY.public_key()), encode=encode, seal=seal)
    consumer: Any = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=100
    )

    async def receive() -> Wire:
        record = await consumer.getone()
        return Wire(record.value, list(record.headers), f"{record.key} {record.topic}")

    async with asyncio.timeout(DEADLINE), consumer:
        try:
            yield Broker(sink, receive, {"kafka": {"bootstrap_servers": bootstrap, "topic": topic}})
        finally:
            await asyncio.to_thread(sink.close)


@contextlib.asynccontextmanager
async def rabbitmq(url: str, name: str | None = None) -> AsyncIterator[Broker]:
    name = name or f"spans-{uuid.uuid4()}"
    async with asyncio.timeout(DEADLINE), await aio_pika.connect(url) as connection:
        await (await connection.channel()).declare_queue(name, durable=True)
    sink = rabbitmq_sink(url, name, CollectorKey(PRIVATE_KEY.public_key()), encode=encode, seal=seal)

    async def receive() -> Wire:
        async with await aio_pika.connect(url) as connection:
            queue = await (await connection.channel()).declare_queue(name, passive=True)
            message = await queue.get(no_ack=True)
            headers = [(name, bytes(value)) for name, value in message.headers.items()]  # type: ignore[arg-type]  # a bytearray
            return Wire(message.body, headers, f"{message}")

    async with asyncio.timeout(DEADLINE):
        try:
            yield Broker(sink, receive, {"rabbitmq": {"url": url, "queue": name}})
        finally:
            await asyncio.to_thread(sink.close)


WAYS = pytest.mark.parametrize("way", [kafka, rabbitmq])


@WAYS
async def test_a_collector_reads_what_no_operator_of_the_broker_does(
    request: pytest.FixtureRequest, way: Callable[[str], contextlib.AbstractAsyncContextManager[Broker]]
) -> None:
    address = await asyncio.to_thread(request.getfixturevalue, f"real_{way.__name__}")
    spans = [span(0), span(1)]
    async with way(address) as broker:
        assert await asyncio.to_thread(broker.sink.export, spans, DEADLINE) == 0
        wire = await broker.receive()
    assert wire.opened() == ("checkout", encode(spans))
    on_the_wire = b"".join((wire.body, *(value for _, value in wire.headers), wire.rest.encode()))
    for secret in (CANARY.encode(), TRACE_ID, SPAN_ID, TRACE_ID.hex().encode(), SPAN_ID.hex().encode()):
        assert secret not in on_the_wire


@WAYS
async def test_the_spans_of_a_configured_service_arrive_sealed_as_otlp(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    way: Callable[[str], contextlib.AbstractAsyncContextManager[Broker]],
) -> None:
    address = await asyncio.to_thread(request.getfixturevalue, f"real_{way.__name__}")
    public = PRIVATE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "collector.pub").write_bytes(public)
    administration = KeyAdministration(tmp_path / "roots.json")
    administration.root("acme")
    administration.grant("storefront", "acme", [], tmp_path / "keys.json")
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    async with way(address) as broker:
        configuration = {
            "service": "storefront",
            "environment": "staging",
            "tenant": "acme",
            "keys": "keys.json",
            "policy": "policy.yaml",
            "export": {"bus": {"collector_key": "collector.pub", **broker.configured}},
        }
        (tmp_path / "interceptors.yaml").write_text(json.dumps(configuration))  # JSON is YAML
        with Tracing.from_file(tmp_path / "interceptors.yaml") as tracing:
            for channel in ("orders", "refunds"):
                tracing.send(Message("kafka", channel, CANARY.encode())).end()
            assert await asyncio.to_thread(tracing.flush, DEADLINE)
            wire = await broker.receive()
            assert tracing.spans_dropped == 0
    sender, opened = wire.opened(LocalKeys(tmp_path / "keys.json").sealing_key("acme"))
    assert sender == "storefront"
    (resource_spans,) = ExportTraceServiceRequest.FromString(opened).resource_spans
    resource = {
        attribute.key: attribute.value.string_value for attribute in resource_spans.resource.attributes
    }
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("storefront", "staging")
    (scope_spans,) = resource_spans.scope_spans
    assert [one.name for one in scope_spans.spans] == ["send orders", "send refunds"]
    for one in scope_spans.spans:
        assert one.trace_id not in wire.body
    assert CANARY.encode() not in opened


class Exporting:
    """Exports one span after the other, as the outbox does: each is offered until it is taken."""

    def __init__(self, sink: BusSink) -> None:
        self._sink = sink
        self._changed = threading.Condition()
        self._enough = False
        self.taken: list[int] = []
        self.refused = 0

    def run(self) -> None:
        while not self._enough:
            number = len(self.taken)
            try:
                lost = self._sink.export([span(number)], 2)
            except RetryLater:
                self.refused += 1
            else:
                assert lost == 0
                self.taken.append(number)
            with self._changed:
                self._changed.notify_all()

    async def until(self, reached: Callable[[], bool]) -> None:
        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(reached, DEADLINE)

        assert await asyncio.to_thread(wait)

    def stop(self) -> None:
        self._enough = True


@pytest.mark.alone
@WAYS
async def test_a_broker_that_is_killed_midway_gets_the_rest_when_it_is_back(
    request: pytest.FixtureRequest, way: Callable[..., contextlib.AbstractAsyncContextManager[Broker]]
) -> None:
    server: Server = await asyncio.to_thread(request.getfixturevalue, f"owned_{way.__name__}")
    # A queue that is just declared may be gone with the broker.
    there = [await asyncio.to_thread(create_queue, server)] if way.__name__ == "rabbitmq" else []
    async with way(server.address, *there) as broker:
        exporting = Exporting(broker.sink)
        running = asyncio.create_task(asyncio.to_thread(exporting.run))
        try:
            await exporting.until(lambda: len(exporting.taken) > 5)
            server.kill()
            await exporting.until(lambda: exporting.refused > 0)
            before = len(exporting.taken)
            await asyncio.to_thread(server.start)
            await exporting.until(lambda: len(exporting.taken) > before + 5)
        finally:
            exporting.stop()
            await running
        seen: set[int] = set()
        # Some are there twice: what the broker had taken when it died was not acknowledged.
        while not seen.issuperset(exporting.taken):
            seen.add(numbered(await broker.receive()))


def numbered(wire: Wire) -> int:
    """The number of the span in a message."""
    (attributes,) = (one["attributes"] for one in json.loads(wire.opened()[1]))
    (number,) = (
        int(one["value"]["stringValue"])
        for one in attributes
        if one["key"] == "messaging.destination.partition.id"
    )
    return number
