"""A hop over RabbitMQ: bare aio-pika, and the same client traced, on the embedded broker.

Each operation publishes a message of 1 KB, with a publisher confirm, and handles it in a callback that
acknowledges it. The traced side seals and verifies, makes each message's process span current, and records
the spans of sending, processing and acknowledging. OpenTelemetry's instrumentation of aio-pika runs beside
them, in clear. The broker runs in a process of its own, so that its work is in nobody's CPU.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import aio_pika
from aside import aside, rabbitmq
from measure import Case, Report, arguments
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from recording import Counting, counted_provider

from interceptors import Tracing, Verdict
from interceptors.keys import MemoryKeys
from interceptors.rabbitmq import TracedChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

BODY = os.urandom(1016)
HEADERS = {"content-type": "application/json", "schema": "order/2"}


class Side(NamedTuple):
    """A channel, and a queue that lies on it."""

    name: str
    exchange: Any
    queue: Any
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    """What a round runs in: at its end the spans are handed over."""
    check: Callable[[list[Any]], None] = lambda _: None
    """Asserts that the messages were traced."""


async def hop(side: Side, times: int) -> list[Any]:
    """Publish messages, told apart by their first eight bytes, and handle them as they come."""
    received: list[Any] = []
    every = asyncio.Event()

    async def handle(message: Any) -> None:
        await message.ack()
        received.append(message)
        if len(received) == times:
            every.set()

    tag = await side.queue.consume(handle)
    for number in range(times):
        message = aio_pika.Message(number.to_bytes(8) + BODY, headers={**HEADERS})
        await side.exchange.publish(message, side.queue.name)
    await every.wait()
    await side.queue.cancel(tag)
    return received


async def connected(url: str, opened: AsyncExitStack) -> Any:
    connection = await opened.enter_async_context(await aio_pika.connect(url))
    return await connection.channel()


async def bare(name: str, queue: str, url: str, opened: AsyncExitStack) -> Side:
    channel = await connected(url, opened)
    return Side(name, channel.default_exchange, await channel.declare_queue(queue))


async def traced(url: str, opened: AsyncExitStack) -> Side:
    sink, keys = Counting(), MemoryKeys("checkout")
    checkout = Tracing.for_development("checkout", keys=keys, sink=sink)
    billing = Tracing.for_development("billing", keys=keys, sink=sink)
    sends = TracedChannel(await connected(url, opened), checkout)
    receives = TracedChannel(await connected(url, opened), billing)

    @contextmanager
    def around() -> Iterator[None]:
        yield
        checkout.flush()
        billing.flush()

    def check(received: list[Any]) -> None:
        assert all(message.receipt.verdict is Verdict.FRESH for message in received)
        assert sink.taken() >= 3 * len(received) - 1  # the last one's handler may still be on its way out

    return Side(
        "aio-pika, traced", sends.default_exchange, await receives.declare_queue("traced"), around, check
    )


async def instrumented(url: str, opened: AsyncExitStack) -> Side:
    """Under OpenTelemetry's instrumentation. It patches classes: for its rounds only."""
    sink = Counting()
    provider = counted_provider(sink)
    instrumentor = AioPikaInstrumentor()

    @contextmanager
    def around() -> Iterator[None]:
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
        try:
            yield
        finally:
            instrumentor.uninstrument()
            provider.force_flush()

    def check(received: list[Any]) -> None:
        assert all("traceparent" in message.headers for message in received)
        assert sink.taken() >= 2 * len(received) - 1

    side = await bare("aio-pika, OpenTelemetry in clear", "in-clear", url, opened)
    return side._replace(around=around, check=check)


def case(runner: asyncio.Runner, side: Side) -> Case:
    def run(times: int) -> list[Any]:
        with side.around():
            return runner.run(hop(side, times))

    def check(received: list[Any]) -> object:
        side.check(received)
        return [(message.body, [message.headers[name] for name in HEADERS]) for message in received]

    return Case(side.name, run, check)


async def sides(url: str, opened: AsyncExitStack) -> list[Side]:
    return [
        await bare("aio-pika", "bare", url, opened),
        await traced(url, opened),
        await instrumented(url, opened),
    ]


def main() -> None:
    report = Report(arguments(__doc__, rounds=9, operations=500).parse_args())
    with aside(rabbitmq) as url, asyncio.Runner() as runner:
        opened = AsyncExitStack()
        try:
            cases = [case(runner, side) for side in runner.run(sides(url, opened))]
            report.compare("a message published and confirmed, handled and acknowledged", cases)
        finally:
            runner.run(opened.aclose())
    report.write()


if __name__ == "__main__":
    main()
