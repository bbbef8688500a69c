"""The queues, as anyone with the brokers' rights uses them.

What lies in a queue is gone when it is consumed. So this reader binds a queue of its own to the same exchange
and is given a copy of each message, on RabbitMQ as on Celery's broker.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import aio_pika
from aio_pika.exceptions import AMQPError
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError

from interceptors.demo.brokers import IN_PROCESS, unreachable
from interceptors.demo.wire import Queued

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECT_S = 10


class Onlooker(Protocol):
    """Reads and writes the messages of one queue, without keys."""

    async def read(self) -> list[Queued]:
        """Give every message that there has been."""

    async def write(self, forged: Queued) -> None:
        """Publish a message as it is."""


@contextlib.asynccontextmanager
async def on_rabbitmq(url: str, queue: str) -> AsyncIterator[Onlooker]:
    """Look on at a queue of RabbitMQ, whose exchange has its name. Nothing of it stays on the broker.

    Args:
        url: the broker's.
        queue: the queue's name.

    Raises:
        ConfigurationError: the broker can't be reached.
    """
    try:
        connection = await aio_pika.connect(url, timeout=CONNECT_S)
    except (AMQPError, OSError) as error:
        raise unreachable("--rabbitmq", url, error) from None
    async with connection:
        # interceptors: ignore[bus-not-traced] the onlooker is nobody's service
        channel = await connection.channel()
        exchange = await channel.declare_exchange(queue, auto_delete=True)
        copies = await channel.declare_queue(exclusive=True)
        await copies.bind(exchange, queue)
        yield _OnRabbitMQ(queue, exchange, copies)


class _OnRabbitMQ:
    def __init__(
        self, queue: str, exchange: aio_pika.abc.AbstractExchange, copies: aio_pika.abc.AbstractQueue
    ) -> None:
        self._queue = queue
        self._exchange = exchange
        self._copies = copies
        self._seen: list[Queued] = []

    async def read(self) -> list[Queued]:
        while (message := await self._copies.get(fail=False, no_ack=True)) is not None:
            copy = Queued(
                bus="rabbitmq",
                queue=self._queue,
                type=message.type or "",
                id=message.message_id or "",
                headers=dict(message.headers),
                body=message.body,
                properties={"content_type": message.content_type},
            )
            self._seen.append(copy)
        return list(self._seen)

    async def write(self, forged: Queued) -> None:
        message = aio_pika.Message(
            forged.body, headers=forged.headers, type=forged.type, message_id=forged.id, **forged.properties
        )
        await self._exchange.publish(message, forged.queue)


@contextlib.asynccontextmanager
async def on_celery(url: str, queue: str) -> AsyncIterator[Onlooker]:
    """Look on at a queue of Celery's broker. It is gone from there afterwards, with its exchange.

    Args:
        url: the broker's.
        queue: the queue's name.

    Raises:
        ConfigurationError: the broker can't be reached.
    """
    onlooker = _OnCelery(url, queue)
    try:
        await asyncio.to_thread(onlooker.open)
        yield onlooker
    finally:
        await asyncio.to_thread(onlooker.close)


def task_queue(name: str) -> Any:  # noqa: ANN401 - kombu has no types
    """Give kombu's declaration of a queue for tasks."""
    # Past a direct exchange, Celery sends straight to the queue, and there would be nothing to bind to.
    exchange: Any = Exchange(name, type="topic")
    return Queue(name, exchange, routing_key=name)


def transport_options(url: str) -> dict[str, object]:
    """Give the options that go with a URL: in the process, a queue is asked for news often."""
    return {"polling_interval": 0.01} if url == IN_PROCESS else {}


class _OnCelery:
    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = task_queue(queue)
        copies = f"{queue}.copy"
        self._copies: Any = Queue(copies, self._queue.exchange, routing_key=queue)
        self._connection: Any = Connection(
            url, connect_timeout=CONNECT_S, transport_options=transport_options(url)
        )
        self._seen: list[Queued] = []
        self._errors = (
            OperationalError,
            *self._connection.connection_errors,
            *self._connection.channel_errors,
        )

    def open(self) -> None:
        try:
            self._connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            for queue in (self._queue, self._copies):
                queue(self._connection.default_channel).declare()
        except (ValueError, *self._errors) as error:  # a ValueError: of no database's number
            raise unreachable("--celery-broker", self._url, error.__cause__ or error) from None

    def close(self) -> None:
        with contextlib.suppress(*self._errors):  # of a broker that is gone
            if self._connection.connected:
                channel = self._connection.default_channel
                for entity in (self._copies, self._queue, self._queue.exchange):
                    entity(channel).delete()
        self._connection.release()

    async def read(self) -> list[Queued]:
        return await asyncio.to_thread(self._read)

    async def write(self, forged: Queued) -> None:
        await asyncio.to_thread(self._write, forged)

    def _read(self) -> list[Queued]:
        copies = self._copies(self._connection.default_channel)
        while (message := copies.get(no_ack=True)) is not None:
            self._seen.append(_queued(self._queue.name, message))
        return list(self._seen)

    def _write(self, forged: Queued) -> None:
        # interceptors: ignore[bus-without-adapter] as above
        self._connection.Producer().publish(
            forged.body,
            headers=forged.headers,
            exchange=self._queue.exchange,
            routing_key=forged.queue,
            **forged.properties,
        )


def _queued(queue: str, message: Any) -> Queued:  # noqa: ANN401 - kombu has no types
    body = message.body
    return Queued(
        bus="celery",
        queue=queue,
        type=message.headers["task"],
        id=message.headers["id"],
        headers=message.headers,
        body=body.encode() if isinstance(body, str) else bytes(body),
        properties={
            "content_type": message.content_type,
            "content_encoding": message.content_encoding,
            "correlation_id": message.properties.get("correlation_id"),
        },
    )
