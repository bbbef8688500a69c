"""What a send's future does that no broker can be asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from interceptors import Tracing
from interceptors.kafka import TracedProducer
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.keys import MemoryKeys


class Outgoing:
    """Stands for an `AIOKafkaProducer`: keeps what it is given, and leaves the futures to the test."""

    def __init__(self) -> None:
        self.headers: list[list[tuple[str, bytes]]] = []
        self.futures: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()

    async def send(self, *arguments: Any) -> asyncio.Future[Any]:
        self.headers.append(arguments[-1])
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self.futures.put(future)
        return future

    async def flush(self) -> None:
        """Do nothing: the test settles the futures."""


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
