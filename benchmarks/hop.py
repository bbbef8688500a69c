"""A hop over Kafka: bare aiokafka, the client traced, and with OpenTelemetry's instrumentation, in clear.

Each operation sends a message of clean JSON and receives it, on the embedded broker and with the transport
stubbed. The traced sides seal and verify, strip the envelope, judge against the replay window and make each
message's process span current; one of them scans the message on its way out and in, too. They and
OpenTelemetry's SDK send their spans to the same OTLP backend. Broker and backend run in processes of their
own, so that their work is in nobody's CPU. Before all that, asking the policy for a message is timed alone.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, closing, nullcontext
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aside import aside, kafka, otlp
from decision import decided
from loopback import loopback
from measure import Case, Report, arguments, goals
from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor
from recording import SCANNED, Backend, Instrumented, Traced
from scan_data import clean_kilobytes

from interceptors import Verdict
from interceptors.kafka import TracedConsumer, TracedProducer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from contextlib import AbstractContextManager
    from multiprocessing.connection import Connection

    Way = Callable[["Side", Sequence[bytes]], Coroutine[Any, Any, list[Any]]]
    Connect = Callable[[str], Awaitable[tuple[Any, Any]]]

HEADERS = (("content-type", b"application/json"), ("schema", b"order/2"))
SIZES = {"200 B": 200, "1 KB": 1024, "10 KB": 10240}
KILOBYTE = "1 KB"
DISTINCT = 50
BARE, TRACED, SCANNING, IN_CLEAR = (
    "aiokafka",
    "aiokafka, traced",
    "aiokafka, traced and scanned",
    "aiokafka, OpenTelemetry in clear",
)
SIDES = (BARE, TRACED, SCANNING, IN_CLEAR)
KEEPS = 0.6


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


async def send(side: Side, bodies: Sequence[bytes]) -> None:
    """Send messages, and wait until the broker has them."""
    sent = [await side.producer.send(side.topic, body, partition=0, headers=[*HEADERS]) for body in bodies]
    await asyncio.gather(*sent)


async def one_by_one(side: Side, bodies: Sequence[bytes]) -> list[Any]:
    await send(side, bodies)
    received: list[Any] = []
    async for record in side.consumer:
        received.append(record)
        if len(received) == len(bodies):
            break
    return received


async def in_batches(side: Side, bodies: Sequence[bytes]) -> list[Any]:
    await send(side, bodies)
    received: list[Any] = []
    while len(received) < len(bodies):
        for records in (await side.consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                side.handle(record)
            received += records
    return received


async def waits(side: Side, bodies: Sequence[bytes]) -> list[float]:
    """Give how long a caller waits for each message: for its acknowledgement, and for it to be handed over.

    That the consumer polls is left out: all but a few records have been fetched when they are asked for.
    """
    waited = []
    for body in bodies:
        began = perf_counter()
        await side.producer.send_and_wait(side.topic, body, partition=0, headers=[*HEADERS])
        waited.append(perf_counter() - began)
    for place in range(len(bodies)):
        began = perf_counter()
        await anext(side.consumer)
        waited[place] += perf_counter() - began
    return waited


async def stubbed(topic: str) -> tuple[Any, Any]:
    return loopback(topic)


def embedded(servers: str) -> Connect:
    async def connect(topic: str) -> tuple[Any, Any]:
        producer = AIOKafkaProducer(bootstrap_servers=servers)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=servers,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,  # the embedded broker keeps a fetch that found nothing for all of this time
        )
        await producer.start()
        await consumer.start()
        await producer.partitions_for(topic)  # it comes into being
        consumer.assign([TopicPartition(topic, 0)])
        return producer, consumer

    return connect


def traced(side: Side, ours: Traced) -> Side:
    """Put our tracing around a side."""
    consumer = TracedConsumer(side.consumer, ours.billing)

    def handle(record: Any) -> None:
        with consumer.process(record):
            side.handle(record)

    def check(received: list[Any]) -> None:
        assert all(record.receipt.verdict is Verdict.FRESH for record in received)
        assert all(record.headers == HEADERS for record in received)
        assert ours.taken() >= 2 * len(received) - 1  # the last one of `async for` is still being processed

    return side._replace(
        producer=TracedProducer(side.producer, ours.checkout),
        consumer=consumer,
        around=ours.around,
        handle=handle,
        check=check,
    )


def instrumented(side: Side, theirs: Instrumented) -> Side:
    """Put OpenTelemetry's instrumentation around a side."""

    def check(received: list[Any]) -> None:
        assert all("traceparent" in dict(record.headers) for record in received)
        assert theirs.taken() >= 2 * len(received)

    return side._replace(around=theirs.around, check=check)


