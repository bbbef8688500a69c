"""Handlers: what is current in them is theirs, and how they end is told."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from interceptors.context import current, current_tenant
from interceptors.envelope import HEADER_NAME
from interceptors.spans import to_otlp_json

from .buses import Need

if TYPE_CHECKING:
    from tests.conftest import Service, Services

    from .buses import Bus, Received

MARK = "canary-7d20be91"
TOGETHER = 3
DEADLINE = 20


class OrderError(Exception):
    """A business error."""


async def test_each_handler_has_the_tenant_of_its_sender(
    bus: Bus, billing: Service, service: Services
) -> None:
    senders = {tenant: service(f"shop of {tenant}", tenant=tenant) for tenant in ("globex", "initech")}
    onward = await bus.elsewhere()

    async def forward(received: Received) -> None:
        await onward.send(billing, received.body)

    inbox = await bus.serve(billing, forward)
    tenants = ["globex", "initech", "initech", "globex"]
    for tenant in tenants:
        await bus.send(senders[tenant], tenant)

    received = [await inbox.take() for _ in tenants]
    await inbox.stop()

    assert [(message.tenant, message.body) for message in received] == [(name, name) for name in tenants]
    spans = [*billing.spans("process"), *billing.spans("send")]
    assert [span.tenant for span in spans] == tenants * 2
    for tenant, sender in senders.items():
        ids = {id_.hex() for span in sender.spans("send") for id_ in span.context[:2]}
        ids |= {id_.hex() for span in spans if span.tenant == tenant for id_ in span.context[:2]}
        others = [json.dumps(to_otlp_json(span)) for span in spans if span.tenant != tenant]
        assert not [id_ for id_ in ids for text in others if id_ in text]
    ledger = await onward.serve(service("ledger"))
    assert [(await ledger.take()).receipt.tenant for _ in tenants] == tenants


async def test_handlers_that_run_at_the_same_time_do_not_mix(
    bus: Bus, billing: Service, service: Services
) -> None:
    senders = [service(f"shop {number}", tenant=f"tenant {number}") for number in range(TOGETHER)]
    together = threading.Barrier(TOGETHER)
    seen: dict[str, list[object]] = {}

    async def meet(received: Received) -> None:
        seen[received.body] = [(current(), current_tenant())]
        for _ in range(2):
            await asyncio.to_thread(together.wait, DEADLINE)
            seen[received.body].append((current(), current_tenant()))

    inbox = await bus.serve(billing, meet, concurrency=TOGETHER)
    for number, sender in enumerate(senders):
        await bus.send(sender, str(number))

    received = {message.body: message for message in [await inbox.take() for _ in senders]}

    for number, sender in enumerate(senders):
        message = received[str(number)]
        assert message.context is not None
        assert message.context.trace_id == sender.span("send").context.trace_id
        assert seen[str(number)] == [(message.context, f"tenant {number}")] * 3
        assert message.afterwards is None
    assert {span.error_type for span in billing.spans("process")} == {None}


async def test_a_handler_that_raises_marks_its_span_and_meets_what_the_client_does_about_it(
    bus: Bus, checkout: Service, billing: Service
) -> None:
    seen: dict[str, list[str]] = {}
    afterwards = []
    for place, who in (await bus.elsewhere(), None), (bus, billing):

        async def raise_once(received: Received, place: str = place.place) -> None:
            seen.setdefault(place, []).append(received.body)
            if received.body == "bad":
                raise OrderError(received.body)

        inbox = await place.serve(who, raise_once)
        for body in ("bad", "good", "better"):
            await place.send(checkout, body)
        afterwards += [(await inbox.take()).afterwards for _ in range(3)]
        await inbox.stop()

    untraced, traced = seen.values()
    assert traced == untraced == ["bad", "good", "better"]
    assert [span.error_type for span in billing.spans("process")] == ["OrderError", None, None]
    assert afterwards == [None] * 6


@pytest.mark.needs(Need.CANCELLATION)
async def test_a_handler_that_is_cancelled_ends_its_span_and_its_message_comes_again(
    bus: Bus, checkout: Service, billing: Service
) -> None:
    begun = asyncio.Event()

    async def hang(_: Received) -> None:
        begun.set()
        await asyncio.Event().wait()

    inbox = await bus.serve(billing, hang)
    await bus.send(checkout, "order 1")
    async with asyncio.timeout(DEADLINE):
        await begun.wait()
    await inbox.stop()
    (cancelled,) = billing.spans("process")

    again = await (await bus.serve(billing)).take()

    assert cancelled.error_type == "CancelledError"
    assert (again.body, again.receipt.verdict) == ("order 1", "redelivery")
    assert again.context is not None
    assert again.context.trace_id == cancelled.context.trace_id


async def test_what_a_message_holds_is_in_no_span_log_or_repr(
    bus: Bus, service: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "interceptors")
    checkout, billing = service("checkout"), service("billing", policy={"default": {"accept": "required"}})

    async def fail(_: Received) -> None:
        raise OrderError(MARK)

    inbox = await bus.serve(billing, fail)
    await bus.send(checkout, MARK, [(MARK, bus.text(MARK))], name=f"{MARK} 1")
    await bus.send(None, MARK, [(HEADER_NAME, bus.text(MARK))], name=f"{MARK} 2")

    received = [await inbox.take() for _ in range(2)]

    assert [message.receipt.verdict for message in received] == ["fresh", "invalid"]
    shown: list[object] = [checkout.tracing, billing.tracing, billing.tracing.counts]
    for message in received:
        shown += [message.receipt, message.receipt.opened, message.context]
        if type(message.message).__module__.startswith("interceptors."):
            shown.append(message.message)
    spans = [*checkout.spans("send"), *billing.spans("process")]
    assert [span.error_type for span in spans] == [None, "OrderError", "OrderError"]
    texts = [json.dumps(to_otlp_json(span)) for span in (*checkout.sink.spans, *billing.sink.spans)]
    texts += map(repr, (*shown, *spans))
    ours = [record for record in caplog.records if record.name.startswith("interceptors")]
    texts += [text for record in ours for text in (record.getMessage(), repr(vars(record)))]
    assert [text for text in texts if MARK in text] == []
