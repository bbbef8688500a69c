"""The brokers that tests run against: embedded in this process, and real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from interceptors import Tracing
from interceptors.kafka import TracedConsumer, TracedProducer
from interceptors.keys import MemoryKeys
from interceptors.policy import parse_policy
from interceptors.spans import MemorySink
from interceptors.testing.embedded_kafka import EmbeddedKafka

from . import provision
from .provision import readiness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping

    from aiokafka import ConsumerRecord

    from interceptors.envelope import SenderKey
    from interceptors.keys import KeyProvider
    from interceptors.spans import Span

    from .provision import KafkaServer

DEADLINE = 60
"""Seconds that a test may take before it is given up."""


def _skip_if_unwanted() -> None:
    if provision.unwanted():
        pytest.skip("needs a real broker, and BROKERS=none asks to do without")


@pytest.fixture(scope="session")
def embedded_kafka() -> Iterator[str]:
    """The bootstrap address of the broker inside this process."""
    with EmbeddedKafka() as server:
        yield server.bootstrap_servers


@pytest.fixture(scope="session")
def real_kafka() -> Iterator[str]:
    """The bootstrap address of a real broker: the one that the environment names, or one of our own."""
    _skip_if_unwanted()
    if address := provision.given_address():
        readiness.wait_ready(address, timeout=30, check=lambda: None)
        yield address
        return
    server = provision.new_server()
    try:
        server.start()
        yield server.bootstrap_servers
    finally:
        server.stop()


@pytest.fixture(params=["embedded", "real"])
def kafka(request: pytest.FixtureRequest) -> str:
    """The bootstrap address of each in turn: what holds on one must hold on the other."""
    address: str = request.getfixturevalue(f"{request.param}_kafka")
    return address


@pytest.fixture
def topic(kafka: str, request: pytest.FixtureRequest) -> str:
    """The name of a topic of `kafka` that only this test knows, with 2 partitions or more."""
    if request.node.callspec.params["kafka"] == "embedded":
        return f"test-{uuid.uuid4()}"  # comes into being with 4 partitions when first asked for
    return readiness.create_topic(kafka)


@pytest.fixture(scope="module")
def _owned_server() -> Iterator[KafkaServer]:
    _skip_if_unwanted()
    server = provision.new_server()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def owned_kafka(_owned_server: KafkaServer) -> KafkaServer:
    """A real, running broker that this test may kill. The tests of one module share it, one at a time."""
    _owned_server.start()
    return _owned_server


# The library under test, on those brokers.


class Clock:
    """The time, in nanoseconds, and as much later as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_s * 1_000_000_000


class GatedKeys:
    """Keys that can't be had before `gate` is set."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys
        self._asked = threading.Event()
        self.gate = threading.Event()

    async def asked(self) -> None:
        """Return when somebody waits for a key."""
        assert await asyncio.to_thread(self._asked.wait, DEADLINE)

    def _wait(self) -> None:
        self._asked.set()
        assert self.gate.wait(DEADLINE)

    def sealing_key(self, tenant: str) -> SenderKey:
        self._wait()
        return self._keys.sealing_key(tenant)

    def opening_key(self, kid: bytes) -> SenderKey:
        self._wait()
        return self._keys.opening_key(kid)

    def revoked(self) -> frozenset[bytes]:
        return self._keys.revoked()

    def refresh(self) -> bool:
        return self._keys.refresh()


class Service(NamedTuple):
    """A service: its tracing, and the spans that have left it."""

    tracing: Tracing
    clock: Clock
    sink: MemorySink

    def spans(self, operation: str) -> list[Span]:
        """The ended spans of an operation, oldest first."""
        assert self.tracing.flush()
        return [span for span in self.sink.spans if span.operation.operation == operation]

    def span(self, operation: str) -> Span:
        """The only ended span of an operation."""
        (span,) = self.spans(operation)
        return span


class Services:
    """Makes services that read one another's envelopes, out of one store of keys."""

    def __init__(self, closing: contextlib.ExitStack) -> None:
        self._keys = MemoryKeys("store")
        self._closing = closing

    def keys(self, service: str) -> MemoryKeys:
        return self._keys.beside(service)

    def foreign_keys(self, service: str) -> MemoryKeys:
        """Keys of another store, which nobody here was granted."""
        return MemoryKeys(service)

    def gated_keys(self, service: str) -> GatedKeys:
        keys = GatedKeys(self.keys(service))
        self._closing.callback(keys.gate.set)  # a thread may still wait there
        return keys

    def __call__(
        self,
        name: str,
        *,
        tenant: str = "acme",
        policy: Mapping[str, object] | None = None,
        keys: KeyProvider | None = None,
    ) -> Service:
        clock, sink = Clock(), MemorySink()
        tracing = Tracing(
            service=name,
            tenant=tenant,
            policy=parse_policy(json.dumps({"version": 1, **(policy or {})}), "policy"),
            keys=keys or self.keys(name),
            sink=sink,
            clock=clock,
        )
        self._closing.enter_context(tracing)
        return Service(tracing, clock, sink)


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
    async with _bus(real_kafka, readiness.create_topic(real_kafka)) as made:
        yield made


@pytest.fixture
async def owned_bus(owned_kafka: KafkaServer) -> AsyncIterator[Bus]:
    """A topic of the broker that this test may kill."""
    address = owned_kafka.bootstrap_servers
    async with _bus(address, readiness.create_topic(address)) as made:
        yield made


@pytest.fixture
def service() -> Iterator[Services]:
    """Makes services."""
    with contextlib.ExitStack() as closing:
        yield Services(closing)


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
