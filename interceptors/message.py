"""The neutral view of a bus message, the same for every bus.

What belongs here: what the core needs to know of a message. What does not: a bus's own types, headers other
than the envelope's, and the rules of a channel (`policy`).
"""

from __future__ import annotations

from typing import NamedTuple

Coordinate = tuple[str | int | bool, ...]


class Message(NamedTuple):
    """A message as the core sees it. Its `repr` shows neither body nor envelope nor identifiers."""

    system: str
    """The bus, as OpenTelemetry's `messaging.system` names it: `kafka`."""
    destination: str
    """The physical name on the bus: a topic."""
    body: object = None
    """The bytes of the body as they travel, None where there are none (a tombstone); anything else is a
    body that was deserialized before we saw it, to which nothing can be bound."""
    type: str = ""
    """The message type, for buses that have one; else empty."""
    id: str = ""
    """The message id, for buses that have one; else empty."""
    envelopes: tuple[object, ...] = ()
    """The value of each header of the envelope's name, whatever their type. Receiving only."""
    coordinate: Coordinate | None = None
    """Where the message lies: (topic, partition, offset) for Kafka. Receiving only."""

    def __repr__(self) -> str:
        """Show what is not secret."""
        return f"Message(system={self.system!r}, destination={self.destination!r})"
