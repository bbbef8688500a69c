"""What the two clients of Kafka share: the topic, and those others who can read and write it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from .bus import Bus, Headers, Raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class KafkaTopic(Bus):
    """The first partition of a topic."""

    system: ClassVar[str] = "kafka"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_kafka", "real_kafka")
    headers: ClassVar[Headers] = [
        ("text", "größer".encode()),
        ("twice", b"1"),
        ("twice", b"2"),
        ("bytes", bytes(range(256))),
        ("empty", b""),
        ("", b"no name"),
    ]
    poisons: ClassVar[tuple[bytes | None, ...]] = (None, b"", b"\xff\xfe\xfd", b"E", bytes(100_000))

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lifted = 0
        """How many messages were taken away: receiving begins behind them."""
        self._anybody: Any = AIOKafkaProducer(bootstrap_servers=self.address, retry_backoff_ms=10)

    async def open(self) -> None:
        await self.stopping.enter_async_context(self._anybody)
        await self._anybody.partitions_for(self.place)  # comes into being when it is first asked for

    async def lift(self) -> Raw:
        async with self.reading(self.reader()) as consumer:
            record = await consumer.getone()
        self.lifted += 1
        return Raw(record.value, list(record.headers), record.key)

    async def put(self, raw: Raw) -> None:
        await self._anybody.send_and_wait(
            self.place, raw.body, key=raw.properties, partition=0, headers=raw.headers
        )

    def carried(self, envelope: bytes) -> bytes:
        return envelope

    def text(self, value: str) -> bytes:
        return value.encode()

    def reader(self) -> Any:
        """A consumer without a group."""
        return AIOKafkaConsumer(
            bootstrap_servers=self.address, enable_auto_commit=False, fetch_max_wait_ms=10
        )

    @contextlib.asynccontextmanager
    async def reading(self, consumer: Any) -> AsyncIterator[Any]:
        """Start a consumer behind what was taken away, and stop it."""
        starting = asyncio.create_task(consumer.__aenter__())
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_exit(consumer.__aexit__)
            # Cancelled while it starts, aiokafka would leave a connection open.
            stack.push_async_callback(asyncio.wait, [starting])
            await asyncio.shield(starting)
            consumer.assign([TopicPartition(self.place, 0)])
            consumer.seek(TopicPartition(self.place, 0), self.lifted)
            yield consumer
