"""What has arrived where."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from interceptors.message import Coordinate
    from interceptors.pipeline import Receipt


class Arrival(NamedTuple):
    """What a service made of a message."""

    service: str
    verdict: str
    answer: str | None
    tenant: str | None


class Arrivals:
    """Every message that arrived, by where it lay. The services may note theirs from any thread."""

    def __init__(self) -> None:
        """Start empty; on the event loop that is to wait."""
        self.by_place: dict[Coordinate, Arrival] = {}
        self._ready: set[str] = set()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def note(self, service: str, place: Coordinate, receipt: Receipt) -> None:
        """Note one."""
        self.by_place[place] = Arrival(service, str(receipt.verdict), receipt.answer, receipt.tenant)
        self._wake()

    def say_ready(self, service: str) -> None:
        """Note that a service receives from now on."""
        self._ready.add(service)
        self._wake()

    async def wait_until_ready(self, *services: str) -> None:
        """Wait until services receive."""
        while not self._ready.issuperset(services):
            self._changed.clear()
            await self._changed.wait()

    async def wait_for(self, service: str, count: int) -> None:
        """Wait until so many have arrived at a service."""
        while self._count(service) < count:
            self._changed.clear()
            await self._changed.wait()

    def _count(self, service: str) -> int:
        return sum(arrival.service == service for arrival in list(self.by_place.values()))

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._changed.set)
