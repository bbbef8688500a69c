"""Channels that are signed: what a reader of the sender could make is worth nothing, on any bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interceptors.envelope import header_bytes

if TYPE_CHECKING:
    from tests.conftest import Services

    from .buses import Bus

SIGNED: dict[str, Any] = {"default": {"signed": True}}


async def test_a_trace_goes_on_over_a_signed_channel(bus: Bus, service: Services) -> None:
    checkout, billing = (service(name, policy=SIGNED) for name in ("checkout", "billing"))
    await bus.send(checkout, "order 1")
    raw = await bus.lift()
    (envelope,) = map(header_bytes, raw.envelopes)
    await bus.put(raw)

    received = await (await bus.serve(billing)).take()

    assert (envelope[0], len(envelope)) == (0x12, 186)
    assert (received.body, received.receipt.verdict, received.receipt.sender) == (
        "order 1",
        "fresh",
        "checkout",
    )
    assert billing.span("process").context.trace_id == checkout.span("send").context.trace_id


async def test_an_envelope_that_is_not_signed_is_invalid_and_the_message_is_handled(
    bus: Bus, service: Services
) -> None:
    # With the sender's own key, which every reader has: all but the signature is right.
    forger, billing = service("checkout"), service("billing", policy=SIGNED)
    inbox = await bus.serve(billing)
    await bus.send(forger, "order 1")

    received = await inbox.take()

    assert received.body == "order 1"
    assert (received.receipt.verdict, received.receipt.answer) == ("invalid", "not authentic")
    assert billing.span("process").context.trace_id != forger.span("send").context.trace_id
