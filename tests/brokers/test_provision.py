"""What the rest of the suite takes for granted of the brokers, shown with a plain client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from interceptors.testing.embedded_kafka import EmbeddedKafka

from .provision.readiness import create_topic

if TYPE_CHECKING:
    from .provision import KafkaServer

DEADLINE = 30


async def produce(address: str, topic: str, *values: bytes) -> None:
    """Return when every value is acknowledged by all replicas."""
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, headers=[("a", b"\x00\xff"), ("a", b"")])


async def consume(address: str, topic: str, count: int, *, group: str, commit: bool = False) -> list[Any]:
    """The next `count` records that a new member of the group gets."""
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    ) as consumer:
        async with asyncio.timeout(DEADLINE):
            records = [await consumer.getone() for _ in range(count)]
        if commit:
            await consumer.commit()
        return records


def values_of(records: list[Any]) -> list[bytes]:
    return sorted(record.value for record in records)


async def test_headers_arrive_as_they_were_sent(kafka: str, topic: str) -> None:
    await produce(kafka, topic, b"1")

    (record,) = await consume(kafka, topic, 1, group=topic)

    assert record.headers == (("a", b"\x00\xff"), ("a", b""))


async def test_a_group_goes_on_where_it_committed(kafka: str, topic: str) -> None:
    await produce(kafka, topic, b"1", b"2")
    first = await consume(kafka, topic, 2, group=topic, commit=True)
    await produce(kafka, topic, b"3")

    second = await consume(kafka, topic, 1, group=topic)

    assert (values_of(first), values_of(second)) == ([b"1", b"2"], [b"3"])


async def test_transactions_commit_records(kafka: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic) as producer:
        for value in (b"1", b"2", b"3"):
            async with producer.transaction():
                await producer.send_and_wait(topic, value, partition=0)

    assert values_of(await consume(kafka, topic, 3, group=topic)) == [b"1", b"2", b"3"]


# What only a real broker does. These are the differences that the embedded one documents.


async def test_a_real_group_shares_the_partitions_out(real_kafka: str) -> None:
    topic = create_topic(real_kafka, partitions=2)
    members = [
        AIOKafkaConsumer(topic, bootstrap_servers=real_kafka, group_id=topic, heartbeat_interval_ms=200)
        for _ in range(2)
    ]
    try:
        await asyncio.gather(*(member.start() for member in members))
        async with asyncio.timeout(DEADLINE):
            while not all(member.assignment() for member in members):
                # Taking part in a rebalance is up to the client; fetching lets it.
                await asyncio.gather(*(member.getmany(timeout_ms=100) for member in members))
        first, second = (member.assignment() for member in members)
    finally:
        await asyncio.gather(*(member.stop() for member in members))

    assert (len(first), len(second), len(first | second)) == (1, 1, 2)


async def test_a_real_transaction_commits_offsets_with_records(real_kafka: str) -> None:
    topic = create_topic(real_kafka)
    source = TopicPartition(topic, 0)
    async with (
        AIOKafkaProducer(bootstrap_servers=real_kafka, transactional_id=topic) as producer,
        producer.transaction(),
    ):
        await producer.send_and_wait(topic, b"1", partition=0)
        await producer.send_offsets_to_transaction({source: 7}, topic)

    async with AIOKafkaConsumer(bootstrap_servers=real_kafka, group_id=topic) as consumer:
        assert await consumer.committed(source) == 7


async def test_a_real_broker_hides_aborted_records(real_kafka: str) -> None:
    topic = create_topic(real_kafka)
    async with AIOKafkaProducer(bootstrap_servers=real_kafka, transactional_id=topic) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", partition=0)

    assert values_of(await consume(real_kafka, topic, 1, group=topic)) == [b"committed"]


@pytest.mark.parametrize("how", ["kill", "restart"])
async def test_what_was_acknowledged_outlives_the_process(owned_kafka: KafkaServer, how: str) -> None:
    address = owned_kafka.bootstrap_servers
    topic = create_topic(address)
    await produce(address, topic, b"1", b"2")
    await consume(address, topic, 2, group=topic, commit=True)
    await produce(address, topic, b"3")

    if how == "kill":
        owned_kafka.kill()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address.split(":"))
        owned_kafka.start()
    else:
        owned_kafka.restart()

    assert owned_kafka.bootstrap_servers == address
    assert values_of(await consume(address, topic, 3, group=f"{topic}-other")) == [b"1", b"2", b"3"]
    assert values_of(await consume(address, topic, 1, group=topic)) == [b"3"]


async def test_an_embedded_broker_is_gone_when_closed() -> None:
    with EmbeddedKafka(brokers=3) as server:
        addresses = server.bootstrap_servers.split(",")
        await produce(server.bootstrap_servers, "t", b"1")
    server.close()

    assert len(addresses) == 3
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address.split(":"))
