"""The bus sink: with a client that does as a test says, and with real clients and the brokers in here."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import itertools
import json
import logging
import os
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import aio_pika
import pytest
import wrapt
from aio_pika.exceptions import ChannelPreconditionFailed
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from interceptors.envelope import HEADER_NAME
from interceptors.envelope.batch import CollectorKey, open_batch
from interceptors.errors import ConfigurationError, MissingExtraError
from interceptors.spans import to_otlp_json
from interceptors.spans.bus import BusSink, TooLargeError, _Loop, unwrapped
from interceptors.spans.bus_kafka import kafka_sink
from interceptors.spans.bus_rabbitmq import rabbitmq_sink
from interceptors.spans.sinks import RetryLater

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from interceptors.spans import Span

PATIENCE = 30
"""Seconds that anything may take before it is given up."""
PRIVATE_KEY = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = PRIVATE_KEY.public_key()
COLLECTOR_KEY = CollectorKey(PUBLIC_KEY)
ENVELOPE = b"\x11 an envelope"


def encode(spans: Sequence[Span]) -> bytes:
    return json.dumps([to_otlp_json(span) for span in spans]).encode()


def partitions_in(body: bytes) -> list[int]:
    """Which spans are in a batch: the tests number them by partition."""
    return [
        int(attribute["value"]["stringValue"])
        for span in json.loads(open_batch(PRIVATE_KEY, body))
        for attribute in span["attributes"]
        if attribute["key"] == "messaging.destination.partition.id"
    ]


@pytest.fixture
def numbered(make_span: Callable[..., Span]) -> Callable[[int], list[Span]]:
    """That many spans, numbered."""
    return lambda count: [make_span(partition=number) for number in range(count)]


class Client:
    """A broker's client that does what the test says."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes]] = []
        self.most = 1 << 30
        self.fault: Exception | None = None
        self.answers = True
        self.asked = threading.Event()
        self.given_up = 0
        self.closed = 0

    async def send(self, body: bytes, envelope: bytes) -> None:
        self.asked.set()
        if not self.answers:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up += 1
        if len(body) > self.most:
            raise TooLargeError
        if self.fault is not None:
            raise self.fault
        self.sent.append((body, envelope))

    async def close(self) -> None:
        self.closed += 1

    def received(self) -> list[list[int]]:
        return [partitions_in(body) for body, _ in self.sent]


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def sink(client: Client) -> Iterator[BusSink]:
    sink = BusSink(lambda: client, COLLECTOR_KEY, encode=encode, seal=lambda _: ENVELOPE)
    yield sink
    sink.close()


def bus_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "interceptors-bus"]


def test_a_batch_is_one_message_with_an_envelope_of_its_body(
    client: Client, numbered: Callable[[int], list[Span]]
) -> None:
    sealed: list[bytes] = []

    def seal(body: bytes) -> bytes:
        sealed.append(body)
        return ENVELOPE

    sink = BusSink(lambda: client, COLLECTOR_KEY, encode=encode, seal=seal)
    assert sink.export(numbered(3), PATIENCE) == 0
    sink.close()
    assert client.sent == [(sealed[0], ENVELOPE)]
    assert client.received() == [[0, 1, 2]]


def test_without_a_key_to_seal_with_nothing_is_sent_and_all_is_lost(
    client: Client, numbered: Callable[[int], list[Span]]
) -> None:
    sink = BusSink(lambda: client, COLLECTOR_KEY, encode=encode, seal=lambda _: None)
    assert sink.export(numbered(3), PATIENCE) == 3
    sink.close()
    assert client.sent == []


def test_a_batch_that_is_too_large_is_halved(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]]
) -> None:
    spans = numbered(11)
    client.most = len(COLLECTOR_KEY.seal(encode(spans[:3])))
    assert sink.export(spans, PATIENCE) == 0
    received = client.received()
    assert [*itertools.chain(*received)] == list(range(11))
    assert max(map(len, received)) <= 3


