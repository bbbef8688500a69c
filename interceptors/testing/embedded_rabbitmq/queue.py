"""A queue: what waits in it, who takes from it, and when a message dies."""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from interceptors.testing.embedded_rabbitmq.content import long_value, with_header

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was published.

    Attributes:
        exchange: the exchange that it was published to.
        routing_key: the key that it was published with.
        properties: its properties, as bytes.
        body: its body.
        expiration: the milliseconds that its publisher gives it in a queue, if any.
    """

    exchange: str
    routing_key: str
    properties: bytes
    body: bytes
    expiration: int | None = None


@dataclass(slots=True)
class Entry:
    """A message in one queue.

    Attributes:
        message: the message.
        position: its place among all that this queue ever had, which it goes back to.
        deadline: when it expires, on the clock of the loop.
        returns: how often it came back from a consumer.
    """

    message: Message
    position: int
    deadline: float | None = None
    returns: int = 0


class Consumer(Protocol):
    """Who takes messages from a queue.

    Attributes:
        exclusive: whether it has the queue for itself.
    """

    exclusive: bool

    def has_credit(self) -> bool:
        """Whether it takes one more now."""
        ...

    def deliver(self, entry: Entry) -> None:
        """Take a message, which is no longer in the queue."""
        ...

    def cancelled(self) -> None:
        """Learn that the queue is gone."""
        ...


class Queue:
    """Messages in their order, and the consumers that they go to by turns."""

    def __init__(
        self,
        name: str,
        *,
        arguments: Mapping[str, Any],
        durable: bool = False,
        auto_delete: bool = False,
        owner: object | None = None,
        on_expired: Callable[[Queue, Entry], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Make an empty queue.

        Args:
            name: its name.
            arguments: what it was declared with.
            durable: as declared.
            auto_delete: as declared.
            owner: the connection that has it for itself, if one does.
            on_expired: is given each message whose time ran out.
            loop: has the clock, and waits for that.
        """
        self.name = name
        self.arguments = arguments
        self.durable = durable
        self.auto_delete = auto_delete
        self.owner = owner
        self.ready: deque[Entry] = deque()
        self.consumers: deque[Consumer] = deque()
        self._on_expired = on_expired
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._positions = 0
        self._closed = False

    def properties_of(self, entry: Entry) -> bytes:
        """The properties that a message leaves with: a quorum queue tells how often it was tried."""
        if self.arguments.get("x-queue-type") != "quorum":
            return entry.message.properties
        return with_header(entry.message.properties, "x-delivery-count", long_value(entry.returns))

    def push(self, message: Message) -> None:
        """Put a message at the end."""
        lifetimes = (message.expiration, self.arguments.get("x-message-ttl"))
        lifetime = min((limit for limit in lifetimes if limit is not None), default=None)
        deadline = None if lifetime is None else self._loop.time() + lifetime / 1000
        self._positions += 1
        self.ready.append(Entry(message, self._positions, deadline))
        self.dispatch()
        self._expire()  # only now: a message that may not wait at all still goes to a consumer that is there

    def requeue(self, entries: Iterable[Entry]) -> None:
        """Put messages back where they were; they are dropped when the queue is gone."""
        if self._closed:
            return
        for entry in entries:
            entry.returns += 1
            bisect.insort(self.ready, entry, key=lambda waiting: waiting.position)
        self._expire()
        self.dispatch()

    def pop(self) -> Entry | None:
        """Take the first message, if there is one."""
        self._expire()
        return self.ready.popleft() if self.ready else None

    def purge(self) -> int:
        """Drop what waits, and say how many that was."""
        dropped = len(self.ready)
        self.ready.clear()
        return dropped

    def add(self, consumer: Consumer) -> None:
        """Begin to give messages to a consumer, which `may_join`."""
        self.consumers.append(consumer)
        self._expire()
        self.dispatch()

    def may_join(self, *, exclusive: bool) -> bool:
        """Whether one more consumer is let in, or one that wants to be the only one."""
        return not any(exclusive or consumer.exclusive for consumer in self.consumers)

    def dispatch(self) -> None:
        """Give what waits to the consumers that have credit, by turns."""
        while self.ready:
            taker = next((consumer for consumer in self.consumers if consumer.has_credit()), None)
            if taker is None:
                return
            self.consumers.remove(taker)
            self.consumers.append(taker)
            taker.deliver(self.ready.popleft())

    def close(self) -> None:
        """Drop everything and tell the consumers; the queue is of no use afterwards."""
        self._closed = True
        self.purge()
        if self._timer is not None:
            self._timer.cancel()
        consumers, self.consumers = self.consumers, deque()
        for consumer in consumers:
            consumer.cancelled()

    def _expire(self) -> None:
        """Let die what is at the head and out of time, and wait for the next."""
        while self.ready and (deadline := self.ready[0].deadline) is not None:
            left = deadline - self._loop.time()
            if left > 0:
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = self._loop.call_later(left, self._expire)
                return
            self._on_expired(self, self.ready.popleft())
