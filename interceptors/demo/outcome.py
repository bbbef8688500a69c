"""What a run came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from interceptors.demo.attacks import Attack
    from interceptors.demo.orders import BadLine, Order
    from interceptors.demo.services import Arrival, Coordinate
    from interceptors.demo.setup import Setup
    from interceptors.demo.wire import Raw
    from interceptors.spans import Span


class Outcome(NamedTuple):
    """Everything that the report is made of."""

    setup: Setup
    orders: list[Order]
    bad_lines: list[BadLine]
    genuine: list[Raw]
    """The records of the services, before the attacks."""
    arrivals: dict[Coordinate, Arrival]
    attacks: dict[Coordinate, Attack]
    spans: list[Span]
    expected: dict[str, int]
    """How many messages each service should have got."""

    @property
    def left_out(self) -> int:
        """How many attacks there was no second tenant for."""
        return 0 if len({order.merchant for order in self.orders}) > 1 else 2

    @property
    def lost(self) -> int:
        """How many messages did not arrive."""
        arrived = [arrival.service for arrival in self.arrivals.values()]
        return sum(count - arrived.count(service) for service, count in self.expected.items())

    @property
    def unrecognised(self) -> list[Attack]:
        """The attacks that did not get their verdict."""
        return [
            attack
            for place, attack in self.attacks.items()
            if place not in self.arrivals or self.arrivals[place].verdict != attack.expected
        ]
