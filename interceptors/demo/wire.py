"""The topic as it lies there: what anyone with the broker's rights reads, and may write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_PARTITIONS = 4

Headers = tuple[tuple[str, bytes], ...]


class Raw(NamedTuple):
    """A record as it lies on the topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: Headers
    value: bytes | None

    @property
    def coordinate(self) -> tuple[str, int, int]:
        """Where it lies."""
        return self.topic, self.partition, self.offset

    @property
    def envelope(self) -> bytes | None:
        """The envelope in its headers."""
        return dict(self.headers).get(HEADER_NAME)

    def with_envelope(self, envelope: bytes | None) -> Headers:
        """Give its headers with another envelope, or none."""
        others = tuple(header for header in self.headers if header[0] != HEADER_NAME)
        return others if envelope is None else (*others, (HEADER_NAME, envelope))


async def create_topics(servers: str, topics: Sequence[str]) -> None:
    """Make topics on a broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    try:
        await admin.start()
        await admin.create_topics(
            [NewTopic(name=topic, num_partitions=_PARTITIONS, replication_factor=1) for topic in topics]
        )
    finally:
        await admin.close()


async def read_all(servers: str, topics: Sequence[str]) -> list[Raw]:
    """Read topics from their beginning to their end, without keys.

    Args:
        servers: the broker.
        topics: which.

    Returns:
        Every record, in the order of their time on the broker.
    """
    found: list[Raw] = []
    async with AIOKafkaConsumer(*topics, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(partition, timeout_ms=200)).values():
                    found.extend(_raw(record) for record in records)
    return sorted(found, key=lambda raw: (raw.timestamp, raw.coordinate))


def _raw(record: Any) -> Raw:  # noqa: ANN401 - aiokafka has no types
    return Raw(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        tuple(record.headers),
        record.value,
    )


def write_topic(path: Path, records: Iterable[Raw]) -> None:
    """Write records as JSON lines, bytes in hex."""
    with path.open("w", encoding="utf-8") as file:
        for raw in records:
            line = raw._asdict() | {
                "key": None if raw.key is None else raw.key.hex(),
                "headers": [[name, value.hex()] for name, value in raw.headers],
                "value": None if raw.value is None else raw.value.hex(),
            }
            file.write(json.dumps(line) + "\n")