def test_a_single_span_that_is_too_large_is_lost_and_no_other(
    client: Client, sink: BusSink, make_span: Callable[..., Span]
) -> None:
    spans = [make_span(partition=0), make_span(partition=1, channel="x" * 10_000), make_span(partition=2)]
    client.most = 5_000
    assert sink.export(spans, PATIENCE) == 1
    assert [*itertools.chain(*client.received())] == [0, 2]


def test_a_broker_that_takes_nothing_is_asked_again_later(
    client: Client,
    sink: BusSink,
    numbered: Callable[[int], list[Span]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        for _ in range(3):
            client.fault = ConnectionError("amqp://user:hunter2@broker.example.com")
            with pytest.raises(RetryLater) as raised:
                sink.export(numbered(2), PATIENCE)
            assert raised.value.__cause__ is None
        client.fault = None
        assert sink.export(numbered(2), PATIENCE) == 0
    assert client.received() == [[0, 1]] * 2
    # Once for each time that it went away, and not the text.
    assert caplog.messages == ["the bus takes no spans: ConnectionError"] * 2


def test_what_a_broker_that_went_away_midway_has_not_taken_is_lost(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]]
) -> None:
    spans = numbered(8)
    client.most = len(COLLECTOR_KEY.seal(encode(spans[:4])))
    encoded = 0

    def encode_and_break(part: Sequence[Span]) -> bytes:
        nonlocal encoded
        encoded += 1
        if encoded == 3:  # the whole, the first half, the second
            client.fault = ConnectionError()
        return encode(part)

    sink._encode = encode_and_break
    assert sink.export(spans, PATIENCE) == 4
    assert client.received() == [[0, 1, 2, 3]]


def test_a_broker_that_never_answers_is_given_up(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]], caplog: pytest.LogCaptureFixture
) -> None:
    client.answers = False
    with pytest.raises(RetryLater):
        sink.export(numbered(2), 0.01)
    assert client.asked.wait(PATIENCE)
    client.answers = True
    assert sink.export(numbered(2), PATIENCE) == 0
    assert client.given_up == 1  # before the next began
    assert caplog.messages == ["the bus takes no spans: TimeoutError"]


def test_a_timeout_that_has_passed_is_none_at_all(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]]
) -> None:
    client.answers = False
    with pytest.raises(RetryLater):
        sink.export(numbered(1), -1)


def test_a_close_ends_what_is_under_way_the_client_and_the_thread(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]], caplog: pytest.LogCaptureFixture
) -> None:
    before = bus_threads()
    client.answers = False
    ended: list[type[BaseException]] = []

    def export() -> None:
        try:
            sink.export(numbered(1), PATIENCE)
        except RetryLater as refused:
            ended.append(type(refused))

    exporting = threading.Thread(target=export)
    exporting.start()
    assert client.asked.wait(PATIENCE)
    sink.close()
    exporting.join(PATIENCE)
    sink.close()
    assert ended == [RetryLater]
    assert (client.given_up, client.closed) == (1, 1)
    assert bus_threads() == before
    assert caplog.messages == []  # nobody is told of what was asked for


def test_a_closed_sink_sends_nothing_and_leaves_no_thread(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]]
) -> None:
    before = bus_threads()
    sink.close()
    with pytest.raises(RetryLater):
        sink.export(numbered(1), PATIENCE)
    assert client.sent == []
    assert bus_threads() == before


def test_a_client_that_does_not_close_holds_nobody_up(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interceptors.spans.bus.CLOSE_S", 0.01)
    before = bus_threads()
    closing: list[str] = []

    async def close() -> None:
        closing.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            closing.append("given up")

    client.close = close  # type: ignore[method-assign]  # a client of another kind
    sink.export(numbered(1), PATIENCE)
    sink.close()
    for thread in set(bus_threads()) - set(before):
        thread.join(PATIENCE)
    assert closing == ["begun", "given up"]
    assert bus_threads() == before


@pytest.fixture
def no_bus_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread can be started for a client: there are too many, or the interpreter is ending."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "interceptors-bus":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("no_bus_thread")
def test_where_no_thread_can_be_started_it_sends_in_that_which_exports(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]]
) -> None:
    spans = numbered(4)
    client.most = len(COLLECTOR_KEY.seal(encode(spans[:2])))
    assert sink.export(spans, PATIENCE) == 0
    assert client.received() == [[0, 1], [2, 3]]
    assert client.closed == 1
    client.answers = False
    with pytest.raises(RetryLater):
        sink.export(spans, 0.01)
    assert (client.given_up, client.closed) == (1, 2)
    sink.close()
    client.answers = True
    with pytest.raises(RetryLater):
        sink.export(spans, PATIENCE)
    assert len(client.sent) == 2


