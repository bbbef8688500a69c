"""Real brokers for tests, on whatever machine the tests run.

What belongs here: finding or starting a server, saying when it is ready, and ending it. What does not:
anything about this library, and anything that a test asserts.

Where a Kafka comes from, in this order:

1. `KAFKA_BOOTSTRAP_SERVERS` in the environment: that one is used, and never stopped or killed;
2. a Docker engine that answers: the official image, through testcontainers;
3. otherwise Java and the jars of the same release, fetched by Maven.

`BROKERS=none` in the environment is the only way to do without. A broker that should be there and isn't is a
failure, never a skip.
"""

from __future__ import annotations

import os
from typing import Protocol

__all__ = ["KafkaServer", "given_address", "new_server", "unwanted"]


class KafkaServer(Protocol):
    """One broker that is ours to start, kill and bring back. A failure of any step is a `RuntimeError`."""

    @property
    def bootstrap_servers(self) -> str:
        """The address, on loopback. It stays the same for as long as the object lives."""

    def start(self) -> None:
        """Return when clients can produce, join groups and commit. Does nothing when it runs already."""

    def kill(self) -> None:
        """End it with SIGKILL, at once, and return when it is gone. What it has on disk stays."""

    def restart(self) -> None:
        """End it in good order if it runs, and start it again on the same port and data."""

    def stop(self) -> None:
        """End it and remove its data. Harmless when done twice."""


def unwanted() -> bool:
    """Whether the environment asks to do without real brokers."""
    return os.environ.get("BROKERS") == "none"


def given_address() -> str | None:
    """The bootstrap address of the broker that the environment names, if it names one."""
    return os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or None


def new_server() -> KafkaServer:
    """A server of our own, not yet started: in Docker where an engine answers, otherwise native.

    Raises:
        RuntimeError: Java or the jars are missing here and can't be fetched; the text says what to do.
    """
    # Only the way that is taken is imported: the Docker client is slow to load, and Java may not be there.
    from . import container, native  # noqa: PLC0415 - as said

    return container.KafkaContainer() if container.engine_answers() else native.NativeKafka()
