"""The Celery worker: a service whose messages are tasks. It books what it has charged on Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from celery import Celery
from confluent_kafka import Producer
from kombu import pools
from kombu.exceptions import OperationalError

from interceptors import celery, confluent
from interceptors.demo.queues import task_queue, transport_options
from interceptors.demo.setup import (
    AUTHORIZE,
    BILLING,
    BOOKINGS,
    CAPTURE,
    CHARGES,
    DEADLINE_S,
    REFUND,
    REFUNDS,
    WORKER,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.demo.arrivals import Arrivals
    from interceptors.demo.brokers import Brokers
    from interceptors.demo.setup import Setup

Payment = dict[str, Any]


@contextlib.contextmanager
def task_apps(setup: Setup, brokers: Brokers) -> Iterator[dict[str, Celery]]:
    """Give the apps of the services that send tasks, and close their connections in the end.

    Args:
        setup: names and tracings.
        brokers: where Celery's is.
    """
    apps = {service: _app(setup, brokers, service) for service in (BILLING, WORKER)}
    try:
        yield apps
    finally:
        apps[BILLING].pool.force_close_all()  # which is the worker's as well, and kombu's for the same URL
        for kept in (pools.connections, pools.producers):
            with contextlib.suppress(KeyError):
                del kept[apps[BILLING].connection_for_write()]


def _app(setup: Setup, brokers: Brokers, service: str) -> Celery:
    app = Celery(service, broker=brokers.celery, set_as_current=False)
    queue = task_queue(setup.place(CHARGES))
    app.conf.update(
        broker_connection_retry=False,  # a worker whose broker is gone ends, and the run with it
        broker_connection_retry_on_startup=False,
        broker_transport_options=transport_options(brokers.celery),
        task_default_queue=queue.name,
        task_ignore_result=True,
        task_queues=[queue],
    )
    celery.connect(app, setup.tracings[service])
    return app


async def worker(setup: Setup, brokers: Brokers, arrivals: Arrivals, app: Celery) -> None:
    """Run the tasks, in a thread, until cancelled."""
    client = Producer({"bootstrap.servers": brokers.kafka, "linger.ms": 0, "log_level": 0})
    producer = confluent.TracedProducer(client, setup.tracings[WORKER])
    _define_tasks(app, setup, producer, arrivals)
    controller = app.WorkController(
        hostname=f"{WORKER}@{setup.place(CHARGES)}",
        pool="solo",
        ready_callback=lambda _consumer: arrivals.say_ready(WORKER),
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
    )

    def run() -> None:
        app.set_current()  # in this thread: where a worker looks for the app whose tasks it runs
        controller.start()

    running = asyncio.create_task(asyncio.to_thread(run))
    try:
        await asyncio.shield(running)
        raise ConnectionError("the Celery worker has ended by itself")
    finally:
        if not running.done():
            # As an operator would, so that it ends between two tasks and not inside of one.
            with contextlib.suppress(OperationalError):  # then it has lost its broker, too
                await asyncio.to_thread(app.control.shutdown, destination=[controller.hostname])
            await running


def _define_tasks(app: Celery, setup: Setup, producer: confluent.TracedProducer, arrivals: Arrivals) -> None:
    def book(channel: str, payment: Payment) -> None:
        key = payment["order_id"].encode()
        producer.produce(setup.place(channel), json.dumps(payment).encode(), key)
        if producer.flush(DEADLINE_S):
            raise TimeoutError("a booking was not delivered")

    def note(task: Any) -> None:  # noqa: ANN401 - Celery has no types
        request = task.request
        arrivals.note(WORKER, (setup.place(CHARGES), task.name, request.id), request.receipt)

    def authorize(task: Any, payment: Payment) -> Payment:  # noqa: ANN401 - Celery has no types
        note(task)
        return payment | {"authorized": True}

    def capture(task: Any, payment: Payment) -> None:  # noqa: ANN401 - likewise
        book(BOOKINGS, payment)
        note(task)

    def refund(task: Any, payment: Payment) -> None:  # noqa: ANN401 - likewise
        book(REFUNDS, payment)
        note(task)

    for name, function in ((AUTHORIZE, authorize), (CAPTURE, capture), (REFUND, refund)):
        app.task(name=name, bind=True, shared=False)(function)
