"""The keys that a receiver holds."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from interceptors.errors import Answer, EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interceptors.envelope.sender_key import SenderKey


class KeySet:
    """Sender keys by `kid`, and the kids that are revoked. Immutable; a change makes another one."""

    __slots__ = ("held", "revoked")

    def __init__(self, keys: Iterable[SenderKey] = (), revoked: Iterable[bytes] = ()) -> None:
        """Index the keys.

        Args:
            keys: the keys held.
            revoked: the kids of which nothing opens, held or not.

        Raises:
            ValueError: two different keys have one `kid`.
        """
        held: dict[bytes, SenderKey] = {}
        for key in keys:
            if held.setdefault(key.kid, key) != key:
                msg = f"two keys have the kid {key.kid.hex()}"
                raise ValueError(msg)
        self.held: Mapping[bytes, SenderKey] = MappingProxyType(held)
        self.revoked = frozenset(revoked)

    def key(self, kid: bytes) -> SenderKey:
        """Give the one key for a `kid`.

        Raises:
            EnvelopeError: revoked key, or unknown key, in this order.
        """
        if kid in self.revoked:
            raise EnvelopeError(Answer.REVOKED_KEY)
        key = self.held.get(kid)
        if key is None:
            raise EnvelopeError(Answer.UNKNOWN_KEY)
        return key

    def __repr__(self) -> str:
        """Count, and show no key."""
        return f"KeySet(held={len(self.held)}, revoked={len(self.revoked)})"
