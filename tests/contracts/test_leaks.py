"""What the policy does not declare is found in body and headers, and meets what it says, on every bus."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from interceptors import LeakError
from interceptors.scan import parse_token
from interceptors.spans.otlp_json import to_otlp_json

if TYPE_CHECKING:
    from tests.conftest import Services

    from .buses import Bus

MARK = "canary.7f3a"
EMAIL = f"{MARK}@example.com"
BODY = json.dumps({"order": 1, "customer": {"email": EMAIL}, "note": "a b"})
MASKED = BODY.replace(EMAIL, "*" * len(EMAIL))


def payload(**rules: Any) -> dict[str, Any]:
    """A policy for every channel's payloads."""
    return {"default": {"payload": rules}}


async def test_what_is_observed_goes_as_it_is_and_is_counted_at_both_ends(
    bus: Bus, service: Services
) -> None:
    checkout, billing = (service(name, policy=payload(on_leak="observe")) for name in ("checkout", "billing"))
    inbox = await bus.serve(billing)
    await bus.send(checkout, BODY, [("contact", bus.text(EMAIL))])

    received = await inbox.take()

    assert received.body == BODY
    assert received.headers == [("contact", bus.text(EMAIL))]
    assert received.receipt.verdict == "fresh"
    assert checkout.tracing.counts["personal.email sent"] == 2
    assert billing.tracing.counts["personal.email received"] == 2


async def test_what_is_redacted_does_not_reach_the_bus(bus: Bus, service: Services) -> None:
    checkout = service("checkout", policy=payload(on_leak="redact") | {"channels": []})
    headers = [("contact", bus.text(EMAIL)), ("kept", bus.text("value"))]
    sent = await bus.send(checkout, BODY, headers)

    raw = await bus.lift()

    assert sent.after == sent.before
    assert MARK not in repr(raw)
    assert "*" * len(EMAIL) in raw.body.decode()
    assert ("contact", bus.text("*" * len(EMAIL))) in raw.headers
    assert ("kept", bus.text("value")) in raw.headers


async def test_what_was_redacted_is_what_an_envelope_is_bound_to(bus: Bus, service: Services) -> None:
    rules = {"default": {"payload": {"on_leak": "redact"}, "binding": "message"}}
    checkout, billing = service("checkout", policy=rules), service("billing", policy=rules)
    inbox = await bus.serve(billing)
    await bus.send(checkout, BODY)

    received = await inbox.take()

    assert received.body == MASKED
    assert received.receipt.verdict == "fresh"


async def test_a_token_is_the_same_for_the_same_text(bus: Bus, service: Services) -> None:
    checkout = service("checkout", policy=payload(on_leak="tokenize"))
    inbox = await bus.serve(None)
    for number in range(2):
        await bus.send(checkout, json.dumps({"email": EMAIL, "number": number}))

    first, second = [json.loads((await inbox.take()).body)["email"] for _ in range(2)]

    assert first == second
    assert parse_token(first).version == 1


async def test_a_token_is_the_same_whoever_sends_it_and_another_for_another_tenant(
    bus: Bus, service: Services
) -> None:
    rules = payload(on_leak="tokenize")
    checkout, billing = service("checkout", policy=rules), service("billing", policy=rules)
    globex = service("globex-checkout", tenant="globex", policy=rules)
    inbox = await bus.serve(None)
    for sender in (checkout, billing, globex):
        await bus.send(sender, json.dumps({"email": EMAIL}))

    tokens = [json.loads((await inbox.take()).body)["email"] for _ in range(3)]

    assert tokens[0] == tokens[1] != tokens[2]


async def test_what_is_blocked_is_not_sent_and_the_next_message_is(bus: Bus, service: Services) -> None:
    checkout = service("checkout", policy=payload(on_leak="block"))
    inbox = await bus.serve(None)

    with pytest.raises(LeakError) as caught:
        await bus.send(checkout, BODY)
    await bus.send(checkout, "order 2")

    assert (await inbox.take()).body == "order 2"
    assert caught.value.channel == bus.place
    assert MARK not in str(caught.value)
    assert caught.value.places[0].startswith("personal.email at $")
    assert [span.error_type for span in checkout.spans("send")] == ["LeakError", None]
    assert checkout.tracing.counts["blocked"] == 1


async def test_what_is_declared_passes(bus: Bus, service: Services) -> None:
    checkout = service("checkout", policy=payload(on_leak="block", allow=["personal.email"]))
    inbox = await bus.serve(None)
    await bus.send(checkout, BODY)

    assert (await inbox.take()).body == BODY


async def test_what_was_found_is_in_no_span_log_or_repr(
    bus: Bus, service: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "interceptors")
    checkout, billing = (service(name, policy=payload(on_leak="observe")) for name in ("checkout", "billing"))
    inbox = await bus.serve(billing)
    await bus.send(checkout, BODY, [("contact", bus.text(EMAIL))])
    received = await inbox.take()

    spans = [*checkout.spans("send"), *billing.spans("process")]
    texts = [json.dumps(to_otlp_json(span)) for span in spans]
    texts += map(repr, (checkout.tracing, checkout.tracing.counts, billing.tracing.counts, received.receipt))
    ours = [record for record in caplog.records if record.name.startswith("interceptors")]
    texts += [text for record in ours for text in (record.getMessage(), repr(vars(record)))]
    assert any("personal.email" in text for text in texts)
    assert [text for text in texts if MARK in text] == []
