"""`interceptors scan kafka://…` on a real broker: shared, killed, resumed; never in another group's way."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

import interceptors

from .provision.kafka import create_topic
from .provision.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTITIONS = 4
PATIENCE = 60.0

Place = tuple[int, int]
"""Partition and offset."""


class Topic:
    """A topic, and scans of it."""

    def __init__(self, servers: str, closing: contextlib.ExitStack) -> None:
        self.name = create_topic(servers, partitions=PARTITIONS)
        self.address = f"kafka://{servers}/{self.name}"
        self.group = f"scan-{uuid.uuid4()}"
        self.settings: dict[str, Any] = {"bootstrap.servers": servers, "log_level": 0}
        self._closing = closing

    def fill(self, count: int) -> set[Place]:
        """Send so many messages to each partition, all with an identifier in them."""
        places: set[Place] = set()
        producer = Producer(self.settings)
        for number in range(count):
            for partition in range(PARTITIONS):
                producer.produce(
                    self.name,
                    b'{"to": "user-%d@example.com"}' % number,
                    partition=partition,
                    on_delivery=lambda _, message: places.add((message.partition(), message.offset())),
                )
            producer.poll(0)
        producer.flush()
        assert len(places) == count * PARTITIONS
        return places

    def scan(self, *options: str, address: str = "", group: str = "") -> subprocess.Popen[str]:
        """Start a scan as a process. It is killed when the test is over."""
        program = "from interceptors.cli import main; main()"
        arguments = ["scan", address or self.address, "--json", "--group", group or self.group, *options]
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", program, *arguments],
            env=os.environ | {"PYTHONPATH": str(Path(interceptors.__file__).parent.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._closing.enter_context(process)
        self._closing.callback(process.kill)
        return process

    def consumer(self, group: str) -> Consumer:
        consumer = Consumer({**self.settings, "group.id": group, "enable.auto.commit": False})
        self._closing.callback(consumer.close)
        return consumer

    def committed(self, group: str) -> dict[int, tuple[int, str | None]]:
        """What a group has committed, by partition: offset and metadata."""
        places = [TopicPartition(self.name, partition) for partition in range(PARTITIONS)]
        found = self.consumer(group).committed(places, timeout=PATIENCE)
        return {place.partition: (place.offset, place.metadata) for place in found if place.offset >= 0}

    def wait_for_members(self, count: int) -> None:
        """Return when so many members of the scan's group have partitions."""
        admin = AdminClient(self.settings)
        busy = 0
        while busy < count:
            members = admin.describe_consumer_groups([self.group])[self.group].result().members
            busy = sum(bool(member.assignment.topic_partitions) for member in members)


@pytest.fixture
def topic(real_kafka: str) -> Iterator[Topic]:
    with contextlib.ExitStack() as closing:
        yield Topic(real_kafka, closing)


def places(lines: list[str]) -> list[Place]:
    """Where the messages lie whose addresses were found."""
    findings = [json.loads(line) for line in lines]
    return [
        (finding["partition"], finding["offset"]) for finding in findings if finding["detector"] == "email"
    ]