@pytest.mark.usefixtures("no_bus_thread")
async def test_where_no_thread_can_be_started_it_leaves_a_loop_of_the_caller_alone(
    client: Client, sink: BusSink, numbered: Callable[[int], list[Span]]
) -> None:
    with pytest.raises(RuntimeError, match="thread"):
        sink.export(numbered(1), PATIENCE)
    assert client.sent == []


@pytest.mark.usefixtures("no_bus_thread")
async def test_where_no_thread_can_be_started_a_broker_gets_the_batch_all_the_same(
    broker: Broker, numbered: Callable[[int], list[Span]]
) -> None:
    for _ in range(2):
        assert await asyncio.to_thread(broker.sink.export, numbered(2), PATIENCE) == 0
        assert partitions_in((await broker.receive()).body) == [0, 1]


def test_a_child_has_a_client_and_a_thread_of_its_own(
    numbered: Callable[[int], list[Span]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[Client] = []

    def new_client() -> Client:
        clients.append(Client())
        return clients[-1]

    sink = BusSink(new_client, COLLECTOR_KEY, encode=encode, seal=lambda _: ENVELOPE)
    sink.export(numbered(1), PATIENCE)
    parents = sink._worker
    assert parents is not None
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        sink.close()  # of a child that sent nothing: the parent's connection stays
        assert clients[0].closed == 0
        sink._closed = False
        sink.export(numbered(2), PATIENCE)
        sink.close()
    assert [client.received() for client in clients] == [[[0]], [[0, 1]]]
    assert [client.closed for client in clients] == [0, 1]
    parents.close()
    assert clients[0].closed == 1


def test_its_loop_looks_names_up_without_a_pool_of_threads() -> None:
    def fail() -> None:
        raise LookupError

    async def look_up() -> tuple[int, BaseException | None]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("localhost", 5672, type=socket.SOCK_STREAM)
        failed = loop.run_in_executor(None, fail)
        await asyncio.wait([failed])
        return len(found), failed.exception()

    before = threading.enumerate()
    with asyncio.Runner(loop_factory=_Loop) as runner:
        found, failure = runner.run(look_up())
        assert threading.enumerate() == before
    assert found
    assert isinstance(failure, LookupError)


# What other tracers wrap.


class Wrapped:
    def send(self, text: str) -> str:
        return text


def test_a_method_is_called_without_what_is_wrapped_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Wrapped()
    plain = Wrapped.send

    @functools.wraps(plain)
    def marked(self: Wrapped, text: str) -> str:
        return f"marked {plain(self, text)}"

    def marking(wrapped: Any, _: object, args: tuple[str], __: object) -> str:
        return f"again {wrapped(*args)}"

    monkeypatch.setattr(Wrapped, "send", marked)
    wrapt.wrap_function_wrapper(Wrapped, "send", marking)
    assert client.send("text") == "again marked text"
    assert unwrapped(client, "send")("text") == "text"


# With the real clients.


class Received(NamedTuple):
    body: bytes
    headers: dict[str, bytes]


class Broker(NamedTuple):
    """A topic or a queue of a broker, and what a message that comes out of it holds."""

    name: str
    sink: BusSink
    receive: Callable[[], Awaitable[Received]]


@contextlib.asynccontextmanager
async def kafka(bootstrap: str) -> AsyncIterator[Broker]:
    topic = f"spans-{uuid.uuid4()}"
    sink = kafka_sink(bootstrap, topic, COLLECTOR_KEY, encode=encode, seal=lambda _: ENVELOPE)
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=100
    ) as consumer:

        async def receive() -> Received:
            record = await consumer.getone()
            assert record.key is None
            return Received(record.value, dict(record.headers))

        try:
            yield Broker(topic, sink, receive)
        finally:
            await asyncio.to_thread(sink.close)


@contextlib.asynccontextmanager
async def rabbitmq(url: str) -> AsyncIterator[Broker]:
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).declare_queue(f"spans-{uuid.uuid4()}", durable=True)
        sink = rabbitmq_sink(url, queue.name, COLLECTOR_KEY, encode=encode, seal=lambda _: ENVELOPE)

        async def receive() -> Received:
            message = await queue.get(no_ack=True, timeout=PATIENCE)
            assert message.delivery_mode is aio_pika.DeliveryMode.PERSISTENT
            headers = {name: bytes(value) for name, value in message.headers.items()}  # type: ignore[arg-type]  # a bytearray
            return Received(message.body, headers)

        try:
            yield Broker(queue.name, sink, receive)
        finally:
            await asyncio.to_thread(sink.close)


