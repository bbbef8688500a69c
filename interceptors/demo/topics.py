"""Kafka's topics, as anyone with the broker's rights uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from interceptors.demo.wire import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

_PARTITIONS = 4


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


async def read_all(servers: str, topics: Sequence[str]) -> list[Record]:
    """Read topics from their beginning to their end, without keys.

    Args:
        servers: the broker.
        topics: which.

    Returns:
        Every record, in the order of their time on the broker.
    """
    found: list[Record] = []
    # interceptors: ignore[bus-not-traced] the onlooker is nobody's service
    async with AIOKafkaConsumer(*topics, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(partition, timeout_ms=200)).values():
                    found.extend(_record(record) for record in records)
    return sorted(found, key=lambda record: (record.timestamp, record.place))


async def write(servers: str, records: Sequence[Record]) -> list[Record]:
    """Write records as they are.

    Args:
        servers: the broker.
        records: what is written; each goes to its topic.

    Returns:
        The same, each with the place that it came to lie at.
    """
    placed = []
    # interceptors: ignore[bus-not-traced] as above
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for record in records:
            sent = await producer.send_and_wait(
                record.topic, record.value, key=record.key, headers=list(record.headers)
            )
            placed.append(record._replace(partition=sent.partition, offset=sent.offset))
    return placed


def _record(record: Any) -> Record:  # noqa: ANN401 - aiokafka has no types
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        tuple(record.headers),
        record.value,
    )
