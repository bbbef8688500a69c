"""The brokers that tests run against: embedded in this process, and real."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.server
import json
import secrets
import string
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from interceptors.kafka import TracedConsumer, TracedProducer
from interceptors.keys import KeyAdministration

from . import provision
from .provision.kafka import create_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
    from pathlib import Path

    from aiokafka import ConsumerRecord
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.conftest import Service, Services

    from .provision import Server
    from .provision.kind import Kind

DEADLINE = 60
"""Seconds that a test may take before it is given up."""


@pytest.fixture(params=["embedded", "real"])
def kafka(request: pytest.FixtureRequest) -> str:
    """The bootstrap address of each in turn: what holds on one must hold on the other."""
    address: str = request.getfixturevalue(f"{request.param}_kafka")
    return address


@pytest.fixture
def topic(kafka: str, request: pytest.FixtureRequest) -> str:
    """The name of a topic of `kafka` that only this test knows, with 2 partitions or more."""
    if request.node.callspec.params["kafka"] == "embedded":
        return "test-" + "".join(
            secrets.choice(string.ascii_lowercase) for _ in range(16)
        )  # comes into being with 4 partitions when first asked for
    return create_topic(kafka)


@pytest.fixture(scope="session")
def _owned(real_brokers: None) -> Iterator[Callable[[Kind], Server]]:
    """The running server of a kind that a test may kill. All such tests share it, one at a time."""
    servers: dict[Kind, Server] = {}
    with contextlib.ExitStack() as stopping:

        def running(kind: Kind) -> Server:
            if kind not in servers:
                servers[kind] = provision.new_server(kind)
                stopping.callback(servers[kind].stop)
            servers[kind].start()
            return servers[kind]

        yield running


@pytest.fixture
def owned_kafka(_owned: Callable[[Kind], Server]) -> Server:
    """A real, running Kafka that this test may kill."""
    return _owned(provision.KAFKA)


@pytest.fixture
def owned_rabbitmq(_owned: Callable[[Kind], Server]) -> Server:
    """A real, running RabbitMQ that this test may kill."""
    return _owned(provision.RABBITMQ)


@pytest.fixture
def owned_redis(_owned: Callable[[Kind], Server]) -> Server:
    """A real, running Redis that this test may kill. What it has acknowledged is on its disk."""
    return _owned(provision.REDIS)


@pytest.fixture
def owned_postgresql(_owned: Callable[[Kind], Server]) -> Server:
    """A real, running PostgreSQL that this test may kill. What was committed is on its disk."""
    return _owned(provision.POSTGRESQL)


def _values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """OTLP's attributes, each of them a text, a number or a truth."""
    return {
        attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value") or "")
        for attribute in attributes
    }


class Arrived(NamedTuple):
    """A span as it came over OTLP, and what it came in."""

    resource: dict[str, Any]
    scope: InstrumentationScope
    span: Span

    @property
    def attributes(self) -> dict[str, Any]:
        """By name."""
        return _values(self.span.attributes)


class OtlpSink:
    """Takes what is exported to it by OTLP over HTTP.

    Attributes:
        port: of loopback, where it listens.
        url: the same, as exporters are given it: without `/v1/traces`.
        bodies: what came, uncompressed.
    """

    def __init__(self, port: int) -> None:
        """Listen on a port; 0 for any that is free."""
        self.bodies: list[bytes] = []
        self._spans: list[Arrived] = []
        self._changed = threading.Condition()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != "/v1/traces":
                    self.send_error(http.HTTPStatus.NOT_FOUND)
                    return
                sink._take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(http.HTTPStatus.OK)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.bodies.append(body)
            self._spans.extend(
                Arrived(_values(by_resource.resource.attributes), by_scope.scope, span)
                for by_resource in request.resource_spans
                for by_scope in by_resource.scope_spans
                for span in by_scope.spans
            )
            self._changed.notify_all()

    def trace(self, trace_id: bytes, count: int) -> list[Arrived]:
        """The spans of a trace, in the order of their starts, once there are as many as that."""

        def found() -> list[Arrived]:
            return [arrived for arrived in self._spans if arrived.span.trace_id == trace_id]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, DEADLINE / 2):
                pytest.fail(f"{count} spans expected, {[arrived.span.name for arrived in found()]} came")
            return sorted(found(), key=lambda arrived: arrived.span.start_time_unix_nano)

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="session")
def otlp_sink() -> Iterator[OtlpSink]:
    """Where spans go that are exported over OTLP, by one exporter or several, or by a Collector."""
    given = provision.given_address(provision.COLLECTOR)
    with contextlib.closing(OtlpSink(provision.Collector.given_exports_to if given else 0)) as sink:
        yield sink


@pytest.fixture(scope="session")
def real_collector(real_brokers: None, otlp_sink: OtlpSink) -> Iterator[str]:
    """The URL of an OpenTelemetry Collector that exports to `otlp_sink`."""
    with provision.running(provision.Collector(exports_to=otlp_sink.port)) as address:
        yield address


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Writes an `interceptors.yaml` for each of some services, which read one another's envelopes."""

    def write(*services: str, policy: Mapping[str, Any], otlp: str) -> dict[str, Path]:
        administration = KeyAdministration(tmp_path / "roots.json")
        administration.root("acme")
        # JSON is YAML.
        (tmp_path / "policy.yaml").write_text(json.dumps({"version": 1, **policy}))
        written = {}
        for service in services:
            others = [other for other in services if other != service]
            administration.grant(service, "acme", others, tmp_path / f"{service}.keys.json")
            written[service] = tmp_path / f"{service}.yaml"
            configuration = {
                "service": service,
                "tenant": "acme",
                "keys": f"{service}.keys.json",
                "policy": "policy.yaml",
                "export": {"otlp": {"endpoint": otlp}},
            }
            written[service].write_text(json.dumps(configuration))
        return written

    return write


