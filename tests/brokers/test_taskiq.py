"""taskiq's middleware over a real Redis."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import redis.asyncio
from taskiq import AsyncBroker, SimpleRetryMiddleware
from taskiq.receiver import Receiver

from interceptors.taskiq import TracedMiddleware

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from taskiq import BrokerMessage

    from tests.conftest import Service, Services

DEADLINE = 60
"""Seconds that anything may take."""


class ListBroker(AsyncBroker):
    """A broker whose queue is a list in Redis."""

    def __init__(self, url: str, queue: str, service: Service) -> None:
        super().__init__()
        self._queue = queue
        self._redis: Any = redis.asyncio.from_url(url)
        retry = SimpleRetryMiddleware(default_retry_label=True)
        self.add_middlewares(TracedMiddleware(service.tracing), retry)

    async def shutdown(self) -> None:
        await super().shutdown()
        await self._redis.aclose()

    async def kick(self, message: BrokerMessage) -> None:
        await self._redis.lpush(self._queue, message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        while True:
            _, message = await self._redis.brpop(self._queue)
            yield message


async def test_a_task_is_sent_retried_and_done(service: Services, real_redis: str) -> None:
    checkout = service("checkout")
    billing = service("billing", tenant="globex", policy={"default": {"accept": "reject"}})
    queue = f"tasks-{uuid.uuid4()}"
    sending, working = (ListBroker(real_redis, queue, each) for each in (checkout, billing))
    tried: list[str] = []
    finished = asyncio.Event()

    async def charge(item: str) -> None:
        tried.append(f"{item} of {billing.tracing.origin().tenant}")
        if len(tried) == 1:
            raise LookupError("no such item")
        asyncio.get_running_loop().call_soon(finished.set)

    working.register_task(charge, task_name="charge")
    async with sending, working:
        task = sending.register_task(charge, task_name="charge")
        await task.kiq("apples")
        worker = asyncio.create_task(Receiver(working, max_async_tasks=2, run_startup=False).listen(finished))
        await asyncio.wait_for(worker, DEADLINE)
    assert tried == ["apples of acme", "apples of acme"]
    # The retry may be done before the span of what asked for it has ended.
    first, second = sorted(billing.spans("process"), key=lambda span: span.start)
    assert (first.error_type, second.error_type) == ("LookupError", None)
    assert first.parent_span_id == second.parent_span_id == checkout.span("send").context.span_id
    assert billing.tracing.counts["rejected"] == 0
