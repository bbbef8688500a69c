"""What the rest of the suite takes for granted of the brokers, shown with a plain client."""

from __future__ import annotations

import asyncio
import socket
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aio_pika
import psycopg
import pytest
import yaml
from aio_pika.exceptions import ChannelNotFoundEntity
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from redis import Redis

from interceptors.testing.embedded_kafka import EmbeddedKafka

from . import provision
from .provision import packages
from .provision.kafka import create_topic
from .provision.kind import Container, Kind, Launch
from .provision.native import NativeServer
from .provision.ports import free_ports
from .provision.rabbitmq import create_queue
from .provision.readiness import wait_ready

if TYPE_CHECKING:
    from .provision import Server

DEADLINE = 30


def connect(address: str) -> None:
    """Connect to what listens at an address, be it a URL or a host and a port."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    assert parts.hostname
    assert parts.port
    socket.create_connection((parts.hostname, parts.port)).close()


def kill_and_start(server: Server) -> None:
    """End a server, and have it again at the same address."""
    address = server.address
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    server.start()
    assert server.address == address


# Kafka


async def produce(address: str, topic: str, *values: bytes) -> None:
    """Return when every value is acknowledged by all replicas."""
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0, headers=[("a", b"\x00\xff"), ("a", b"")])


async def consume(
    address: str, topic: str, count: int, *, group: str | None = None, commit: bool = False
) -> list[Any]:
    """The next `count` records of the first partition, from where the group has committed."""
    async with AIOKafkaConsumer(
        bootstrap_servers=address,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    ) as consumer:
        consumer.assign([TopicPartition(topic, 0)])  # to join the group would take its time
        async with asyncio.timeout(DEADLINE):
            records = [await consumer.getone() for _ in range(count)]
        if commit:
            await consumer.commit()
        return records


def values_of(records: list[Any]) -> list[bytes]:
    return sorted(record.value for record in records)


async def test_headers_arrive_as_they_were_sent(kafka: str, topic: str) -> None:
    await produce(kafka, topic, b"1")

    (record,) = await consume(kafka, topic, 1)

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

    assert values_of(await consume(kafka, topic, 3)) == [b"1", b"2", b"3"]


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

    assert values_of(await consume(real_kafka, topic, 1)) == [b"committed"]


async def test_what_kafka_acknowledged_outlives_the_process(owned_kafka: Server) -> None:
    address = owned_kafka.address
    topic = create_topic(address)
    await produce(address, topic, b"1", b"2")
    await consume(address, topic, 2, group=topic, commit=True)
    await produce(address, topic, b"3")

    kill_and_start(owned_kafka)

    assert values_of(await consume(address, topic, 3)) == [b"1", b"2", b"3"]
    assert values_of(await consume(address, topic, 1, group=topic)) == [b"3"]


async def test_an_embedded_broker_is_gone_when_closed() -> None:
    with EmbeddedKafka(brokers=3) as server:
        addresses = server.bootstrap_servers.split(",")
        await produce(server.bootstrap_servers, "t", b"1")
    server.close()

    assert len(addresses) == 3
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            connect(address)


# RabbitMQ


def persistent(body: bytes, **headers: Any) -> aio_pika.Message:
    return aio_pika.Message(body, headers=headers, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


async def publish(address: str, queue: str, message: aio_pika.Message) -> None:
    """Return when the broker has confirmed the message, in a durable queue."""
    async with await aio_pika.connect(address) as connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True)
        await channel.default_exchange.publish(message, queue)


async def take(address: str, queue: str) -> aio_pika.abc.AbstractIncomingMessage:
    """Take the next message out of a queue that is there."""
    async with await aio_pika.connect(address) as connection:
        channel = await connection.channel()
        message = await (await channel.get_queue(queue)).get(timeout=DEADLINE)
        await message.ack()
        return message


@pytest.fixture
def queue() -> str:
    """The name of a queue that only this test knows."""
    return f"test-{uuid.uuid4()}"


async def test_a_byte_array_arrives_as_one(real_rabbitmq: str, queue: str) -> None:
    await publish(real_rabbitmq, queue, persistent(b"1", envelope=bytearray(b"\x00\xff")))

    message = await take(real_rabbitmq, queue)

    assert message.headers == {"envelope": bytearray(b"\x00\xff")}
    assert type(message.headers["envelope"]) is bytearray


async def test_what_rabbitmq_confirmed_outlives_the_process(owned_rabbitmq: Server) -> None:
    address = owned_rabbitmq.address
    queue = await asyncio.to_thread(create_queue, owned_rabbitmq)
    await publish(address, queue, persistent(b"1"))

    kill_and_start(owned_rabbitmq)

    assert (await take(address, queue)).body == b"1"


async def test_two_rabbitmqs_run_side_by_side(real_rabbitmq: str, owned_rabbitmq: Server, queue: str) -> None:
    await publish(real_rabbitmq, queue, persistent(b"1"))

    with pytest.raises(ChannelNotFoundEntity):
        await take(owned_rabbitmq.address, queue)


# Redis


def test_what_redis_acknowledged_outlives_the_process(owned_redis: Server, queue: str) -> None:
    with Redis.from_url(owned_redis.address) as client:
        client.rpush(queue, b"1", b"2")

    kill_and_start(owned_redis)

    with Redis.from_url(owned_redis.address) as client:
        assert client.lrange(queue, 0, -1) == [b"1", b"2"]


def test_two_redises_run_side_by_side(real_redis: str, owned_redis: Server, queue: str) -> None:
    with Redis.from_url(real_redis) as client, Redis.from_url(owned_redis.address) as other:
        client.set(queue, b"1", ex=DEADLINE)

        assert (client.exists(queue), other.exists(queue)) == (1, 0)


# PostgreSQL


def test_what_postgresql_committed_outlives_the_process(owned_postgresql: Server, queue: str) -> None:
    with psycopg.connect(owned_postgresql.address) as connection:
        connection.execute("CREATE TABLE kept AS SELECT %s::text AS name", [queue])

    kill_and_start(owned_postgresql)

    with psycopg.connect(owned_postgresql.address) as connection:
        assert connection.execute("SELECT name FROM kept").fetchall() == [(queue,)]


# How they come and go


@pytest.mark.parametrize("kind", provision.KINDS, ids=lambda kind: kind.name)
def test_the_environment_may_name_a_server(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kind.variable, "there")
    assert provision.given_address(kind) == "there"
    monkeypatch.setenv(kind.variable, "")
    assert provision.given_address(kind) is None


@pytest.mark.parametrize("kind", provision.KINDS, ids=lambda kind: kind.name)
def test_the_image_is_the_one_of_the_compose_file(kind: Kind) -> None:
    compose = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())

    assert kind.image == compose["services"][kind.name.lower()]["image"]


def test_what_is_missing_and_how_to_do_without_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(RuntimeError, match=r"native Redis needs some-package.* REDIS_URL.* BROKERS=none"):
        packages.require(provision.REDIS, {"no-such-program": "some-package"})


def test_a_collector_without_go_is_a_failure_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RuntimeError, match=r"native Collector needs Go .* COLLECTOR_URL.* BROKERS=none"):
        provision.COLLECTOR.fetch()


class Pages(Kind):
    """A server that is quick to start, with another one as its helper."""

    name = "Pages"
    variable = "PAGES_URL"
    image = "none"

    def __init__(self, *options: str) -> None:
        self._options = options
        self.home = Path()
        self.helper = ""

    def probe(self, address: str) -> None:
        connect(address)

    def fetch(self) -> str:
        return sys.executable

    def launch(self, home: Path) -> Launch:
        port, helper_port = free_ports(2)
        command = (self.fetch(), "-m", "http.server", "--bind", "127.0.0.1")
        self.home, self.helper = home, f"127.0.0.1:{helper_port}"
        return Launch(
            address=f"127.0.0.1:{port}",
            command=(*command, *self._options, str(port)),
            helper=(*command, str(helper_port)),
        )

    def container(self) -> Container:
        raise NotImplementedError


def test_a_stopped_server_leaves_nothing() -> None:
    kind = Pages()
    server = NativeServer(kind)
    try:
        server.start()
        wait_ready(Pages(), kind.helper, timeout=DEADLINE)
        server.kill()
        connect(kind.helper)
    finally:
        server.stop()
    server.stop()

    for address in (server.address, kind.helper):
        with pytest.raises(ConnectionRefusedError):
            connect(address)
    assert not kind.home.exists()


def test_a_server_that_ends_instead_of_starting_says_why() -> None:
    server = NativeServer(Pages("--no-such-option"))
    try:
        with pytest.raises(RuntimeError, match=r"(?s)Pages ended with 2:.*--no-such-option"):
            server.start()
    finally:
        server.stop()
