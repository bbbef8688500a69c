"""A broker in a process of its own, so that its work is in nobody's CPU."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from interceptors.testing.embedded_kafka import EmbeddedKafka
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection


@contextmanager
def aside(serve: Callable[[Connection], None]) -> Iterator[str]:
    """Run an embedded broker in another process; gives where it listens."""
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    process = processes.Process(target=serve, args=(there,))
    process.start()
    there.close()  # so that the end of the process is the end of the pipe
    try:
        yield here.recv()
    finally:
        here.close()
        process.join()


def kafka(pipe: Connection) -> None:
    with EmbeddedKafka() as broker, suppress(EOFError):
        pipe.send(broker.bootstrap_servers)
        pipe.recv()


def rabbitmq(pipe: Connection) -> None:
    with EmbeddedRabbitMQ() as broker, suppress(EOFError):
        pipe.send(broker.url)
        pipe.recv()
