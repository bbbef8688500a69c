"""An application with OpenTelemetry's own SDK, across three real buses: its spans and ours are one trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from celery import Celery
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import interceptors
from interceptors import Tracing
from interceptors.celery import connect
from interceptors.kafka import TracedConsumer, TracedProducer
from interceptors.rabbitmq import TracedChannel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from opentelemetry.trace import Tracer

    from .conftest import Arrived, Bus, OtlpSink

APP = Path(__file__).with_name("celery_app")
LIBRARY = Path(interceptors.__file__).parents[1]
DEADLINE = 60
SHOP, CHECKOUT, BILLING, BOOKINGS = "shop", "checkout", "billing", "bookings"
POLICY = {
    "channels": [
        {"name": "orders", "match": {"kafka": ["test-*"]}},
        {"name": "payments", "match": {"rabbitmq": ["payments-*"]}},
        {"name": "charges", "match": {"celery": ["charges-*"]}},
    ],
    "default": {"accept": "required"},
}

Tree = dict[tuple[str, str], tuple[str, str] | None]
"""Of each span its parent, each by its service and its name."""

TREE: Tree = {
    (SHOP, "place order"): None,
    (SHOP, "send orders"): (SHOP, "place order"),
    (SHOP, "confirm"): (SHOP, "place order"),
    (CHECKOUT, "process orders"): (SHOP, "send orders"),
    (CHECKOUT, "in the loop"): (CHECKOUT, "process orders"),
    (CHECKOUT, "in a thread"): (CHECKOUT, "process orders"),
    (CHECKOUT, "in a task"): (CHECKOUT, "process orders"),
    (CHECKOUT, "in a generator"): (CHECKOUT, "process orders"),
    (CHECKOUT, "between its values"): (CHECKOUT, "in a generator"),
    (CHECKOUT, "send payments"): (CHECKOUT, "in the loop"),
    (BILLING, "process payments"): (CHECKOUT, "send payments"),
    (BILLING, "ack payments"): (BILLING, "process payments"),
    (BILLING, "charge"): (BILLING, "process payments"),
    (BILLING, "send charges"): (BILLING, "charge"),
    (BOOKINGS, "process charges"): (BILLING, "send charges"),
    (BOOKINGS, "write it down"): (BOOKINGS, "process charges"),
}


def tree(arrived: list[Arrived]) -> Tree:
    """What the ids of the spans say. No two spans may have the same service and name."""
    names = {one.span.span_id: (one.resource["service.name"], one.span.name) for one in arrived}
    assert len(set(names.values())) == len(arrived)
    return {
        names[one.span.span_id]: names[one.span.parent_span_id] if one.span.parent_span_id else None
        for one in arrived
    }


class Application:
    """The services of this process, each with a tracing and a tracer of its own."""

    def __init__(self, files: dict[str, Path], sink: OtlpSink, closing: contextlib.ExitStack) -> None:
        self.files = files
        self._closing = closing
        self._exports_to = f"{sink.url}/v1/traces"
        self.tracing = {
            service: closing.enter_context(Tracing.from_file(files[service])) for service in files
        }
        self.tracer = {service: self._tracer(service) for service in files}

    def _tracer(self, service: str) -> Tracer:
        provider = TracerProvider(resource=Resource({"service.name": service}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(self._exports_to)))
        self._closing.callback(provider.shutdown)
        return provider.get_tracer(service)

    @contextlib.contextmanager
    def bookings(self, app: Celery, conf: dict[str, Any]) -> Iterator[None]:
        """A Celery worker in a process of its own, once it answers."""
        log = self.files[BOOKINGS].with_suffix(".log")
        environment = {
            "PYTHONPATH": os.pathsep.join(map(str, (APP, LIBRARY))),
            "BOOKINGS_CONF": json.dumps(conf),
            "BOOKINGS_OTLP": self._exports_to,
            "BOOKINGS_TRACING": str(self.files[BOOKINGS]),
        }
        quiet = ("--pool=prefork", "--concurrency=1", "--without-gossip", "--without-mingle")
        with log.open("wb") as file:
            worker = subprocess.Popen(  # noqa: S603 - our own app
                [sys.executable, "-m", "celery", "-A", "bookings", "worker", *quiet],
                env=os.environ | environment,
                stdout=file,
                stderr=file,
                cwd=log.parent,
                start_new_session=True,
            )
        try:
            end = time.monotonic() + DEADLINE
            while not app.control.ping(timeout=0.5, limit=1):
                if worker.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"no worker; its log:\n{log.read_text()}")
            yield
        finally:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(DEADLINE)


@pytest.fixture
def application(configured: Callable[..., dict[str, Path]], otlp_sink: OtlpSink) -> Iterator[Application]:
    files = configured(SHOP, CHECKOUT, BILLING, BOOKINGS, policy=POLICY, otlp=otlp_sink.url)
    with contextlib.ExitStack() as closing:
        yield Application(files, otlp_sink, closing)


@pytest.fixture
def charges(real_rabbitmq: str, application: Application) -> Iterator[Any]:
    """Billing's Celery app, whose tasks a worker takes."""
    name = f"charges-{uuid.uuid4()}"
    conf = {"broker_url": real_rabbitmq, "task_default_queue": name, "task_ignore_result": True}
    app = Celery(BILLING, set_as_current=False)
    app.conf.update(conf)
    connect(app, application.tracing[BILLING])
    with application.bookings(app, conf):
        yield app
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(name)
        connection.default_channel.exchange_delete(name)
    app.close()


