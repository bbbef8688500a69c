"""What travels beside the ids: labels that the policy names, whether a trace is sampled, and no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context

from interceptors.context import current
from interceptors.scan import parse_token
from interceptors.spans import Link, to_otlp_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Services

    from .buses import Bus, Received

MARK = "canary-3b9ac7d4"
LABELLED: dict[str, Any] = {
    "default": {"labels": {"region": {"values": ["eu-moon"]}, "plan": {"pattern": "[a-z]{4}"}}}
}


@pytest.fixture(autouse=True)
def _no_baggage() -> Iterator[None]:
    """What a test has for baggage goes with it."""
    before = otel_context.attach(otel_context.Context())
    yield
    otel_context.detach(before)


def carry(**entries: str) -> None:
    """Have baggage, instead of what there was."""
    context = otel_context.Context()
    for name, value in entries.items():
        context = baggage.set_baggage(name, value, context)
    otel_context.attach(context)


async def test_baggage_that_the_policy_names_is_baggage_in_the_handler_and_no_other_is_anywhere(
    bus: Bus, service: Services
) -> None:
    checkout, billing = (service(name, policy=LABELLED) for name in ("checkout", "billing"))
    seen: list[dict[str, object]] = []

    async def look(_: Received) -> None:
        seen.append(dict(baggage.get_all()))

    carry(region="eu-moon", plan=MARK, user=MARK)
    await bus.send(checkout, "order 1")
    raw = await bus.lift()
    await bus.put(raw)
    carry(ambient=MARK, region="of the receiver")  # which is not the message's
    inbox = await bus.serve(billing, look)
    received = await inbox.take()

    assert seen == [{"region": "eu-moon"}]
    assert received.receipt.labels == {"region": "eu-moon"}
    spans = [checkout.span("send"), billing.span("process")]
    assert [span.labels for span in spans] == [{"region": "eu-moon"}] * 2
    exported = json.dumps([to_otlp_json(span) for span in spans])
    assert exported.count("eu-moon") == 2
    assert MARK not in exported
    for secret in (MARK, "eu-moon"):
        assert secret not in repr(raw)
    assert checkout.tracing.counts == {"labels left out": 1}


async def test_a_label_goes_on_with_what_the_handler_sends(bus: Bus, service: Services) -> None:
    checkout, billing, ledger = (service(name, policy=LABELLED) for name in ("checkout", "billing", "ledger"))
    onward = await bus.elsewhere()

    async def forward(received: Received) -> None:
        await onward.send(billing, received.body)

    carry(region="eu-moon")
    await bus.send(checkout, "order 1")
    carry()
    inbox = await bus.serve(billing, forward)
    await inbox.take()
    await inbox.stop()

    received = await (await onward.serve(ledger)).take()

    assert received.receipt.labels == {"region": "eu-moon"}
    assert billing.span("send").labels == {"region": "eu-moon"}


async def test_a_token_stands_for_a_label_that_is_tokenized_all_the_way(bus: Bus, service: Services) -> None:
    labels = {
        "user": {"class": "personal.email", "handling": "tokenize"},
        "agent": {"handling": "redact"},
    }
    rules = {"default": {"labels": labels}}
    checkout, billing, ledger = (service(name, policy=rules) for name in ("checkout", "billing", "ledger"))
    onward = await bus.elsewhere()
    seen: list[dict[str, object]] = []

    async def forward(received: Received) -> None:
        seen.append(dict(baggage.get_all()))
        await onward.send(billing, received.body)

    carry(user=f"{MARK}@example.com", agent=MARK)
    await bus.send(checkout, "order 1")
    carry()
    inbox = await bus.serve(billing, forward)
    first = await inbox.take()
    await inbox.stop()
    second = await (await onward.serve(ledger)).take()

    (handled,) = seen
    assert parse_token(str(handled["user"])).version == 1
    assert handled["agent"] == "***"
    assert first.receipt.labels == second.receipt.labels == handled
    spans = [checkout.span("send"), billing.span("process"), billing.span("send"), ledger.span("process")]
    assert [span.labels for span in spans] == [handled] * 4
    assert MARK not in json.dumps([to_otlp_json(span) for span in spans])


async def test_what_a_sender_under_a_laxer_policy_lets_travel_is_not_taken_up(
    bus: Bus, service: Services
) -> None:
    laxer = {"default": {"labels": {"user": {"pattern": "[a-z@.]{1,64}"}}}}
    stricter = {"default": {"labels": {"user": {"class": "personal.email", "handling": "tokenize"}}}}
    checkout, billing = service("checkout", policy=laxer), service("billing", policy=stricter)
    carry(user="jo@example.com")
    await bus.send(checkout, "order 1")
    carry()

    received = await (await bus.serve(billing)).take()

    assert not received.receipt.labels
    assert not billing.span("process").labels


async def test_a_trace_that_is_not_sampled_stays_so_across_the_bus(bus: Bus, service: Services) -> None:
    checkout = service("checkout", policy={"default": {"sampling_ratio": 0}})
    billing, ledger = service("billing"), service("ledger")
    onward = await bus.elsewhere()

    async def forward(received: Received) -> None:
        await onward.send(billing, received.body)

    inbox = await bus.serve(billing, forward)
    await bus.send(checkout, "order 1")
    first = await inbox.take()
    await inbox.stop()
    second = await (await onward.serve(ledger)).take()

    assert first.receipt.verdict == second.receipt.verdict == "fresh"
    contexts = [received.context for received in (first, second) if received.context is not None]
    assert [context.sampled for context in contexts] == [False, False]
    assert len({context.trace_id for context in contexts}) == 1
    # Receiving a batch is a trace of its own, for whose beginning the receiver's policy decides.
    assert [made.spans(each) for made in (checkout, billing, ledger) for each in ("send", "process")] == [
        []
    ] * 6


async def test_at_a_tenants_boundary_the_trace_starts_anew_with_a_link(bus: Bus, service: Services) -> None:
    checkout, billing, ledger = (service(name, policy=LABELLED) for name in ("checkout", "billing", "ledger"))
    onward = await bus.elsewhere()

    async def cross(received: Received) -> None:
        with billing.tracing.tenant("globex"):
            assert current() is None
            await onward.send(billing, received.body)

    carry(region="eu-moon")
    await bus.send(checkout, "order 1")
    carry()
    inbox = await bus.serve(billing, cross)
    await inbox.take()
    await inbox.stop()
    received = await (await onward.serve(ledger)).take()

    handled, sent, processed = billing.span("process"), billing.span("send"), ledger.span("process")
    assert (handled.tenant, sent.tenant, processed.tenant) == ("acme", "globex", "globex")
    assert handled.error_type is None
    assert (sent.parent_span_id, sent.links) == (None, (Link(*handled.context[:2]),))
    assert (sent.labels, received.receipt.labels) == ({}, None)
    assert sent.context.trace_id == processed.context.trace_id != handled.context.trace_id
    assert processed.links == ()
