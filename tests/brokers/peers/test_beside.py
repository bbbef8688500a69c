"""OpenTelemetry's instrumentation of the same client in the same process, installed first or last.

confluent-kafka's works by other means, and has a module of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind

from interceptors.context import TraceContext, from_traceparent
from interceptors.envelope import HEADER_NAME
from interceptors.headers import CLEAR_TRACE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from tests.conftest import Service, Services
    from tests.contracts.buses import Bus, Received

    from .conftest import Peer

    Working = Callable[[], AbstractContextManager[TraceContext]]

FORGED = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
FIRST, LAST = "the peer first", "the peer last"

pytestmark = pytest.mark.parametrize("order", [FIRST, LAST])


@pytest.fixture
def any_bus(patched_bus: Bus) -> Bus:
    """Each bus whose client the peer patches."""
    return patched_bus


async def install_around(peer: Peer, order: str, wrapping: Callable[[], Awaitable[Any]]) -> Any:
    """Install the peer before or after our wrappers are made."""
    if order == FIRST:
        peer.install()
    made = await wrapping()
    if order == LAST:
        peer.install()
    peer.forget()
    return made


async def install_around_sender(any_bus: Bus, peer: Peer, order: str, sender: Service) -> None:
    """The same, by a message that is gone."""

    async def send() -> None:
        await any_bus.send(sender, "the first is what the wrapper is made for")
        await any_bus.lift()
        sender.spans("send")
        sender.sink.spans.clear()

    await install_around(peer, order, send)


async def test_one_envelope_is_on_the_wire_and_nothing_in_clear(
    any_bus: Bus, peer: Peer, order: str, checkout: Service, working: Working
) -> None:
    """The peer's producer span is there, but for aiokafka's, whose wrapper is skipped (ADR 25)."""
    await install_around_sender(any_bus, peer, order, checkout)
    with working() as work:
        await any_bus.send(checkout, "order 1", [("traceparent", any_bus.text(FORGED))])

    raw = await any_bus.lift()
    assert len(raw.envelopes) == 1
    assert {name.lower() for name, _ in raw.headers} & CLEAR_TRACE_HEADERS == set()
    sent, peers = checkout.span("send"), peer.spans(SpanKind.PRODUCER)
    assert (sent.context.trace_id, sent.parent_span_id) == work[:2]
    assert len(peers) == (0 if any_bus.name == "kafka" else 1)
    assert [(span.trace_id, span.parent_span_id) for span in peers] == [work[:2]] * len(peers)


async def test_where_nothing_is_sealed_the_peer_is_left_to_it(
    any_bus: Bus, peer: Peer, order: str, service: Services, working: Working
) -> None:
    bystander = service("bystander", policy={"default": {"emit": "none"}})
    await install_around_sender(any_bus, peer, order, bystander)
    seen = []
    for sender in (None, bystander):
        with working() as work:
            await any_bus.send(sender, "order 1")
        headers = dict((await any_bus.lift()).headers)
        clear = headers["traceparent"]
        context = from_traceparent(clear.decode() if isinstance(clear, bytes) else clear)
        assert context is not None
        assert context.trace_id == work.trace_id
        assert "baggage" in headers
        seen.append((HEADER_NAME in headers, len(peer.spans(SpanKind.PRODUCER))))

    assert seen == [(False, 1), (False, 2)]


async def test_a_trace_goes_on_at_the_receiver_whose_handler_is_below_our_span(
    any_bus: Bus, peer: Peer, checkout: Service, billing: Service, *, order: str, working: Working
) -> None:
    """Whoever connects last to Celery's signals is the innermost; elsewhere, we are.

    A queue that is consumed from already when it is installed is out of the reach of aio-pika's peer.
    """
    inbox = await install_around(peer, order, lambda: any_bus.serve(billing))
    with working() as work:
        await any_bus.send(checkout, "order 1")

    received: Received = await inbox.take()
    await inbox.stop()

    sent, span = checkout.span("send"), billing.span("process")
    assert (received.body, received.receipt.verdict) == ("order 1", "fresh")
    assert (span.context.trace_id, span.parent_span_id) == (work.trace_id, sent.context.span_id)
    peers = peer.spans(SpanKind.CONSUMER)
    assert received.context is not None
    if (any_bus.name, order) == ("celery", LAST):
        (inner,) = peers
        assert (inner.trace_id, inner.span_id) == (work.trace_id, received.context.span_id)
        assert inner.parent_span_id == span.context.span_id
        return
    assert received.context == span.context
    assert received.afterwards is None
    assert bool(peers) == ((any_bus.name, order) != ("rabbitmq", LAST))
    assert work.trace_id not in {outer.trace_id for outer in peers}  # finds nothing to go on from


async def test_when_the_peer_is_gone_ours_works_on(
    any_bus: Bus, peer: Peer, checkout: Service, billing: Service, *, order: str, working: Working
) -> None:
    await install_around_sender(any_bus, peer, order, checkout)
    peer.uninstall()
    with working() as work:
        await any_bus.send(checkout, "order 1", [("traceparent", any_bus.text(FORGED))])
    raw = await any_bus.lift()
    await any_bus.put(raw)
    inbox = await any_bus.serve(billing)

    received = await inbox.take()
    await inbox.stop()

    assert [len(raw.envelopes), received.receipt.verdict] == [1, "fresh"]
    assert {name.lower() for name, _ in raw.headers} & CLEAR_TRACE_HEADERS == set()
    assert received.context == billing.span("process").context
    assert received.context.trace_id == work.trace_id
    assert peer.spans(SpanKind.PRODUCER) == peer.spans(SpanKind.CONSUMER) == []
