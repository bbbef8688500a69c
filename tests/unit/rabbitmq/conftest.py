"""A broker, and what the tests of the RabbitMQ adapter share."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from aio_pika import IncomingMessage
from pamqp.commands import Basic

from interceptors import Tracing
from interceptors.envelope import HEADER_NAME
from interceptors.keys import MemoryKeys
from interceptors.message import Message
from interceptors.rabbitmq import TracedChannel
from interceptors.spans import MemorySink
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from aio_pika.abc import AbstractChannel, AbstractConnection

    from interceptors.spans import Span


@pytest.fixture
def keys() -> MemoryKeys:
    """The keys that `checkout` and `billing` share."""
    return MemoryKeys("store")


class Spans(MemorySink):
    """The spans of one service."""

    tracing: Tracing

    def ended(self, operation: str | None = None) -> list[Span]:
        """Give those that have ended, in that order: all of them, or those of one operation."""
        assert self.tracing.flush()
        return [span for span in self.spans if operation in {None, span.operation.operation}]


@pytest.fixture
def sent() -> Spans:
    """The spans of `checkout`."""
    return Spans()


@pytest.fixture
def spans() -> Spans:
    """The spans of `billing`, or of `strict`."""
    return Spans()


@pytest.fixture
def tracing_of(keys: MemoryKeys) -> Iterator[Callable[..., Tracing]]:
    """Makes services that share their keys."""
    with contextlib.ExitStack() as stack:

        def make(service: str, spans: Spans, **settings: Any) -> Tracing:
            tracing = Tracing.for_development(service, tenant="acme", keys=keys, sink=spans, **settings)
            spans.tracing = tracing
            return stack.enter_context(tracing)

        yield make


@pytest.fixture
def checkout(tracing_of: Callable[..., Tracing], sent: Spans) -> Tracing:
    """The service that sends."""
    return tracing_of("checkout", sent)


@pytest.fixture
def billing(tracing_of: Callable[..., Tracing], spans: Spans) -> Tracing:
    """The service that receives."""
    return tracing_of("billing", spans)


@pytest.fixture
def strict(tracing_of: Callable[..., Tracing], spans: Spans) -> Tracing:
    """A service that refuses what comes without an envelope."""
    return tracing_of("billing", spans, policy={"default": {"accept": "reject"}})


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedRabbitMQ]:
    """One broker for all tests; each has a virtual host of its own."""
    with EmbeddedRabbitMQ() as running:
        yield running


@pytest.fixture
def url(broker: EmbeddedRabbitMQ) -> str:
    """The virtual host of this test."""
    return f"{broker.url.rstrip('/')}/{uuid.uuid4().hex}"


@pytest.fixture(params=[aio_pika.connect, aio_pika.connect_robust], ids=["plain", "robust"])
async def connection(request: pytest.FixtureRequest, url: str) -> AsyncIterator[AbstractConnection]:
    """A connection of each kind."""
    opened: AbstractConnection = await request.param(url)
    async with opened:
        yield opened


@pytest.fixture
async def raw(connection: AbstractConnection) -> AbstractChannel:
    """A channel that nobody traces."""
    return await connection.channel()


@pytest.fixture
async def sending(connection: AbstractConnection, checkout: Tracing) -> TracedChannel:
    """The channel of `checkout`."""
    return TracedChannel(await connection.channel(), checkout)


@pytest.fixture
async def receiving(connection: AbstractConnection, billing: Tracing) -> TracedChannel:
    """The channel of `billing`."""
    return TracedChannel(await connection.channel(), billing)


@pytest.fixture
def slow_reject(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Makes rejecting wait; gives what tells that it waits, and what lets it go on."""
    waits, goes_on = asyncio.Event(), asyncio.Event()
    reject = IncomingMessage.reject

    async def rejected(message: IncomingMessage, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - aio-pika's
        waits.set()
        await goes_on.wait()
        await reject(message, requeue)

    monkeypatch.setattr(IncomingMessage, "reject", rejected)
    return waits, goes_on


@pytest.fixture
def incoming() -> Callable[..., IncomingMessage]:
    """Makes a message as aio-pika does of a delivery."""

    def make(
        headers: Mapping[str, Any] | None,
        *,
        body: bytes = b"body",
        exchange: str = "",
        routing_key: str = "orders",
        redelivered: bool = False,
    ) -> IncomingMessage:
        delivered: Any = SimpleNamespace(
            channel=None,
            body=body,
            header=SimpleNamespace(properties=Basic.Properties(headers=headers)),  # type: ignore[arg-type]  # hostile
            consumer_tag="tag",
            delivery_tag=None,
            exchange=exchange,
            message_count=None,
            redelivered=redelivered,
            routing_key=routing_key,
        )
        return IncomingMessage(delivered)

    return make


@pytest.fixture
def envelope(checkout: Tracing) -> Callable[..., bytearray]:
    """Makes envelopes of `checkout` as they lie in headers."""

    def make(destination: str = "orders", body: bytes = b"body") -> bytearray:
        found = checkout.send(Message("rabbitmq", destination, body)).envelope
        assert found is not None
        return bytearray(found)

    return make


@pytest.fixture
def sealed(
    incoming: Callable[..., IncomingMessage], envelope: Callable[..., bytearray]
) -> Callable[..., IncomingMessage]:
    """Makes a message with an envelope and one header more, as aio-pika does of a delivery."""

    def make(**settings: Any) -> IncomingMessage:
        return incoming({"name": "value", HEADER_NAME: envelope()}, **settings)

    return make
