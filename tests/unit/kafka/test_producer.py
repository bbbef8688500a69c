"""What a send's future does that no broker can be asked for."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import wrapt
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from interceptors import Tracing
from interceptors.headers import envelopes, stripped
from interceptors.kafka import TracedProducer
from interceptors.keys import KeyAdministration, MemoryKeys
from interceptors.policy import check_policy
from interceptors.spans import MemorySink, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from interceptors.envelope import SenderKey

PATIENCE = 30.0
"""Seconds after which a test fails rather than wait on."""


class Outgoing:
    """Stands for an `AIOKafkaProducer`: keeps what it is given, and leaves the futures to the test."""

    def __init__(self) -> None:
        self.headers: list[list[tuple[str, bytes]]] = []
        self.batches: list[bytes] = []
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
        self.batches.append(bytes(batch._builder.build()))
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
    ended = [(span.tenant, span.operation) for span in spans.spans]
    assert sorted(ended, key=str) == [
        ("development", Operation.SEND),
        ("globex", Operation.CREATE),
        ("globex", Operation.SEND_BATCH),
    ]


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


# --- what others carry in clear -----------------------------------------------------------------------------


CLEAR = [
    ("traceparent", b"00-in-clear"),
    ("TraceState", b"in-clear"),
    ("BAGGAGE", b"in-clear"),
    ("b3", b"in-clear"),
    ("X-Datadog-Trace-Id", b"in-clear"),
]
PLAIN = [("name", b"value"), ("Order", b"7")]
GIVEN = [PLAIN[0], *CLEAR, PLAIN[1]]
POLICY = {"channels": [{"name": "silent", "match": {"kafka": ["silent"]}, "emit": "none"}]}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The keys of `checkout`, which has none for `globex`."""
    administration = KeyAdministration(tmp_path / "roots.json")
    administration.root("acme")
    administration.grant("checkout", "acme", [], tmp_path / "keys.json")
    return tmp_path / "keys.json"


async def alone(producer: TracedProducer, topic: str) -> asyncio.Future[Any]:
    return await producer.send(topic, b"value", headers=GIVEN)


async def in_a_batch(producer: TracedProducer, topic: str) -> asyncio.Future[Any]:
    batch = producer.create_batch()
    for value in (b"0", b"1"):
        batch.append(timestamp=None, key=None, value=value, headers=GIVEN)
    return await producer.send_batch(batch, topic, partition=0)


def sent_headers(outgoing: Outgoing) -> list[list[tuple[str, bytes]]]:
    """The headers of each message that was sent, alone or in a batch."""
    in_batches = [
        record.headers for batch in outgoing.batches for record in DefaultRecordBatch(bytearray(batch))
    ]
    return in_batches or outgoing.headers


@pytest.mark.parametrize("way", [alone, in_a_batch])
@pytest.mark.parametrize(
    ("topic", "tenant", "kept", "enveloped"),
    [
        ("orders", "acme", PLAIN, True),
        ("orders", "globex", PLAIN, False),  # without a key there is no envelope, and no clear trace either
        ("silent", "acme", GIVEN, False),
        ("silent", "globex", GIVEN, False),
    ],
)
async def test_a_trace_goes_in_clear_only_where_the_policy_seals_nothing(  # noqa: PLR0917 - what is parametrized
    key_file: Path,
    way: Callable[[TracedProducer, str], Coroutine[Any, Any, asyncio.Future[Any]]],
    topic: str,
    tenant: str,
    kept: list[tuple[str, bytes]],
    enveloped: bool,  # noqa: FBT001 - a parameter
) -> None:
    outgoing = Outgoing()
    with (
        Tracing.for_development("checkout", keys=key_file, policy=POLICY) as tracing,
        tracing.tenant(tenant),
    ):
        sent = await way(TracedProducer(outgoing, tracing), topic)

    assert not sent.done()
    headers = sent_headers(outgoing)
    assert [stripped(each) for each in headers] == [kept] * len(headers)
    assert [len(envelopes(each)) for each in headers] == [int(enveloped)] * len(headers)
    assert len(headers) == (1 if way is alone else 2)
    assert [PLAIN[0], *CLEAR, PLAIN[1]] == GIVEN  # the caller's list is the caller's


@pytest.mark.parametrize("way", [alone, in_a_batch])
async def test_what_goes_again_without_its_envelope_goes_without_a_clear_trace_too(
    tracing: Tracing, way: Callable[[TracedProducer, str], Coroutine[Any, Any, asyncio.Future[Any]]]
) -> None:
    outgoing = Outgoing()
    producer = TracedProducer(outgoing, tracing)
    sent = await way(producer, "orders")
    (await outgoing.futures.get()).set_exception(MessageSizeTooLargeError())
    flushing = asyncio.create_task(producer.flush())
    (await outgoing.futures.get()).cancel()
    await flushing

    assert sent.cancelled()
    headers = sent_headers(outgoing)
    half = len(headers) // 2
    assert [len(envelopes(each)) for each in headers] == [1] * half + [0] * half
    assert [stripped(each) for each in headers] == [PLAIN] * len(headers)


class Instrumented(Outgoing):
    """The same, where another tracer has wrapped `send` and appends its own context in clear."""


async def inject(
    send: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> asyncio.Future[Any]:
    args[-1].append(CLEAR[0])
    sent: asyncio.Future[Any] = await send(*args, **kwargs)
    return sent


@pytest.mark.parametrize(
    ("module", "kept"),
    [("opentelemetry.instrumentation.aiokafka.utils", []), ("shop.headers", CLEAR[:1])],
)
async def test_another_tracer_adds_nothing_to_a_sealed_message_and_the_program_what_it_likes(
    tracing: Tracing, monkeypatch: pytest.MonkeyPatch, module: str, kept: list[tuple[str, bytes]]
) -> None:
    monkeypatch.setattr(inject, "__module__", module)
    monkeypatch.setattr(Instrumented, "send", wrapt.FunctionWrapper(Outgoing.send, inject), raising=False)
    outgoing = Instrumented()

    sent = await TracedProducer(outgoing, tracing).send("orders", b"value")

    assert not sent.done()
    (headers,) = outgoing.headers
    assert stripped(headers) == kept
    assert len(envelopes(headers)) == 1
