"""The neutral view of a bus message, the same for every bus.

What belongs here: what the core needs to know of a message. What does not: a bus's own types, and the rules
of a channel (`policy`).
"""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

Coordinate = tuple[str | int | bool, ...]

_LONGEST_ID = 64


class Message(NamedTuple):
    """A message as the core sees it. Its `repr` shows neither body nor envelope nor identifiers."""

    system: str
    """The bus, as OpenTelemetry's `messaging.system` names it: `kafka`, `rabbitmq`; or `celery`, `taskiq`."""
    destination: str
    """The physical name on the bus: a topic; an exchange where a message is published, a queue where it is
    consumed; a queue of Celery's or taskiq's."""
    body: object = None
    """The bytes of the body as they travel, None where there are none (a tombstone); anything else is a
    body that was deserialized before we saw it, to which nothing can be bound."""
    type: str = ""
    """The message type, for buses that have one (AMQP's `type`, a task's name); else empty."""
    id: str = ""
    """The message id, for buses that have one (AMQP's `message_id`, a task's id); else empty."""
    envelopes: tuple[object, ...] = ()
    """The value of each header of the envelope's name, whatever their type. Receiving only."""
    coordinate: Coordinate | None = None
    """Where the message lies: (topic, partition, offset) for Kafka, (queue,) for AMQP, (task id, retries) for
    tasks. Receiving only."""
    via: str = ""
    """Another physical name that the message came by: the exchange that an AMQP queue has it from. It counts
    only where the policy lists no channel for the destination. Receiving only."""
    guards: tuple[str, ...] = ()
    """More physical names that the message may have come by. Where a channel of theirs refuses what may not
    continue, so it is refused; an envelope is not opened as theirs. Receiving only."""
    redelivered: bool | None = None
    """Whether the broker says that it has delivered the message before; None where the coordinate alone
    tells. Receiving only."""
    key: object = None
    """The key that a message is partitioned by, where its bus has one (Kafka's): bytes, text or None."""
    headers: Sequence[tuple[str, object]] = ()
    """The headers that travel with the message, without the envelope: a value is bytes, a text, a number, or
    a table or list of those."""
    fixed: frozenset[str] = frozenset()
    """The names of headers that the bus itself goes by, such as a Celery task's `id`: without their values
    the message would not arrive, so nothing in them is replaced. Sending only."""
    task_metadata: frozenset[str] = frozenset()
    """The names of headers that go only where the channel's `task_metadata` keeps them: what Celery tells of
    a task's arguments and of its host. Sending only."""

    def __repr__(self) -> str:
        """Show what is not secret."""
        return f"Message(system={self.system!r}, destination={self.destination!r})"


def bounded_id(name: str) -> str:
    """Give what to remember of an id that the publisher may have made as long as he liked.

    Args:
        name: the id.

    Returns:
        The id, or the digest of a long one.
    """
    if len(name) <= _LONGEST_ID:
        return name
    return sha256(name.encode(errors="surrogatepass")).hexdigest()


def size_of(body: object) -> int | None:
    """Tell how large a body is.

    Args:
        body: as a message has it.

    Returns:
        How many bytes travel; None where it is not bytes yet, or a view that was released.
    """
    with contextlib.suppress(ValueError):
        if isinstance(body, (bytes, bytearray, memoryview)):
            return memoryview(body).nbytes
    return None
