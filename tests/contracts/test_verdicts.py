"""What a receiver makes of an envelope: whatever it holds, the message is handled, and so is the next."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from interceptors.envelope import HEADER_NAME, header_bytes

from .buses import Need

if TYPE_CHECKING:
    from tests.conftest import Service, Services

    from .buses import Bus, Received

CLEAR = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


def judged(received: Received) -> tuple[str | None, str | None]:
    return received.receipt.verdict, received.receipt.answer


@pytest.mark.parametrize(("later_s", "expected"), [(0, "duplicate"), (3600, "replay")])
async def test_a_copied_message_is_a_duplicate_and_later_a_replay(
    bus: Bus, checkout: Service, billing: Service, later_s: int, expected: str
) -> None:
    await bus.send(checkout, "order 1")
    raw = await bus.lift()
    inbox = await bus.serve(billing)
    await bus.put(raw)
    first = await inbox.take()
    billing.clock.ahead_s = later_s
    await bus.put(bus.renamed(raw))

    second = await inbox.take()

    assert [judged(received) for received in (first, second)] == [("fresh", None), (expected, None)]
    assert second.body == "order 1"
    span, sent = billing.spans("process")[-1], checkout.span("send").context
    goes_on = expected == "duplicate"
    assert span.verdict == expected
    assert (span.context.trace_id == sent.trace_id) == goes_on
    assert span.parent_span_id == (sent.span_id if goes_on else None)
    assert [(link.trace_id, link.span_id) for link in span.links] == (
        [] if goes_on else [(sent.trace_id, sent.span_id)]
    )
    assert billing.tracing.counts[expected] == 1


@pytest.mark.parametrize(("ahead_s", "expected"), [((0, 7200), "stale"), ((7200, 0), "future")])
async def test_an_envelope_out_of_its_time_starts_a_trace_with_a_link(
    bus: Bus, service: Services, ahead_s: tuple[int, int], expected: str
) -> None:
    checkout, billing = service("checkout"), service("billing", policy={"default": {"max_age": "1h"}})
    checkout.clock.ahead_s, billing.clock.ahead_s = ahead_s
    inbox = await bus.serve(billing)
    await bus.send(checkout, "order 1")

    received = await inbox.take()

    sent, span = checkout.span("send").context, billing.span("process")
    assert judged(received) == (expected, None)
    assert span.context.trace_id != sent.trace_id
    assert [(link.trace_id, link.span_id) for link in span.links] == [(sent.trace_id, sent.span_id)]


async def test_an_envelope_is_worth_nothing_on_another_channel(
    bus: Bus, checkout: Service, billing: Service
) -> None:
    await bus.send(checkout, "order 1")
    raw, other = await bus.lift(), await bus.elsewhere()
    inbox = await other.serve(billing)
    await other.put(raw)

    received = await inbox.take()

    assert judged(received) == ("invalid", "not authentic")
    assert (received.receipt.tenant, received.receipt.sender) == (None, None)
    assert received.context is not None
    assert received.context.trace_id != checkout.span("send").context.trace_id


async def test_an_envelope_that_is_bound_to_its_message_is_worth_nothing_on_another(
    bus: Bus, service: Services
) -> None:
    policy = {"default": {"binding": "message"}}
    checkout, billing = service("checkout", policy=policy), service("billing", policy=policy)
    await bus.send(checkout, "pay 10", name="a")
    await bus.send(checkout, "pay 99", name="b")
    first, second = await bus.lift(), await bus.lift()
    inbox = await bus.serve(billing)
    await bus.put(second.with_envelopes(*first.envelopes))
    await bus.put(first)

    spliced, own = await inbox.take(), await inbox.take()

    assert (spliced.body, *judged(spliced)) == ("pay 99", "invalid", "not authentic")
    assert (own.body, *judged(own)) == ("pay 10", "fresh", None)


async def test_a_body_that_was_changed_is_found_out(bus: Bus, service: Services) -> None:
    policy = {"default": {"binding": "message"}}
    await bus.send(service("checkout", policy=policy), "pay 10")
    raw = await bus.lift()
    inbox = await bus.serve(service("billing", policy=policy))
    await bus.put(raw._replace(body=raw.body.replace(b"10", b"99")))

    received = await inbox.take()

    assert (received.body, *judged(received)) == ("pay 99", "invalid", "not authentic")


def answers(place: int) -> set[str]:
    """What may be said of an envelope that has another bit in this byte."""
    if place == 0:
        return {"unsupported version"}
    if place == 1:
        return {"malformed", "not authentic"}
    return {"unknown key"} if place < 18 else {"not authentic"}


async def test_an_envelope_with_another_bit_is_invalid(bus: Bus, checkout: Service, billing: Service) -> None:
    await bus.send(checkout, "order 1")
    raw = await bus.lift()
    (envelope,) = map(header_bytes, raw.envelopes)
    inbox = await bus.serve(billing)
    for place in range(len(envelope)):
        altered = bytearray(envelope)
        altered[place] ^= 1 << random.randrange(8)
        await bus.put(raw.with_envelopes(bus.carried(bytes(altered))))
    await bus.put(raw)

    for place in range(len(envelope)):
        received = await inbox.take()
        verdict, answer = judged(received)
        assert (received.body, verdict) == ("order 1", "invalid")
        assert answer in answers(place)
    assert judged(await inbox.take()) == ("fresh", None)
    assert {span.parent_span_id for span in billing.spans("process")[:-1]} == {None}


async def test_no_value_of_the_header_keeps_a_message_from_its_handler(
    bus: Bus, checkout: Service, billing: Service
) -> None:
    await bus.send(checkout, "order 1", [("name", bus.text("value"))])
    raw = await bus.lift()
    inbox = await bus.serve(billing)
    for poison in bus.poisons:
        await bus.put(raw.with_envelopes(poison))
    await bus.put(raw)

    for poison in bus.poisons:
        received = await inbox.take()
        assert (received.body, received.headers) == ("order 1", [("name", bus.text("value"))]), poison
        assert received.receipt.verdict == "invalid", poison
    assert judged(await inbox.take()) == ("fresh", None)


@pytest.mark.needs(Need.REPEATED_HEADERS)
async def test_two_envelopes_are_none(bus: Bus, checkout: Service, billing: Service) -> None:
    await bus.send(checkout, "order 1")
    raw = await bus.lift()
    inbox = await bus.serve(billing)
    await bus.put(raw.with_envelopes(*raw.envelopes, *raw.envelopes))

    received = await inbox.take()

    assert judged(received) == ("invalid", "malformed")
    assert received.headers == []


@pytest.mark.parametrize(("accept", "expected"), [("optional", None), ("required", "missing")])
async def test_a_trace_in_clear_is_not_believed(
    bus: Bus, service: Services, accept: str, expected: str | None
) -> None:
    billing = service("billing", policy={"default": {"accept": accept}})
    inbox = await bus.serve(billing)
    await bus.send(None, "order 1", [("traceparent", bus.text(CLEAR))])

    received = await inbox.take()

    span = billing.span("process")
    assert (received.body, received.headers) == ("order 1", [("traceparent", bus.text(CLEAR))])
    assert (received.receipt.verdict, span.verdict) == (expected, expected)
    assert (span.parent_span_id, span.links) == (None, ())
    assert span.context.trace_id.hex() not in CLEAR


async def test_a_sender_whose_key_is_not_granted_is_not_believed(
    bus: Bus, checkout: Service, billing: Service, service: Services
) -> None:
    stranger = service("stranger", keys=service.foreign_keys("stranger"))
    inbox = await bus.serve(billing)
    await bus.send(stranger, "order 1")
    await bus.send(checkout, "order 2")

    assert [judged(await inbox.take()) for _ in range(2)] == [("invalid", "unknown key"), ("fresh", None)]


async def test_a_sender_whose_key_was_revoked_is_not_believed(
    bus: Bus, checkout: Service, service: Services
) -> None:
    keys = service.keys("billing")
    billing = service("billing", keys=keys)
    await bus.send(checkout, "order 1")
    raw = await bus.lift()
    inbox = await bus.serve(billing)
    await bus.put(raw)
    before = await inbox.take()
    keys.revoke(header_bytes(raw.envelopes[0])[2:18])
    billing.tracing._keyring.refresh()
    await bus.send(checkout, "order 2")

    after = await inbox.take()

    assert [judged(received) for received in (before, after)] == [
        ("fresh", None),
        ("invalid", "revoked key"),
    ]


async def test_what_the_policy_rejects_is_not_handled_and_the_next_message_is(
    bus: Bus, checkout: Service, service: Services
) -> None:
    billing = service("billing", policy={"default": {"accept": "reject"}})
    await bus.send(checkout, "0")
    raw = await bus.lift()
    inbox = await bus.serve(billing)
    await bus.put(raw)
    await bus.send(None, "missing", [("traceparent", bus.text(CLEAR))])
    await bus.put(raw.with_envelopes(bus.text("forged")))
    await bus.send(checkout, "3")

    received = [await inbox.take() for _ in range(2)]

    assert [(message.body, *judged(message)) for message in received] == [
        ("0", "fresh", None),
        ("3", "fresh", None),
    ]
    counts = billing.tracing.counts
    assert {name: counts[name] for name in ("rejected", "missing", "invalid")} == {
        "rejected": 2,
        "missing": 1,
        "invalid": 1,
    }
    assert len(billing.spans("process")) == 2


async def test_a_channel_that_emits_nothing_is_left_alone(bus: Bus, service: Services) -> None:
    checkout = service("checkout", policy={"default": {"emit": "none"}})
    headers = [("name", bus.text("value")), ("traceparent", bus.text(CLEAR))]
    inbox = await bus.serve(None)
    await bus.send(checkout, "order 1", [*headers, (HEADER_NAME, bus.text("of another"))])

    received = await inbox.take()

    assert (received.body, received.headers) == ("order 1", headers)
    assert checkout.spans("send") == []


async def test_a_channel_that_accepts_nothing_strips_and_records_nothing(
    bus: Bus, checkout: Service, service: Services
) -> None:
    billing = service("billing", policy={"default": {"accept": "none"}})
    inbox = await bus.serve(billing)
    await bus.send(checkout, "order 1", [("name", bus.text("value"))])

    received = await inbox.take()

    assert (received.body, received.headers) == ("order 1", [("name", bus.text("value"))])
    assert (judged(received), received.context, received.tenant) == ((None, None), None, None)
    assert billing.tracing.flush()
    assert billing.sink.spans == []
