"""How the payments travel from the checkout to billing: through RabbitMQ where there is one, else Kafka."""

from __future__ import annotations

import contextlib
import json
import secrets
from typing import TYPE_CHECKING, Any

import aio_pika
from aiokafka import AIOKafkaProducer

from interceptors import kafka, rabbitmq
from interceptors.demo.consumer import kafka_consumer
from interceptors.demo.queues import CONNECT_S
from interceptors.demo.setup import BILLING, CHECKOUT, PAYMENTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from interceptors.demo.arrivals import Arrivals
    from interceptors.demo.brokers import Brokers
    from interceptors.demo.setup import Setup
    from interceptors.message import Coordinate
    from interceptors.pipeline import Receipt

Payment = dict[str, Any]


@contextlib.asynccontextmanager
async def payments_out(setup: Setup, brokers: Brokers) -> AsyncIterator[Callable[[Payment], Awaitable[None]]]:
    """Give what sends a payment."""
    tracing = setup.tracings[CHECKOUT]
    name = setup.place(PAYMENTS)
    if brokers.rabbitmq is None:
        client = AIOKafkaProducer(bootstrap_servers=brokers.kafka)
        async with kafka.TracedProducer(client, tracing) as producer:

            async def send(payment: Payment) -> None:
                key = payment["order_id"].encode()
                await producer.send_and_wait(name, json.dumps(payment).encode(), key=key)

            yield send
        return
    async with await aio_pika.connect(brokers.rabbitmq, timeout=CONNECT_S) as connection:
        channel = rabbitmq.TracedChannel(await connection.channel(), tracing)
        exchange = await channel.declare_exchange(name, auto_delete=True)

        async def publish(payment: Payment) -> None:
            body = json.dumps(payment).encode()
            message = aio_pika.Message(
                body, content_type="application/json", type="payment", message_id=secrets.token_hex(8)
            )
            await exchange.publish(message, name)

        yield publish


async def payments_in(
    setup: Setup, brokers: Brokers, arrivals: Arrivals
) -> AsyncGenerator[tuple[Coordinate, Payment, Receipt]]:
    """Give the payments as they come. Each one's span is current until the next is asked for."""
    if brokers.rabbitmq is None:
        async with kafka_consumer(setup, brokers, arrivals, BILLING, PAYMENTS) as consumer:
            async for record in consumer:
                place = record.topic, record.partition, record.offset
                yield place, json.loads(record.value), record.receipt
        return
    name = setup.place(PAYMENTS)
    async with await aio_pika.connect(brokers.rabbitmq, timeout=CONNECT_S) as connection:
        channel = rabbitmq.TracedChannel(await connection.channel(), setup.tracings[BILLING])
        queue = await channel.declare_queue(name, exclusive=True)
        await queue.bind(await channel.declare_exchange(name, auto_delete=True), name)
        arrivals.say_ready(BILLING)
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    place = (name, message.type or "", message.message_id or "")
                    yield place, json.loads(message.body), message.receipt
