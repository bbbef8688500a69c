"""A broker that is killed in the middle of it: what it acknowledged arrives, traced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from interceptors.kafka import TracedConsumer, TracedProducer, TracedRecord
    from tests.conftest import Service

    from .conftest import Bus
    from .provision import Server

BEFORE = AFTER = 100
"""How many messages are acknowledged before the broker is killed, and how many when it is back."""


class Stream:
    """Sends one message after the other, and keeps apart what was acknowledged and what failed."""

    def __init__(self, producer: TracedProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._changed = asyncio.Condition()
        self.acknowledged: set[bytes] = set()
        self.failed: list[str] = []

    async def run(self) -> None:
        number = 0
        while True:
            value = b"%d" % number
            number += 1
            try:
                await self._producer.send_and_wait(self._topic, value, partition=0)
            except KafkaError as error:
                self.failed.append(type(error).__qualname__)
            else:
                self.acknowledged.add(value)
            async with self._changed:
                self._changed.notify_all()

    async def acknowledges(self, count: int) -> None:
        """Return when that many more were acknowledged."""
        wanted = len(self.acknowledged) + count
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.acknowledged) >= wanted)

    async def fails(self) -> None:
        """Return when a message has failed."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.failed)


async def read(consumer: TracedConsumer, wanted: set[bytes], into: list[TracedRecord]) -> None:
    """Read until all that is wanted has been read."""
    while not wanted <= {record.value for record in into}:
        into.append(await consumer.getone())


async def test_what_a_killed_broker_acknowledged_arrives_traced(
    owned_kafka: Server, owned_bus: Bus, checkout: Service, billing: Service
) -> None:
    bus, group = owned_bus, f"{owned_bus.topic}-group"
    # An attempt is given up after a second, so that sends fail while the broker is away.
    producer = await bus.producer(checkout, acks="all", request_timeout_ms=1_000)
    stream = Stream(producer, bus.topic)
    consumer = await bus.consumer(billing, group_id=group)
    received: list[TracedRecord] = []

    sending = asyncio.create_task(stream.run())
    await stream.acknowledges(BEFORE // 2)
    await read(consumer, set(stream.acknowledged), received)
    await consumer.commit()
    committed = max(record.offset for record in received) + 1
    await stream.acknowledges(BEFORE // 2)
    reading = asyncio.create_task(consumer.getone())
    owned_kafka.kill()
    await stream.fails()
    await asyncio.to_thread(owned_kafka.start)
    await stream.acknowledges(AFTER)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    received.append(await reading)
    await read(consumer, stream.acknowledged, received)
    await consumer.stop()

    assert {record.receipt.sender for record in received} == {"checkout"}
    # A retry whose first attempt had been written after all lies there twice.
    assert {str(record.receipt.verdict) for record in received} <= {"fresh", "redelivery", "duplicate"}
    marked = [span.error_type for span in checkout.spans("send") if span.error_type is not None]
    assert stream.failed
    assert marked[: len(stream.failed)] == stream.failed

    # The next of the group begins where the last one committed.
    successor = await bus.consumer(billing, group_id=group)
    before = {record.offset for record in received}
    again: list[TracedRecord] = []
    while max((record.offset for record in again), default=-1) < max(before):
        again.append(await successor.getone())
    assert min(record.offset for record in again) == committed
    assert {str(record.receipt.verdict) for record in again if record.offset in before} == {"redelivery"}
    assert stream.acknowledged <= {record.value for record in received + again}
