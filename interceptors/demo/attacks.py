"""An attacker with the broker's rights and no key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaProducer

from interceptors.demo.setup import ORDERS, PAYMENTS, REFUNDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.demo.services import Coordinate
    from interceptors.demo.setup import Setup
    from interceptors.demo.wire import Headers, Raw

_KID = slice(2, 18)


class Attack(NamedTuple):
    """One thing that the attacker does to a record."""

    name: str
    channel: str
    """Where the forged record goes."""
    raw: Raw
    headers: Headers
    expected: str
    """The verdict that it has to get."""


def plan(setup: Setup, topic: Sequence[Raw]) -> list[Attack]:
    """Make the attacks out of what the topics hold.

    Args:
        setup: the topics' names.
        topic: every record there is.

    Returns:
        The attacks that can be made; moving to another tenant takes two tenants.
    """
    orders = [raw for raw in topic if raw.topic == setup.topic(ORDERS) and raw.envelope]
    payments = [raw for raw in topic if raw.topic == setup.topic(PAYMENTS) and raw.envelope]
    if not orders or not payments:
        return []
    victim, payment = orders[0], payments[0]
    envelope = victim.envelope or b""
    altered = envelope[:-20] + bytes((envelope[-20] ^ 1,)) + envelope[-19:]
    attacks = [
        Attack("envelope altered: one bit", ORDERS, victim, victim.with_envelope(altered), "invalid"),
        Attack("moved to another topic", REFUNDS, payment, payment.headers, "invalid"),
        Attack("replayed: the whole record, again", ORDERS, victim, victim.headers, "replay"),
        Attack("removed", ORDERS, victim, victim.with_envelope(None), "missing"),
        Attack(
            "replaced by a clear traceparent",
            ORDERS,
            victim,
            (*victim.with_envelope(None), ("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")),
            "missing",
        ),
    ]
    other = next((raw for raw in orders if (raw.envelope or b"")[_KID] != envelope[_KID]), None)
    if other is not None and other.envelope is not None:
        relabelled = envelope[:2] + other.envelope[_KID] + envelope[18:]
        attacks[2:2] = [
            Attack(
                "moved to another tenant's message", ORDERS, other, other.with_envelope(envelope), "invalid"
            ),
            Attack(
                "relabelled as another tenant's", ORDERS, other, other.with_envelope(relabelled), "invalid"
            ),
        ]
    return attacks


async def launch(setup: Setup, servers: str, attacks: Sequence[Attack]) -> dict[Coordinate, Attack]:
    """Write the forged records.

    Returns:
        Where each came to lie.
    """
    placed: dict[Coordinate, Attack] = {}
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for attack in attacks:
            topic = setup.topic(attack.channel)
            raw = attack.raw
            sent = await producer.send_and_wait(topic, raw.value, key=raw.key, headers=list(attack.headers))
            placed[topic, sent.partition, sent.offset] = attack
    return placed
