"""When a Kafka can be used, and topics on it."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

if TYPE_CHECKING:
    from collections.abc import Callable

# How long one request may take before we look again whether the server still runs.
_GLANCE = 1.0


def _client_settings(bootstrap_servers: str) -> dict[str, str | int]:
    return {
        "bootstrap.servers": bootstrap_servers,
        "reconnect.backoff.max.ms": 250,
        "log_level": 0,  # while the server starts, each refused connection would be a line
    }


def wait_ready(bootstrap_servers: str, *, timeout: float, check: Callable[[], None]) -> None:
    """Wait until metadata is served and the coordinator of a fresh group answers.

    Args:
        bootstrap_servers: where.
        timeout: for how many seconds.
        check: called again and again meanwhile; raises when there is nothing left to wait for.

    Raises:
        TimeoutError: it was not ready in time.
    """
    deadline = time.monotonic() + timeout
    probe = Consumer(_client_settings(bootstrap_servers) | {"group.id": f"ready-{uuid.uuid4()}"})
    try:
        while True:
            check()
            try:
                probe.list_topics(timeout=_GLANCE)
                # Finding the coordinator makes the broker create the topic that offsets are kept in, and
                # this returns when that topic is loaded.
                probe.committed([TopicPartition("ready", 0)], timeout=_GLANCE)
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{bootstrap_servers} is not ready after {timeout} s") from error
            else:
                return
    finally:
        probe.close()


def create_topic(bootstrap_servers: str, *, partitions: int = 2) -> str:
    """A topic that nobody has used, on a real broker.

    Returns:
        Its name, different each time.
    """
    name = f"test-{uuid.uuid4()}"
    admin = AdminClient(_client_settings(bootstrap_servers))
    admin.create_topics([NewTopic(name, partitions, 1)], operation_timeout=20)[name].result(timeout=30)
    return name
