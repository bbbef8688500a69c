"""RabbitMQ by aio-pika."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any, ClassVar

import aio_pika

from interceptors.rabbitmq import TracedChannel

from .bus import DEADLINE, Bus, Delivery, Fate, Headers, Inbox, Need, Raw, Received, Sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aio_pika.abc import AbstractIncomingMessage

    from tests.conftest import Service

    from .bus import Handle


class RabbitMQ(Bus):
    """A queue behind the default exchange; handlers are the callbacks of `consume`."""

    name: ClassVar[str] = "rabbitmq"
    system: ClassVar[str] = "rabbitmq"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_rabbitmq", "real_rabbitmq")
    lacks: ClassVar[Mapping[Need, str]] = {Need.REPEATED_HEADERS: "headers are a table"}
    headers: ClassVar[Headers] = [  # in the order in which the client writes them
        ("bytes", bytearray(range(256))),
        ("empty", ""),
        ("flag", True),
        ("fraction", 0.5),
        ("nothing", None),
        ("number", -(1 << 40)),
        ("table", {"deeper": [1, "two", {"three": 3}]}),
        ("text", "größer"),
    ]
    poisons: ClassVar[tuple[Any, ...]] = (
        *(None, True, 7, -1.5, "", "é", "E", [], ["E"], {}, {"sealed-trace": ["E"]}),
        *(bytearray(), bytearray(b"\xff\xfe\xfd"), bytearray(100_000)),
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._channels: dict[Service | None, Any] = {}
        self._connection: Any = None
        self._queue: Any = None

    async def open(self) -> None:
        self._connection = await aio_pika.connect(self.address)
        self.stopping.push_async_callback(self._connection.close)
        self._queue = await (await self._channel(None)).declare_queue(self.place)
        self.stopping.push_async_callback(self._queue.delete, if_unused=False, if_empty=False)

    async def send(
        self, service: Service | None, body: str, headers: Headers | None = None, *, name: str = ""
    ) -> Sent:
        names: dict[str, Any] = dict.fromkeys(("message_id", "type", "correlation_id"), name) if name else {}
        table = None if headers is None else dict(headers)
        message = aio_pika.Message(body.encode(), headers=table, **names)
        before = message.info()
        channel = await self._channel(service)
        await channel.default_exchange.publish(message, self.place)
        return Sent(before, message.info())

    async def serve(
        self, service: Service | None, handle: Handle | None = None, *, concurrency: int = 1
    ) -> Inbox:
        inbox = Inbox(handle)
        channel = _traced(await self._connection.channel(), service)
        await channel.set_qos(prefetch_count=concurrency)
        queue = await channel.get_queue(self.place)
        handling: set[asyncio.Task[Any]] = set()

        async def on_message(message: AbstractIncomingMessage) -> None:
            task = asyncio.current_task()
            assert task is not None
            handling.add(task)
            receipt = getattr(message, "receipt", None)
            headers = list(message.headers.items())
            delivery = Delivery(inbox, Received(message.body.decode(), headers, message, receipt))
            # The client has moved on when its task is done, whose context is gone by then.
            task.add_done_callback(lambda _: delivery.done(), context=nowhere)
            task.add_done_callback(handling.discard)
            async with message.process(ignore_processed=True):
                try:
                    await delivery.handle()
                except asyncio.CancelledError:  # the client would have it rejected for good
                    await message.nack(requeue=True)
                    raise
                if delivery.fate is Fate.AGAIN:
                    await message.nack(requeue=True)

        nowhere = contextvars.copy_context()
        tag = await queue.consume(on_message)

        async def stop() -> None:
            await queue.cancel(tag)  # else it has the message again
            for task in handling:
                task.cancel()
            if handling:
                await asyncio.wait(handling)
            await channel.close()

        inbox.stopping.push_async_callback(stop)
        self.stopping.push_async_callback(inbox.stop)
        return inbox

    async def lift(self) -> Raw:
        message = await self._queue.get(timeout=DEADLINE)
        await message.ack()
        return Raw(message.body, list(message.headers.items()), message)

    async def put(self, raw: Raw) -> None:
        properties = raw.properties
        message = aio_pika.Message(
            raw.body,
            headers=dict(raw.headers),
            type=properties.type,
            message_id=properties.message_id,
            correlation_id=properties.correlation_id,
        )
        await (await self._channel(None)).default_exchange.publish(message, self.place)

    def carried(self, envelope: bytes) -> bytearray:
        return bytearray(envelope)

    async def _channel(self, service: Service | None) -> Any:
        if service not in self._channels:
            self._channels[service] = _traced(await self._connection.channel(), service)
        return self._channels[service]


def _traced(channel: Any, service: Service | None) -> Any:
    return channel if service is None else TracedChannel(channel, service.tracing)
