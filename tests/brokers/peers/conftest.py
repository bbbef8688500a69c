"""Other tracers in the same process, and every bus to have them on."""

from __future__ import annotations

import contextlib
import secrets
import string
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.confluent_kafka import (
    AutoInstrumentedConsumer,
    ConfluentKafkaInstrumentor,
)
from opentelemetry.instrumentation.utils import unwrap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from interceptors.context import TraceContext, current

from ...contracts.buses import BUSES  # noqa: TID252 - the buses of the contract; tests are no package

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import SpanKind

    from tests.contracts.buses import Bus

INSTRUMENTORS: dict[str, type[Any]] = {
    "kafka": AIOKafkaInstrumentor,
    "confluent": ConfluentKafkaInstrumentor,
    "rabbitmq": AioPikaInstrumentor,
    "celery": CeleryInstrumentor,
}


@pytest.fixture(scope="session")
def celery_memory() -> str:
    """The address of the broker that kombu has inside this process."""
    return "memory://"


@contextlib.asynccontextmanager
async def _open(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    kind, broker = request.param
    async with contextlib.AsyncExitStack() as stopping:
        made: Bus = kind(
            request.getfixturevalue(broker),
            "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)),
            stopping,
        )
        await made.open()
        yield made


# One of each client: other ways to send and receive by it are the contract's matter.
CASES = [
    pytest.param((kind, broker), id=f"{kind.name}-{broker}")
    for kind in BUSES
    if kind.name in INSTRUMENTORS
    for broker in kind.brokers
]
PATCHED = [case for case in CASES if not str(case.id).startswith("confluent")]


@pytest.fixture(params=CASES)
async def any_bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """A topic or queue that only this test knows, of each bus in turn."""
    async with _open(request) as bus:
        yield bus


@pytest.fixture(params=PATCHED)
async def patched_bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """The same of those whose clients the peers patch, whoever has imported them before."""
    async with _open(request) as bus:
        yield bus


class PeerSpan(NamedTuple):
    """A span that a peer has ended, in our types."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None


class Peer:
    """OpenTelemetry's instrumentation of a client, and what it has recorded."""

    def __init__(self, client: str) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False)
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._instrumentor = INSTRUMENTORS[client]()

    def install(self) -> None:
        self._instrumentor.instrument(tracer_provider=self.provider)
        assert self._instrumentor.is_instrumented_by_opentelemetry

    def uninstall(self) -> None:
        if self._instrumentor.is_instrumented_by_opentelemetry:
            self._instrumentor.uninstrument()
            for forgotten in ("consume", "close"):  # by its `uninstrument`
                unwrap(AutoInstrumentedConsumer, forgotten)

    def spans(self, kind: SpanKind) -> list[PeerSpan]:
        """Its ended spans of a kind, oldest first."""
        found = []
        for span in self._exporter.get_finished_spans():
            if span.kind is kind and span.context is not None:
                above = None if span.parent is None else span.parent.span_id.to_bytes(8, "big")
                trace_id, span_id = span.context.trace_id, span.context.span_id
                found.append(PeerSpan(trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big"), above))
        return found

    def forget(self) -> None:
        """Let go of what it has recorded so far."""
        self._exporter.clear()


@pytest.fixture
def install(set_propagator: Callable[[TextMapPropagator], None]) -> Iterator[Callable[[str], Peer]]:
    """Makes a client's peer, which propagates W3C's headers; it is gone again when the test is over."""
    set_propagator(CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]))
    with contextlib.ExitStack() as closing:

        def make(client: str) -> Peer:
            peer = Peer(client)
            closing.callback(peer.uninstall)
            return peer

        yield make


@pytest.fixture
def peer(any_bus: Bus, install: Callable[[str], Peer]) -> Peer:
    """The peer of the bus's client, not installed yet."""
    return install(any_bus.name)


@contextlib.contextmanager
def _working() -> Iterator[TraceContext]:
    token = otel_context.attach(baggage.set_baggage("user", "of acme"))
    try:
        with TracerProvider(shutdown_on_exit=False).get_tracer("application").start_as_current_span("work"):
            context = current()
            assert context is not None
            yield context
    finally:
        otel_context.detach(token)


@pytest.fixture
def working() -> Callable[[], contextlib.AbstractContextManager[TraceContext]]:
    """Makes a span of the application current, and baggage with it."""
    return _working
