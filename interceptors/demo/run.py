"""The run, from the input file to the report."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from interceptors.demo.attacks import launch, plan
from interceptors.demo.orders import SAMPLE, read_orders
from interceptors.demo.outcome import Outcome
from interceptors.demo.report import report
from interceptors.demo.services import Arrivals, checkout, ledger, storefront
from interceptors.demo.setup import CHECKOUT, DEADLINE_S, LEDGER, ORDERS, REFUNDS, RETRY_WINDOW_S, Setup
from interceptors.demo.wire import create_topics, read_all, write_topic
from interceptors.errors import ConfigurationError
from interceptors.spans import JsonLinesSink, MemorySink
from interceptors.testing.embedded_kafka import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from interceptors.demo.orders import BadLine, Order


_EMBEDDED_BYTES = 3_000_000


def run(*, input_path: Path | None, out: Path, kafka: str | None, console: Console) -> int:
    """Run the demonstration.

    Args:
        input_path: the orders, JSON lines; None for the sample.
        out: where `topic.jsonl`, `spans.jsonl` and the keys of this run go.
        kafka: `host:port` of a broker; None for the embedded one.
        console: where the report goes.

    Returns:
        The exit status: 0, or 1 where a line of the input was bad, a message was lost, or an attack did not
        get its verdict.

    Raises:
        ConfigurationError: the input holds no order, a file can't be read or written, or the broker can't
            be reached.
    """
    path = input_path or SAMPLE
    orders, bad_lines = read_orders(path)
    for line in bad_lines:
        console.print(f"{path}:{line.number}: skipped: {line.problem}", style="yellow", markup=False)
    if not orders:
        msg = f"{path}: holds no order; each line is an object with order_id, merchant and customer"
        raise ConfigurationError(msg)
    size = sum(len(order.body) for order in orders)
    if kafka is None and size > _EMBEDDED_BYTES:
        msg = (
            f"{path}: holds {size:,} bytes of orders, and the embedded Kafka keeps only its newest few "
            f"million; give a part of them, or a broker with --kafka"
        )
        raise ConfigurationError(msg)
    sink = MemorySink()
    _make_folder(out)
    setup = Setup(out / "keys", [order.merchant for order in orders], sink)
    with _broker(kafka) as servers:
        try:
            outcome = asyncio.run(_traffic(setup, servers, orders, bad_lines, created=kafka is None))
            records = asyncio.run(read_all(servers, setup.topics()))
        except (KafkaError, OSError, ExceptionGroup) as error:
            failure = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            if not isinstance(failure, (KafkaError, OSError)):
                raise
            msg = f"{servers}: {type(failure).__name__}; check the address, and that the broker is running"
            raise ConfigurationError(msg) from None
        finally:
            for tracing in setup.tracings.values():
                tracing.close()
    (out / "spans.jsonl").unlink(missing_ok=True)
    JsonLinesSink(out / "spans.jsonl").export(sink.spans)
    write_topic(out / "topic.jsonl", records)
    outcome.spans.extend(sink.spans)
    report(console, outcome, records, out)
    return 1 if bad_lines or outcome.lost or outcome.unrecognised else 0


async def _traffic(
    setup: Setup, servers: str, orders: list[Order], bad_lines: list[BadLine], *, created: bool
) -> Outcome:
    arrivals = Arrivals()
    expected = {CHECKOUT: len(orders), LEDGER: len(orders)}
    if not created:  # the embedded broker makes a topic when it is first asked for
        await create_topics(servers, setup.topics())
    async with asyncio.TaskGroup() as group:
        services = [
            group.create_task(checkout(setup, servers, arrivals)),
            group.create_task(ledger(setup, servers, arrivals)),
        ]
        async with asyncio.timeout(DEADLINE_S):
            await arrivals.wait_until_ready(CHECKOUT, LEDGER)
            await storefront(setup, servers, orders)
        await _settle(arrivals, expected)
        genuine = await read_all(servers, setup.topics())
        attacks = plan(setup, genuine)
        await asyncio.sleep(RETRY_WINDOW_S)  # sooner than that, a replay is a producer's retry
        placed = await launch(setup, servers, attacks)
        # An attack on an order makes the checkout ask for a payment, as any order does.
        expected[CHECKOUT] += sum(attack.channel == ORDERS for attack in attacks)
        expected[LEDGER] += sum(attack.channel in (ORDERS, REFUNDS) for attack in attacks)
        await _settle(arrivals, expected)
        for service in services:
            service.cancel()
    return Outcome(setup, orders, bad_lines, genuine, arrivals.by_coordinate, placed, [], expected)


async def _settle(arrivals: Arrivals, expected: dict[str, int]) -> None:
    """Wait until everything has arrived, or until it no longer will."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE_S):
            for service, count in expected.items():
                await arrivals.wait_for(service, count)


@contextlib.contextmanager
def _broker(kafka: str | None) -> Iterator[str]:
    if kafka is not None:
        yield kafka
        return
    with EmbeddedKafka() as embedded:
        yield embedded.bootstrap_servers


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{out}: can't be made ({error.strerror}); give another folder with --out"
        raise ConfigurationError(msg) from None
