"""A service that met no message for a while: its first one knows of what was revoked or changed meanwhile.

No thread looks for changes before the first message of a process, so it is the message that has to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors import Tracing
from interceptors.envelope import header_bytes, kid_of
from interceptors.tracing.governing import Governing
from interceptors.tracing.policy_file import PolicyFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Service, Services

    from .buses import Bus

PAUSE_S = 10


@pytest.fixture
def governed(service: Services, tmp_path: Path) -> Iterator[Callable[[str], tuple[Service, Path]]]:
    """Makes services whose policy lies in a file."""
    made: list[Tracing] = []

    def make(name: str) -> tuple[Service, Path]:
        other, path = service(name), tmp_path / f"{name}.yaml"
        path.write_text("version: 1\n")
        tracing = Tracing(
            service=name,
            tenant="acme",
            policy=Governing.of_file(PolicyFile(path, "development"), "development", other.clock),
            keys=service.keys(name),
            sink=other.sink,
            clock=other.clock,
        )
        made.append(tracing)
        return other._replace(tracing=tracing), path

    yield make
    for tracing in made:
        tracing.close()


async def test_nothing_opens_under_a_key_that_was_revoked_meanwhile(
    bus: Bus, service: Services, checkout: Service, billing: Service
) -> None:
    await bus.send(checkout, "order 1")
    raw = await bus.lift()
    (envelope,) = map(header_bytes, raw.envelopes)
    fetch = billing.tracing.opening_keys_wanted([envelope])
    assert fetch is not None
    fetch()
    kid = kid_of(envelope)
    assert kid is not None
    assert kid in billing.tracing._keyring.keys.held
    service.keys("administration").revoke(kid)
    billing.clock.ahead_s = PAUSE_S
    await bus.put(raw)

    received = await (await bus.serve(billing)).take()

    assert received.body == "order 1"
    assert (received.receipt.verdict, received.receipt.answer) == ("invalid", "revoked key")
    assert billing.span("process").context.trace_id != checkout.span("send").context.trace_id


async def test_nothing_is_sealed_with_a_key_that_was_revoked_meanwhile(
    bus: Bus, service: Services, checkout: Service
) -> None:
    fetch = checkout.tracing.sealing_key_wanted()
    assert fetch is not None
    fetch()
    (key,) = checkout.tracing._keyring.sealing_keys()
    service.keys("administration").revoke(key.kid)
    checkout.clock.ahead_s = PAUSE_S

    await bus.send(checkout, "order 1")

    raw = await bus.lift()
    assert b"order 1" in raw.body
    assert raw.envelopes == []


async def test_what_is_received_is_held_to_a_policy_that_was_put_in_place_meanwhile(
    bus: Bus, checkout: Service, governed: Callable[[str], tuple[Service, Path]]
) -> None:
    billing, policy = governed("billing")
    policy.write_text("version: 1\ndefault: {accept: none}\n")
    billing.clock.ahead_s = PAUSE_S
    await bus.send(checkout, "order 1")

    received = await (await bus.serve(billing)).take()

    assert (received.body, received.receipt.verdict) == ("order 1", None)
    assert received.receipt.parent is None


async def test_what_is_sent_is_held_to_a_policy_that_was_put_in_place_meanwhile(
    bus: Bus, governed: Callable[[str], tuple[Service, Path]]
) -> None:
    checkout, policy = governed("checkout")
    policy.write_text("version: 1\ndefault: {emit: none}\n")
    checkout.clock.ahead_s = PAUSE_S

    await bus.send(checkout, "order 1")

    raw = await bus.lift()
    assert b"order 1" in raw.body
    assert raw.envelopes == []
