"""A hop over RabbitMQ: bare aio-pika, and the same client traced, on the embedded broker.

Each operation publishes a message of clean JSON, 1 KB, with a publisher confirm, and handles it in a callback
that acknowledges it. The traced sides seal and verify, make each message's process span current, and record
the spans of sending, processing and acknowledging; one of them scans the message on its way out and in, too.
OpenTelemetry's instrumentation of aio-pika runs beside them, in clear. Spans go to the same OTLP backend. It
and the broker run in processes of their own, so that their work is in nobody's CPU.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing, nullcontext
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import aio_pika
from aside import aside, otlp, rabbitmq
from measure import Case, Report, arguments, goals
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from recording import SCANNED, Backend, Instrumented, Traced
from scan_data import clean_kilobytes

from interceptors import Verdict
from interceptors.rabbitmq import TracedChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

BODIES = clean_kilobytes(50)
HEADERS = {"content-type": "application/json", "schema": "order/2"}
BARE, TRACED, SCANNING, IN_CLEAR = (
    "aio-pika",
    "aio-pika, traced",
    "aio-pika, traced and scanned",
    "aio-pika, OpenTelemetry in clear",
)


class Side(NamedTuple):
    """A channel, and a queue that lies on it."""

    name: str
    exchange: Any
    queue: Any
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    """What a round runs in: at its end the spans are handed over."""
    check: Callable[[list[Any]], None] = lambda _: None
    """Asserts that the messages were traced."""


async def hop(side: Side, bodies: Sequence[bytes]) -> list[Any]:
    """Publish messages, and handle them as they come."""
    received: list[Any] = []
    every = asyncio.Event()

    async def handle(message: Any) -> None:
        await message.ack()
        received.append(message)
        if len(received) == len(bodies):
            every.set()

    tag = await side.queue.consume(handle)
    for body in bodies:
        message = aio_pika.Message(body, headers={**HEADERS})
        await side.exchange.publish(message, side.queue.name)
    await every.wait()
    await side.queue.cancel(tag)
    return received


async def connected(url: str, opened: AsyncExitStack) -> Any:
    connection = await opened.enter_async_context(await aio_pika.connect(url))
    return await connection.channel()


async def bare(name: str, url: str, opened: AsyncExitStack) -> Side:
    sends, receives = await connected(url, opened), await connected(url, opened)
    return Side(name, sends.default_exchange, await receives.declare_queue(name))


async def traced(
    name: str, url: str, backend: Backend, opened: AsyncExitStack, policy: Mapping[str, object] | None = None
) -> Side:
    ours = opened.enter_context(closing(Traced(backend, policy)))
    sends = TracedChannel(await connected(url, opened), ours.checkout)
    receives = TracedChannel(await connected(url, opened), ours.billing)

    def check(received: list[Any]) -> None:
        assert all(message.receipt.verdict is Verdict.FRESH for message in received)
        assert ours.taken() >= 3 * len(received) - 1  # the last one's handler may still be on its way out

    return Side(name, sends.default_exchange, await receives.declare_queue(name), ours.around, check)


async def instrumented(name: str, url: str, backend: Backend, opened: AsyncExitStack) -> Side:
    theirs = opened.enter_context(closing(Instrumented(backend, AioPikaInstrumentor())))

    def check(received: list[Any]) -> None:
        assert all("traceparent" in message.headers for message in received)
        assert theirs.taken() >= 2 * len(received) - 1

    return (await bare(name, url, opened))._replace(around=theirs.around, check=check)


def case(runner: asyncio.Runner, side: Side) -> Case:
    def run(times: int) -> list[Any]:
        with side.around():
            return runner.run(hop(side, [*islice(cycle(BODIES), times)]))

    def check(received: list[Any]) -> object:
        side.check(received)
        return [(message.body, [message.headers[name] for name in HEADERS]) for message in received]

    return Case(side.name, run, check)


async def sides(url: str, backends: str, opened: AsyncExitStack) -> list[Side]:
    return [
        await bare(BARE, url, opened),
        await traced(TRACED, url, Backend(backends, "traced"), opened),
        await traced(SCANNING, url, Backend(backends, "scanned"), opened, SCANNED),
        await instrumented(IN_CLEAR, url, Backend(backends, "in-clear"), opened),
    ]


def main() -> None:
    report = Report(arguments(__doc__, rounds=9, operations=500).parse_args())
    with aside(otlp) as backends, aside(rabbitmq) as url, asyncio.Runner() as runner:
        opened = AsyncExitStack()
        try:
            cases = [case(runner, side) for side in runner.run(sides(url, backends, opened))]
            rows = report.compare("a message published and confirmed, handled and acknowledged", cases)
            goals(report, rows, ours=TRACED, scanning=SCANNING, theirs=IN_CLEAR)
        finally:
            runner.run(opened.aclose())
    report.write()


if __name__ == "__main__":
    main()
