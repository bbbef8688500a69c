"""A bus, as the contract sees it: what a program, and whoever else can reach the broker, does with it."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from interceptors.context import TraceContext, current, current_tenant
from interceptors.envelope import HEADER_NAME
from interceptors.tracing import Delegate

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from tests.conftest import Service

DEADLINE = 20
"""Seconds that anything may take before it is given up."""

Headers = list[tuple[str, Any]]


class Need(Enum):
    """What not every bus has."""

    REPEATED_HEADERS = "one header name can occur twice in a message"
    CANCELLATION = "a handler can be cancelled"


class Fate(Enum):
    """What a handler wants done with its message; without a word, it is done with."""

    AGAIN = "deliver it again"


class Raw(NamedTuple):
    """A message as it lies on the bus, for whoever can read and write there."""

    body: bytes
    headers: Headers
    properties: Any = None
    """What else the bus knows of it."""

    @property
    def envelopes(self) -> list[Any]:
        return [value for name, value in self.headers if name == HEADER_NAME]

    def with_envelopes(self, *values: Any) -> Raw:
        """The same message with other envelopes."""
        others = [header for header in self.headers if header[0] != HEADER_NAME]
        return self._replace(headers=[*others, *((HEADER_NAME, value) for value in values)])


class Sent(NamedTuple):
    """The objects that a program gave to the bus's client."""

    before: object
    """A copy of them, made before."""
    after: object


class Received(NamedTuple):
    """A message as its handler has it."""

    body: str
    headers: Headers
    message: Any
    """The client's own object."""
    receipt: Any
    """The receipt; None where the client isn't traced."""
    context: TraceContext | None = None
    """What is current while it is handled."""
    tenant: str | None = None
    """Likewise."""
    afterwards: TraceContext | None = None
    """What is current where the next message is waited for."""


Handle = Callable[[Received], Awaitable[Fate | None]]


class Delivery:
    """A message on its way through a handler."""

    def __init__(self, inbox: Inbox, received: Received) -> None:
        self._inbox = inbox
        self._received = received
        self.fate: Fate | None = None

    async def handle(self) -> None:
        """Call the handler, from where the client would."""
        self._received = self._received._replace(context=current(), tenant=current_tenant())
        self.fate = await self._inbox.handle(self._received)

    def run(self) -> None:
        """The same in a thread that has no event loop."""
        asyncio.run(self.handle())

    def done(self) -> None:
        """Say that the client has moved on from the message."""
        self._inbox.put(self._received._replace(afterwards=current()))


class Inbox:
    """A service that receives, and the messages that it has handled."""

    def __init__(self, handle: Handle | None) -> None:
        self.handle = handle or _take
        self.stopping = contextlib.AsyncExitStack()
        self._loop = asyncio.get_running_loop()
        self._handled: asyncio.Queue[Received] = asyncio.Queue()

    def put(self, received: Received) -> None:
        """Tell of a message that was handled, from any thread."""
        self._loop.call_soon_threadsafe(self._handled.put_nowait, received)

    async def take(self) -> Received:
        """The next message that was handled."""
        async with asyncio.timeout(DEADLINE):
            return await self._handled.get()

    def run(self, receiving: Coroutine[Any, Any, None]) -> None:
        """Receive in a task, which is cancelled when the inbox is stopped."""
        task = asyncio.create_task(receiving)

        async def stop() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task  # raises what it has failed with

        self.stopping.push_async_callback(stop)

    async def stop(self) -> None:
        """Receive no more. A handler that is at work is cancelled where the bus can, else waited for."""
        await self.stopping.aclose()


async def _take(_: Received) -> None:
    """Handle a message by doing nothing."""


class Pace(Delegate):
    """A client that is iterated over, which knows when it is asked for the next message.

    Only then is a traced client, which this one is wrapped by, over with the last one.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._over: dict[asyncio.Task[Any] | None, contextlib.ExitStack] = {}

    @classmethod
    def of(cls, client: Any) -> tuple[Any, Self]:
        """Put one below a traced client, or around one that isn't; give what to iterate over, and it."""
        if not isinstance(client, Delegate):
            pace = cls(client)
            return pace, pace
        client._wrapped = pace = cls(client._wrapped)
        return client, pace

    @property
    def over(self) -> contextlib.ExitStack:
        """What is left when this task asks for the next message."""
        return self._over.setdefault(asyncio.current_task(), contextlib.ExitStack())

    def end(self) -> None:
        """Nobody asks for another message."""
        for over in self._over.values():
            over.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        self.over.close()
        return await self._wrapped.__anext__()

    async def __aenter__(self) -> Self:
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._wrapped.__aexit__(*error)


class Bus(ABC):
    """A topic or queue of a broker, and the clients that use it."""

    name: ClassVar[str]
    system: ClassVar[str]
    brokers: ClassVar[tuple[str, ...]]
    """The fixtures that give an address."""
    lacks: ClassVar[Mapping[Need, str]] = {}
    """What it doesn't have, and why."""
    headers: ClassVar[Headers]
    """Headers of every kind that it carries."""
    poisons: ClassVar[Sequence[Any]]
    """Values that an envelope's header may have, and that are none."""

    def __init__(self, address: str, place: str, stopping: contextlib.AsyncExitStack) -> None:
        """Take a broker's address, a name that nobody has used, and where to leave what is to be stopped."""
        self.address = address
        self.place = place
        self.stopping = stopping
        self._elsewhere = 0

    @abstractmethod
    async def open(self) -> None:
        """Have the topic or queue."""

    async def elsewhere(self) -> Self:
        """Another topic or queue of the broker."""
        self._elsewhere += 1
        other = type(self)(self.address, f"{self.place}-{self._elsewhere}", self.stopping)
        await other.open()
        return other

    def inbox(self, handle: Handle | None) -> Inbox:
        """Have an inbox that is stopped with the bus."""
        inbox = Inbox(handle)
        self.stopping.push_async_callback(inbox.stop)
        return inbox

    @abstractmethod
    async def send(
        self, service: Service | None, body: str, headers: Headers | None = None, *, name: str = ""
    ) -> Sent:
        """Send a message by the bus's client, traced where a service is given.

        Args:
            service: whose.
            body: a text.
            headers: of the types that the bus has.
            name: what to call the message wherever the bus has a name for one: its key, id, type.
        """

    @abstractmethod
    async def serve(
        self,
        service: Service | None,
        handle: Handle | None = None,
        *,
        concurrency: int = 1,
    ) -> Inbox:
        """Receive by the bus's client, traced where a service is given, until inbox or bus is stopped.

        A handler that raises meets what the client does about it, and the next message comes.
        """

    @abstractmethod
    async def lift(self) -> Raw:
        """Take a message away that nobody has received, as it lies there. Not while somebody receives."""

    @abstractmethod
    async def put(self, raw: Raw) -> None:
        """Put a message there."""

    @abstractmethod
    def carried(self, envelope: bytes) -> Any:
        """An envelope in the form in which the bus carries it."""

    def text(self, value: str) -> Any:
        """A header's value that is a text."""
        return value

    def renamed(self, raw: Raw) -> Raw:
        """The same bytes as another message: what that takes differs."""
        return raw
