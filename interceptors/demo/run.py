"""The run, from the input file to the report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aiokafka.errors import KafkaError
from kombu.exceptions import OperationalError

from interceptors.demo import wire
from interceptors.demo.brokers import brokers, unreachable
from interceptors.demo.exporting import Exporting
from interceptors.demo.orders import FIELDS, SAMPLE, read_orders
from interceptors.demo.report import report
from interceptors.demo.setup import Setup
from interceptors.demo.traffic import traffic
from interceptors.errors import ConfigurationError
from interceptors.spans import JsonLinesSink, MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from interceptors.demo.brokers import Brokers
    from interceptors.demo.orders import BadLine, Order
    from interceptors.demo.outcome import Outcome

_EMBEDDED_BYTES = 3_000_000
_CLIENTS = ("aio_pika", "aiokafka", "aiormq", "celery", "kombu")
_BROKER_ERRORS = (KafkaError, AMQPError, ChannelInvalidStateError, OperationalError, OSError)


def run(
    *,
    input_path: Path | None,
    out: Path,
    kafka: str | None,
    console: Console,
    rabbitmq: str | None = None,
    celery_broker: str | None = None,
    otlp: str | None = None,
) -> int:
    """Run the demonstration.

    Args:
        input_path: the orders, JSON lines; None for the sample.
        out: where `topic.jsonl`, `queues.jsonl`, `spans.jsonl` and the keys go.
        kafka: `host:port` of a broker; None for the embedded one.
        console: where the report goes.
        rabbitmq: the URL of a broker for the payments; None to send them through Kafka.
        celery_broker: the URL of Celery's broker; None for one inside the process.
        otlp: the URL of what takes the spans, too, by OTLP over HTTP; None for nothing.

    Returns:
        The exit status: 0, or 1 where a line of the input was bad, a message was lost, or an attack did not
        get its verdict.

    Raises:
        ConfigurationError: the input holds no order, a file can't be read or written, or a broker or
            the OTLP endpoint can't be reached.
    """
    path = input_path or SAMPLE
    orders, bad_lines = read_orders(path)
    for line in bad_lines:
        console.print(f"{path}:{line.number}: skipped: {line.problem}", style="yellow", markup=False)
    if not orders:
        msg = f"{path}: holds no order; each line is a JSON object with {FIELDS}"
        raise ConfigurationError(msg)
    size = sum(len(order.body) for order in orders)
    if kafka is None and size > _EMBEDDED_BYTES:
        msg = (
            f"{path}: holds {size:,} bytes of orders, and the embedded Kafka keeps only its newest few "
            f"million; give a part of them, or a broker with --kafka"
        )
        raise ConfigurationError(msg)
    exporting = None if otlp is None else Exporting(otlp)
    sink = MemorySink()
    setup = Setup(out / "keys", [order.merchant for order in orders], sink)
    with brokers(kafka, rabbitmq, celery_broker) as given, _quiet_clients(), contextlib.closing(setup):
        outcome = _traffic(setup, given, orders, bad_lines, create=kafka is not None)
    (out / "spans.jsonl").unlink(missing_ok=True)
    JsonLinesSink(out / "spans.jsonl").export(sink.spans, 0)
    wire.write(out / "topic.jsonl", outcome.records)
    wire.write(out / "queues.jsonl", outcome.queued)
    outcome.spans.extend(sink.spans)
    report(console, outcome, out)
    if exporting is not None:
        exporting.export(sink.spans)
        console.print(f"The same spans were exported by OTLP: {len(sink.spans)}")
    return 1 if bad_lines or outcome.lost or outcome.unrecognised else 0


def _traffic(
    setup: Setup, given: Brokers, orders: list[Order], bad_lines: list[BadLine], *, create: bool
) -> Outcome:
    try:
        return asyncio.run(traffic(setup, given, orders, bad_lines, create=create))
    except (*_BROKER_ERRORS, ExceptionGroup) as error:
        failures, others = ExceptionGroup("", [error]).split(_BROKER_ERRORS)
        if failures is None or others is not None:
            raise
        raise _gone(given, _first(failures)) from None


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _gone(given: Brokers, error: Exception) -> ConfigurationError:
    if isinstance(error, KafkaError):
        return unreachable("--kafka", given.kafka, error)
    return ConfigurationError(
        f"a broker went away: {type(error).__name__}; check that each is running, and run it again"
    )


@contextlib.contextmanager
def _quiet_clients() -> Iterator[None]:
    """Let the buses' clients log nothing meanwhile: what goes wrong is said once, by the error."""
    loggers = [logging.getLogger(name) for name in _CLIENTS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
