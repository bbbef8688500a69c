"""Kafka by confluent-kafka."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import Consumer, DeserializingConsumer, Producer, SerializingProducer, TopicPartition
from confluent_kafka.aio import AIOConsumer, AIOProducer
from confluent_kafka.serialization import StringDeserializer, StringSerializer

from interceptors import RejectedError
from interceptors.confluent import TracedAIOConsumer, TracedAIOProducer, TracedConsumer, TracedProducer

from .bus import DEADLINE, Delivery, Fate, Headers, Inbox, Need, Received, Sent
from .topic import KafkaTopic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tests.conftest import Service

    from .bus import Handle

_GLANCE = 0.01
"""Seconds that a call waits for a message: whether to stop is looked at between two."""


class Confluent(KafkaTopic):
    """Handlers run in the thread that polls; those that run at the same time in a thread each."""

    name: ClassVar[str] = "confluent"
    lacks: ClassVar[Mapping[Need, str]] = {Need.CANCELLATION: "what runs in a thread can't be cancelled"}

    serializes: ClassVar[bool] = False
    """Whether values are texts, for a program, and what they travel as is made by serializers."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._producers: dict[Service | None, Any] = {}

    async def send(
        self, service: Service | None, body: str, headers: Headers | None = None, *, name: str = ""
    ) -> Sent:
        if service not in self._producers:
            self._producers[service] = self._producer(service)
        producer, before = self._producers[service], copy.deepcopy(headers)
        errors: list[object] = []
        producer.produce(
            self.place,
            value=body if self.serializes else body.encode(),
            key=name or None,
            partition=0,
            on_delivery=lambda error, _: errors.append(error),
            headers=headers,
        )
        assert producer.flush(DEADLINE) == 0
        assert errors == [None]
        return Sent(before, headers)

    async def serve(
        self, service: Service | None, handle: Handle | None = None, *, concurrency: int = 1
    ) -> Inbox:
        inbox, stopping = self.inbox(handle), threading.Event()
        consumer = self._consumer(service)
        consumer.assign([TopicPartition(self.place, 0, self.lifted)])
        most = 1 if self.serializes else concurrency

        def receive() -> None:
            with ThreadPoolExecutor(most) as pool:
                while not stopping.is_set():
                    try:
                        batch = _fetch(consumer, most)
                    except RejectedError:
                        continue
                    for message in batch:
                        if most == 1:
                            _handle(consumer, message, inbox)
                        else:
                            pool.submit(_handle, consumer, message, inbox)

        threads = [threading.Thread(target=receive) for _ in range(concurrency // most)]
        for thread in threads:
            thread.start()

        async def stop() -> None:
            stopping.set()
            for thread in threads:
                await asyncio.to_thread(thread.join, DEADLINE)
            consumer.close()

        inbox.stopping.push_async_callback(stop)
        return inbox

    def _producer(self, service: Service | None) -> Any:
        producer = Producer(self._settings())
        return producer if service is None else TracedProducer(producer, service.tracing)

    def _consumer(self, service: Service | None) -> Any:
        consumer = Consumer(self._receiving())
        if service is None:
            return consumer
        return TracedConsumer(consumer, service.tracing, group_id=self.place)

    def _receiving(self) -> dict[str, Any]:
        return self._settings() | {
            "group.id": self.place,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }

    def _settings(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.address, "log_level": 0}


class ConfluentSerializing(Confluent):
    """Values are serialized by what is traced, keys by the client.

    The consumer can only poll: handlers run at the same time where as many threads do.
    """

    name: ClassVar[str] = "confluent_serializing"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_kafka",)
    serializes: ClassVar[bool] = True

    def _producer(self, service: Service | None) -> Any:
        if service is None:
            return super()._producer(None)
        producer = SerializingProducer(self._settings() | {"key.serializer": StringSerializer()})
        return TracedProducer(producer, service.tracing, value_serializer=StringSerializer())

    def _consumer(self, service: Service | None) -> Any:
        if service is None:
            return super()._consumer(None)
        consumer = DeserializingConsumer(self._receiving() | {"key.deserializer": StringDeserializer()})
        return TracedConsumer(
            consumer, service.tracing, group_id=self.place, value_deserializer=StringDeserializer()
        )


class ConfluentAIO(Confluent):
    """The asyncio clients: handlers run in the task that polls, those that run at the same time in as many.

    Untraced, the producer can send no headers, and the synchronous one is used.
    """

    name: ClassVar[str] = "confluent_aio"
    lacks: ClassVar[Mapping[Need, str]] = {}

    async def send(
        self, service: Service | None, body: str, headers: Headers | None = None, *, name: str = ""
    ) -> Sent:
        if service is None:
            return await super().send(None, body, headers, name=name)
        if service not in self._producers:
            producer = TracedAIOProducer(AIOProducer(self._settings(), max_workers=1), service.tracing)
            self._producers[service] = await self.stopping.enter_async_context(producer)
        before = copy.deepcopy(headers)
        sending = self._producers[service].produce(
            self.place, body.encode(), name or None, partition=0, headers=headers
        )
        async with asyncio.timeout(DEADLINE):
            await (await sending)
        return Sent(before, headers)

    async def serve(
        self, service: Service | None, handle: Handle | None = None, *, concurrency: int = 1
    ) -> Inbox:
        inbox = self.inbox(handle)
        # With one thread, it isn't closed while it polls.
        consumer: Any = AIOConsumer(self._receiving(), max_workers=1)
        if service is not None:
            consumer = TracedAIOConsumer(consumer, service.tracing, group_id=self.place)
        await consumer.assign([TopicPartition(self.place, 0, self.lifted)])
        inbox.stopping.push_async_callback(consumer.close)
        for _ in range(concurrency):
            inbox.run(_receive(consumer, inbox))
        return inbox


async def _receive(consumer: Any, inbox: Inbox) -> None:
    while True:
        try:
            message = await consumer.poll(_GLANCE)
        except RejectedError:
            continue
        if message is None or message.error() is not None:
            continue
        delivery, processing = _delivery(consumer, message, inbox)
        with contextlib.suppress(Exception), processing:
            await delivery.handle()
        if delivery.fate is Fate.AGAIN:
            await consumer.seek(_place(message))
        delivery.done()


def _fetch(consumer: Any, most: int) -> list[Any]:
    if most > 1:
        messages: list[Any] = consumer.consume(most, _GLANCE)
    else:
        message = consumer.poll(_GLANCE)
        messages = [] if message is None else [message]
    return [message for message in messages if message.error() is None]


def _handle(consumer: Any, message: Any, inbox: Inbox) -> None:
    delivery, processing = _delivery(consumer, message, inbox)
    with contextlib.suppress(Exception), processing:  # as a program does that goes on with the next
        delivery.run()
    if delivery.fate is Fate.AGAIN:
        consumer.seek(_place(message))
    delivery.done()


def _delivery(consumer: Any, message: Any, inbox: Inbox) -> tuple[Delivery, AbstractContextManager[object]]:
    receipt = getattr(message, "receipt", None)
    body, headers = message.value(), list(message.headers() or ())
    text = body if isinstance(body, str) else body.decode()
    processing = contextlib.nullcontext() if receipt is None else consumer.process(message)
    return Delivery(inbox, Received(text, headers, message, receipt)), processing


def _place(message: Any) -> TopicPartition:
    return TopicPartition(message.topic(), message.partition(), message.offset())
