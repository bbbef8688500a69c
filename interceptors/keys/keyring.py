"""The keyring: what a service holds at present, out of a provider, without ever making a message wait."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from interceptors.bounded import BoundedMap
from interceptors.envelope import KeySet, Sealer
from interceptors.errors import KeyProblem, KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interceptors.envelope import SenderKey
    from interceptors.keys.provider import KeyProvider

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("interceptors.keys")

UNKNOWN_FOR_MS = 5_000
"""For how long a key that could not be had is not asked for again."""

MISSES_PER_SECOND = 20
"""How many keys are asked for in vain in a second at the most: what a flood of made-up kids may cost."""

_NONE: frozenset[bytes] = frozenset()
_REMEMBERED_UNKNOWN = 4096


class _Asking(threading.local):
    """Whether this thread is asking a provider.

    What a provider sends meanwhile, by a client that is traced, must not have it asked again: without end.
    """

    now = False


_asking = _Asking()


class Keyring:
    """Caches what a provider gives.

    `sealer` and `keys` answer out of memory once a key has been had; `wants` tells whether a key should be
    asked for, and `fetch` asks. An unreachable provider costs traces, never messages.
    """

    def __init__(self, provider: KeyProvider) -> None:
        """Take a provider.

        Args:
            provider: the service's source of keys.

        Raises:
            KeyProviderError: it can't be had which keys are revoked, so that nothing may be opened.
        """
        self._provider = provider
        self._lock = threading.Lock()
        self._sealers: dict[str, Sealer] = {}
        self._no_sealer_until: BoundedMap[str, int] = BoundedMap(_REMEMBERED_UNKNOWN)
        self._unknown_until: BoundedMap[bytes, int] = BoundedMap(_REMEMBERED_UNKNOWN)
        self._misses = 0
        self._misses_since = 0
        self._said = ""
        self._stale = False  # until a change that was announced has been taken up whole
        self.keys = KeySet(revoked=_ask(provider.revoked))

    def wants_sealer(self, tenant: str, now: int) -> bool:
        """Tell whether `sealer` would ask the provider, and so may block."""
        if tenant in self._sealers or _asking.now:
            return False
        return now >= (self._no_sealer_until.get(tenant) or 0)

    def sealer(self, tenant: str, now: int) -> Sealer | None:
        """Give the sealer of this service for a tenant.

        The first call for a tenant asks the provider, and so do calls after a change of keys.

        Args:
            tenant: whose messages are to be sealed.
            now: milliseconds since the epoch.

        Returns:
            The sealer, or None where its key can't be had, is revoked, could not be had a moment ago, or is
            being asked for by this thread.
        """
        found = self._sealers.get(tenant)
        if found is not None or not self.wants_sealer(tenant, now):
            return found
        sealers = self._sealers
        try:
            key = _ask(self._sealing_key, tenant)
            # A sender can read what it has sent itself: a service that consumes its own topic.
            _ask(self._hold, key, sealers)
        except KeyProviderError as error:
            self._no_sealer_until.set(tenant, now + UNKNOWN_FOR_MS)
            logger.warning("no sealing key, so messages go without an envelope: %s", error)
            return None
        # After a change of keys these are the sealers of before, which nobody asks again.
        return sealers.setdefault(tenant, Sealer(key))

    def held_sealer(self, tenant: str) -> Sealer | None:
        """Give the sealer of this service for a tenant where it has been had already, without asking."""
        return self._sealers.get(tenant)

    def sealing_keys(self) -> list[SenderKey]:
        """Give the keys that messages are sealed with at present, one a tenant."""
        return [sealer.key for sealer in list(self._sealers.values())]

    def wants(self, kid: bytes, now: int) -> bool:
        """Tell whether a key should be asked for before an envelope under it is opened.

        Args:
            kid: the envelope's.
            now: milliseconds since the epoch.

        Returns:
            False where it is held, revoked, was not to be had a moment ago, or too many others were not; and
            where it is a provider that asks.
        """
        keys = self.keys
        if kid in keys.held or kid in keys.revoked or now < (self._unknown_until.get(kid) or 0):
            return False
        if _asking.now:
            return False
        if not 0 <= now - self._misses_since < 1000:  # noqa: PLR2004 - a second
            self._misses_since, self._misses = now, 0
        return self._misses < MISSES_PER_SECOND

    def fetch(self, kid: bytes, now: int) -> None:
        """Ask the provider for a key. May block.

        Args:
            kid: the key wanted.
            now: milliseconds since the epoch.
        """
        held = False
        try:
            while not held:  # once more after a change of keys in between
                sealers = self._sealers
                key = _ask(self._opening_key, kid)
                held = _ask(self._hold, key, sealers, _ask(self._provider.revoked))
        except KeyProviderError:
            # The receiver's verdict (unknown key) says it; a line a message would let anyone fill the log.
            self._misses += 1
            self._unknown_until.set(kid, now + UNKNOWN_FOR_MS)

    def fetch_wanted(self, kids: Iterable[bytes], now: int) -> None:
        """Ask the provider for those of several keys that are wanted still. May block.

        Args:
            kids: the keys that were wanted a moment ago; another thread may have fetched them since.
            now: milliseconds since the epoch.
        """
        for kid in kids:
            if self.wants(kid, now):
                self.fetch(kid, now)

    def after_fork(self) -> None:
        """Take new locks in a child: another thread of the parent may have held the old ones."""
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Look whether keys, their uses or revocations have changed. May block; meant for a thread apart."""
        # Meanwhile it counts as stale: a child that is forked in the midst has to look for itself.
        stale, self._stale = self._stale, True
        try:
            self._stale = _ask(self._provider.refresh) or stale
            revoked = _ask(frozenset, _ask(self._provider.revoked))
        except KeyProviderError as error:
            if str(error) != self._said:  # once, and not at every look
                logger.warning("the keys were not refreshed, and those known before still hold: %s", error)
            self._said = str(error)
            return
        self._said = ""
        if not self._stale:
            return
        self._revoke(revoked)
        # A key may have another use, or be gone. Those that are held are had anew here, before the old ones
        # go, so that no message meets a keyring without its key.
        keys: list[SenderKey] = []
        for kid in self.keys.held:
            with contextlib.suppress(KeyProviderError):
                keys.append(_ask(self._opening_key, kid))
        with self._lock:
            self._stale = False
            self.keys = KeySet(keys, revoked)
            self._sealers = {}
            self._no_sealer_until.clear()
            self._unknown_until.clear()

    def _revoke(self, revoked: frozenset[bytes]) -> None:
        """Open and seal nothing under revoked keys at once, however long it takes to have the others anew."""
        with self._lock:
            self.keys = KeySet(self.keys.held.values(), self.keys.revoked | revoked)
            self._sealers = {
                tenant: sealer for tenant, sealer in self._sealers.items() if sealer.key.kid not in revoked
            }

    def _sealing_key(self, tenant: str) -> SenderKey:
        key = self._provider.sealing_key(tenant)
        if key.tenant != tenant:
            msg = f"the key that was given for the tenant {tenant!r} is another tenant's"
            raise KeyProviderError(msg, problem=KeyProblem.DENIED)
        if key.kid in self.keys.revoked:
            msg = f"the sealing key {key.kid.hex()} is revoked"
            raise KeyProviderError(msg, problem=KeyProblem.DENIED)
        return key

    def _opening_key(self, kid: bytes) -> SenderKey:
        key = self._provider.opening_key(kid)
        if key.kid != kid:  # the kid commits to the key, so this is not the key that was asked for
            msg = f"the key that was given for the kid {kid.hex()} is another one"
            raise KeyProviderError(msg, problem=KeyProblem.UNKNOWN)
        return key

    def _hold(self, key: SenderKey, sealers: dict[str, Sealer], revoked: frozenset[bytes] = _NONE) -> bool:
        """Hold a key more, unless the keys have changed since `sealers` were the present ones."""
        with self._lock:
            if self._sealers is not sealers:
                return False
            self.keys = KeySet((*self.keys.held.values(), key), self.keys.revoked | revoked)
            return True


def _ask(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a provider, or use what it gave: any fault of it costs a trace at most, and nothing foreign."""
    _asking.now = True
    try:
        return call(*args, **kwargs)
    except KeyProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        msg = f"the key provider failed with {type(error).__name__}"
        raise KeyProviderError(msg, problem=KeyProblem.UNREACHABLE) from None
    finally:
        _asking.now = False