@pytest.fixture(params=[kafka, rabbitmq])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """Each broker in turn, in this process."""
    address = request.getfixturevalue(f"embedded_{request.param.__name__}")
    async with request.param(address) as made:
        yield made


@pytest.fixture
def traced_by_opentelemetry() -> Iterator[InMemorySpanExporter]:
    """The spans of OpenTelemetry's instrumentation of both clients."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentors = AIOKafkaInstrumentor(), AioPikaInstrumentor()
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    with provider.get_tracer("test").start_as_current_span("whoever flushes"):
        yield exporter
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


async def test_a_broker_gets_the_batch_and_its_envelope_and_nothing_else(
    broker: Broker, numbered: Callable[[int], list[Span]]
) -> None:
    for _ in range(2):
        assert await asyncio.to_thread(broker.sink.export, numbered(3), PATIENCE) == 0
        received = await broker.receive()
        assert partitions_in(received.body) == [0, 1, 2]
        assert received.headers == {HEADER_NAME: ENVELOPE}


async def test_no_other_tracer_traces_it(
    traced_by_opentelemetry: InMemorySpanExporter, broker: Broker, numbered: Callable[[int], list[Span]]
) -> None:
    assert await asyncio.to_thread(broker.sink.export, numbered(1), PATIENCE) == 0
    sent = [span.name for span in traced_by_opentelemetry.get_finished_spans()]
    received = await broker.receive()
    assert sent == []
    assert received.headers == {HEADER_NAME: ENVELOPE}


async def test_a_kafka_producer_that_has_broken_down_is_replaced(
    embedded_kafka: str, numbered: Callable[[int], list[Span]]
) -> None:
    async with kafka(embedded_kafka) as broker:
        assert await asyncio.to_thread(broker.sink.export, numbered(1), PATIENCE) == 0
        worker = broker.sink._worker
        assert worker is not None
        client: Any = worker._client
        # What a fault in aiokafka's sending task leaves behind: it takes nothing any more, for ever.
        worker._loop.call_soon_threadsafe(client._producer._message_accumulator.fail_all, KafkaError())
        with pytest.raises(RetryLater):
            await asyncio.to_thread(broker.sink.export, numbered(2), PATIENCE)
        assert await asyncio.to_thread(broker.sink.export, numbered(2), PATIENCE) == 0
        received = [partitions_in((await broker.receive()).body) for _ in range(2)]
        assert sorted(received) == [[0], [0, 1]]


async def test_a_batch_over_kafkas_limit_arrives_in_parts(
    embedded_kafka: str, numbered: Callable[[int], list[Span]]
) -> None:
    async with kafka(embedded_kafka) as broker:
        broker.sink._encode = lambda spans: encode(spans).ljust(300_000 * len(spans))  # the limit is 1 MiB
        assert await asyncio.to_thread(broker.sink.export, numbered(4), PATIENCE) == 0
        received = [partitions_in((await broker.receive()).body) for _ in range(2)]
        assert sorted(received) == [[0, 1], [2, 3]]


async def test_a_batch_over_rabbitmqs_limit_arrives_in_parts(
    embedded_rabbitmq: str, numbered: Callable[[int], list[Span]], monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = numbered(4)
    publish = aio_pika.Exchange.publish

    async def limited(self: aio_pika.Exchange, message: aio_pika.Message, routing_key: str) -> Any:
        if message.body_size > len(COLLECTOR_KEY.seal(encode(spans[:2]))):
            await self.channel.close()  # as RabbitMQ does, whose limit is 16 MiB or more
            raise ChannelPreconditionFailed(406, "PRECONDITION_FAILED - message size is too large")
        return await publish(self, message, routing_key)

    monkeypatch.setattr(aio_pika.Exchange, "publish", limited)
    async with rabbitmq(embedded_rabbitmq) as broker:
        assert await asyncio.to_thread(broker.sink.export, spans, PATIENCE) == 0
        assert [partitions_in((await broker.receive()).body) for _ in range(2)] == [[0, 1], [2, 3]]


@pytest.fixture
def nobodys_port() -> Iterator[int]:
    """A port on which nobody listens, and that nobody else takes meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("way", ["kafka", "rabbitmq"])
