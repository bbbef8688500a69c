"""aiokafka's producer and consumer with the transport stubbed: what one sends lies where the other looks.

The clients' own code runs down to where a message would wait for its batch, and from where a fetched record
is picked up; so do instrumentations, which patch `send`, `getone` and `getmany`.
"""

from __future__ import annotations

import time
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.structs import RecordMetadata

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable


class LoopbackProducer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """Sends to one partition, which acknowledges at once."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self.sent: deque[ConsumerRecord] = deque()
        self.client.cluster._partitions[topic] = {0: None}  # noqa: SLF001 - as if a broker had said so
        self._message_accumulator = self
        self._offset = 0

    async def add_message(
        self,
        partition: TopicPartition,
        key: bytes | None,
        value: bytes,
        _timeout: float,
        *,
        timestamp_ms: int | None,
        headers: Iterable[tuple[str, bytes]],
    ) -> asyncio.Future[RecordMetadata]:
        topic, number = partition
        stamp = timestamp_ms or time.time_ns() // 1_000_000
        offset, self._offset = self._offset, self._offset + 1
        sizes = (-1 if key is None else len(key)), len(value)
        self.sent.append(
            ConsumerRecord(topic, number, offset, stamp, 0, key, value, None, *sizes, tuple(headers))
        )
        acknowledged: asyncio.Future[RecordMetadata] = self._loop.create_future()
        acknowledged.set_result(RecordMetadata(topic, number, partition, offset, stamp, 0, 0))
        return acknowledged

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self._closed = True


class LoopbackConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """Receives what a producer has sent, if it has sent anything."""

    def __init__(self, producer: LoopbackProducer) -> None:
        super().__init__()
        self._waiting = producer.sent
        self._fetcher = self
        self._coordinator = SimpleNamespace(check_errors=lambda: None)

    async def next_record(self, _partitions: object) -> ConsumerRecord:
        return self._waiting.popleft()

    async def fetched_records(
        self, _partitions: object, _timeout: float, *, max_records: int | None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        waiting = len(self._waiting)
        records = [self._waiting.popleft() for _ in range(min(max_records or waiting, waiting))]
        return {TopicPartition(records[0].topic, 0): records} if records else {}

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self._closed = True


def loopback(topic: str) -> tuple[Any, Any]:
    """Give a producer, and a consumer of what it sends."""
    producer = LoopbackProducer(topic)
    return producer, LoopbackConsumer(producer)