class Bus:
    """A topic of a broker, and clients that are stopped when the test is over."""

    def __init__(self, address: str, topic: str, stopping: contextlib.AsyncExitStack) -> None:
        self.address = address
        self.topic = topic
        self._stopping = stopping

    async def bare_producer(self, **settings: Any) -> Any:
        producer = AIOKafkaProducer(bootstrap_servers=self.address, **settings)
        return await self._stopping.enter_async_context(producer)

    async def producer(
        self,
        service: Service,
        *,
        key_serializer: Callable[[Any], bytes] | None = None,
        value_serializer: Callable[[Any], bytes] | None = None,
        **settings: Any,
    ) -> TracedProducer:
        producer = TracedProducer(
            AIOKafkaProducer(bootstrap_servers=self.address, **settings),
            service.tracing,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
        )
        return await self._stopping.enter_async_context(producer)

    async def batching_producer(self, service: Service) -> TracedProducer:
        """A producer whose messages of one transaction and partition lie, and are fetched, as one batch."""
        return await self.producer(
            service, transactional_id=self.topic, linger_ms=DEADLINE * 1000, max_batch_size=1 << 20
        )

    def new_bare_consumer(self, *topics: str, **settings: Any) -> Any:
        """A consumer of everything in the topics, by default of this bus's; not started yet."""
        usual = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100}
        topics = topics or (self.topic,)
        return AIOKafkaConsumer(*topics, bootstrap_servers=self.address, **{**usual, **settings})

    async def bare_consumer(self, *topics: str, **settings: Any) -> Any:
        return await self._stopping.enter_async_context(self.new_bare_consumer(*topics, **settings))

    async def consumer(
        self,
        service: Service,
        *topics: str,
        group_id: str | None = None,
        key_deserializer: Callable[[bytes | None], Any] | None = None,
        value_deserializer: Callable[[bytes | None], Any] | None = None,
        **settings: Any,
    ) -> TracedConsumer:
        consumer = TracedConsumer(
            self.new_bare_consumer(*topics, group_id=group_id, **settings),
            service.tracing,
            group_id=group_id,
            key_deserializer=key_deserializer,
            value_deserializer=value_deserializer,
        )
        return await self._stopping.enter_async_context(consumer)

    async def on_the_wire(self, count: int, topic: str | None = None) -> list[ConsumerRecord]:
        """The first `count` records of a topic as they lie there, in the order of their offsets."""
        async with self.new_bare_consumer(topic or self.topic) as consumer:
            return sorted([await consumer.getone() for _ in range(count)], key=lambda record: record.offset)


@contextlib.asynccontextmanager
async def _bus(address: str, topic: str) -> AsyncIterator[Bus]:
    """A bus, for as long as a test may take: one that waits for what never comes is cancelled."""
    loop = asyncio.get_running_loop()

    def give_up() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel(f"not done after {DEADLINE} s")

    timer = loop.call_later(DEADLINE, give_up)
    try:
        async with contextlib.AsyncExitStack() as stopping:
            yield Bus(address, topic, stopping)
    finally:
        timer.cancel()


@pytest.fixture
async def bus(kafka: str, topic: str) -> AsyncIterator[Bus]:
    """A topic of each broker in turn."""
    async with _bus(kafka, topic) as made:
        yield made


@pytest.fixture
async def real_bus(real_kafka: str) -> AsyncIterator[Bus]:
    """A topic of the real broker, for what the embedded one can't do."""
    async with _bus(real_kafka, create_topic(real_kafka)) as made:
        yield made


@pytest.fixture
async def owned_bus(owned_kafka: Server) -> AsyncIterator[Bus]:
    """A topic of the broker that this test may kill."""
    address = owned_kafka.address
    async with _bus(address, create_topic(address)) as made:
        yield made


@pytest.fixture
def checkout(service: Services) -> Service:
    """A service that sends, under a policy that says nothing."""
    return service("checkout")


@pytest.fixture
def billing(service: Services) -> Service:
    """A service that receives, under a policy that says nothing."""
    return service("billing")


@pytest.fixture
async def producer(bus: Bus, checkout: Service) -> TracedProducer:
    """The producer of `checkout`."""
    return await bus.producer(checkout)


@pytest.fixture
async def consumer(bus: Bus, billing: Service) -> TracedConsumer:
    """The consumer of `billing`."""
    return await bus.consumer(billing)


async def _one(consumer: Any) -> list[Any]:
    return [await consumer.getone()]


async def _many(consumer: Any) -> list[Any]:
    return [record for records in (await consumer.getmany(timeout_ms=10_000)).values() for record in records]


async def _loop(consumer: Any) -> list[Any]:
    async for record in consumer:
        return [record]
    return []


@pytest.fixture
def getmany() -> Callable[[Any], Coroutine[Any, Any, list[Any]]]:
    """The records of the next `getmany`."""
    return _many


@pytest.fixture(params=[_one, _many, _loop])
def fetch(request: pytest.FixtureRequest) -> Callable[[Any], Coroutine[Any, Any, list[Any]]]:
    """Each way to get records of a consumer: `getone`, `getmany` and `async for`."""
    way: Callable[[Any], Coroutine[Any, Any, list[Any]]] = request.param
    return way