def test_a_broker_that_is_not_there_shows_nothing_of_how_it_was_asked(
    nobodys_port: int,
    way: str,
    numbered: Callable[[int], list[Span]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("INTERCEPTORS_BUS_USERNAME", "exporter")
    monkeypatch.setenv("INTERCEPTORS_BUS_PASSWORD", "hunter2")
    sealed: dict[str, Any] = {"encode": encode, "seal": lambda _: ENVELOPE}
    if way == "kafka":
        sasl: dict[str, Any] = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
        sink = kafka_sink(f"127.0.0.1:{nobodys_port}", "spans", COLLECTOR_KEY, **sasl, **sealed)
    else:
        url = f"amqp://exporter:hunter2@127.0.0.1:{nobodys_port}/"
        sink = rabbitmq_sink(url, "spans", COLLECTOR_KEY, **sealed)
    with pytest.raises(RetryLater) as raised:
        sink.export(numbered(1), PATIENCE)
    sink.close()
    assert "the bus takes no spans" in caplog.text
    assert "hunter2" not in f"{caplog.text} {raised.value!r} {sink!r} {vars(sink)!r}"


async def test_a_queue_that_is_not_there_is_not_made(
    embedded_rabbitmq: str, numbered: Callable[[int], list[Span]]
) -> None:
    name = f"spans-{uuid.uuid4()}"
    sink = rabbitmq_sink(embedded_rabbitmq, name, COLLECTOR_KEY, encode=encode, seal=lambda _: ENVELOPE)
    with pytest.raises(RetryLater):
        await asyncio.to_thread(sink.export, numbered(1), PATIENCE)
    async with await aio_pika.connect(embedded_rabbitmq) as connection:
        await (await connection.channel()).declare_queue(name)  # by whose job it is
        assert await asyncio.to_thread(sink.export, numbered(1), PATIENCE) == 0
    await asyncio.to_thread(sink.close)


@pytest.mark.parametrize("threads", [True, False])
async def test_a_program_that_ends_at_once_still_sends(
    embedded_rabbitmq: str,
    numbered: Callable[[int], list[Span]],
    threads: bool,  # noqa: FBT001 - a parameter
) -> None:
    """When its exit handlers run, the pools of threads that asyncio resolves names with are gone.

    From Python 3.12 on, no thread can be started then, either.
    """
    async with rabbitmq(embedded_rabbitmq) as broker:
        program = f"""
            import atexit
            import threading
            from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
            from interceptors.envelope.batch import CollectorKey
            from interceptors.spans.bus_rabbitmq import rabbitmq_sink

            key = CollectorKey(X25519PublicKey.from_public_bytes({PUBLIC_KEY.public_bytes_raw()!r}))
            sink = rabbitmq_sink(
                "{embedded_rabbitmq.replace("127.0.0.1", "localhost")}",
                "{broker.name}",
                key,
                encode=lambda _: {encode(numbered(2))!r},
                seal=lambda _: b"envelope",
            )

            @atexit.register
            def export():
                if not {threads}:
                    def start(_):
                        raise RuntimeError("can't create new thread at interpreter shutdown")
                    threading.Thread.start = start
                print("lost:", sink.export([None], {PATIENCE}))
                sink.close()
        """
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE * 2,
        )
        assert (ended.stdout, ended.stderr) == ("lost: 0\n", "")
        assert partitions_in((await broker.receive()).body) == [0, 1]


# What can't be right.


SETTINGS: dict[str, Any] = {"encode": encode, "seal": lambda _: ENVELOPE}


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with PEM files that are no certificates."""
    public = PUBLIC_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(public)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"security_protocol": "SASL_SSL"}, "SASL mechanism goes with SASL_PLAINTEXT or SASL_SSL"),
        ({"sasl_mechanism": "PLAIN"}, "the security protocol is PLAINTEXT"),
        (
            {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"},
            "INTERCEPTORS_BUS_PASSWORD not set in the environment, which PLAIN needs",
        ),
        ({"ca_file": "key.pub"}, "certificates are for SSL"),
        ({"certificate_file": "key.pub"}, "certificates are for SSL"),
        ({"security_protocol": "SSL", "key_file": "key.pub"}, "a key without a certificate"),
        ({"security_protocol": "SSL", "ca_file": "absent.pem"}, r"absent\.pem: can't be used .*FileNotFound"),
        ({"security_protocol": "SSL", "ca_file": "key.pub"}, r"key\.pub: can't be used"),
        ({"security_protocol": "SSL", "certificate_file": "key.pub"}, r"key\.pub: can't be used"),
    ],
)
def test_options_of_kafka_that_do_not_hold(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(certificates)
    monkeypatch.setenv("INTERCEPTORS_BUS_USERNAME", "exporter")
    monkeypatch.delenv("INTERCEPTORS_BUS_PASSWORD", raising=False)
    with pytest.raises(ConfigurationError, match=message):
        kafka_sink("127.0.0.1:9092", "spans", COLLECTOR_KEY, **options, **SETTINGS)


def test_tls_is_with_those_that_the_system_trusts_or_with_those_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    make = ssl.create_default_context

    def made(*, cafile: object) -> ssl.SSLContext:
        asked.append(cafile)
        return make()

    monkeypatch.setattr(ssl, "create_default_context", made)
    for ca_file in (None, tmp_path):
        kafka_sink(
            "127.0.0.1:9093", "spans", COLLECTOR_KEY, security_protocol="SSL", ca_file=ca_file, **SETTINGS
        )
    assert asked == [None, tmp_path]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "http://user:hunter2@broker",
        "amqp://",
        "amqp://user:hunter2@[broker",
        "amqp://u:hunter2@h:x",
    ],
)
def test_what_is_no_url_of_a_rabbitmq_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the URL of a RabbitMQ") as raised:
        rabbitmq_sink(url, "spans", COLLECTOR_KEY, **SETTINGS)
    assert raised.value.__context__ is None
    assert "hunter2" not in repr(raised.value)


@pytest.mark.parametrize(
    ("module", "missing", "error"),
    [
        ("bus_kafka", "aiokafka", MissingExtraError),
        ("bus_kafka", "aiokafka.errors", ModuleNotFoundError),  # broken, which no extra mends
        ("bus_rabbitmq", "aio_pika", MissingExtraError),
        ("bus_rabbitmq", "aio_pika.exceptions", ModuleNotFoundError),
    ],
)
def test_without_its_client_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, module: str, missing: str, error: type[Exception]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    spec = importlib.util.find_spec(f"interceptors.spans.{module}")
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(error) as raised:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert raised.type is error
