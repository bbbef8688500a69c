"""The brokers that tests run against: embedded in this process, and real."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from interceptors.kafka import TracedConsumer, TracedProducer

from . import provision
from .provision.kafka import create_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from aiokafka import ConsumerRecord

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
        return f"test-{uuid.uuid4()}"  # comes into being with 4 partitions when first asked for
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
