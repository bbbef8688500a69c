"""A trace goes on from the sender to the handler, and the message is as it would be without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.envelope import HEADER_NAME, header_bytes

from .buses import Fate

if TYPE_CHECKING:
    from tests.conftest import Service, Services

    from .buses import Bus, Received


async def test_the_handler_goes_on_with_the_senders_trace(
    bus: Bus, checkout: Service, billing: Service
) -> None:
    inbox = await bus.serve(billing)
    await bus.send(checkout, "order 1")

    received = await inbox.take()

    sent, processed = checkout.span("send"), billing.span("process")
    assert received.body == "order 1"
    assert received.context == processed.context
    assert processed.context.trace_id == sent.context.trace_id
    assert processed.parent_span_id == sent.context.span_id
    assert (processed.verdict, processed.links, processed.error_type) == ("fresh", (), None)
    assert {span.channel for span in (sent, processed)} == {bus.place}
    assert {span.system for span in (sent, processed)} == {bus.system}
    assert (processed.tenant, processed.sender, processed.service) == ("acme", "checkout", "billing")
    assert (received.tenant, received.receipt.tenant, received.receipt.sender) == ("acme", "acme", "checkout")
    assert received.afterwards is None


async def test_the_time_in_the_queue_is_told(bus: Bus, checkout: Service, billing: Service) -> None:
    billing.clock.ahead_s = 50
    inbox = await bus.serve(billing)
    await bus.send(checkout, "order 1")

    await inbox.take()

    assert 50_000 <= (billing.span("process").queue_time_ms or 0) < 80_000


async def test_the_handler_gets_the_message_as_it_was_given(
    bus: Bus, checkout: Service, billing: Service
) -> None:
    inbox = await bus.serve(billing)
    sent = await bus.send(checkout, "größer", list(bus.headers))

    received = await inbox.take()

    assert sent.after == sent.before
    assert received.body == "größer"
    assert received.headers == bus.headers
    assert received.receipt.verdict == "fresh"


async def test_an_untraced_client_reads_a_sealed_message(bus: Bus, checkout: Service) -> None:
    inbox = await bus.serve(None)
    await bus.send(checkout, "order 1", list(bus.headers))

    received = await inbox.take()

    assert received.body == "order 1"
    assert [header for header in received.headers if header[0] != HEADER_NAME] == bus.headers
    assert [name for name, _ in received.headers].count(HEADER_NAME) == 1


async def test_nothing_of_the_trace_lies_on_the_bus_in_clear(bus: Bus, checkout: Service) -> None:
    clear = [
        ("traceparent", bus.text("00-" + "1" * 32 + "-" + "2" * 16 + "-01")),
        ("Baggage", bus.text("a=b")),
    ]
    await bus.send(checkout, "order 1", [("name", bus.text("value")), *clear])

    raw = await bus.lift()

    context = checkout.span("send").context
    (envelope,) = map(header_bytes, raw.envelopes)
    assert ("name", bus.text("value")) in raw.headers
    assert {name.lower() for name, _ in raw.headers}.isdisjoint({"traceparent", "baggage"})
    for secret in (context.trace_id, context.span_id):
        assert secret not in envelope
        assert secret.hex() not in repr(raw)


async def test_the_policy_is_asked_once_for_each_message_so_that_all_of_it_is_under_one(
    bus: Bus, checkout: Service, swapped_policies: list[str]
) -> None:
    for _ in range(4):
        await bus.send(checkout, "order 1", [("traceparent", bus.text("00-in-clear"))])

    raws = [await bus.lift() for _ in range(4)]

    assert swapped_policies == ["sealed", "none"] * 2
    in_clear = [[value for name, value in raw.headers if name == "traceparent"] for raw in raws]
    assert in_clear == [[], [bus.text("00-in-clear")]] * 2
    assert [len(raw.envelopes) for raw in raws] == [1, 0] * 2


async def test_a_forwarded_message_has_one_envelope_and_the_chain_is_one_trace(
    bus: Bus, checkout: Service, billing: Service, service: Services
) -> None:
    ledger, onward = service("ledger"), await bus.elsewhere()
    await bus.send(checkout, "order 1")
    first = await bus.lift()
    stale = (HEADER_NAME, first.envelopes[0])
    await bus.put(first)

    async def forward(received: Received) -> None:
        await onward.send(billing, received.body, [*received.headers, ("hop", bus.text("1")), stale])

    inbox = await bus.serve(billing, forward)
    await inbox.take()
    await inbox.stop()
    second = await onward.lift()
    await onward.put(second)
    received = await (await onward.serve(ledger)).take()

    (envelope,) = map(header_bytes, second.envelopes)
    assert envelope != header_bytes(first.envelopes[0])
    assert received.headers == [("hop", bus.text("1"))]
    chain = [checkout.span("send"), billing.span("process"), billing.span("send"), ledger.span("process")]
    assert len({span.context.trace_id for span in chain}) == 1
    assert [span.parent_span_id for span in chain[1:]] == [span.context.span_id for span in chain[:-1]]
    assert chain[-1].sender == "billing"


async def test_a_message_that_is_delivered_again_is_a_redelivery(
    bus: Bus, checkout: Service, billing: Service
) -> None:
    seen: list[str] = []

    async def refuse_once(received: Received) -> Fate | None:
        seen.append(received.body)
        return Fate.AGAIN if len(seen) == 1 else None

    inbox = await bus.serve(billing, refuse_once)
    await bus.send(checkout, "order 1")

    first, again = await inbox.take(), await inbox.take()

    assert seen == ["order 1"] * 2
    assert [received.receipt.verdict for received in (first, again)] == ["fresh", "redelivery"]
    sent, spans = checkout.span("send").context, billing.spans("process")
    assert [span.parent_span_id for span in spans] == [sent.span_id] * 2
    assert {span.context.trace_id for span in spans} == {sent.trace_id}
