"""Whoever else has access to a Kafka topic: a client that no side has instrumented."""

from __future__ import annotations

import uuid
from typing import Any

# By these names, they are what they were before anybody replaced them in their module.
from confluent_kafka import Consumer, Producer, TopicPartition

PATIENCE = 10.0

Headers = list[tuple[str, bytes]]


class Stranger:
    """Puts records into partition 0 of a topic, and sees what lies there."""

    def __init__(self, address: str) -> None:
        self.topic = f"case-{uuid.uuid4()}"
        self.settings: dict[str, Any] = {"bootstrap.servers": address, "log_level": 0}
        # It lingers until it is flushed: what is put together lies, and is fetched, as one batch.
        self._producer = Producer(self.settings | {"linger.ms": 60_000})
        # Where nobody knows yet who leads a partition, its first messages may go one by one.
        self._producer.list_topics(self.topic, PATIENCE)

    def put(self, *records: tuple[bytes, Headers]) -> None:
        """Put a batch of values, each with its headers."""
        for value, headers in records:
            self._producer.produce(self.topic, value, partition=0, headers=headers)
        assert self._producer.flush(PATIENCE) == 0

    def put_hostile(self, count: int, hostile: int, name: str) -> None:
        """Put a batch of records `0`, `1`, …, one of which has a header that is not UTF-8."""
        self.put(
            *[(b"%d" % number, [(name, b"\xff\xfe")] if number == hostile else []) for number in range(count)]
        )

    def wire(self, count: int) -> list[tuple[bytes, Headers]]:
        """Give the value and headers of the first records."""
        consumer = Consumer(self.settings | {"group.id": self.topic, "enable.auto.commit": False})
        consumer.assign([TopicPartition(self.topic, 0, 0)])
        messages = consumer.consume(count, PATIENCE)
        consumer.close()
        assert len(messages) == count
        return [(message.value(), message.headers() or []) for message in messages]
