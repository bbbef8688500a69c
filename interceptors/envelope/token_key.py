"""Token keys: how they come from a tenant's token root, and the digests that tokens are made of."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from interceptors.envelope.binding import lp
from interceptors.envelope.sender_key import KEY_SIZE, expand

if TYPE_CHECKING:
    from typing import NoReturn

DIGEST_SIZE = 16
"""Bytes of a digest: the first 128 bits of HMAC-SHA256 (RFC 2104, section 5, allows half and more)."""

_TOKEN = "interceptors/v1/token"  # noqa: S105 - a label


def derive_token_key(root: bytes, tenant: str, domain: str, version: int) -> TokenKey:
    """Derive the key of one domain out of a tenant's token root.

    Args:
        root: 32 random bytes, of one tenant and version; not the root that envelopes are sealed under.
        tenant: the tenant's name.
        domain: what the identifiers are of, such as `customer`.
        version: the root's version, from 1.

    Returns:
        The key.

    Raises:
        ValueError: a root of another length, a version below 1, or an empty, overlong or unencodable name.
    """
    if len(root) != KEY_SIZE:
        msg = "a token root has 32 bytes"
        raise ValueError(msg)
    info = lp(_TOKEN) + lp(tenant) + lp(domain) + lp(str(version))
    return TokenKey(tenant, domain, version, expand(root, info, KEY_SIZE))


class TokenKey:
    """The key that the identifiers of one domain of one tenant are tokenized with.

    Neither `repr` nor pickling gives the key away; `key` is there for whoever writes key files.
    """

    __slots__ = ("domain", "key", "tenant", "version")

    def __init__(self, tenant: str, domain: str, version: int, key: bytes) -> None:
        """Keep the key.

        Args:
            tenant: the tenant's name.
            domain: what the identifiers are of.
            version: of the token root that the key comes from, from 1.
            key: 32 bytes.

        Raises:
            ValueError: a key of another length, a version below 1, or an empty, overlong or unencodable name.
        """
        if len(key) != KEY_SIZE:
            msg = "a token key has 32 bytes"
            raise ValueError(msg)
        if not tenant or not domain or version < 1:
            msg = "a token key has a tenant, a domain and a version from 1"
            raise ValueError(msg)
        lp(tenant), lp(domain)
        self.tenant = tenant
        self.domain = domain
        self.version = version
        self.key = key

    def digest(self, identifier: bytes) -> bytes:
        """Give the digest that stands for an identifier.

        Args:
            identifier: in its normal form.

        Returns:
            16 bytes, the same for the same identifier under the same key.
        """
        return hmac.digest(self.key, identifier, "sha256")[:DIGEST_SIZE]

    def __eq__(self, other: object) -> bool:
        """Compare without telling by time where two keys differ."""
        if not isinstance(other, TokenKey):
            return NotImplemented
        same_names = (self.tenant, self.domain, self.version) == (other.tenant, other.domain, other.version)
        return same_names and hmac.compare_digest(self.key, other.key)

    def __hash__(self) -> int:
        """Hash by what is public."""
        return hash((self.tenant, self.domain, self.version))

    def __repr__(self) -> str:
        """Show what is public."""
        return f"TokenKey(tenant={self.tenant!r}, domain={self.domain!r}, version={self.version})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a key must not end up in a queue or a cache by accident."""
        msg = "a TokenKey is not pickled"
        raise TypeError(msg)
