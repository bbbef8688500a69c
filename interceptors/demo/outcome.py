"""What a run came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.demo.setup import RECEIVER
from interceptors.spans import Operation

if TYPE_CHECKING:
    from interceptors.demo.arrivals import Arrival
    from interceptors.demo.attacks import Attack
    from interceptors.demo.orders import BadLine, Order
    from interceptors.demo.setup import Setup
    from interceptors.demo.wire import Lying, Queued, Record
    from interceptors.message import Coordinate
    from interceptors.spans import Span


class Outcome(NamedTuple):
    """Everything that the report is made of."""

    setup: Setup
    orders: list[Order]
    bad_lines: list[BadLine]
    genuine: list[Lying]
    """The messages of the services, before the attacks."""
    records: list[Record]
    """The topics as they lie, attacks included."""
    queued: list[Queued]
    """The same of the queues."""
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

    def sent(self) -> list[tuple[Lying, Span]]:
        """Give the genuine messages with the span that sent each, those of one order beside each other.

        Only its envelope says which that is, so each is opened as its receiver does.
        """
        spans = {span.context.span_id: span for span in self.spans if span.operation is Operation.SEND}
        sent = []
        for lying in self.genuine:
            receiver = self.setup.tracings[RECEIVER[self.setup.channel(lying.lies_on)]]
            opened = receiver.receive(lying.message, consumer="report").opened
            span = spans.get(opened.context.span_id) if opened else None
            if span is not None:
                sent.append((lying, span))
        first = {span.context.trace_id: number for number, (_, span) in reversed(list(enumerate(sent)))}
        return sorted(sent, key=lambda pair: (first[pair[1].context.trace_id], pair[1].start))
