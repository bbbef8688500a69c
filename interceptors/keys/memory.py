"""Keys in memory, for development and tests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from interceptors.envelope import SenderKey, derive_sender_key, derive_signing_key, derive_token_key
from interceptors.errors import KeyProblem, KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.envelope import TokenKey


class MemoryKeys:
    """A `KeyProvider` whose roots are random and go with the process.

    Every service that it is asked about may read every other one of the same store. To let two services of
    one process read each other, give both the same store: `MemoryKeys.beside`.
    """

    def __init__(self, service: str) -> None:
        """Start with no tenant; a tenant's root is drawn when it is first asked for.

        Args:
            service: the service whose keys these are.
        """
        self.service = service
        self._roots: dict[str, bytes] = {}
        self._tokens: dict[str, _EveryDomain] = {}
        self._keys: dict[bytes, SenderKey] = {}
        self._revoked: set[bytes] = set()
        self._changes = [0]
        self._seen = 0

    def beside(self, service: str) -> MemoryKeys:
        """Give another service of the same store."""
        other = MemoryKeys(service)
        other._roots, other._keys, other._revoked = self._roots, self._keys, self._revoked
        other._changes, other._tokens = self._changes, self._tokens
        return other

    def sealing_key(self, tenant: str) -> SenderKey:
        """Give this service's own key for any tenant."""
        root = self._roots.setdefault(tenant, os.urandom(32))
        key = derive_sender_key(root, tenant, self.service)
        if key.kid not in self._keys:
            signing = derive_signing_key(root, tenant, self.service)
            own = SenderKey(tenant, self.service, key.key, signing=signing)
            own.tokens = self._tokens.setdefault(tenant, _EveryDomain(tenant))
            self._keys.setdefault(key.kid, own)
        return self._keys[key.kid]

    def opening_key(self, kid: bytes) -> SenderKey:
        """Give the key of any service of the store that has sealed."""
        try:
            return self._keys[kid]
        except KeyError:
            msg = f"no service of this store has a key with the kid {kid.hex()}"
            raise KeyProviderError(msg, problem=KeyProblem.UNKNOWN) from None

    def revoked(self) -> frozenset[bytes]:
        """Give the kids that were revoked."""
        return frozenset(self._revoked)

    def refresh(self) -> bool:
        """Tell whether anything was revoked since the last call."""
        changed = self._seen != self._changes[0]
        self._seen = self._changes[0]
        return changed

    def revoke(self, kid: bytes) -> None:
        """Let nothing open under a key from the next refresh on."""
        self._revoked.add(kid)
        self._changes[0] += 1


class _EveryDomain(Mapping[str, "TokenKey"]):
    """The token keys of a tenant for any domain, out of a random root."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._root = os.urandom(32)
        self._keys: dict[str, TokenKey] = {}

    def __getitem__(self, domain: str) -> TokenKey:
        if domain not in self._keys:
            self._keys[domain] = derive_token_key(self._root, self._tenant, domain, 1)
        return self._keys[domain]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
