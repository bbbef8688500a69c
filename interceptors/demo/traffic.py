"""The traffic: first the orders, then the attacks, with everything that follows from them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from interceptors.demo.arrivals import Arrivals
from interceptors.demo.attacks import launch, plan
from interceptors.demo.outcome import Outcome
from interceptors.demo.queues import on_celery, on_rabbitmq
from interceptors.demo.services import billing, checkout, ledger, storefront
from interceptors.demo.setup import (
    BILLING,
    BOOKINGS,
    CHARGES,
    CHECKOUT,
    DEADLINE_S,
    LEDGER,
    ORDERS,
    PAYMENTS,
    REFUNDS,
    RETRY_WINDOW_S,
    WORKER,
)
from interceptors.demo.topics import create_topics, read_all
from interceptors.demo.worker import task_apps, worker

if TYPE_CHECKING:
    from interceptors.demo.brokers import Brokers
    from interceptors.demo.orders import BadLine, Order
    from interceptors.demo.queues import Onlooker
    from interceptors.demo.setup import Setup
    from interceptors.demo.wire import Lying, Queued

_FOLLOWS = {
    ORDERS: {CHECKOUT: 1, BILLING: 1, WORKER: 2, LEDGER: 1},
    PAYMENTS: {BILLING: 1, WORKER: 2, LEDGER: 1},
    CHARGES: {WORKER: 1, LEDGER: 1},  # the forged one is a refund, which is a single task
    REFUNDS: {LEDGER: 1},
}
"""How many messages each service gets because of one on a channel, that one included."""


async def traffic(
    setup: Setup, brokers: Brokers, orders: list[Order], bad_lines: list[BadLine], *, create: bool
) -> Outcome:
    """Run the services on the orders, then attack them.

    Args:
        setup: what the services are given.
        brokers: where the buses are.
        orders: the orders.
        bad_lines: for the outcome.
        create: whether the topics have to be made; the embedded broker makes one when it is first asked for.

    Returns:
        What came of it, but for the spans.

    Raises:
        ConfigurationError: RabbitMQ or Celery's broker can't be reached.
    """
    topics = [setup.place(channel) for channel in (ORDERS, PAYMENTS, BOOKINGS, REFUNDS)]
    onlookers: dict[str, Onlooker] = {}
    async with contextlib.AsyncExitStack() as looking:
        charges = setup.place(CHARGES)
        onlookers[charges] = await looking.enter_async_context(on_celery(brokers.celery, charges))
        if brokers.rabbitmq is not None:
            payments = topics.pop(1)
            onlookers[payments] = await looking.enter_async_context(on_rabbitmq(brokers.rabbitmq, payments))
        if create:
            await create_topics(brokers.kafka, topics)
        apps = looking.enter_context(task_apps(setup, brokers))
        arrivals = Arrivals()
        expected = dict.fromkeys((CHECKOUT, BILLING, WORKER, LEDGER), 0)
        async with asyncio.TaskGroup() as group:
            services = [
                group.create_task(checkout(setup, brokers, arrivals)),
                group.create_task(billing(setup, brokers, arrivals, apps[BILLING])),
                group.create_task(worker(setup, brokers, arrivals, apps[WORKER])),
                group.create_task(ledger(setup, brokers, arrivals)),
            ]
            async with asyncio.timeout(DEADLINE_S):
                await arrivals.wait_until_ready(*expected)
                await storefront(setup, brokers, orders)
            await _settle(arrivals, _expect(expected, [ORDERS] * len(orders)))
            genuine: list[Lying] = [*await read_all(brokers.kafka, topics), *await _read(onlookers)]
            attacks = plan(setup, genuine)
            await asyncio.sleep(RETRY_WINDOW_S)  # sooner than that, a replay is a producer's retry
            placed = await launch(brokers.kafka, onlookers, attacks)
            attacked = [setup.channel(attack.forged.lies_on) for attack in attacks]
            await _settle(arrivals, _expect(expected, attacked))
            for service in services:
                service.cancel()
        records, queued = await read_all(brokers.kafka, topics), await _read(onlookers)
    return Outcome(
        setup, orders, bad_lines, genuine, records, queued, arrivals.by_place, placed, [], expected
    )


def _expect(expected: dict[str, int], channels: list[str]) -> dict[str, int]:
    """Add what follows from messages on channels."""
    for channel in channels:
        for service, count in _FOLLOWS[channel].items():
            expected[service] += count
    return expected


async def _settle(arrivals: Arrivals, expected: dict[str, int]) -> None:
    """Wait until everything has arrived, or until it no longer will."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE_S):
            for service, count in expected.items():
                await arrivals.wait_for(service, count)


async def _read(onlookers: dict[str, Onlooker]) -> list[Queued]:
    return [message for onlooker in onlookers.values() for message in await onlooker.read()]
