"""Kafka by confluent-kafka."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import Consumer, Producer, TopicPartition

from interceptors import RejectedError
from interceptors.confluent import TracedConsumer, TracedProducer

from .bus import DEADLINE, Delivery, Fate, Headers, Inbox, Need, Received, Sent
from .topic import KafkaTopic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Service

    from .bus import Handle


class Confluent(KafkaTopic):
    """Handlers run in the thread that polls; those that run at the same time in a thread each."""

    name: ClassVar[str] = "confluent"
    lacks: ClassVar[Mapping[Need, str]] = {Need.CANCELLATION: "what runs in a thread can't be cancelled"}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._producers: dict[Service | None, Any] = {}

    async def send(
        self, service: Service | None, body: str, headers: Headers | None = None, *, name: str = ""
    ) -> Sent:
        if service not in self._producers:
            producer: Any = Producer(self._settings())
            self._producers[service] = (
                producer if service is None else TracedProducer(producer, service.tracing)
            )
        producer, before = self._producers[service], copy.deepcopy(headers)
        errors: list[object] = []
        producer.produce(
            self.place,
            body.encode(),
            name.encode() or None,
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
        inbox, stopping = Inbox(handle), threading.Event()
        settings = {"group.id": self.place, "enable.auto.commit": False, "fetch.wait.max.ms": 50}
        consumer: Any = Consumer(self._settings() | settings)
        if service is not None:
            consumer = TracedConsumer(consumer, service.tracing, group_id=self.place)
        consumer.assign([TopicPartition(self.place, 0, self.lifted)])

        def receive() -> None:
            with ThreadPoolExecutor(concurrency) as pool:
                while not stopping.is_set():
                    try:
                        batch = _fetch(consumer, concurrency)
                    except RejectedError:
                        continue
                    for message in batch:
                        if concurrency == 1:
                            _handle(consumer, message, inbox)
                        else:
                            pool.submit(_handle, consumer, message, inbox)

        thread = threading.Thread(target=receive, name=f"consumer of {self.place}")
        thread.start()

        async def stop() -> None:
            stopping.set()
            await asyncio.to_thread(thread.join, DEADLINE)
            consumer.close()

        inbox.stopping.push_async_callback(stop)
        self.stopping.push_async_callback(inbox.stop)
        return inbox

    def _settings(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.address, "log_level": 0}


def _fetch(consumer: Any, most: int) -> list[Any]:
    if most > 1:
        messages: list[Any] = consumer.consume(most, 0.05)
    else:
        message = consumer.poll(0.05)
        messages = [] if message is None else [message]
    return [message for message in messages if message.error() is None]


def _handle(consumer: Any, message: Any, inbox: Inbox) -> None:
    receipt = getattr(message, "receipt", None)
    headers = list(message.headers() or ())
    delivery = Delivery(inbox, Received(message.value().decode(), headers, message, receipt))
    processing = contextlib.nullcontext() if receipt is None else consumer.process(message)
    with contextlib.suppress(Exception), processing:  # as a program does that goes on with the next
        delivery.run()
    if delivery.fate is Fate.AGAIN:
        consumer.seek(TopicPartition(message.topic(), message.partition(), message.offset()))
    delivery.done()
