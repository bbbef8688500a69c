"""The cases of aio-pika: OpenTelemetry's instrumentation of it."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aio_pika
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from robustness_sides import Case, Recorded, Sealed, current_span, yes

from interceptors.rabbitmq import TracedChannel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOSTILE = (7, 0.5, bytearray(b"\xff\xfe"))


class Theirs(Recorded):
    """OpenTelemetry's instrumentation. It patches the classes, so channels are used as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.instrumentor = AioPikaInstrumentor()

    def channel(self, channel: Any) -> Any:
        if not self.instrumentor.is_instrumented_by_opentelemetry:
            self.instrumentor.instrument(tracer_provider=self.provider, skip_dep_check=True)
        return channel


class Ours(Sealed):
    def channel(self, channel: Any) -> Any:
        return TracedChannel(channel, self.tracing)


@asynccontextmanager
async def queue(side: Theirs | Ours, address: str, *strange: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Give a side's channel and a queue of it, in which lie messages with such values of `traceparent`."""
    async with await aio_pika.connect(address) as connection:
        stranger = await connection.channel()
        name = (await stranger.declare_queue(f"case-{uuid.uuid4()}")).name
        for number, value in enumerate(strange):
            message = aio_pika.Message(b"%d" % number, headers={"traceparent": value})
            await stranger.default_exchange.publish(message, name)
        channel = side.channel(await connection.channel())
        yield channel, await channel.get_queue(name)


async def hostile(side: Theirs | Ours, address: str) -> str:
    handled: list[bytes] = []
    last = asyncio.Event()

    async def handle(message: Any) -> None:
        async with message.process():
            handled.append(message.body)
        if message.body == b"last":
            last.set()

    async with queue(side, address, *HOSTILE) as (channel, place):
        await place.consume(handle)
        await channel.default_exchange.publish(aio_pika.Message(b"last"), place.name)
        await last.wait()
        await channel.close()  # what was not acknowledged goes back
        async with await aio_pika.connect(address) as connection:
            again = await (await connection.channel()).declare_queue(place.name, passive=True)
            left = again.declaration_result.message_count
    return f"{len(handled) - 1} of {len(HOSTILE)} handled; {left} never acknowledged"


async def callers_message(side: Theirs | Ours, address: str) -> str:
    message = aio_pika.Message(b"body", headers={"schema": "order/2"})
    async with queue(side, address) as (channel, place):
        await channel.default_exchange.publish(message, place.name)
    return f"the caller's table of 1 has {len(message.headers)} after"


async def got_and_iterated(side: Theirs | Ours, address: str) -> str:
    async with queue(side, address) as (channel, place):
        for _ in range(2):
            await channel.default_exchange.publish(aio_pika.Message(b"body"), place.name)
        async with (await place.get()).process():
            got, iterated = current_span(), 0
        async with place.iterator() as messages:
            async for message in messages:
                iterated = current_span()
                await message.ack()
                break
    own = {span.span_id for span in side.spans("CONSUMER")}
    return f"`get`: {yes(got in own)}, `iterator`: {yes(iterated in own)}"


CASES = [
    Case("OpenTelemetry, aio-pika", what, scenario, Theirs, Ours)
    for what, scenario in {
        "`traceparent` is an int, a float, bytes that are no text": hostile,
        "one `Message` is published": callers_message,
        "is the message's span current": got_and_iterated,
    }.items()
]
