"""Kafka by aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from aiokafka import AIOKafkaProducer, TopicPartition

from interceptors import RejectedError
from interceptors.kafka import TracedConsumer, TracedProducer, traced

from .bus import Delivery, Fate, Headers, Inbox, Pace, Received, Sent
from .topic import KafkaTopic

if TYPE_CHECKING:
    from tests.conftest import Service

    from .bus import Handle

_OnRecord = Callable[[Any, contextlib.ExitStack], Awaitable[None]]
"""Handles a record, and leaves what is to be done when the client is over with it."""


class Kafka(KafkaTopic):
    """Handlers run in `with consumer.process(record)`, those that run at the same time in a task each."""

    name: ClassVar[str] = "kafka"

    decorates: ClassVar[bool] = False
    """Whether it is the handler that is traced, not the consumer."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._producers: dict[Service | None, Any] = {}

    async def send(
        self, service: Service | None, body: str, headers: Headers | None = None, *, name: str = ""
    ) -> Sent:
        if service not in self._producers:
            self._producers[service] = await self.stopping.enter_async_context(self._producer(service))
        before, key = copy.deepcopy(headers), name.encode() or None
        await self._producers[service].send_and_wait(self.place, body.encode(), key, 0, headers=headers)
        return Sent(before, headers)

    async def serve(
        self, service: Service | None, handle: Handle | None = None, *, concurrency: int = 1
    ) -> Inbox:
        inbox = self.inbox(handle)
        inbox.run(self._receive(service, inbox, concurrency))
        return inbox

    async def _receive(self, service: Service | None, inbox: Inbox, concurrency: int) -> None:
        consumer = self._consumer(None if self.decorates else service)
        on_record: _OnRecord = partial(_on_record, inbox, consumer)
        if self.decorates and service is not None:
            on_record = traced(service.tracing, group_id=self.place)(on_record)
        async with self.reading(consumer), asyncio.TaskGroup() as handling:
            while True:
                try:
                    batch = await consumer.getmany(timeout_ms=10, max_records=concurrency)
                except RejectedError:
                    continue
                for record in (record for records in batch.values() for record in records):
                    if concurrency == 1:
                        await _handle(consumer, record, on_record)
                    else:
                        handling.create_task(_handle(consumer, record, on_record))

    def _producer(self, service: Service | None) -> Any:
        producer = AIOKafkaProducer(bootstrap_servers=self.address)
        return producer if service is None else TracedProducer(producer, service.tracing)

    def _consumer(self, service: Service | None) -> Any:
        consumer = self.reader()
        return consumer if service is None else TracedConsumer(consumer, service.tracing, group_id=self.place)


class KafkaDecorated(Kafka):
    """The consumer is not traced, but what handles its records is decorated."""

    name: ClassVar[str] = "kafka_decorated"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_kafka",)
    decorates: ClassVar[bool] = True


class KafkaLoop(Kafka):
    """Handlers run in the body of `async for`; those that run at the same time in as many tasks.

    One that raises ends the loop and the consumer; the program goes on with another one.
    """

    name: ClassVar[str] = "kafka_loop"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_kafka",)

    async def _receive(self, service: Service | None, inbox: Inbox, concurrency: int) -> None:
        while True:
            consumer, pace = Pace.of(self._consumer(service))
            with contextlib.suppress(Exception):
                async with self.reading(consumer):
                    await asyncio.gather(*(self._loop(consumer, pace, inbox) for _ in range(concurrency)))
            pace.end()

    async def _loop(self, consumer: Any, pace: Pace, inbox: Inbox) -> None:
        while True:
            with contextlib.suppress(RejectedError):  # it ends the loop, not the consumer
                async for record in consumer:
                    try:
                        await _on_record(inbox, consumer, record, pace.over)
                    except Exception:
                        self.lifted = record.offset + 1
                        raise


async def _handle(consumer: Any, record: Any, on_record: _OnRecord) -> None:
    processing = consumer.process(record) if hasattr(record, "receipt") else contextlib.nullcontext()
    # Suppressed as by a program that goes on with the next.
    with contextlib.suppress(Exception), contextlib.ExitStack() as over, processing:
        await on_record(record, over)


async def _on_record(inbox: Inbox, consumer: Any, record: Any, over: contextlib.ExitStack) -> None:
    receipt = getattr(record, "receipt", None)
    delivery = Delivery(inbox, Received(record.value.decode(), list(record.headers), record, receipt))
    over.callback(delivery.done)
    await delivery.handle()
    if delivery.fate is Fate.AGAIN:
        consumer.seek(TopicPartition(record.topic, record.partition), record.offset)