class Reader(threading.Thread):
    """Reads what a process says on its standard output, and counts it."""

    def __init__(self, process: subprocess.Popen[str], heard: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self._process = process
        self._heard = heard
        self.start()

    def run(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            self._heard()


def test_processes_of_a_group_share_a_topic_and_each_message_is_found_once(topic: Topic) -> None:
    wanted = topic.fill(2000)
    changed = threading.Semaphore(0)
    processes = [topic.scan("--follow") for _ in range(2)]
    readers = [Reader(process, changed.release) for process in processes]
    topic.wait_for_members(2)
    wanted |= topic.fill(500)
    for _ in wanted:
        assert changed.acquire(timeout=PATIENCE)
    for process in processes:
        process.send_signal(signal.SIGINT)
    for reader in readers:
        reader.join(PATIENCE)

    assert [process.wait(PATIENCE) for process in processes] == [1, 1]
    told = [places(reader.lines) for reader in readers]
    assert all(told)
    assert sorted(told[0] + told[1]) == sorted(wanted)
    ends = {partition: 1 + max(offset for of, offset in wanted if of == partition) for partition, _ in wanted}
    assert {partition: offset for partition, (offset, _) in topic.committed(topic.group).items()} == ends


def test_a_scan_ends_at_the_end_and_the_next_goes_on_from_there(topic: Topic) -> None:
    first = topic.fill(10)
    out, errors = topic.scan().communicate(timeout=PATIENCE)
    assert (sorted(places(out.splitlines())), errors) == (sorted(first), "")
    second = topic.fill(5)
    process = topic.scan()
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, sorted(places(out.splitlines()))) == (1, sorted(second))
    process = topic.scan()
    assert (process.communicate(timeout=PATIENCE), process.returncode) == (("", ""), 0)


def test_a_scan_that_was_killed_goes_on_from_what_it_has_committed(topic: Topic) -> None:
    wanted = topic.fill(3000)
    patience = ("--property", "session.timeout.ms=6000")
    process = topic.scan(*patience)
    assert process.stdout is not None
    # It commits after 5000 messages at the latest. Further on it waits for its lines to be read.
    told = [process.stdout.readline() for _ in range(6000)]
    process.kill()
    process.wait(PATIENCE)
    before = {partition: offset for partition, (offset, _) in topic.committed(topic.group).items()}
    left = {(partition, offset) for partition, offset in wanted if offset >= before.get(partition, 0)}
    assert len(wanted) - len(left) >= 5000
    assert left

    process = topic.scan(*patience)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert sorted(places(out.splitlines())) == sorted(left)
    assert set(places(told)) | left == wanted


@pytest.mark.parametrize("where", ["this topic", "another topic"])
def test_a_group_with_offsets_of_others_is_left_alone(topic: Topic, real_kafka: str, where: str) -> None:
    topic.fill(1)
    used = topic.name if where == "this topic" else create_topic(real_kafka)
    billing = topic.consumer("billing-" + topic.group)
    billing.commit(offsets=[TopicPartition(used, 0, 1)], asynchronous=False)
    process = topic.scan(group="billing-" + topic.group)
    out, errors = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out) == (2, "")
    assert "--group" in errors
    (place,) = billing.committed([TopicPartition(used, 0)], timeout=PATIENCE)
    assert (place.offset, place.metadata) == (1, None)


def test_a_group_with_members_of_others_is_left_alone(topic: Topic) -> None:
    topic.fill(1)
    consumer = topic.consumer(topic.group)
    consumer.subscribe([topic.name])
    while not consumer.assignment():
        consumer.poll(0.1)
    process = topic.scan()
    out, errors = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out) == (2, "")
    assert "--group" in errors
    assert topic.committed(topic.group) == {}


def test_what_an_aborted_transaction_has_left_is_scanned_and_its_markers_end_a_partition(
    topic: Topic,
) -> None:
    producer = Producer({**topic.settings, "transactional.id": topic.name})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(topic.name, b"user@example.com", partition=0)
    producer.flush()
    producer.abort_transaction(PATIENCE)
    process = topic.scan()
    out, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, places(out.splitlines()), errors) == (1, [(0, 0)], "")


def test_a_broker_that_is_not_there_is_an_error_in_time(topic: Topic) -> None:
    address = f"kafka://127.0.0.1:{free_ports(1)[0]}/{topic.name}"
    process = topic.scan(address=address)
    out, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, "")
    assert errors.startswith(f"error: {address}: it can't be read (")


def test_a_topic_that_is_not_there_is_an_error_and_is_not_made(topic: Topic, real_kafka: str) -> None:
    missing = f"missing-{uuid.uuid4()}"
    process = topic.scan(address=f"kafka://{real_kafka}/{missing}")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert f"{missing}: it can't be read (UNKNOWN_TOPIC_OR_PART)" in errors
    assert missing not in AdminClient(topic.settings).list_topics(timeout=PATIENCE).topics


def test_what_the_broker_refuses_is_an_error(topic: Topic) -> None:
    process = topic.scan("--property", "session.timeout.ms=1000")
    out, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, "")
    assert "it can't be read (INVALID_SESSION_TIMEOUT)" in errors
