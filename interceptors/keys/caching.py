"""A `KeyProvider` that keeps what another one has given."""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from interceptors.errors import KeyProblem, KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.envelope import SenderKey
    from interceptors.keys.provider import KeyProvider

Wanted = TypeVar("Wanted", str, bytes)

logger = logging.getLogger("interceptors.keys")

SPARED_S = 10.0
"""Seconds for which a provider that could not be reached is not asked again."""


class _Failure(NamedTuple):
    """An error without its traceback, which would keep alive what it went through."""

    text: str
    problem: KeyProblem


class CachingKeys:
    """Keeps keys for a while; and while they can't be had, for longer.

    * A key is asked for once at a time, however many want it.
    * Kept keys are asked for again when the provider tells of a change, and after `ttl` at the latest, which
      `refresh` sees to. One that is denied then, or not known any more, is let go.
    * One that can't be had only for the moment (`KeyProviderError.retryable`) is kept, and used on.
    * A revoked key is never given.

    No more is kept than the provider has given and has not taken back.
    """

    def __init__(
        self, provider: KeyProvider, ttl: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with nothing kept.

        Args:
            provider: whose keys.
            ttl: seconds for which a key is used before it is asked for again.
            clock: seconds, from any beginning.
        """
        self._provider = provider
        self._ttl = ttl
        self._clock = clock
        self._kept: dict[str | bytes, SenderKey] = {}  # by tenant those that seal, by kid those that open
        self._fresh: set[str | bytes] = set()
        self._fresh_until = clock() + ttl
        self._failure: _Failure | None = None
        self._spared_until = float("-inf")
        # By process: a child must not wait for an answer that only a thread of its parent would bring.
        self._asked: dict[tuple[int, str | bytes], Future[SenderKey]] = {}

    def sealing_key(self, tenant: str) -> SenderKey:
        """Give this service's own key for a tenant, kept or asked for."""
        return self._give(tenant, self._provider.sealing_key)

    def opening_key(self, kid: bytes) -> SenderKey:
        """Give the key of a sender, kept or asked for."""
        return self._give(kid, self._provider.opening_key)

    def revoked(self) -> frozenset[bytes]:
        """Give the kids that the provider says are revoked."""
        return self._provider.revoked()

    def refresh(self) -> bool:
        """Look for changes, and whether it is time to ask for what is kept again."""
        now = self._clock()
        # Asked at every look, so that a revocation doesn't wait for a look at which the time is not up.
        changed = self._provider.refresh()
        if now < self._fresh_until and not changed:
            return False
        self._fresh = set()
        self._fresh_until = now + self._ttl
        return True

    def _give(self, what: Wanted, ask: Callable[[Wanted], SenderKey]) -> SenderKey:
        key = self._kept.get(what) if what in self._fresh else None
        if key is None:
            key = self._ask_once(what, ask)
        if key.kid in self._provider.revoked():
            msg = f"the key {key.kid.hex()} is revoked"
            raise KeyProviderError(msg, problem=KeyProblem.DENIED)
        return key

    def _ask_once(self, what: Wanted, ask: Callable[[Wanted], SenderKey]) -> SenderKey:
        place = (os.getpid(), what)
        mine: Future[SenderKey] = Future()
        asked = self._asked.setdefault(place, mine)
        if asked is mine:
            try:
                mine.set_result(self._ask(what, ask))
            except BaseException as error:  # noqa: BLE001 - others wait, and it is raised below
                mine.set_exception(error)
            finally:
                del self._asked[place]
        return asked.result()

    def _ask(self, what: Wanted, ask: Callable[[Wanted], SenderKey]) -> SenderKey:
        fresh = self._fresh
        failure = self._failure if self._clock() < self._spared_until else None
        if failure is None:
            try:
                key = ask(what)
            except KeyProviderError as error:
                if not error.retryable:
                    self._kept.pop(what, None)
                    raise
                failure = self._spare(error)
            else:
                self._kept[what] = key
                fresh.add(what)  # if the keys have changed meanwhile, nobody looks there any more
                self._failure = None
                return key
        kept = self._kept.get(what)
        if kept is None:
            raise KeyProviderError(failure.text, problem=failure.problem)
        return kept

    def _spare(self, error: KeyProviderError) -> _Failure:
        if self._failure is None:
            logger.warning("keys can't be had at present, and those that are held are used on: %s", error)
        self._failure = failure = _Failure(str(error), error.problem)
        self._spared_until = self._clock() + SPARED_S
        self._fresh_until = min(self._fresh_until, self._spared_until)
        return failure
