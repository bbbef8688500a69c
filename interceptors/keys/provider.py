"""The Protocol that a source of keys implements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from interceptors.envelope import SenderKey


class KeyProvider(Protocol):
    """A source of the keys of one service.

    Users see `Keyring`; this is for whoever connects another source. Each method may block; the keyring
    calls it outside the path of a message wherever it can, and caches what it gives. Caching, retry and
    metrics wrap this Protocol.
    """

    def sealing_key(self, tenant: str) -> SenderKey:
        """Give this service's own key for a tenant: the one that seals at present.

        Raises:
            KeyProviderError: unknown, denied, exhausted or unreachable.
        """
        ...

    def opening_key(self, kid: bytes) -> SenderKey:
        """Give the key of a sender that this service may read.

        Raises:
            KeyProviderError: unknown, denied, exhausted or unreachable.
        """
        ...

    def revoked(self) -> frozenset[bytes]:
        """Give the kids of which nothing opens any more."""
        ...

    def refresh(self) -> bool:
        """Look for changes.

        Returns:
            True where keys, their uses or revocations may have changed since the last call.

        Raises:
            KeyProviderError: the source can't be read now; what was known before still holds.
        """
        ...
