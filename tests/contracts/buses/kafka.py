"""Kafka by aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from typing import TYPE_CHECKING, Any, ClassVar

from aiokafka import AIOKafkaProducer, TopicPartition

from interceptors import RejectedError
from interceptors.kafka import TracedConsumer, TracedProducer

from .bus import Delivery, Fate, Headers, Inbox, Received, Sent
from .topic import KafkaTopic

if TYPE_CHECKING:
    from tests.conftest import Service

    from .bus import Handle


class Kafka(KafkaTopic):
    """Handlers run in `with consumer.process(record)`, those that run at the same time in a task each."""

    name: ClassVar[str] = "kafka"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._producers: dict[Service | None, Any] = {}

    async def send(
        self, service: Service | None, body: str, headers: Headers | None = None, *, name: str = ""
    ) -> Sent:
        if service not in self._producers:
            producer: Any = AIOKafkaProducer(bootstrap_servers=self.address)
            if service is not None:
                producer = TracedProducer(producer, service.tracing)
            self._producers[service] = await self.stopping.enter_async_context(producer)
        before, key = copy.deepcopy(headers), name.encode() or None
        await self._producers[service].send_and_wait(self.place, body.encode(), key, 0, headers=headers)
        return Sent(before, headers)

    async def serve(
        self, service: Service | None, handle: Handle | None = None, *, concurrency: int = 1
    ) -> Inbox:
        inbox = Inbox(handle)
        partition = TopicPartition(self.place, 0)
        consumer = self.reader()
        if service is not None:
            consumer = TracedConsumer(consumer, service.tracing, group_id=self.place)
        await consumer.start()
        consumer.assign([partition])
        consumer.seek(partition, self.lifted)
        receiving = asyncio.create_task(_receive(consumer, inbox, concurrency))

        async def stop() -> None:
            receiving.cancel()
            await asyncio.wait([receiving])
            await consumer.stop()

        inbox.stopping.push_async_callback(stop)
        self.stopping.push_async_callback(inbox.stop)
        return inbox


async def _receive(consumer: Any, inbox: Inbox, concurrency: int) -> None:
    async with asyncio.TaskGroup() as handling:
        while True:
            try:
                batch = await consumer.getmany(timeout_ms=50, max_records=concurrency)
            except RejectedError:
                continue
            for record in (record for records in batch.values() for record in records):
                if concurrency == 1:
                    await _handle(consumer, record, inbox)
                else:
                    handling.create_task(_handle(consumer, record, inbox))


async def _handle(consumer: Any, record: Any, inbox: Inbox) -> None:
    receipt = getattr(record, "receipt", None)
    delivery = Delivery(inbox, Received(record.value.decode(), list(record.headers), record, receipt))
    processing = contextlib.nullcontext() if receipt is None else consumer.process(record)
    with contextlib.suppress(Exception), processing:  # as a program does that goes on with the next
        await delivery.handle()
    if delivery.fate is Fate.AGAIN:
        consumer.seek(TopicPartition(record.topic, record.partition), record.offset)
    delivery.done()
