"""A hop over Kafka: bare aiokafka, and the same client traced, on the embedded broker.

Each operation sends a message of 1 KB and receives it: in one table with `async for`, in the other with
`getmany`. The traced side seals and verifies, makes each message's process span current, and records both
spans. The broker runs in a process of its own, so that its work is in nobody's CPU. OpenTelemetry's
instrumentation of aiokafka runs beside them where it is installed.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aside import aside, kafka
from measure import Case, Report, arguments
from recording import Counting, counted_provider

from interceptors import Tracing, Verdict
from interceptors.kafka import TracedConsumer, TracedProducer
from interceptors.keys import MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from contextlib import AbstractContextManager

    Way = Callable[["Side", int], Coroutine[Any, Any, list[Any]]]

BODY = os.urandom(1016)
HEADERS = (("content-type", b"application/json"), ("schema", b"order/2"))


class Side(NamedTuple):
    """A producer, and a consumer of what it sends."""

    name: str
    topic: str
    producer: Any
    consumer: Any
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    """What a round runs in: at its end the spans are handed over."""
    handle: Callable[[Any], None] = lambda _: None
    """What is done with each record of a batch."""
    check: Callable[[list[Any]], None] = lambda _: None
    """Asserts that the records were traced."""


async def send(side: Side, times: int) -> None:
    """Send messages, told apart by their first eight bytes, and wait until the broker has them."""
    sent = [
        await side.producer.send(side.topic, number.to_bytes(8) + BODY, partition=0, headers=[*HEADERS])
        for number in range(times)
    ]
    await asyncio.gather(*sent)


async def one_by_one(side: Side, times: int) -> list[Any]:
    await send(side, times)
    received: list[Any] = []
    async for record in side.consumer:
        received.append(record)
        if len(received) == times:
            break
    return received


async def in_batches(side: Side, times: int) -> list[Any]:
    await send(side, times)
    received: list[Any] = []
    while len(received) < times:
        for records in (await side.consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                side.handle(record)
            received += records
    return received


async def bare(name: str, topic: str, servers: str, opened: AsyncExitStack) -> Side:
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,  # the embedded broker keeps a fetch that found nothing for all of this time
    )
    await opened.enter_async_context(producer)
    await opened.enter_async_context(consumer)
    await producer.partitions_for(topic)  # it comes into being
    consumer.assign([TopicPartition(topic, 0)])
    return Side(name, topic, producer, consumer)


def traced(side: Side) -> Side:
    """Put our tracing around a side."""
    sink, keys = Counting(), MemoryKeys("checkout")
    checkout = Tracing.for_development("checkout", keys=keys, sink=sink)
    billing = Tracing.for_development("billing", keys=keys, sink=sink)
    consumer = TracedConsumer(side.consumer, billing)

    @contextmanager
    def around() -> Iterator[None]:
        yield
        checkout.flush()
        billing.flush()

    def handle(record: Any) -> None:
        with consumer.process(record):
            side.handle(record)

    def check(received: list[Any]) -> None:
        assert all(record.receipt.verdict is Verdict.FRESH for record in received)
        assert all(record.headers == HEADERS for record in received)
        assert sink.taken() >= 2 * len(received) - 1  # the last one of `async for` is still being processed

    return side._replace(
        producer=TracedProducer(side.producer, checkout),
        consumer=consumer,
        around=around,
        handle=handle,
        check=check,
    )


def instrumented(side: Side, instrumentor: Any) -> Side:
    """Put OpenTelemetry's instrumentation around a side. It patches classes: for its rounds only."""
    sink = Counting()
    provider = counted_provider(sink)

    @contextmanager
    def around() -> Iterator[None]:
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
        try:
            yield
        finally:
            instrumentor.uninstrument()
            provider.force_flush()

    def check(received: list[Any]) -> None:
        assert all("traceparent" in dict(record.headers) for record in received)
        assert sink.taken() >= 2 * len(received)

    return side._replace(around=around, check=check)


def instrumentor_of_aiokafka() -> Any:
    """Give OpenTelemetry's instrumentor, or None where it is not installed."""
    try:
        return import_module("opentelemetry.instrumentation.aiokafka").AIOKafkaInstrumentor()
    except ModuleNotFoundError:
        return None


def case(runner: asyncio.Runner, side: Side, way: Way) -> Case:
    def run(times: int) -> list[Any]:
        with side.around():
            return runner.run(way(side, times))

    def check(received: list[Any]) -> object:
        side.check(received)
        return [(record.value, tuple(record.headers)[: len(HEADERS)]) for record in received]

    return Case(side.name, run, check)


def main() -> None:
    report = Report(arguments(__doc__, rounds=9, operations=1000).parse_args())
    with aside(kafka) as servers, asyncio.Runner() as runner:
        opened = AsyncExitStack()

        def connected(name: str, topic: str) -> Side:
            return runner.run(bare(name, topic, servers, opened))

        try:
            sides = [connected("aiokafka", "bare"), traced(connected("aiokafka, traced", "traced"))]
            instrumentor = instrumentor_of_aiokafka()
            if instrumentor is not None:
                name = "aiokafka, OpenTelemetry in clear"
                sides.append(instrumented(connected(name, "in-clear"), instrumentor))
            ways = {"async for": one_by_one, "getmany": in_batches}
            for name, way in ways.items():
                report.compare(
                    f"a message sent, and received by {name}", [case(runner, side, way) for side in sides]
                )
        finally:
            runner.run(opened.aclose())
    report.write()


if __name__ == "__main__":
    main()
