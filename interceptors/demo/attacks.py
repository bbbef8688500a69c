"""An attacker with the brokers' rights and no key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from interceptors.demo import topics
from interceptors.demo.setup import BOOKINGS, CAPTURE, CHARGES, ORDERS, PAYMENTS, REFUND, REFUNDS
from interceptors.demo.wire import Queued, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interceptors.demo.queues import Onlooker
    from interceptors.demo.setup import Setup
    from interceptors.demo.wire import Lying
    from interceptors.message import Coordinate

_KID = slice(2, 18)
_CLEAR = ("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")


class Attack(NamedTuple):
    """One thing that the attacker does to a message."""

    name: str
    forged: Lying
    """What he writes, to where it says that it lies."""
    expected: str
    """The verdict that it has to get."""


def plan(setup: Setup, genuine: Sequence[Lying]) -> list[Attack]:
    """Make the attacks out of what the services have sent.

    Args:
        setup: the names on the buses.
        genuine: every message there is.

    Returns:
        The attacks that can be made; moving to another tenant takes two tenants, and the one on RabbitMQ
        takes messages there.
    """
    records = [message for message in genuine if isinstance(message, Record)]
    queued = [message for message in genuine if isinstance(message, Queued)]
    orders = [record for record in records if record.topic == setup.place(ORDERS) and record.envelope]
    bookings = [record for record in records if record.topic == setup.place(BOOKINGS)]
    return [
        *_on_orders(orders),
        *(
            Attack("moved to another topic", booking._replace(topic=setup.place(REFUNDS)), "invalid")
            for booking in bookings[:1]
        ),
        *_on_queues(setup, queued),
    ]


def _on_orders(orders: Sequence[Record]) -> list[Attack]:
    if not orders:
        return []
    victim = orders[0]
    envelope = victim.envelope or b""
    altered = envelope[:-20] + bytes((envelope[-20] ^ 1,)) + envelope[-19:]
    bare = victim.with_envelope(None)
    attacks = [Attack("envelope altered: one bit", victim.with_envelope(altered), "invalid")]
    other = next((record for record in orders if (record.envelope or b"")[_KID] != envelope[_KID]), None)
    if other is not None and other.envelope is not None:
        relabelled = envelope[:2] + other.envelope[_KID] + envelope[18:]
        attacks += [
            Attack("moved to another tenant's message", other.with_envelope(envelope), "invalid"),
            Attack("relabelled as another tenant's", other.with_envelope(relabelled), "invalid"),
        ]
    return [
        *attacks,
        Attack("replayed: the whole record, again", victim, "replay"),
        Attack("removed", bare, "missing"),
        Attack("replaced by a clear traceparent", bare._replace(headers=(*bare.headers, _CLEAR)), "missing"),
    ]


def _on_queues(setup: Setup, queued: Sequence[Queued]) -> list[Attack]:
    attacks = []
    for message in queued:
        if message.queue == setup.place(PAYMENTS):
            body = json.dumps({"order_id": "forged", "total": None}).encode()
            forged = message._replace(id="forged", body=body)
            attacks.append(Attack("moved to another message, on RabbitMQ", forged, "invalid"))
            break
    for message in queued:
        if message.queue == setup.place(CHARGES) and message.type == CAPTURE:
            headers = message.headers | {"task": REFUND}
            forged = message._replace(type=REFUND, headers=headers)
            attacks.append(Attack("re-published as another task, on Celery", forged, "invalid"))
            break
    return attacks


async def launch(
    servers: str, onlookers: Mapping[str, Onlooker], attacks: Sequence[Attack]
) -> dict[Coordinate, Attack]:
    """Write the forged messages.

    Args:
        servers: Kafka.
        onlookers: by queue.
        attacks: which.

    Returns:
        Where each came to lie.
    """
    placed: dict[Coordinate, Attack] = {}
    for attack in attacks:
        if isinstance(attack.forged, Record):
            (record,) = await topics.write(servers, [attack.forged])
            placed[record.place] = attack
        else:
            await onlookers[attack.forged.queue].write(attack.forged)
            placed[attack.forged.place] = attack
    return placed
