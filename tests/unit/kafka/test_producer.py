"""What a send's future does that no broker can be asked for."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from interceptors import Tracing
from interceptors.kafka import TracedProducer
from interceptors.keys import MemoryKeys
from interceptors.policy import check_policy
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from interceptors.envelope import SenderKey

PATIENCE = 30.0
"""Seconds after which a test fails rather than wait on."""


class Outgoing:
    """Stands for an `AIOKafkaProducer`: keeps what it is given, and leaves the futures to the test."""

    def __init__(self) -> None:
        self.headers: list[list[tuple[str, bytes]]] = []
        self.futures: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()
        self.flushing = asyncio.Event()

    async def send(self, *arguments: Any) -> asyncio.Future[Any]:
        self.headers.append(arguments[-1])
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self.futures.put(future)
        return future

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1 << 14, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        return await self.send(batch, topic, partition, [])

    async def flush(self) -> None:
        """Wait for nothing: the test settles the futures."""
        self.flushing.set()

    async def stop(self) -> None:
        """Do nothing: there is no connection."""


class Watched(MemoryKeys):
    """Keys that remember in which thread they were asked for."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self.asked: list[tuple[str, threading.Thread]] = []

    def sealing_key(self, tenant: str) -> SenderKey:
        self.asked.append((tenant, threading.current_thread()))
        return super().sealing_key(tenant)


@pytest.fixture
def spans() -> MemorySink:
    return MemorySink()


@pytest.fixture
def tracing(keys: MemoryKeys, spans: MemorySink) -> Iterator[Tracing]:
    with Tracing.for_development("checkout", keys=keys, sink=spans) as made:
        yield made


async def test_what_aiokafka_cancels_is_cancelled(tracing: Tracing, spans: MemorySink) -> None:
    outgoing = Outgoing()
    producer = TracedProducer(outgoing, tracing)
    sent = await producer.send("orders", b"value")
    (await outgoing.futures.get()).cancel()
    await producer.flush()

    assert sent.cancelled()
    assert tracing.flush()
    assert [span.error_type for span in spans.spans] == ["CancelledError"]


async def test_a_second_refusal_is_final(tracing: Tracing, spans: MemorySink) -> None:
    outgoing = Outgoing()
    producer = TracedProducer(outgoing, tracing)
    sent = await producer.send("orders", b"value")
    (await outgoing.futures.get()).set_exception(MessageSizeTooLargeError())
    flushing = asyncio.create_task(producer.flush())
    second = await outgoing.futures.get()
    assert not flushing.done()
    second.set_exception(MessageSizeTooLargeError())
    await flushing

    assert isinstance(sent.exception(), MessageSizeTooLargeError)
    assert [len(headers) for headers in outgoing.headers] == [1, 0]
    assert tracing.flush()
    assert [span.error_type for span in spans.spans] == ["MessageSizeTooLargeError"]


@pytest.mark.parametrize("wait", [TracedProducer.flush, TracedProducer.stop])
async def test_waiting_for_what_was_sent_does_not_wait_for_what_is_sent_meanwhile(
    tracing: Tracing, wait: Callable[[TracedProducer], Any]
) -> None:
    outgoing = Outgoing()
    producer = TracedProducer(outgoing, tracing)
    sent = [await producer.send("orders", b"before")]
    before = await outgoing.futures.get()
    waiting = asyncio.create_task(wait(producer))
    await outgoing.flushing.wait()
    sent.append(await producer.send("orders", b"meanwhile"))
    meanwhile = await outgoing.futures.get()
    assert not waiting.done()
    before.cancel()

    done, _ = await asyncio.wait({waiting}, timeout=PATIENCE)

    assert done == {waiting}
    assert [future.done() for future in sent] == [True, False]
    meanwhile.cancel()


async def test_where_no_thread_is_to_be_had_a_message_is_sent_and_traced_all_the_same(
    tracing: Tracing, spans: MemorySink, threadless: Callable[[], AbstractContextManager[None]]
) -> None:
    outgoing = Outgoing()
    producer = TracedProducer(outgoing, tracing)

    with threadless():
        sent = [await producer.send("orders", b"value")]
        with tracing.tenant("globex"):
            batch = producer.create_batch()
            batch.append(timestamp=None, key=None, value=b"value")
        sent.append(await producer.send_batch(batch, "orders", partition=0))
    for _ in sent:
        (await outgoing.futures.get()).cancel()
    await producer.flush()

    assert all(future.cancelled() for future in sent)
    assert batch.has_envelopes
    assert [len(headers) for headers in outgoing.headers] == [1, 0]  # a batch's are inside
    assert tracing.flush()
    assert [span.tenant for span in spans.spans] == ["development", "globex"]


async def test_the_keys_of_a_batch_are_fetched_off_the_event_loop_for_each_tenant_of_its_messages() -> None:
    keys = Watched("checkout")
    with Tracing(
        service="checkout", tenant="acme", policy=check_policy({"version": 1}, "policy"), keys=keys
    ) as tracing:
        producer = TracedProducer(Outgoing(), tracing)
        batch = producer.create_batch()
        for tenant in ("globex", "initech"):
            with tracing.tenant(tenant):
                batch.append(timestamp=None, key=None, value=b"value")

        sent = await producer.send_batch(batch, "orders", partition=0)

    assert not sent.done()
    assert {tenant for tenant, _ in keys.asked} == {"globex", "initech"}
    assert threading.current_thread() not in [thread for _, thread in keys.asked]
