"""A `KeyProvider` that asks another one again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from interceptors.errors import KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.envelope import SenderKey
    from interceptors.keys.provider import KeyProvider

Wanted = TypeVar("Wanted", str, bytes)

ATTEMPTS = 3
TOTAL_S = 2.0
"""Seconds after which nothing is asked again. A last attempt that began before may take its own time."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0

_draw = random.SystemRandom().uniform


class RetryingKeys:
    """Asks again for keys that can't be had only for the moment (`KeyProviderError.retryable`).

    Exponential backoff with full jitter: each pause is drawn from 0 to twice the most of the one before, so
    that services that lost their provider together don't come back together (Brooker, "Exponential Backoff
    And Jitter", AWS Architecture Blog, 2015). `refresh` is not repeated: it comes again by itself.
    """

    def __init__(
        self,
        provider: KeyProvider,
        *,
        attempts: int = ATTEMPTS,
        total: float = TOTAL_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = _draw,
    ) -> None:
        """Say how often.

        Args:
            provider: who is asked.
            attempts: how often at the most.
            total: seconds after which nothing is asked again.
            sleep: waits for so many seconds.
            clock: seconds, from any beginning.
            draw: gives a number between two others.
        """
        self._provider = provider
        self._attempts = attempts
        self._total = total
        self._sleep = sleep
        self._clock = clock
        self._draw = draw

    def sealing_key(self, tenant: str) -> SenderKey:
        """Give this service's own key for a tenant."""
        return self._ask(self._provider.sealing_key, tenant)

    def opening_key(self, kid: bytes) -> SenderKey:
        """Give the key of a sender."""
        return self._ask(self._provider.opening_key, kid)

    def revoked(self) -> frozenset[bytes]:
        """Give the kids that the provider says are revoked."""
        return self._provider.revoked()

    def refresh(self) -> bool:
        """Look for changes, once."""
        return self._provider.refresh()

    def _ask(self, ask: Callable[[Wanted], SenderKey], what: Wanted) -> SenderKey:
        last = self._clock() + self._total
        longest = FIRST_PAUSE_S
        for _ in range(self._attempts - 1):
            pause = self._draw(0, longest)
            try:
                return ask(what)
            except KeyProviderError as error:
                if not error.retryable or self._clock() + pause > last:
                    raise
            self._sleep(pause)
            longest = min(2 * longest, LONGEST_PAUSE_S)
        return ask(what)
