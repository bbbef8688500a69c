"""The services. Each is what an application would be; the tracing is in the wrappers and in `connect`.

The Celery worker is in `worker`, and how the payments travel in `payments`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from celery import chain

from interceptors import kafka
from interceptors.demo.consumer import kafka_consumer
from interceptors.demo.payments import payments_in, payments_out
from interceptors.demo.setup import (
    AUTHORIZE,
    BILLING,
    BOOKINGS,
    CAPTURE,
    CHECKOUT,
    LEDGER,
    ORDERS,
    REFUNDS,
    STOREFRONT,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery

    from interceptors.demo.arrivals import Arrivals
    from interceptors.demo.brokers import Brokers
    from interceptors.demo.orders import Order
    from interceptors.demo.setup import Setup


async def storefront(setup: Setup, brokers: Brokers, orders: Sequence[Order]) -> None:
    """Publish the orders, each for its own tenant."""
    tracing = setup.tracings[STOREFRONT]
    async with kafka.TracedProducer(AIOKafkaProducer(bootstrap_servers=brokers.kafka), tracing) as producer:
        sent = []
        for order in orders:
            with tracing.tenant(order.merchant):
                sent.append(
                    await producer.send(
                        setup.place(ORDERS),
                        order.body,
                        # interceptors: ignore[sensitive-message-key] keys stay in clear, as is shown
                        key=order.customer_id.encode(),
                        headers=[("content-type", b"application/json")],
                    )
                )
        await asyncio.gather(*sent)


async def checkout(setup: Setup, brokers: Brokers, arrivals: Arrivals) -> None:
    """Take orders, and ask for their payments. The tenant is the order's sender's."""
    consumer = kafka_consumer(setup, brokers, arrivals, CHECKOUT, ORDERS)
    async with consumer, payments_out(setup, brokers) as pay:
        async for record in consumer:
            order = json.loads(record.value)
            await pay({"order_id": order["order_id"], "total": order.get("total")})
            arrivals.note(CHECKOUT, (record.topic, record.partition, record.offset), record.receipt)


async def billing(setup: Setup, brokers: Brokers, arrivals: Arrivals, app: Celery) -> None:
    """Have each payment charged, by a chain of two tasks."""
    async with contextlib.aclosing(payments_in(setup, brokers, arrivals)) as payments:
        async for place, payment, receipt in payments:
            charge = chain(app.signature(AUTHORIZE, (payment,)), app.signature(CAPTURE))
            await asyncio.to_thread(charge.apply_async)
            arrivals.note(BILLING, place, receipt)


async def ledger(setup: Setup, brokers: Brokers, arrivals: Arrivals) -> None:
    """Book what was paid and what was refunded."""
    async with kafka_consumer(setup, brokers, arrivals, LEDGER, BOOKINGS, REFUNDS) as consumer:
        async for record in consumer:
            arrivals.note(LEDGER, (record.topic, record.partition, record.offset), record.receipt)
