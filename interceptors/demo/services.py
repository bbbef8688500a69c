"""The three services. Each is what an application would be; the tracing is in the two wrappers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener

from interceptors import kafka
from interceptors.demo.setup import CHECKOUT, LEDGER, ORDERS, PAYMENTS, REFUNDS, STOREFRONT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.demo.orders import Order
    from interceptors.demo.setup import Setup
    from interceptors.kafka import TracedRecord

Coordinate = tuple[str, int, int]


class Arrival(NamedTuple):
    """What a service made of a message."""

    service: str
    verdict: str
    answer: str | None
    tenant: str | None


class Arrivals:
    """Every message that arrived, by where it lay on the topic."""

    def __init__(self) -> None:
        """Start empty."""
        self.ready: set[str] = set()
        self.by_coordinate: dict[Coordinate, Arrival] = {}
        self._changed = asyncio.Event()

    def note(self, service: str, record: TracedRecord) -> None:
        """Note one."""
        receipt = record.receipt
        self.by_coordinate[record.topic, record.partition, record.offset] = Arrival(
            service, str(receipt.verdict), receipt.answer, receipt.tenant
        )
        self._changed.set()

    def listener(self, service: str) -> ConsumerRebalanceListener:
        """Give a listener that notes when a service has been given its partitions."""
        return _Assigned(self, service)

    def say_ready(self, service: str) -> None:
        """Note that a service receives from now on."""
        self.ready.add(service)
        self._changed.set()

    async def wait_until_ready(self, *services: str) -> None:
        """Wait until services receive."""
        while not self.ready.issuperset(services):
            self._changed.clear()
            await self._changed.wait()

    def count(self, service: str) -> int:
        """Count what arrived at a service."""
        return sum(arrival.service == service for arrival in self.by_coordinate.values())

    async def wait_for(self, service: str, count: int) -> None:
        """Wait until so many have arrived at a service."""
        while self.count(service) < count:
            self._changed.clear()
            await self._changed.wait()


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, arrivals: Arrivals, service: str) -> None:
        self._arrivals = arrivals
        self._service = service

    def on_partitions_revoked(self, _revoked: object) -> None:
        """Do nothing: there is nothing to commit."""

    def on_partitions_assigned(self, _assigned: object) -> None:
        """Note that messages come from now on."""
        self._arrivals.say_ready(self._service)


async def storefront(setup: Setup, servers: str, orders: Sequence[Order]) -> None:
    """Publish the orders, each for its own tenant."""
    tracing = setup.tracings[STOREFRONT]
    async with kafka.TracedProducer(AIOKafkaProducer(bootstrap_servers=servers), tracing) as producer:
        sent = []
        for order in orders:
            with tracing.tenant(order.merchant):
                sent.append(
                    await producer.send(
                        setup.topic(ORDERS),
                        order.body,
                        key=order.customer_id.encode(),
                        headers=[("content-type", b"application/json")],
                    )
                )
        await asyncio.gather(*sent)


async def checkout(setup: Setup, servers: str, arrivals: Arrivals) -> None:
    """Take orders, and ask the ledger to book their payments. The tenant is the order's sender's."""
    tracing = setup.tracings[CHECKOUT]
    consumer = _consumer(setup, servers, arrivals, CHECKOUT, ORDERS)
    producer = kafka.TracedProducer(AIOKafkaProducer(bootstrap_servers=servers), tracing)
    async with consumer, producer:
        async for record in consumer:
            order = json.loads(record.value)
            payment = {"order_id": order["order_id"], "total": order.get("total")}
            await producer.send_and_wait(setup.topic(PAYMENTS), json.dumps(payment).encode(), key=record.key)
            arrivals.note(CHECKOUT, record)


async def ledger(setup: Setup, servers: str, arrivals: Arrivals) -> None:
    """Book payments and refunds."""
    async with _consumer(setup, servers, arrivals, LEDGER, PAYMENTS, REFUNDS) as consumer:
        async for record in consumer:
            arrivals.note(LEDGER, record)


def _consumer(
    setup: Setup, servers: str, arrivals: Arrivals, service: str, *channels: str
) -> kafka.TracedConsumer:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        group_id=f"{setup.topic(service)}.group",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,  # the embedded broker doesn't wake a fetch that waits
    )
    topics = [setup.topic(channel) for channel in channels]
    consumer.subscribe(topics, listener=arrivals.listener(service))
    return kafka.TracedConsumer(consumer, setup.tracings[service], group_id=service)
