"""RabbitMQ by aio-pika."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING, Any, ClassVar

import aio_pika

from interceptors import RejectedError
from interceptors.rabbitmq import TracedChannel, traced

from .bus import DEADLINE, Bus, Delivery, Fate, Headers, Inbox, Need, Pace, Raw, Received, Sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aio_pika.abc import AbstractIncomingMessage

    from tests.conftest import Service

    from .bus import Handle

_GLANCE = 0.005
"""Seconds between looks into a queue: nobody tells of a message that comes."""


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

    decorates: ClassVar[bool] = False
    """Whether it is the handler that is traced, not the channel."""

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
        inbox = self.inbox(handle)
        await self._receive(service, inbox, concurrency)
        return inbox

    async def _receive(self, service: Service | None, inbox: Inbox, concurrency: int) -> None:
        channel = await self._opened(None if self.decorates else service)
        await channel.set_qos(prefetch_count=concurrency)
        queue = await channel.get_queue(self.place)
        handling: set[asyncio.Task[Any]] = set()

        async def on_message(message: AbstractIncomingMessage) -> None:
            task, over = asyncio.current_task(), contextlib.ExitStack()
            assert task is not None
            handling.add(task)
            # The client has moved on when its task is done, whose context is gone by then.
            task.add_done_callback(lambda _: over.close(), context=nowhere)
            task.add_done_callback(handling.discard)
            await _on_message(inbox, message, over)

        nowhere = contextvars.copy_context()
        if self.decorates and service is not None:
            on_message = traced(service.tracing, queue=self.place)(on_message)
        tag = await queue.consume(on_message)

        async def stop() -> None:
            await queue.cancel(tag)  # else it has the message again
            for task in handling:
                task.cancel()
            if handling:
                await asyncio.wait(handling)
            await channel.close()

        inbox.stopping.push_async_callback(stop)

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
            self._channels[service] = await self._opened(service)
        return self._channels[service]

    async def _opened(self, service: Service | None) -> Any:
        channel = await self._connection.channel()
        return channel if service is None else TracedChannel(channel, service.tracing)


class RabbitMQDecorated(RabbitMQ):
    """The channel is not traced, but what handles its messages is decorated."""

    name: ClassVar[str] = "rabbitmq_decorated"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_rabbitmq",)
    decorates: ClassVar[bool] = True


class RabbitMQLoop(RabbitMQ):
    """Handlers run in the body of a loop over the queue; those that run at the same time in as many loops."""

    name: ClassVar[str] = "rabbitmq_loop"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_rabbitmq",)

    async def _receive(self, service: Service | None, inbox: Inbox, concurrency: int) -> None:
        for _ in range(concurrency):
            inbox.run(self._run(service, inbox))

    async def _run(self, service: Service | None, inbox: Inbox) -> None:
        async with await self._opened(service) as channel:
            await channel.set_qos(prefetch_count=1)
            await self._loop(inbox, await channel.get_queue(self.place))

    async def _loop(self, inbox: Inbox, queue: Any) -> None:
        messages, pace = Pace.of(queue.iterator())
        async with messages:
            async for message in messages:
                with contextlib.suppress(Exception):  # as a program does that goes on with the next
                    await _on_message(inbox, message, pace.over)


class RabbitMQGet(RabbitMQLoop):
    """Messages are got one by one."""

    name: ClassVar[str] = "rabbitmq_get"

    async def _loop(self, inbox: Inbox, queue: Any) -> None:
        while True:
            try:
                # Cancelled meanwhile, aio-pika would close the channel and then wait for the answer for ever.
                message = await asyncio.shield(queue.get(fail=False))
            except RejectedError:
                continue
            if message is None:
                await asyncio.sleep(_GLANCE)
                continue
            with contextlib.suppress(Exception), contextlib.ExitStack() as over:
                await _on_message(inbox, message, over)


async def _on_message(inbox: Inbox, message: Any, over: contextlib.ExitStack) -> None:
    """Handle a message, and leave what is to be done when the client is over with it."""
    receipt = getattr(message, "receipt", None)
    headers = list(message.headers.items())
    delivery = Delivery(inbox, Received(message.body.decode(), headers, message, receipt))
    over.callback(delivery.done)
    async with message.process(ignore_processed=True):
        try:
            await delivery.handle()
        except asyncio.CancelledError:  # the client would have it rejected for good
            await message.nack(requeue=True)
            raise
        if delivery.fate is Fate.AGAIN:
            await message.nack(requeue=True)
