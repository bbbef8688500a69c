"""What the tests of the Kafka adapter share that needs no broker."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from interceptors import Tracing
from interceptors.envelope import HEADER_NAME
from interceptors.kafka import TracedConsumer
from interceptors.kafka.record import receive, wanted_keys
from interceptors.keys import MemoryKeys
from interceptors.message import Message
from interceptors.spans import MemorySink
from interceptors.tracing.off_loop import _threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from interceptors.context import TraceContext
    from interceptors.kafka import TracedRecord


@pytest.fixture
def keys() -> MemoryKeys:
    """The keys that `checkout` and `billing` share."""
    return MemoryKeys("store")


@pytest.fixture
def checkout(keys: MemoryKeys) -> Iterator[Tracing]:
    """The service that sends."""
    with Tracing.for_development("checkout", keys=keys, tenant="acme", sink=MemorySink()) as tracing:
        yield tracing


@pytest.fixture
def spans() -> MemorySink:
    """Where the spans of `billing` go; what is still open or waiting is not there yet."""
    return MemorySink()


@pytest.fixture
def billing(keys: MemoryKeys, spans: MemorySink) -> Iterator[Tracing]:
    """The service that receives."""
    with Tracing.for_development("billing", keys=keys, tenant="acme", sink=spans) as tracing:
        yield tracing


@pytest.fixture
def raw_record(checkout: Tracing) -> Callable[..., tuple[ConsumerRecord, TraceContext]]:
    """Makes records as a bare consumer hands them out, each with the context of the span that sent it."""

    def make(
        value: bytes | None = b"value", *, offset: int = 0, tenant: str = "acme"
    ) -> tuple[ConsumerRecord, TraceContext]:
        with checkout.tenant(tenant):
            sending = checkout.send(Message("kafka", "orders", value))
        assert sending.span is not None
        record = ConsumerRecord(
            topic="orders",
            partition=0,
            offset=offset,
            timestamp=1_000,
            timestamp_type=0,
            key=b"key",
            value=value,
            checksum=None,
            serialized_key_size=3,
            serialized_value_size=-1 if value is None else len(value),
            headers=(("name", b"value"), (HEADER_NAME, sending.envelope)),
        )
        return record, sending.span.context

    return make


@pytest.fixture
def received(billing: Tracing) -> Callable[[ConsumerRecord], TracedRecord]:
    """Receives raw records as `billing`, its keys fetched."""

    def receive_raw(raw: ConsumerRecord) -> TracedRecord:
        wanted = billing.opening_keys_wanted(wanted_keys([raw]))
        if wanted is not None:
            wanted()
        return receive(billing, raw, "consumer", "invoices")

    return receive_raw


class Incoming:
    """Stands for an `AIOKafkaConsumer`: hands out the records that it is given."""

    def __init__(self, records: Sequence[ConsumerRecord]) -> None:
        self._records = deque(records)

    async def getone(self, *_: TopicPartition) -> ConsumerRecord:
        return self._records.popleft()

    async def getmany(
        self, *_: TopicPartition, max_records: int | None, **__: int
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        count = len(self._records) if max_records is None else max_records
        return {TopicPartition("orders", 0): [self._records.popleft() for _ in range(count)]}

    async def stop(self) -> None:
        """Do nothing: there is no connection."""

    async def __aenter__(self) -> Self:
        return self


@pytest.fixture
def consumer_of(billing: Tracing) -> Callable[..., TracedConsumer]:
    """Makes a consumer of `billing` to which some raw records come."""

    def make(*records: ConsumerRecord, **settings: Any) -> TracedConsumer:
        return TracedConsumer(Incoming(records), billing, **settings)

    return make


@pytest.fixture(
    params=[(threading.Thread, "start"), (ThreadPoolExecutor, "submit")], ids=lambda place: place[1]
)
def threadless(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[None]]:
    """Opens a block in which no thread is to be had: there are too many, or the interpreter is ending."""
    owner, name = request.param
    _threads.begin()  # else one that idles would do it

    def refuse(*_: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    @contextlib.contextmanager
    def block() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, refuse)
            yield

    return block
