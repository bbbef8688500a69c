"""Sender keys: how they come from a root, and what is derived from them."""

from __future__ import annotations

import hmac
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from interceptors.bounded import BoundedMap
from interceptors.envelope.binding import Level, associated_data, lp
from interceptors.envelope.format import prefix
from interceptors.envelope.xaes import XAES
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from interceptors.envelope.binding import Binding
    from interceptors.envelope.token_key import TokenKey
    from interceptors.signatures import VerificationKey

KEY_SIZE = 32
KID_SIZE = 16

_SENDER = "interceptors/v1/sender"
_SIGN = "interceptors/v1/sign"
_SEAL = "interceptors/v1/seal"
_KID = "interceptors/v1/kid"
_REMEMBERED_BINDINGS = 1024
_NO_TOKENS: Mapping[str, TokenKey] = MappingProxyType({})


def expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869, section 2.3).

    Args:
        key: the pseudorandom key.
        info: what the output is for.
        length: bytes wanted.

    Returns:
        The bytes.
    """
    return HKDFExpand(algorithm=SHA256(), length=length, info=info).derive(key)


def derive_sender_key(root: bytes, tenant: str, sender: str) -> SenderKey:
    """Derive the key of a sender out of a tenant's root.

    Args:
        root: 32 random bytes, of one tenant and epoch.
        tenant: the tenant's name.
        sender: the service's identity: a short name or a SPIFFE id.

    Returns:
        The sender's key.

    Raises:
        ValueError: a root of another length, or an empty, overlong or unencodable name.
    """
    return SenderKey(tenant, sender, _of_sender(root, _SENDER, tenant, sender))


def derive_signing_key(root: bytes, tenant: str, sender: str) -> SigningKey:
    """Derive what a sender signs with in suite 2, out of a tenant's root. No reader is given it.

    Args:
        root: as for `derive_sender_key`, which makes the key that goes with it.
        tenant: the tenant's name.
        sender: the service's identity.

    Returns:
        The signing key, whose public part each reader of the sender is given.

    Raises:
        ValueError: as `derive_sender_key` does.
    """
    return SigningKey(_of_sender(root, _SIGN, tenant, sender))


def _of_sender(root: bytes, label: str, tenant: str, sender: str) -> bytes:
    if len(root) != KEY_SIZE:
        msg = "a root has 32 bytes"
        raise ValueError(msg)
    _check_names(tenant, sender)
    return expand(root, lp(label) + lp(tenant) + lp(sender), KEY_SIZE)


def _check_names(tenant: str, sender: str) -> None:
    if not tenant or not sender:
        msg = "a sender key has a tenant and a sender"
        raise ValueError(msg)
    lp(tenant), lp(sender)


class SenderKey:
    """The key of one sender of one tenant.

    Its `kid` commits to the key. Neither `repr` nor pickling gives the key away; `key` is there for whoever
    writes key files.

    Attributes:
        signing: what the sender signs with; None in the hands of its readers, and where it doesn't sign.
        verification: what its signatures are checked with; None where it is not known to sign.
        tokens: by domain, what the sender tokenizes with at present; set by whoever loads keys.
    """

    __slots__ = (
        "_bound",
        "_xaes",
        "created",
        "key",
        "kid",
        "sender",
        "signing",
        "tenant",
        "tokens",
        "verification",
    )

    def __init__(
        self,
        tenant: str,
        sender: str,
        key: bytes,
        *,
        created: int | None = None,
        signing: SigningKey | None = None,
        verification: VerificationKey | None = None,
    ) -> None:
        """Derive what the key commits to.

        Args:
            tenant: the tenant's name.
            sender: the sender's name.
            key: 32 bytes.
            created: when it was made, in seconds since the epoch, as whoever keeps it says; None where that
                is not known.
            signing: what the sender signs with.
            verification: what its signatures are checked with; by default, what goes with `signing`.

        Raises:
            ValueError: a key of another length, an empty, overlong or unencodable name, or a signing and a
                verification key that don't go together.
        """
        if len(key) != KEY_SIZE:
            msg = "a sender key has 32 bytes"
            raise ValueError(msg)
        _check_names(tenant, sender)
        if signing is not None:
            if verification not in (None, signing.public):
                msg = "the verification key is not the one that goes with the signing key"
                raise ValueError(msg)
            verification = signing.public
        self.tokens: Mapping[str, TokenKey] = _NO_TOKENS
        self.signing = signing
        self.verification = verification
        self.tenant = tenant
        self.sender = sender
        self.key = key
        self.created = created
        self.kid = expand(key, lp(_KID), KID_SIZE)
        self._xaes: XAES | None = None
        # By level: a tuple's index is faster than hashing an enumeration's member into a key.
        self._bound: tuple[BoundedMap[str | tuple[str, str], bytes], ...] = tuple(
            BoundedMap(_REMEMBERED_BINDINGS) for _ in (Level.TENANT, Level.CHANNEL, Level.TYPE)
        )

    @property
    def xaes(self) -> XAES:
        """The cipher of the sealing key, derived when first needed."""
        if self._xaes is None:
            self._xaes = XAES(expand(self.key, lp(_SEAL), KEY_SIZE))
        return self._xaes

    def associated_data(self, level: Level, binding: Binding) -> bytes:
        """Give the associated data of an envelope under this key, remembering those that recur.

        Args:
            level: how much of the binding counts.
            binding: what the message is.

        Returns:
            50 bytes, the first 18 of which begin the envelope.

        Raises:
            ValueError: a bound value that has no length-prefixed form.
        """
        if level >= Level.MESSAGE:
            return associated_data(prefix(level, self.kid), self.tenant, self.sender, level, binding)
        # The type only where it is bound: whoever sends may choose any, and fill the memory with them.
        known = (binding.channel, binding.type) if level >= Level.TYPE else binding.channel
        bound = self._bound[level].get(known)
        if bound is None:
            bound = associated_data(prefix(level, self.kid), self.tenant, self.sender, level, binding)
            self._bound[level].set(known, bound)
        return bound

    def __eq__(self, other: object) -> bool:
        """Compare without telling by time where two keys differ. What signs with it makes no difference."""
        if not isinstance(other, SenderKey):
            return NotImplemented
        same = (self.tenant, self.sender, self.verification) == (
            other.tenant,
            other.sender,
            other.verification,
        )
        return same and hmac.compare_digest(self.key, other.key)

    def __hash__(self) -> int:
        """Hash by the public `kid`."""
        return hash(self.kid)

    def __repr__(self) -> str:
        """Show what is public."""
        return f"SenderKey(tenant={self.tenant!r}, sender={self.sender!r}, kid={self.kid.hex()})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a key must not end up in a queue or a cache by accident."""
        msg = "a SenderKey is not pickled"
        raise TypeError(msg)
