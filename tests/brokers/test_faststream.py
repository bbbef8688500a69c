"""FastStream's middlewares against real brokers."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.rabbit import RabbitBroker, RabbitMessage, RabbitQueue

from interceptors import Verdict
from interceptors.faststream.kafka import TracedMiddleware as KafkaMiddleware
from interceptors.faststream.rabbit import TracedMiddleware as RabbitMiddleware

if TYPE_CHECKING:
    from tests.conftest import Service, Services

DEADLINE = 60
"""Seconds that anything may take."""
BOUND = {"default": {"binding": "message", "accept": "reject"}}


async def test_a_batch_comes_over_kafka(
    service: Services, kafka: str, topic: str, producer: Any, checkout: Service
) -> None:
    billing = service("billing", policy={"default": {"accept": "reject"}})
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    broker = KafkaBroker(kafka, middlewares=[KafkaMiddleware(billing.tracing)], logger=None)
    sending = KafkaBroker(kafka, middlewares=[KafkaMiddleware(checkout.tracing)], logger=None)

    @broker.subscriber(topic, batch=True, auto_offset_reset="earliest")
    async def handle(bodies: list[Any], message: KafkaMessage) -> None:
        for body, record in zip(bodies, message.raw_message, strict=True):
            inbox.put_nowait((body, record.receipt))

    async with sending:
        await sending.start()
        await sending.publish_batch({"item": "apples"}, "pears", topic=topic, partition=0)
    await producer.send_and_wait(topic, b"plums", partition=0)
    async with broker:
        await broker.start()
        received = [await asyncio.wait_for(inbox.get(), DEADLINE) for _ in range(3)]
    assert [body for body, _ in received] == [{"item": "apples"}, "pears", b"plums"]
    assert [receipt.verdict for _, receipt in received] == [Verdict.FRESH] * 3


async def test_a_request_is_answered_and_a_forgery_dead_lettered_over_rabbitmq(
    service: Services, real_rabbitmq: str
) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    queue, inbox = f"orders-{uuid.uuid4()}", asyncio.Queue[str]()
    asking = RabbitBroker(real_rabbitmq, middlewares=[RabbitMiddleware(checkout.tracing)], logger=None)
    answering = RabbitBroker(real_rabbitmq, middlewares=[RabbitMiddleware(billing.tracing)], logger=None)
    bare = RabbitBroker(real_rabbitmq, logger=None)
    dead: Any = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{queue}.dead"}

    @answering.subscriber(
        RabbitQueue(queue, auto_delete=True, arguments=dead), ack_policy=AckPolicy.NACK_ON_ERROR
    )
    async def handle(body: str, message: RabbitMessage) -> str:
        assert message.headers == {}
        return body.upper()

    @bare.subscriber(RabbitQueue(f"{queue}.dead", auto_delete=True))
    async def buried(body: str) -> None:
        inbox.put_nowait(body)

    async with bare, asking, answering:
        for broker in (bare, asking, answering):
            await broker.start()
        reply: Any = await asking.request("apples", queue, timeout=DEADLINE)
        await bare.publish("forged", queue)
        assert await asyncio.wait_for(inbox.get(), DEADLINE) == "forged"
    assert (await reply.decode(), reply.raw_message.receipt.verdict) == ("APPLES", Verdict.FRESH)
    assert billing.span("process").parent_span_id == checkout.span("send").context.span_id
    assert billing.tracing.counts["rejected"] == 1