async def handle_in_every_way(tracer: Tracer) -> None:
    """Make a span of the application's own wherever a handler may run a part of itself."""

    def work(name: str) -> None:
        tracer.start_span(name).end()

    async def work_in_task() -> None:
        work("in a task")

    async def values() -> AsyncIterator[str]:
        with tracer.start_as_current_span("in a generator"):
            yield "between its values"

    await asyncio.to_thread(work, "in a thread")
    await asyncio.create_task(work_in_task())
    async for value in values():
        work(value)


async def test_the_spans_of_an_application_and_ours_are_one_trace(
    real_bus: Bus, real_rabbitmq: str, application: Application, charges: Any, otlp_sink: OtlpSink
) -> None:
    tracing, tracer = application.tracing, application.tracer
    payments = f"payments-{uuid.uuid4()}"
    charged = asyncio.Event()

    async with contextlib.AsyncExitStack() as stopping:
        connection = await stopping.enter_async_context(await aio_pika.connect(real_rabbitmq))
        outgoing = TracedChannel(await connection.channel(), tracing[CHECKOUT])
        incoming = TracedChannel(await connection.channel(), tracing[BILLING])
        queue = await incoming.declare_queue(payments, exclusive=True)

        async def on_payment(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            async with message.process():
                with tracer[BILLING].start_as_current_span("charge"):
                    await asyncio.to_thread(charges.send_task, "book")
            charged.set()

        await queue.consume(on_payment)
        producer = TracedProducer(await real_bus.bare_producer(), tracing[SHOP])
        consumer = await stopping.enter_async_context(
            TracedConsumer(real_bus.new_bare_consumer(), tracing[CHECKOUT])
        )

        with tracer[SHOP].start_as_current_span("place order") as root:
            await producer.send_and_wait(real_bus.topic, b"order")
            with tracer[SHOP].start_as_current_span("confirm"):
                pass
        async for _ in consumer:
            with tracer[CHECKOUT].start_as_current_span("in the loop"):
                await outgoing.default_exchange.publish(aio_pika.Message(b"payment"), payments)
            await handle_in_every_way(tracer[CHECKOUT])
            break
        await charged.wait()

    trace_id = root.get_span_context().trace_id.to_bytes(16, "big")
    arrived = await asyncio.to_thread(otlp_sink.trace, trace_id, len(TREE))
    assert tree(arrived) == TREE
