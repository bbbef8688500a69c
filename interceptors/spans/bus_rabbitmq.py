"""Batches of spans in a RabbitMQ queue, by aio-pika."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from interceptors.envelope import HEADER_NAME
from interceptors.errors import ConfigurationError, MissingExtraError
from interceptors.spans.bus import CLOSE_S, BusSink, TooLargeError, unwrapped

try:
    import aio_pika
    from aio_pika.exceptions import ChannelPreconditionFailed
except ModuleNotFoundError as error:
    if error.name != "aio_pika":
        raise
    raise MissingExtraError("rabbitmq", "aio_pika") from None

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection

    from interceptors.envelope.batch import CollectorKey
    from interceptors.spans.bus import Encode, Seal


def rabbitmq_sink(
    url: str, queue: str, collector_key: CollectorKey, *, encode: Encode, seal: Seal
) -> BusSink:
    """Make a sink that sends batches of spans to a queue.

    Args:
        url: `amqp://` or `amqps://`, as aio-pika takes it: `cafile`, `certfile` and `keyfile` may be in its
            query. It may hold a password: it is never printed.
        queue: the queue, which is there already.
        collector_key: whom the batches are sealed to.
        encode: writes spans as an OTLP `ExportTraceServiceRequest`.
        seal: makes the envelope for a sealed batch; None where no key can be had.

    Returns:
        The sink. It connects when the first batch comes.

    Raises:
        ConfigurationError: it is no such URL.
    """
    if not _is_amqp(url):
        msg = "not the URL of a RabbitMQ; give amqp://… or amqps://…"
        raise ConfigurationError(msg)
    return BusSink(lambda: _Client(url, queue), collector_key, encode=encode, seal=seal)


def _is_amqp(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("amqp", "amqps") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port, or no address
        return False


class _Client:
    """A connection with one channel; after a failure, a new one."""

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None

    async def send(self, body: bytes, envelope: bytes) -> None:
        message = aio_pika.Message(
            body,
            headers={HEADER_NAME: bytearray(envelope)},  # type `x`: the client refuses bytes
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        try:
            if self._channel is None or self._channel.is_closed:
                self._channel = await self._opened()
            publish = unwrapped(self._channel.default_exchange, "publish")
            await publish(message, self._queue)
        except BaseException as error:
            await self.close()
            if isinstance(error, ChannelPreconditionFailed):  # what RabbitMQ answers to it
                raise TooLargeError from None
            raise

    async def _opened(self) -> AbstractChannel:
        await self.close()
        self._connection = await aio_pika.connect(self._url)
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.declare_queue(self._queue, passive=True)
        return channel

    async def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is None:
            return
        with contextlib.suppress(Exception):  # of a broker that is away, or says nothing
            async with asyncio.timeout(CLOSE_S):
                await connection.close()