async def connected(name: str, connect: Connect, opened: AsyncExitStack, url: str) -> Side:
    """Give a side by its name."""
    topic = name.replace(", ", ".").replace(" ", "-")
    producer, consumer = await connect(topic)
    side = Side(name, topic, producer, consumer)
    backend = Backend(url, topic)
    if name == IN_CLEAR:
        theirs = opened.enter_context(closing(Instrumented(backend, AIOKafkaInstrumentor())))
        side = instrumented(side, theirs)
    elif name != BARE:
        policy = SCANNED if name == SCANNING else None
        side = traced(side, opened.enter_context(closing(Traced(backend, policy))))
    opened.push_async_callback(producer.stop)
    opened.push_async_callback(side.consumer.stop)
    return side


def case(runner: asyncio.Runner, side: Side, way: Way, pool: Sequence[bytes]) -> Case:
    def run(times: int) -> list[Any]:
        with side.around():
            return runner.run(way(side, [*islice(cycle(pool), times)]))

    def check(received: list[Any]) -> object:
        side.check(received)
        return [(record.value, tuple(record.headers)[: len(HEADERS)]) for record in received]

    return Case(side.name, run, len if way is waits else check)


def side_by_side(report: Report, where: str, connect: Connect, url: str) -> None:
    """Print the tables of one transport."""
    pools = {name: clean_kilobytes(DISTINCT, size=size) for name, size in SIZES.items()}
    with asyncio.Runner() as runner:
        opened = AsyncExitStack()
        try:
            sides = [runner.run(connected(name, connect, opened, url)) for name in SIDES]

            def cases(way: Way, size: str) -> list[Case]:
                return [case(runner, side, way, pools[size]) for side in sides]

            for size in SIZES:
                title = f"{size} sent, and received by async for, {where}"
                # The embedded broker holds 5 MB of a partition.
                rows = report.compare(title, cases(one_by_one, size), part=4 if size == "10 KB" else 1)
                if size == KILOBYTE:
                    goals(report, rows, ours=TRACED, scanning=SCANNING, theirs=IN_CLEAR, where=f", {where}")
                    if connect is not stubbed:
                        kept = rows[BARE].wall_us / rows[TRACED].wall_us
                        text = f"{TRACED}: at least {KEEPS} of the throughput of {BARE}, {where}"
                        report.goal(text, kept, KEEPS, at_least=True)
            title = f"{KILOBYTE} sent, and received by getmany, {where}"
            report.compare(title, cases(in_batches, KILOBYTE))
            report.latencies(
                f"{KILOBYTE}: waiting for the acknowledgement and the record, {where}", cases(waits, KILOBYTE)
            )
        finally:
            runner.run(opened.aclose())


def most_memory() -> float:
    """Give the most memory that this process has had, in MiB. `getrusage` would count its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def alone(name: str, url: str, rounds: int, operations: int) -> None:
    """Run one side, with the transport stubbed."""
    pool = clean_kilobytes(DISTINCT)
    with asyncio.Runner() as runner:
        opened = AsyncExitStack()
        side = runner.run(connected(name, stubbed, opened, url))
        for _ in range(rounds):
            case(runner, side, one_by_one, pool).run(operations)
        runner.run(opened.aclose())


def peak(pipe: Connection, name: str, url: str, rounds: int, operations: int) -> None:
    """Be one side in a process of its own; sends the most memory that it had at its start and in the end."""
    first = most_memory()
    alone(name, url, rounds, operations)
    pipe.send((first, most_memory()))


def memory(report: Report, url: str, rounds: int, operations: int) -> None:
    rows = {}
    for name in SIDES:
        with aside(peak, name, url, rounds, operations) as (first, last):
            rows[name] = {"at start": first, "at peak": last, "more": last - first}
    report.figures(f"memory of a process, MiB, {rounds * operations} messages of {KILOBYTE}", rows)


def main() -> None:
    parser = arguments(__doc__, rounds=9, operations=1000)
    parser.add_argument("--alone", choices=SIDES, help="run one side and print nothing: for a profiler")
    options = parser.parse_args()
    report = Report(options)
    with ExitStack() as stack:
        url = stack.enter_context(aside(otlp))
        if options.alone is not None:
            alone(options.alone, url, options.rounds, options.operations)
            return
        decided(report)
        servers = stack.enter_context(aside(kafka))
        side_by_side(report, "embedded Kafka", embedded(servers), url)
        side_by_side(report, "transport stubbed", stubbed, url)
        memory(report, url, 2 * options.rounds, options.operations)
    report.write()


if __name__ == "__main__":
    main()
