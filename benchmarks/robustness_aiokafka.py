"""The cases of aiokafka: OpenTelemetry's instrumentation of it, and FastStream's middleware."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream.kafka import KafkaBroker
from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware
from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor
from robustness_sides import FOREIGN, TRACE_HEADERS, Case, Recorded, Sealed, arrived, current_span, yes
from robustness_stranger import Stranger

from interceptors.kafka import TracedConsumer, TracedProducer

if TYPE_CHECKING:
    from types import TracebackType

BATCH = 500
LAST = b"last"


class Theirs(Recorded):
    """OpenTelemetry's instrumentation. It patches the classes, so clients are used as they are."""

    def __init__(self) -> None:
        super().__init__()
        AIOKafkaInstrumentor().instrument(tracer_provider=self.provider, skip_dep_check=True)

    def producer(self, client: Any) -> Any:
        return client

    def consumer(self, client: Any) -> Any:
        return client


class Ours(Sealed):
    def producer(self, client: Any) -> Any:
        return TracedProducer(client, self.tracing)

    def consumer(self, client: Any) -> Any:
        return TracedConsumer(client, self.tracing)


class Topic:
    """A topic, and clients of a side that are stopped at the end."""

    def __init__(self, side: Theirs | Ours, address: str) -> None:
        self.stranger = Stranger(address)
        self.name = self.stranger.topic
        self._side = side
        self._address = address
        self._stopping = AsyncExitStack()
        # What is sent in one transaction lies, and is fetched, as one batch.
        self.batching = {"transactional_id": self.name, "linger_ms": 60_000, "max_batch_size": 1 << 20}

    async def producer(self, **settings: Any) -> Any:
        client = AIOKafkaProducer(bootstrap_servers=self._address, **settings)
        return await self._stopping.enter_async_context(self._side.producer(client))

    async def consumer(self) -> Any:
        client = AIOKafkaConsumer(
            self.name,
            bootstrap_servers=self._address,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
        )
        return await self._stopping.enter_async_context(self._side.consumer(client))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stopping.aclose()


