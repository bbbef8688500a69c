"""The keys of a vault: how they come from the tenants' token roots, and what is done with them.

A key is HKDF-Expand(TR, LP("interceptors/v1/vault") || LP(tenant) || LP(version), 32), where TR is the
tenant's token root of that version; two more come from it, one to index with and one to seal with. It is
another than any key that derived tokens are made with.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, NoReturn

from interceptors.envelope.binding import lp
from interceptors.envelope.sender_key import KEY_SIZE, expand
from interceptors.envelope.xaes import XAES, InvalidTag
from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.token_vault.store import missing_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interceptors.token_vault.store import Kept

_VAULT = "interceptors/v1/vault"
_INDEX = "interceptors/v1/vault index"
_SEAL = "interceptors/v1/vault seal"
_NONCE = 24
_PADDING = 64
"""Sealed values are as long as the next multiple of so many bytes, so that few lengths tell them apart."""


def derive_vault_key(root: bytes, tenant: str, version: int) -> bytes:
    """Derive a vault's key out of a tenant's token root.

    Args:
        root: 32 bytes.
        tenant: the tenant's name.
        version: the root's.

    Returns:
        32 bytes.
    """
    return expand(root, lp(_VAULT) + lp(tenant) + lp(str(version)), KEY_SIZE)


class VaultKey:
    """A vault's key for one tenant and version. Neither `repr` nor pickling gives it away."""

    __slots__ = ("_index", "_xaes", "tenant", "version")

    def __init__(self, tenant: str, version: int, key: bytes) -> None:
        """Derive what is used.

        Args:
            tenant: the tenant's name.
            version: of the token root that it comes from.
            key: 32 bytes, as `derive_vault_key` gives them.
        """
        self.tenant = tenant
        self.version = version
        self._index = expand(key, lp(_INDEX), KEY_SIZE)
        self._xaes = XAES(expand(key, lp(_SEAL), KEY_SIZE))

    def lookup(self, domain: str, identifier: bytes) -> bytes:
        """Give what an identifier is found by.

        Args:
            domain: what it is.
            identifier: in its normal form.
        """
        return hmac.digest(self._index, lp(domain) + identifier, "sha256")

    def seal(self, domain: str, token: bytes, identifier: bytes) -> bytes:
        """Encrypt an identifier, bound to its token.

        Args:
            domain: what it is.
            token: what stands for it.
            identifier: its text, at most 65535 bytes.

        Returns:
            A random nonce, and what XAES-256-GCM gave for the identifier, padded.
        """
        nonce = os.urandom(_NONCE)
        text = lp(identifier)
        padded = text.ljust(-(-len(text) // _PADDING) * _PADDING, b"\0")
        return nonce + self._xaes.seal(nonce, padded, self._bound(domain, token))

    def open(self, kept: Kept) -> bytes:
        """Decrypt an identifier.

        Raises:
            KeyProviderError: it is not what was sealed under this key for this token.
        """
        try:
            nonce, sealed = kept.sealed[:_NONCE], kept.sealed[_NONCE:]
            text = self._xaes.open(nonce, sealed, self._bound(kept.domain, kept.token))
        except (InvalidTag, TypeError, ValueError):  # in SQLite, a column holds what was put there
            msg = (
                f"what the vault holds for a token of {kept.tenant!r} does not open; the database was altered"
            )
            raise KeyProviderError(msg, problem=KeyProblem.DENIED) from None
        return text[2 : 2 + int.from_bytes(text[:2], "big")]

    def _bound(self, domain: str, token: bytes) -> bytes:
        return lp(_VAULT) + lp(self.tenant) + lp(domain) + lp(token)

    def __repr__(self) -> str:
        """Show what is public."""
        return f"VaultKey(tenant={self.tenant!r}, version={self.version})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it holds keys."""
        msg = "a VaultKey is not pickled"
        raise TypeError(msg)


class VaultKeys:
    """The keys that a vault holds."""

    def __init__(self, keys: Iterable[VaultKey]) -> None:
        """Take them.

        Args:
            keys: of any tenants and versions.
        """
        self._keys: dict[str, dict[int, VaultKey]] = {}
        for key in keys:
            self._keys.setdefault(key.tenant, {})[key.version] = key

    def of(self, tenant: str) -> Mapping[int, VaultKey]:
        """Give the keys of a tenant by version.

        Raises:
            KeyProviderError: there are none.
        """
        if tenant not in self._keys:
            msg = f"the vault has no key for the tenant {tenant!r}; run: interceptors tokens init {tenant}"
            raise KeyProviderError(msg, problem=KeyProblem.UNKNOWN)
        return self._keys[tenant]

    def that_sealed(self, kept: Kept) -> VaultKey:
        """Give the key that something is sealed under.

        Raises:
            KeyProviderError: it is not held.
        """
        try:
            return self._keys[kept.tenant][kept.version]
        except KeyError:
            raise missing_key(kept.tenant, kept.version) from None

    def __repr__(self) -> str:
        """Show what is public."""
        return f"VaultKeys({ {tenant: sorted(keys) for tenant, keys in self._keys.items()} })"
