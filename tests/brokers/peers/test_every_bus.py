"""Where others break on any bus: a test is named for the peer, and its docstring says what happens there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope import HEADER_NAME, header_bytes
from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.headers import CLEAR_TRACE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from interceptors.context import TraceContext
    from tests.conftest import Service, Services
    from tests.contracts.buses import Bus

    from .conftest import Peer

    Working = Callable[[], AbstractContextManager[TraceContext]]

NO_KEY = "no sealing key for the tenant"
FORGED = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


@pytest.mark.parametrize("name", ["traceparent", "tracestate", "baggage"])
async def test_contrib_a_foreign_trace_header_of_any_value_costs_no_message(
    any_bus: Bus, checkout: Service, billing: Service, name: str
) -> None:
    """There, a value that is not text, or not UTF-8, loses the message, or its whole batch."""
    inbox = await any_bus.serve(billing)
    for number, value in enumerate(any_bus.poisons):
        await any_bus.send(None, str(number), [(name, value)])
    await any_bus.send(checkout, "ours")

    received = [await inbox.take() for _ in range(len(any_bus.poisons) + 1)]
    await inbox.stop()

    foreign, ours = received[:-1], received[-1]
    assert [one.body for one in foreign] == [str(number) for number in range(len(any_bus.poisons))]
    assert [[value for at, value in one.headers if at == name] for one in foreign] == [
        [value] for value in any_bus.poisons
    ]
    assert (ours.body, ours.receipt.verdict) == ("ours", "fresh")


@pytest.mark.parametrize("error", [KeyProviderError("denied", problem=KeyProblem.DENIED), RuntimeError()])
async def test_kip_42_a_trace_that_cannot_be_sealed_is_not_sent_in_clear(
    any_bus: Bus,
    peer: Peer,
    service: Services,
    monkeypatch: pytest.MonkeyPatch,
    *,
    working: Working,
    error: Exception,
) -> None:
    """There, every exception of an interceptor is swallowed: one that fails to seal sends clear text."""
    keys = service.keys("checkout")

    def refuse(_: str) -> None:
        raise error

    monkeypatch.setattr(keys, "sealing_key", refuse)
    checkout = service("checkout", keys=keys)
    peer.install()
    with working():
        await any_bus.send(checkout, "order 1", [("traceparent", any_bus.text(FORGED))])

    raw = await any_bus.lift()
    names = {name.lower() for name, _ in raw.headers}
    assert names & {HEADER_NAME, *CLEAR_TRACE_HEADERS} == set()
    assert checkout.tracing.counts[NO_KEY] == 1


@pytest.mark.parametrize("moved", ["to another channel", "to another message"])
async def test_aead_without_associated_data_a_moved_envelope_does_not_open(
    any_bus: Bus, service: Services, moved: str
) -> None:
    """There (CSFLE, Temporal's codec, Kroxylicious), ciphertexts can be moved wherever one likes."""
    policy = {"default": {"binding": "message"}} if moved == "to another message" else {}
    checkout, billing = service("checkout", policy=policy), service("billing", policy=policy)
    for name in ("1", "2"):
        await any_bus.send(checkout, f"order {name}", name=name)
    first, second = [await any_bus.lift() for _ in range(2)]
    if moved == "to another channel":
        there, forged = await any_bus.elsewhere(), first
    else:
        there, forged = any_bus, second.with_envelopes(*first.envelopes)
    inbox = await there.serve(billing)
    await there.put(forged)

    received = await inbox.take()
    await inbox.stop()

    assert (received.receipt.verdict, received.receipt.answer) == ("invalid", "not authentic")
    assert (received.receipt.parent, received.receipt.tenant) == (None, None)


@pytest.mark.parametrize("marked", ["not at all", "by a traceparent", "as bound more loosely"])
async def test_temporal_a_downgraded_message_is_not_let_through(
    any_bus: Bus, checkout: Service, service: Services, marked: str
) -> None:
    """There, whatever is not marked as encrypted passes through."""
    billing = service("billing", policy={"default": {"accept": "required"}})
    await any_bus.send(checkout, "order 1")
    sealed = await any_bus.lift()
    raw, envelope = sealed.with_envelopes(), header_bytes(sealed.envelopes[0])
    inbox = await any_bus.serve(billing)
    forged: dict[str, Any] = {
        "not at all": raw,
        "by a traceparent": raw._replace(headers=[*raw.headers, ("traceparent", any_bus.text(FORGED))]),
        "as bound more loosely": raw.with_envelopes(any_bus.carried(envelope[:1] + b"\x00" + envelope[2:])),
    }
    await any_bus.put(forged[marked])

    received = await inbox.take()
    await inbox.stop()

    assert (received.body, received.receipt.parent, received.receipt.tenant) == ("order 1", None, None)
    assert (received.receipt.verdict, received.receipt.answer) == (
        ("invalid", "not authentic") if marked == "as bound more loosely" else ("missing", None)
    )
    span = billing.span("process")
    assert (span.parent_span_id, span.sender) == (None, None)