async def hostile_getone(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        topic.stranger.put_hostile(3, 1, "traceparent")
        topic.stranger.put((LAST, []))
        consumer = await topic.consumer()
        received: list[bytes] = []
        raised: list[str] = []
        while LAST not in received:
            try:
                received.append((await consumer.getone()).value)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what happened
                raised.append(type(error).__name__)
        return arrived(received, 3, raised)


async def hostile_getmany(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        topic.stranger.put_hostile(5, 2, "baggage")
        consumer = await topic.consumer()
        received: list[bytes] = []
        raised: list[str] = []
        while LAST not in received:
            try:
                for records in (await consumer.getmany(timeout_ms=10_000)).values():
                    received += [record.value for record in records]
            except Exception as error:  # noqa: BLE001 - as above
                raised.append(type(error).__name__)
            if len(received) >= 5 or raised:
                topic.stranger.put((LAST, []))  # only now, so that it is in no batch with the others
        return arrived(received, 5, raised)


async def hostile_loop(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        topic.stranger.put_hostile(3, 1, "traceparent")
        consumer = await topic.consumer()
        received: list[bytes] = []
        try:
            async for record in consumer:
                received.append(record.value)
                if len(received) == 3:
                    break
        except Exception as error:  # noqa: BLE001 - as above
            return f"{arrived(received, 3, [])}; the loop ended by {type(error).__name__}"
        return arrived(received, 3, [])


async def current_in_the_loop(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        producer = await topic.producer()
        for _ in range(2):
            await producer.send_and_wait(topic.name, b"value", partition=0)
        consumer = await topic.consumer()
        await consumer.getone()
        after_getone, in_the_loop = current_span(), 0
        async for _ in consumer:
            in_the_loop = current_span()
            break
        await consumer.stop()
    own = {span.span_id for span in side.spans("CONSUMER")}
    return f"after `getone`: {yes(after_getone in own)}, in the loop: {yes(in_the_loop in own)}"


async def links_of_getmany(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        producer = await topic.producer(**topic.batching)
        async with producer.transaction():
            sent = [await producer.send(topic.name, b"value", partition=0) for _ in range(BATCH)]
        await asyncio.gather(*sent)
        consumer = await topic.consumer()
        (records,) = (await consumer.getmany(timeout_ms=10_000)).values()
    spans = [*side.spans("CLIENT"), *side.spans("CONSUMER")]
    spans = [span for span in spans if span.span_id not in {one.span_id for one in side.spans("PRODUCER")}]
    links = max(span.links for span in spans)
    return f"spans for the {len(records)}: {len(spans)}; links on one: {links}"


async def forwarded(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        producer, consumer = await topic.producer(), await topic.consumer()
        await producer.send_and_wait(topic.name, b"value", partition=0)
        record = await consumer.getone()
        await consumer.stop()
        await producer.send_and_wait(topic.name, b"value", partition=0, headers=list(record.headers))
        consumer = await topic.consumer()
        for _ in range(2):
            await consumer.getone()
        await consumer.stop()
        contexts = [name for name, _ in topic.stranger.wire(2)[1][1] if name in TRACE_HEADERS]
    sends = [span.span_id for span in side.spans("PRODUCER")]
    parent = side.spans("CONSUMER")[-1].parent_span_id
    which = f"send {sends.index(parent) + 1}" if parent in sends else "no send"
    return f"{len(contexts)} on the wire; the receiver's parent is {which} of {len(sends)}"


async def reused(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        producer = await topic.producer()
        headers = [("schema", b"order/2")]
        for _ in range(3):
            await producer.send_and_wait(topic.name, b"value", headers=headers)
    return f"the caller's list of 1 has {len(headers)} after"


async def serialized(side: Theirs | Ours, address: str) -> str:
    calls: list[str] = []

    def serialize(value: str) -> bytes:
        calls.append(value)
        return value.encode()

    async with Topic(side, address) as topic:
        producer = await topic.producer(key_serializer=serialize, value_serializer=serialize)
        await producer.send_and_wait(topic.name, "value", "key")
    return f"calls: {calls.count('key')} for the key, {calls.count('value')} for the value"


async def failed_send(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        producer = await topic.producer(max_request_size=1000)
        raised = "nothing"
        try:
            await producer.send_and_wait(topic.name, bytes(2000))
        except Exception as error:  # noqa: BLE001 - as above
            raised = type(error).__name__
    (span,) = side.spans("PRODUCER")
    return f"raised {raised}; the span says {span.error or 'nothing'}"


async def batch_sent(side: Theirs | Ours, address: str) -> str:
    async with Topic(side, address) as topic:
        producer = await topic.producer()
        batch = producer.create_batch()
        for _ in range(3):
            batch.append(timestamp=None, key=None, value=b"value")
        await (await producer.send_batch(batch, topic.name, partition=0))
        traced = sum(any(name in TRACE_HEADERS for name, _ in found) for _, found in topic.stranger.wire(3))
    return f"{traced} of 3 messages carry a trace"


class FastStream:
    """A FastStream application, with its own OpenTelemetry middleware."""

    async def forward(self, address: str, source: Stranger, sink: Stranger, tenants: list[str]) -> list[str]:
        """Take the messages of several tenants as one batch, pass each on, and say under whom each went."""
        middleware = KafkaTelemetryMiddleware(tracer_provider=Recorded().provider)
        broker = KafkaBroker(address, middlewares=[middleware], logger=None)
        passed_on: list[bytes] = []
        done = asyncio.Event()

        @broker.subscriber(source.topic, batch=True, auto_offset_reset="earliest")
        async def handle(bodies: list[bytes]) -> None:
            for body in bodies:
                await broker.publish(body, sink.topic, partition=0)
            passed_on.extend(bodies)
            if len(passed_on) == len(tenants):
                done.set()

        contexts = [
            [("traceparent", FOREIGN.encode()), ("baggage", f"tenant={tenant}".encode())]
            for tenant in tenants
        ]
        source.put(*zip((tenant.encode() for tenant in tenants), contexts, strict=True))
        async with broker:
            await broker.start()
            await done.wait()
        baggage = [dict(headers)["baggage"].decode() for _, headers in sink.wire(len(tenants))]
        return [one.removeprefix("tenant=") for one in baggage]


class Forwarding(Ours):
    """A consumer of ours that passes on what `getmany` gave."""

    async def forward(self, address: str, source: Stranger, sink: Stranger, tenants: list[str]) -> list[str]:
        async with Topic(self, address) as before, Topic(self, address) as behind:
            before.name, behind.name = source.topic, sink.topic
            batching, producer = await before.producer(**before.batching), await behind.producer()
            async with batching.transaction():
                for tenant in tenants:
                    with self.tracing.tenant(tenant):
                        _ = await batching.send(before.name, tenant.encode(), partition=0)
            consumer = await before.consumer()
            for records in (await consumer.getmany(timeout_ms=10_000)).values():
                for record in records:
                    with consumer.process(record):
                        await producer.send_and_wait(behind.name, record.value, partition=0)
            consumer = await behind.consumer()
            return [(await consumer.getone()).receipt.tenant for _ in tenants]


async def batch_of_tenants(side: FastStream | Forwarding, address: str) -> str:
    tenants = ["acme", "globex", "initech"]
    went = await side.forward(address, Stranger(address), Stranger(address), tenants)
    own = sum(one == tenant for one, tenant in zip(went, tenants, strict=True))
    return f"{own} of {len(tenants)} went on under their own tenant"


CONTRIB = "OpenTelemetry, aiokafka"
CASES = [
    Case(CONTRIB, what, scenario, Theirs, Ours)
    for what, scenario in {
        "one of 3 records has a `traceparent` that is not UTF-8; `getone`": hostile_getone,
        "one of 5 records has `baggage` that is not UTF-8; `getmany`": hostile_getmany,
        "one of 3 records has a `traceparent` that is not UTF-8; `async for`": hostile_loop,
        "is the record's span current": current_in_the_loop,
        f"`getmany` of {BATCH} records": links_of_getmany,
        "`list(record.headers)` is sent on: trace contexts": forwarded,
        "one list of headers for 3 sends": reused,
        "serializers of one send": serialized,
        "a send that fails": failed_send,
        "`send_batch`": batch_sent,
    }.items()
] + [Case("FastStream", "a batch of 3 tenants, each passed on", batch_of_tenants, FastStream, Forwarding)]
